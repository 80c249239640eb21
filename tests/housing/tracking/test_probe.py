import sys
from subprocess import run

import pytest

from housing import paths
from housing.tracking import errors, probe, store
from tests.support.processes import free_port, managed_process, wait_for_response


def test_there_may_be_no_store_yet(home):
    assert probe.registry_state() == {"tracking store": "none yet"}
    assert not (paths.var() / "mlflow.db").exists()


def test_the_champion_is_seen_and_its_move_too(champion_home):
    before = probe.registry_state()
    assert before["champion of california-housing-sample"] == "1"
    client = store.client()
    client.delete_registered_model_alias("california-housing-sample", "champion")
    assert probe.registry_state() == probe.store_identity()
    assert probe.store_identity()["tracking store"] == before["tracking store"]


def test_the_run_behind_the_champion_is_known(champion_home, monkeypatch):
    known = {"first": "california-housing-sample version 1, champion"}
    assert probe.pinned_runs() == known
    client = store.client()
    report = "reports/20261123-120000-aaaa/03_register.html"
    client.set_model_version_tag("california-housing-sample", "1", "report", report)
    of_both = known | {"20261123-120000-aaaa": known["first"]}
    assert probe.pinned_runs() == of_both
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{champion_home}/var/mlflow.db")
    assert probe.pinned_runs() == of_both


def test_another_store_is_another_store(champion_home, tmp_path, monkeypatch):
    ours = probe.store_identity()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    assert probe.store_identity() != ours
    assert probe.registry_state() == probe.store_identity()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{champion_home}/var/mlflow.db")
    assert probe.registry_state()["champion of california-housing-sample"] == "1"


def test_a_password_is_not_remembered(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql+psycopg://me:hush@db:5432/mlflow")
    assert probe.store_identity() == {"tracking store": "postgresql+psycopg://db:5432/mlflow"}


def test_looking_imports_no_mlflow(champion_home):
    code = (
        "import sys; from housing.tracking import probe; probe.registry_state(); "
        "print([one for one in ('mlflow', 'pandas', 'sqlalchemy') if one in sys.modules])"
    )
    assert run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.slow
def test_a_tracking_server_is_asked(champion_home, monkeypatch):
    port = str(free_port())
    store = f"sqlite:///{champion_home}/var/mlflow.db"
    command = ["mlflow", "server", "--port", port, "--workers", "1", "--backend-store-uri", store]
    with managed_process(sys.executable, "-m", *command):
        wait_for_response(f"http://127.0.0.1:{port}/health")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        assert probe.registry_state() == {
            "tracking store": f"http://127.0.0.1:{port}",
            "champion of california-housing-sample": "1",
        }
        assert probe.pinned_runs() == {"first": "california-housing-sample version 1, champion"}


def test_a_store_that_cannot_be_read_is_no_empty_store(home):
    (paths.var() / "mlflow.db").write_text("no database, but a file of some length " * 100)
    with pytest.raises(
        errors.StoreUnreachableError, match=r"var/mlflow.db.*file is not a database"
    ):
        probe.pinned_runs()
