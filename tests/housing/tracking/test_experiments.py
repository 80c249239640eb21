from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from housing.data import splitting
from housing.models import intervals
from housing.schema import FEATURE_NAMES, TARGET
from housing.tracking import experiments, store
from housing.training import search

NAME = "california-housing-sample"


def runs(family=None):
    client = store.client()
    experiment = client.get_experiment_by_name(store.EXPERIMENT_NAME)
    where = f"tags.family = '{family}'" if family else ""
    return client.search_runs([experiment.experiment_id], where)


def test_a_candidate_is_one_run_with_its_trials_below(champion_home):
    [run] = runs("tree")
    assert {"cv_rmse", "cv_rmse_std", "test_rmse", "test_r2"} <= set(run.data.metrics)
    assert {"max_depth", "min_samples_leaf"} <= set(run.data.params)
    trials = [one for one in runs() if one.data.tags.get("mlflow.parentRunId") == run.info.run_id]
    assert len(trials) == 2
    assert {one.data.params["max_depth"].isdigit() for one in trials} == {True}
    best = min(one.data.metrics["rmse"] for one in trials if "rmse" in one.data.metrics)
    assert run.data.metrics["cv_rmse"] == best


def test_a_candidate_names_its_data_and_commit(champion_home):
    [run] = runs("tree")
    parts = splitting.read_split()
    assert run.data.tags["raw_sha256"] == parts.manifest["sha256"]["raw"]
    assert run.data.tags["data_source"] == "sample"
    assert "mlflow.source.git.commit" in run.data.tags
    digests = {one.dataset.digest for one in run.inputs.dataset_inputs}
    assert digests == {parts.manifest["sha256"][one][:32] for one in ("train", "test")}


def test_what_else_is_known_of_a_candidate_is_kept_in_its_run(champion_home):
    parts = splitting.read_split()
    found = search.tune_families(["tree"], parts.train, n_trials=2)
    table = pd.DataFrame({"RMSE, $": [1.5]}, ["all"])
    figure, drawn = (
        Figure(),
        intervals.calibrate(
            parts.train[FEATURE_NAMES], parts.train[TARGET], found["tree"].out_of_fold_predictions
        ),
    )
    evidence = experiments.CandidateExtras(
        {"far_rmse": 0.6}, {"slices": table}, {"map": figure}, drawn
    )
    [made] = experiments.log_candidates(found.values(), parts, "other", {"tree": evidence})
    client = store.client()
    assert client.get_run(made.run_id).data.metrics["far_rmse"] == 0.6
    folder = Path(mlflow.artifacts.download_artifacts(run_id=made.run_id))
    assert pd.read_csv(folder / "tables" / "slices.csv", index_col=0).equals(table)
    assert (folder / "figures" / "map.png").stat().st_size > 0
    model = Path(mlflow.artifacts.download_artifacts(f"models:/{made.model_id}"))
    again = intervals.IntervalModel.loads((model / "intervals.skops").read_bytes())
    np.testing.assert_array_equal(again.highs, drawn.highs)


def test_candidates_are_of_the_newest_training_best_first(champion_home):
    found = experiments.find_candidates(splitting.read_split().manifest)
    assert {one.family for one in found} == {"linear", "tree"}
    assert found == sorted(found, key=lambda one: one.cv_rmse)


def test_candidates_of_other_data_do_not_count(champion_home):
    manifest = {"sha256": {"train": "another"}}
    with pytest.raises(LookupError, match="run 02_train first"):
        experiments.find_candidates(manifest)
