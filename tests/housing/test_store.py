import subprocess
import sys

from mlflow import MlflowClient

from housing import store

NAME = "california-housing-sample"


def test_artefacts_are_in_var_wherever_the_notebook_runs(home, tmp_path):
    code = (
        "from housing import store; client = store.client(); "
        "print(client.get_experiment_by_name(store.EXPERIMENT).artifact_location)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == (home / "var" / "artifacts").as_uri()


def test_the_tracking_uri_of_the_environment_wins(home, monkeypatch, tmp_path):
    uri = f"sqlite:///{tmp_path / 'other.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    store.client()
    assert (tmp_path / "other.db").exists()
    assert not (home / "var" / "mlflow.db").exists()
    assert MlflowClient(uri).get_experiment_by_name(store.EXPERIMENT)


def test_an_empty_tracking_uri_is_none(home, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    store.client()
    assert store.tracking_uri().endswith("var/mlflow.db")
    assert store.artifacts() == (home / "var" / "artifacts").as_uri()


def test_several_first_starts_at_once_leave_a_good_store(home):
    code = "from housing import store; store.client()"
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [one.wait() for one in started] == [0, 0, 0, 0]
    assert store.client().get_experiment_by_name(store.EXPERIMENT)
