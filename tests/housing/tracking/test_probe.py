import sys
from subprocess import run

import pytest

from housing import paths
from housing.tracking import errors, probe, store
from tests.support.processes import free_port, managed_process, wait_for_response

NAME = "california-housing-sample"


def test_there_may_be_no_store_yet(home):
    assert probe.registry_state() == {"tracking store": "none yet"}
    assert not (paths.var() / "mlflow.db").exists()


def test_the_state_of_the_registry_has_the_champion_until_its_alias_is_deleted(champion_home):
    first_state = probe.registry_state()
    assert first_state[f"champion of {NAME}"] == "1"
    store.client().delete_registered_model_alias(NAME, "champion")
    assert probe.registry_state() == probe.store_identity()
    assert probe.store_identity()["tracking store"] == first_state["tracking store"]


def test_the_runs_behind_the_champion_are_pinned(champion_home, monkeypatch):
    reason = f"{NAME} version 1, champion"
    assert probe.pinned_runs() == {"first": reason}
    report = "reports/20261123-120000-aaaa/03_register.html"
    store.client().set_model_version_tag(NAME, "1", "report", report)
    both_runs = {"first": reason, "20261123-120000-aaaa": reason}
    assert probe.pinned_runs() == both_runs
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{champion_home}/var/mlflow.db")
    assert probe.pinned_runs() == both_runs


def test_another_store_has_another_identity(champion_home, tmp_path, monkeypatch):
    identity = probe.store_identity()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    assert probe.store_identity() != identity
    assert probe.registry_state() == probe.store_identity()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{champion_home}/var/mlflow.db")
    assert probe.registry_state()[f"champion of {NAME}"] == "1"


def test_the_identity_of_a_store_has_no_password(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql+psycopg://me:hush@db:5432/mlflow")
    assert probe.store_identity() == {"tracking store": "postgresql+psycopg://db:5432/mlflow"}


def test_the_champion_of_a_data_source_is_described(champion_home):
    assert probe.describe_champion("sample") == "california-housing-sample version 1"
    assert probe.describe_champion("california") == "none yet"


def test_probing_the_store_imports_no_mlflow(champion_home):
    code = (
        "import sys; from housing.tracking import probe; probe.registry_state(); "
        "print([name for name in ('mlflow', 'pandas', 'sqlalchemy') if name in sys.modules])"
    )
    assert run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.slow
def test_a_tracking_server_can_be_probed(champion_home, monkeypatch):
    port = str(free_port())
    database_uri = f"sqlite:///{champion_home}/var/mlflow.db"
    command = ["mlflow", "server", "--port", port, "--workers", "1"]
    command += ["--backend-store-uri", database_uri]
    with managed_process(sys.executable, "-m", *command):
        wait_for_response(f"http://127.0.0.1:{port}/health")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        assert probe.registry_state() == {
            "tracking store": f"http://127.0.0.1:{port}",
            f"champion of {NAME}": "1",
        }
        assert probe.pinned_runs() == {"first": f"{NAME} version 1, champion"}


def test_a_store_that_cannot_be_read_is_an_error_and_no_empty_store(home):
    (paths.var() / "mlflow.db").write_text("no database, but a file of some length " * 100)
    with pytest.raises(
        errors.StoreUnreachableError, match=r"var/mlflow.db.*file is not a database"
    ):
        probe.pinned_runs()
