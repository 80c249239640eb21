import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from mlflow import MlflowClient

from housing import graph, intervals, paths, registry, search, split
from housing.schema import NAMES, TARGET
from tests.conftest import promote

NAME = "california-housing-sample"


def runs(family=None):
    store = registry.client()
    experiment = store.get_experiment_by_name(registry.EXPERIMENT)
    where = f"tags.family = '{family}'" if family else ""
    return store.search_runs([experiment.experiment_id], where)


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
    parts = split.read()
    assert run.data.tags["raw_sha256"] == parts.manifest["sha256"]["raw"]
    assert run.data.tags["data_source"] == "sample"
    assert "mlflow.source.git.commit" in run.data.tags
    digests = {one.dataset.digest for one in run.inputs.dataset_inputs}
    assert digests == {parts.manifest["sha256"][one][:32] for one in ("train", "test")}


def test_the_model_has_signature_example_and_no_pickle(champion_home):
    uri = f"models:/{NAME}@champion"
    registry.client()
    info = mlflow.models.get_model_info(uri)
    assert [one.name for one in info.signature.inputs] == NAMES
    assert info.saved_input_example_info is not None
    folder = Path(mlflow.artifacts.download_artifacts(uri))
    assert (folder / "model.skops").exists()
    assert not list(folder.rglob("*.pkl"))
    assert "double_precision_graph" in info.flavors


def test_what_else_is_known_of_a_candidate_is_kept_in_its_run(champion_home):
    parts = split.read()
    found = search.search(["tree"], parts.train, trials=2)
    table = pd.DataFrame({"RMSE, $": [1.5]}, ["all"])
    figure, drawn = (
        Figure(),
        intervals.calibrate(parts.train[NAMES], parts.train[TARGET], found["tree"].guesses),
    )
    evidence = registry.Evidence({"far_rmse": 0.6}, {"slices": table}, {"map": figure}, drawn)
    [made] = registry.log_candidates(found.values(), parts, "other", {"tree": evidence})
    store = registry.client()
    assert store.get_run(made.run_id).data.metrics["far_rmse"] == 0.6
    folder = Path(mlflow.artifacts.download_artifacts(run_id=made.run_id))
    assert pd.read_csv(folder / "tables" / "slices.csv", index_col=0).equals(table)
    assert (folder / "figures" / "map.png").stat().st_size > 0
    model = Path(mlflow.artifacts.download_artifacts(f"models:/{made.model_id}"))
    again = intervals.Intervals.loads((model / "intervals.skops").read_bytes())
    np.testing.assert_array_equal(again.highs, drawn.highs)


def test_artefacts_are_in_var_wherever_the_notebook_runs(home, tmp_path):
    code = (
        "from housing import registry; registry.client(); store = registry.client(); "
        "print(store.get_experiment_by_name(registry.EXPERIMENT).artifact_location)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == (home / "var" / "artifacts").as_uri()


def test_anyone_can_load_the_champion_and_its_graph_answers_the_same(champion_home):
    test = split.read().test[NAMES]
    registry.client()
    by_mlflow = mlflow.pyfunc.load_model(f"models:/{NAME}@champion").predict(test)
    registry.export(registry.champion(NAME), paths.var() / "out")
    served = graph.session(paths.var() / "out" / "model.onnx")
    np.testing.assert_array_equal(graph.predict(served, test.to_numpy()), by_mlflow)


def test_what_learnt_from_a_sample_has_a_name_of_its_own(champion_home):
    assert registry.champion("california-housing") is None
    assert registry.champion(NAME).version == "1"


def test_a_candidate_that_is_not_better_does_not_become_champion(champion_home):
    refused = promote(split.read(), "tree")
    assert refused.tags["verdict"] == "refused"
    assert "gained on the champion" in refused.tags["reason"]
    assert registry.champion(NAME).version == "1"
    alias = registry.client().get_model_version_by_alias(NAME, "challenger")
    assert str(alias.version) == refused.version == "2"


def test_candidates_are_of_the_newest_training_best_first(champion_home):
    found = registry.candidates(split.read().manifest)
    assert {one.family for one in found} == {"linear", "tree"}
    assert found == sorted(found, key=lambda one: one.cv_rmse)


def test_candidates_of_other_data_do_not_count(champion_home):
    manifest = {"sha256": {"train": "another"}}
    with pytest.raises(LookupError, match="run 02_train first"):
        registry.candidates(manifest)


def test_no_store_yet_means_no_champion_and_makes_none(home):
    assert registry.champion(NAME) is None
    assert not (home / "var" / "mlflow.db").exists()


def test_the_tracking_uri_of_the_environment_wins(home, monkeypatch, tmp_path):
    uri = f"sqlite:///{tmp_path / 'other.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    registry.client()
    assert (tmp_path / "other.db").exists()
    assert not (home / "var" / "mlflow.db").exists()
    assert MlflowClient(uri).get_experiment_by_name(registry.EXPERIMENT)


def test_an_empty_tracking_uri_is_none(home, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    registry.client()
    assert registry.tracking_uri().endswith("var/mlflow.db")
    assert registry._artifacts() == (home / "var" / "artifacts").as_uri()


def test_several_first_starts_at_once_leave_a_good_store(home):
    code = "from housing import registry; registry.client()"
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [one.wait() for one in started] == [0, 0, 0, 0]
    assert registry.client().get_experiment_by_name(registry.EXPERIMENT)
