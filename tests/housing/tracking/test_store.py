import socket

import pytest

from housing import paths
from housing.data import splitting
from housing.registry import alias_history, versions
from housing.schema import FEATURE_NAMES
from housing.tracking import experiments, probe, run_logging, store
from housing.tracking.mlflow_env import load_mlflow
from housing.training import search
from tests.support.commands import run_command
from tests.support.processes import free_port

pytestmark = pytest.mark.slow

SAMPLE = versions.ModelVersion("california-housing-sample", "1", "1", {"data_source": "sample"})


def test_artifacts_are_in_var_wherever_the_notebook_runs(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    experiment = store.client().get_experiment_by_name(store.EXPERIMENT_NAME)
    assert experiment.artifact_location == (home / "var" / "artifacts").as_uri()


def test_the_tracking_uri_of_the_environment_wins(home, monkeypatch, tmp_path):
    uri = f"sqlite:///{tmp_path / 'other.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    store.client()
    assert (tmp_path / "other.db").exists()
    assert not (home / "var" / "mlflow.db").exists()
    assert load_mlflow().MlflowClient(uri).get_experiment_by_name(store.EXPERIMENT_NAME)


def test_an_empty_tracking_uri_counts_as_unset(home, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    store.client()
    assert store.tracking_uri().endswith("var/mlflow.db")
    assert probe.artifact_location() == (home / "var" / "artifacts").as_uri()


def test_artifacts_are_beside_a_sqlite_file_that_the_user_chose(
    champion_home, tmp_path, monkeypatch
):
    """MLflow alone writes mlruns/ into whatever folder the notebook runs in."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other/store.db")
    monkeypatch.chdir(champion_home)
    split = splitting.read_split()
    results = search.tune_families(["tree"], split.train, n_trials=1)
    [candidate] = run_logging.log_candidates(results.values(), split, "first")
    assert list((tmp_path / "other" / "artifacts").rglob("model.skops"))
    model = experiments.load_model(candidate)
    assert len(model.predict(split.test[FEATURE_NAMES][:3])) == 3
    assert not list(champion_home.rglob("mlruns"))


def test_a_relative_sqlite_file_is_relative_to_where_the_runner_was_started(
    home, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    monkeypatch.setenv("HOUSING_STARTED_IN", str(tmp_path))
    monkeypatch.chdir(home)
    assert store.tracking_uri() == f"sqlite:///{tmp_path}/other.db"
    assert probe.database_path() == tmp_path / "other.db"


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused(home, uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ValueError, match=f"MLFLOW_TRACKING_URI is '{uri}', expected sqlite:///"):
        store.client()


def test_the_location_of_artifacts_can_be_chosen(home, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOUSING_ARTIFACTS", "a folder")
    assert probe.artifact_location() == (tmp_path / "a folder").as_uri()
    monkeypatch.setenv("HOUSING_ARTIFACTS", "s3://bucket/models")
    assert probe.artifact_location() == "s3://bucket/models"
    monkeypatch.delenv("HOUSING_ARTIFACTS")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert probe.artifact_location() is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql+psycopg://db/mlflow")
    assert probe.artifact_location() == (home / "var" / "artifacts").as_uri()


@pytest.fixture(params=["down", "hangs", "down, PostgreSQL"])
def unreachable_store(request, monkeypatch):
    """The name of a store that does not answer, with short timeouts."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr("housing.tracking.schema_migration.CONNECT_RETRY_DELAYS_SECONDS", ())
    monkeypatch.setattr("housing.tracking.probe.STORE_TIMEOUT_SECONDS", 1)
    with socket.socket() as silent_socket:
        silent_socket.bind(("127.0.0.1", 0))
        port = silent_socket.getsockname()[1]
        if request.param == "hangs":
            silent_socket.listen(50)
        scheme = "postgresql+psycopg" if "PostgreSQL" in request.param else "http"
        path = "/mlflow" if scheme != "http" else ""
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://me:hush@127.0.0.1:{port}{path}")
        yield f"{scheme}://127.0.0.1:{port}{path}"


@pytest.mark.parametrize(
    "read_store",
    [
        lambda: experiments.find_candidates({"sha256": {"train": "any"}}),
        lambda: experiments.load_model(experiments.Candidate("1", "m-1", "tree", "x", 1, 1)),
        lambda: versions.current_champion(),
        lambda: versions.export_for_serving(SAMPLE, paths.var()),
        lambda: store.display_name(),
        lambda: experiments.get_run("1"),
        lambda: versions.list_versions(SAMPLE.name),
        lambda: alias_history.set_alias(SAMPLE.name, "champion", "1", "promoted", "better"),
        lambda: probe.champion_versions(),
        lambda: probe.pinned_runs(),
    ],
)
def test_an_unreachable_store_is_reported_in_one_sentence(home, unreachable_store, read_store):
    with pytest.raises(store.StoreUnreachableError) as error:
        read_store()
    message = str(error.value)
    assert message.startswith(f"the tracking store {unreachable_store} does not answer (")
    assert message.endswith(
        "what was finished is kept: start it, or unset MLFLOW_TRACKING_URI, and run again"
    )
    assert "hush" not in message
    assert "\n" not in message
    assert any(reason in message for reason in ("(connection refused)", "(no answer in time)"))


def test_the_champion_commands_report_an_unreachable_store(home, unreachable_store, capsys):
    """One sentence on stderr, and exit code 1."""
    for command, arguments in (
        ("champions", []),
        ("promote", ["1", "--reason", "better"]),
        ("rollback", ["--reason", "worse"]),
        ("trace", ["1"]),
    ):
        assert run_command(command, ["--model", SAMPLE.name, *arguments]) == 1
        message = capsys.readouterr().err
        assert message.startswith(f"the tracking store {unreachable_store} does not answer (")
        assert message.count("\n") == 1


def test_the_champion_of_an_unreachable_store_is_unknown(home, unreachable_store):
    """No error: a finished step publishes its results nevertheless."""
    assert probe.describe_champion("sample") == "unknown: the tracking store does not answer"


def test_scoring_reports_an_unreachable_store(home, unreachable_store, tmp_path, capsys):
    assert run_command("score", [str(tmp_path), str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err
    assert message.startswith(f"the tracking store {unreachable_store} does not answer")
    assert "Traceback" not in message


def test_an_error_of_a_store_that_answers_is_not_called_unreachable(home, champion_home):
    unregistered_version = versions.ModelVersion("california-housing", "7", "1", {})
    with pytest.raises(
        ValueError, match="version 7 was deleted in MLflow; make another version champion"
    ):
        versions.load_model(unregistered_version)


def test_a_store_moved_away_while_mlflow_is_imported_is_not_made_anew(
    home, champion_home, monkeypatch, tmp_path
):
    """The import takes seconds; an empty store would say that there is no champion any more."""
    file = probe.database_path()

    def move_store_and_load():
        if file.exists():
            file.rename(tmp_path / "away.db")
        return load_mlflow()

    monkeypatch.setattr(store, "load_mlflow", move_store_and_load)
    assert versions.get_champion("california-housing-sample") is None
    assert (tmp_path / "away.db").exists()
    assert not file.exists()


def test_the_address_of_mlflow_s_pages_has_no_password(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:hush@host:{free_port()}/")
    assert store.ui_url().startswith("http://host:")


def test_mlflow_s_pages_may_have_another_address_for_a_browser(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert store.ui_url() == "http://mlflow:5000/#"
    monkeypatch.setenv("HOUSING_MLFLOW_PAGES", "http://127.0.0.1:5000/")
    assert store.ui_url() == "http://127.0.0.1:5000/#"
