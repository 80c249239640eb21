"""The pipeline on other stores than its own file: many at once, PostgreSQL, a tracking server."""

import contextlib
import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
import time

import pytest
from sqlalchemy import create_engine, text

from housing import paths
from housing.paths import PROJECT_ROOT
from housing.registry import versions as model_versions
from housing.tracking import store
from tests.system.conftest import free_port, managed_process, wait_for_response

pytestmark = pytest.mark.slow
NAME = "california-housing-sample"
TINY = ["-p", "source=sample", "-p", "sample_rows=600", "-p", "budget=quick",
        "-p", 'families=["linear","tree"]']  # fmt: skip
START = "from housing.tracking import store; store.client(); print(store.experiment_id())"


def pipeline(home, uri, *arguments):
    """The runner as a process of its own; what it says comes on one pipe."""
    home.mkdir(exist_ok=True)
    told = {**os.environ, "HOUSING_HOME": str(home), "MLFLOW_TRACKING_URI": uri}
    command = [sys.executable, str(PROJECT_ROOT / "run_pipeline.py"), *TINY, *arguments]
    return subprocess.Popen(
        command, env=told, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def done(started, code=0):
    said, _ = started.communicate()
    assert started.returncode == code, said
    return said


def runs():
    """The candidates' runs, and their trials."""
    client = store.client()
    found = client.search_runs([store.experiment_id()], max_results=1000)
    trials = [one for one in found if "mlflow.parentRunId" in one.data.tags]
    return [one for one in found if one not in trials], trials


@contextlib.contextmanager
def server(port, database, folder):
    """An MLflow server on the database, which hands the artefacts out itself."""
    command = ["server", "--port", str(port), "--workers", "1", "--backend-store-uri", database,
               "--artifacts-destination", str(folder)]  # fmt: skip
    with managed_process(sys.executable, "-m", "mlflow", *command, cwd=folder) as serving:
        wait_for_response(f"http://127.0.0.1:{port}/health")
        yield serving


def test_four_pipelines_at_once_on_one_file_lose_nothing(tmp_path, monkeypatch):
    uri = f"sqlite:///{tmp_path}/shared/store.db"
    started = [
        pipeline(tmp_path / f"home {one}", uri, "-p", f"train.seed={one}") for one in range(4)
    ]
    said = [done(one) for one in started]
    assert all("register" in one for one in said)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    candidates, trials = runs()
    assert len(candidates) == len(trials) == 8
    assert {one.info.status for one in [*candidates, *trials]} == {"FINISHED"}
    assert len({one.data.tags["training"] for one in candidates}) == 4
    versions = store.client().search_model_versions(f"name = '{NAME}'")
    assert {int(one.version) for one in versions} == set(range(1, 5))
    assert len({one.run_id for one in versions}) == 4
    champion = model_versions.get_champion(NAME)
    assert champion.tags["verdict"] == "promoted"
    assert len(model_versions.load_model(champion).predict(_rows(tmp_path / "home 0"))) == 3
    assert list((tmp_path / "shared" / "artifacts").rglob("model.onnx"))
    assert not list(tmp_path.rglob("mlruns"))


def _rows(home):
    import pandas as pd

    from housing.schema import FEATURE_NAMES

    return pd.read_parquet(home / "data" / "processed" / "test.parquet")[FEATURE_NAMES][:3]


def test_first_starts_at_once_on_postgresql_work_too(create_postgres_database, home):
    told = {**os.environ, "MLFLOW_TRACKING_URI": create_postgres_database("race")}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", START], env=told, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for _ in range(4)
    ]  # fmt: skip
    said = {one.communicate()[0] for one in started}
    assert said == {"1\n"}


def test_a_first_start_on_postgresql_that_was_killed_goes_on(
    create_postgres_database, home, monkeypatch
):
    uri = create_postgres_database("killed")
    utils = store.mlflow_module("store.db.utils")
    utils.InitialBase.metadata.create_all(create_engine(uri))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert store.experiment_id()


def test_an_out_of_date_postgresql_is_diagnosed_without_its_password(
    create_postgres_database, home, monkeypatch
):
    uri = create_postgres_database("old")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    store.client()
    with create_engine(uri).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'f00'"))
    store._prepared_inodes.clear()
    with pytest.raises(ValueError, match="/old has revision f00 of MLflow's tables, ") as failed:
        store.client()
    assert "Take a backup, then bring it up to date: mlflow db upgrade URI" in str(failed.value)
    assert "hush" not in str(failed.value)


def test_the_pipeline_runs_on_postgresql(create_postgres_database, tmp_path, home, monkeypatch):
    uri = create_postgres_database("pipeline")
    assert "decision: promoted" in done(pipeline(home, uri))
    assert "nothing to do" in done(pipeline(home, uri))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    about = model_versions.export_for_serving(
        model_versions.current_champion(), tmp_path / "served"
    )
    assert (about["name"], about["version"]) == (NAME, "1")
    assert list((home / "var" / "artifacts").rglob("model.onnx"))
    for one in [*home.rglob("*.html"), *home.rglob("*.ipynb"), *home.rglob("*.json")]:
        assert "hush" not in one.read_text(), one


def test_the_pipeline_runs_on_a_server_on_postgresql(
    create_postgres_database, tmp_path, home, monkeypatch
):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    (tmp_path / "artefacts").mkdir()
    with server(port, create_postgres_database("served"), tmp_path / "artefacts"):
        assert "decision: promoted" in done(pipeline(home, address))
        assert "nothing to do" in done(pipeline(home, address))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        about = model_versions.export_for_serving(
            model_versions.current_champion(), tmp_path / "served"
        )
    assert about["version"] == "1"
    assert (tmp_path / "served" / "model.onnx").stat().st_size > 0
    assert list((tmp_path / "artefacts").rglob("model.onnx"))
    assert not (home / "var" / "artifacts").exists()


def test_a_server_that_dies_in_a_training_costs_no_second_one(tmp_path, home):
    port = free_port()
    address, database = f"http://127.0.0.1:{port}", f"sqlite:///{tmp_path}/server.db"
    (tmp_path / "artefacts").mkdir()
    with server(port, database, tmp_path / "artefacts"):
        first = pipeline(home, address)
        while not list((home / "var" / "searches").glob("*.npy")):
            assert first.poll() is None, first.communicate()
            time.sleep(0.05)
    said = done(first, 1)
    assert f"Unreachable: the tracking store {address} does not answer (connection refused)" in said
    assert "Traceback" not in said
    finished = {one.name: one.stat().st_ino for one in (home / "var" / "searches").glob("*.skops")}
    scores = [one.read_text() for one in (home / "var" / "searches").glob("*.jsonl")]
    assert len(finished) == 2
    with server(port, database, tmp_path / "artefacts"):
        said = done(pipeline(home, address))
    assert "prep       up to date" in said
    assert "decision: promoted" in said
    found = {one.name: one.stat().st_ino for one in (home / "var" / "searches").glob("*.skops")}
    assert found == finished  # read, not written again
    assert [one.read_text() for one in (home / "var" / "searches").glob("*.jsonl")] == scores


@pytest.mark.parametrize("how", ["down", "hangs"])
def test_a_server_that_is_away_at_the_start_costs_half_a_minute(home, how):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        if how == "hangs":
            silent.listen(50)
        began = time.monotonic()
        said = done(pipeline(home, address), 1)
        took = time.monotonic() - began
    why = "connection refused" if how == "down" else "no answer in time"
    assert f"the tracking store {address} does not answer ({why})" in said
    assert "Traceback" not in said
    assert re.search(r"prep +(\d+)/\1 cells .*done", said)  # what came before is kept
    assert not (paths.var() / "searches").exists()  # no search in vain
    assert took < 90


@contextlib.contextmanager
def relay(port, to):
    """Whoever connects to the port talks to the other one."""

    def pump(source, sink):
        with contextlib.suppress(OSError):
            while part := source.recv(65_536):
                sink.sendall(part)
            sink.shutdown(socket.SHUT_WR)

    class Both(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.create_connection(("127.0.0.1", to)) as other:
                back = threading.Thread(target=pump, args=(other, self.request))
                back.start()
                pump(self.request, other)
                back.join()

    class Relay(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    with Relay(("127.0.0.1", port), Both) as relaying:
        threading.Thread(target=relaying.serve_forever).start()
        yield
        relaying.shutdown()


def test_a_server_that_restarts_goes_unnoticed(tmp_path, home, monkeypatch):
    """Its end and its start, without the time that MLflow takes for them."""
    port, behind = free_port(), free_port()
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with server(behind, f"sqlite:///{tmp_path}/server.db", tmp_path):
        with relay(port, behind):
            assert store.display_name() == address
        code = "from housing.tracking import store; print('asks', flush=True); print(store.display_name())"
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as asks:
            assert asks.stdout.readline() == "asks\n"
            time.sleep(3)
            with relay(port, behind):
                assert asks.communicate()[0] == f"{address}\n"
