from pathlib import Path

import numpy as np

from housing import paths
from housing.data import splitting
from housing.inference import served_model
from housing.registry import versions
from housing.schema import FEATURE_NAMES
from housing.tracking import experiments, store
from housing.tracking.mlflow_env import load_mlflow
from tests.conftest import register_candidate

NAME = "california-housing-sample"


def test_the_model_has_signature_example_and_no_pickle(champion_home):
    uri = f"models:/{NAME}@champion"
    store.client()
    mlflow = load_mlflow()
    info = mlflow.models.get_model_info(uri)
    assert [column.name for column in info.signature.inputs] == FEATURE_NAMES
    assert info.saved_input_example_info is not None
    folder = Path(mlflow.artifacts.download_artifacts(uri))
    assert (folder / "model.skops").exists()
    assert not list(folder.rglob("*.pkl"))
    assert "double_precision_graph" in info.flavors


def test_mlflow_loads_the_champion_and_its_graph_predicts_the_same(champion_home):
    test_rows = splitting.read_split().test[FEATURE_NAMES]
    store.client()
    model = load_mlflow().pyfunc.load_model(f"models:/{NAME}@champion")
    predictions = model.predict(test_rows)
    versions.export_for_serving(versions.get_champion(NAME), paths.var() / "out")
    graph = served_model.load(paths.var() / "out" / "model.onnx")
    np.testing.assert_array_equal(served_model.predict(graph, test_rows.to_numpy()), predictions)


def test_a_model_of_the_sample_has_a_name_of_its_own(champion_home):
    assert versions.get_champion("california-housing") is None
    assert versions.get_champion(NAME).version == "1"


def test_a_candidate_that_is_not_better_becomes_the_challenger(champion_home):
    version = register_candidate(splitting.read_split(), "tree")
    assert version.tags["verdict"] == "refused"
    assert "lower than the champion's" in version.tags["reason"]
    assert versions.get_champion(NAME).version == "1"
    challenger = store.client().get_model_version_by_alias(NAME, "challenger")
    assert str(challenger.version) == version.version == "2"


def test_the_model_s_folder_is_fetched_once_for_a_registration(champion_home, monkeypatch):
    artifacts, fetched = load_mlflow().artifacts, []
    download = artifacts.download_artifacts

    def record_and_download(artifact_uri, **options):
        fetched.append(artifact_uri)
        return download(artifact_uri, **options)

    monkeypatch.setattr(artifacts, "download_artifacts", record_and_download)
    experiments._download_model.cache_clear()
    register_candidate(splitting.read_split(), "tree")
    assert len([uri for uri in fetched if uri.startswith("models:/m-")]) == 1


def test_without_a_store_there_is_no_champion_and_none_is_created(home):
    assert versions.get_champion(NAME) is None
    assert not (home / "var" / "mlflow.db").exists()
