from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from housing.data import splitting
from housing.models import intervals
from housing.schema import FEATURE_NAMES, TARGET
from housing.tracking import experiments, run_logging, store
from housing.tracking.mlflow_env import load_mlflow
from housing.training import search


def find_runs(family=None):
    client = store.client()
    experiment = client.get_experiment_by_name(store.EXPERIMENT_NAME)
    condition = f"tags.family = '{family}'" if family else ""
    return client.search_runs([experiment.experiment_id], condition)


def test_a_candidate_is_one_run_with_its_trials_nested_below(champion_home):
    [run] = find_runs("tree")
    assert {"cv_rmse", "cv_rmse_std", "test_rmse", "test_r2"} <= set(run.data.metrics)
    assert {"max_depth", "min_samples_leaf"} <= set(run.data.params)
    trials = [
        trial
        for trial in find_runs()
        if trial.data.tags.get("mlflow.parentRunId") == run.info.run_id
    ]
    assert len(trials) == 2
    assert all(trial.data.params["max_depth"].isdigit() for trial in trials)
    scores = [trial.data.metrics["rmse"] for trial in trials if "rmse" in trial.data.metrics]
    assert run.data.metrics["cv_rmse"] == min(scores)


def test_a_candidate_names_its_data_and_commit(champion_home):
    [run] = find_runs("tree")
    digests = splitting.read_split().manifest["sha256"]
    assert run.data.tags["raw_sha256"] == digests["raw"]
    assert run.data.tags["data_source"] == "sample"
    assert "mlflow.source.git.commit" in run.data.tags
    dataset_digests = {dataset_input.dataset.digest for dataset_input in run.inputs.dataset_inputs}
    assert dataset_digests == {digests["train"][:32], digests["test"][:32]}


def test_metrics_tables_figures_and_intervals_are_stored_with_a_candidate(champion_home):
    split = splitting.read_split()
    results = search.tune_families(["tree"], split.train, n_trials=2)
    table = pd.DataFrame({"RMSE, $": [1.5]}, ["all"])
    tree_intervals = intervals.calibrate(
        split.train[FEATURE_NAMES], split.train[TARGET], results["tree"].out_of_fold_predictions
    )
    extras = run_logging.CandidateExtras(
        {"far_rmse": 0.6}, {"slices": table}, {"map": Figure()}, tree_intervals
    )
    [candidate] = run_logging.log_candidates(results.values(), split, "other", {"tree": extras})
    assert store.client().get_run(candidate.run_id).data.metrics["far_rmse"] == 0.6
    mlflow = load_mlflow()
    folder = Path(mlflow.artifacts.download_artifacts(run_id=candidate.run_id))
    assert pd.read_csv(folder / "tables" / "slices.csv", index_col=0).equals(table)
    assert (folder / "figures" / "map.png").stat().st_size > 0
    model_folder = Path(mlflow.artifacts.download_artifacts(f"models:/{candidate.model_id}"))
    content = (model_folder / "intervals.skops").read_bytes()
    stored_intervals = intervals.IntervalModel.loads(content)
    np.testing.assert_array_equal(stored_intervals.highs, tree_intervals.highs)


def test_candidates_are_those_of_the_newest_training_best_first(champion_home):
    candidates = experiments.find_candidates(splitting.read_split().manifest)
    assert {candidate.family for candidate in candidates} == {"linear", "tree"}
    assert candidates == sorted(candidates, key=lambda candidate: candidate.cv_rmse)


def test_candidates_are_those_of_the_run_itself_if_it_has_trained(champion_home):
    split = splitting.read_split()
    results = search.tune_families(["tree"], split.train, n_trials=1)
    run_logging.log_candidates(results.values(), split, "second")
    for run_id, training_id in (("", "second"), ("another run", "second"), ("first", "first")):
        candidates = experiments.find_candidates(split.manifest, run_id)
        assert {candidate.training_id for candidate in candidates} == {training_id}


def test_a_candidate_and_its_version_name_what_they_come_from(champion_home):
    split = splitting.read_split()
    origin = {"report": "reports/second/02_train.html", "command": "python run_pipeline.py"}
    results = search.tune_families(["tree"], split.train, n_trials=1)
    [candidate] = run_logging.log_candidates(results.values(), split, "second", origin=origin)
    run = experiments.get_run(candidate.run_id)
    assert run.tags["report"] == "reports/second/02_train.html"
    assert run.tags["pipeline.command"] == "python run_pipeline.py"
    assert run.tags["notebook"] == ""


def test_candidates_of_other_data_are_ignored(champion_home):
    manifest = {"sha256": {"train": "another"}}
    with pytest.raises(LookupError, match="run 02_train first"):
        experiments.find_candidates(manifest)
