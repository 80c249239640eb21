from pathlib import Path

import mlflow
import numpy as np

from housing import paths
from housing.data import splitting
from housing.inference import served_model
from housing.registry import versions
from housing.schema import FEATURE_NAMES
from housing.tracking import store
from tests.conftest import register_candidate

NAME = "california-housing-sample"


def test_the_model_has_signature_example_and_no_pickle(champion_home):
    uri = f"models:/{NAME}@champion"
    store.client()
    info = mlflow.models.get_model_info(uri)
    assert [one.name for one in info.signature.inputs] == FEATURE_NAMES
    assert info.saved_input_example_info is not None
    folder = Path(mlflow.artifacts.download_artifacts(uri))
    assert (folder / "model.skops").exists()
    assert not list(folder.rglob("*.pkl"))
    assert "double_precision_graph" in info.flavors


def test_anyone_can_load_the_champion_and_its_graph_answers_the_same(champion_home):
    test = splitting.read_split().test[FEATURE_NAMES]
    store.client()
    by_mlflow = mlflow.pyfunc.load_model(f"models:/{NAME}@champion").predict(test)
    versions.export_for_serving(versions.get_champion(NAME), paths.var() / "out")
    served = served_model.load(paths.var() / "out" / "model.onnx")
    np.testing.assert_array_equal(served_model.predict(served, test.to_numpy()), by_mlflow)


def test_what_learnt_from_a_sample_has_a_name_of_its_own(champion_home):
    assert versions.get_champion("california-housing") is None
    assert versions.get_champion(NAME).version == "1"


def test_a_candidate_that_is_not_better_does_not_become_champion(champion_home):
    refused = register_candidate(splitting.read_split(), "tree")
    assert refused.tags["verdict"] == "refused"
    assert "gained on the champion" in refused.tags["reason"]
    assert versions.get_champion(NAME).version == "1"
    alias = store.client().get_model_version_by_alias(NAME, "challenger")
    assert str(alias.version) == refused.version == "2"


def test_no_store_yet_means_no_champion_and_makes_none(home):
    assert versions.get_champion(NAME) is None
    assert not (home / "var" / "mlflow.db").exists()
