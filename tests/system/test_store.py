"""The pipeline on other stores than its own file: a shared file, PostgreSQL, a tracking server."""

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
from housing.tracking import mlflow_env, store
from tests.support.processes import free_port, managed_process, wait_for_response

pytestmark = pytest.mark.slow
MODEL_NAME = "california-housing-sample"
TINY_RUN_ARGUMENTS = ["-p", "source=sample", "-p", "sample_rows=600", "-p", "budget=quick",
        "-p", 'families=["linear","tree"]']  # fmt: skip
N_CACHED_RESULTS = 6  # of that run's search: two scores and a model for each family
CLIENT_SCRIPT = "from housing.tracking import store; store.client(); print(store.experiment_id())"


def start_pipeline(home, uri, *arguments):
    """Start a small run as a process; its output and errors come on one pipe."""
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "HOUSING_HOME": str(home), "MLFLOW_TRACKING_URI": uri}
    command = [
        sys.executable,
        str(PROJECT_ROOT / "run_pipeline.py"),
        *TINY_RUN_ARGUMENTS,
        *arguments,
    ]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for_output(process, code=0):
    """Return the output of a process once it has ended; code: the expected exit code."""
    output, _ = process.communicate()
    assert process.returncode == code, output
    return output


def candidate_and_trial_runs():
    """Return the MLflow runs of the candidates, and those of their trials."""
    client = store.client()
    runs = client.search_runs([store.experiment_id()], max_results=1000)
    trials = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    return [run for run in runs if run not in trials], trials


@contextlib.contextmanager
def server(port, database, folder):
    """Run an MLflow server on a database; it serves the artefacts itself, from the folder."""
    command = ["server", "--port", str(port), "--workers", "1", "--backend-store-uri", database,
               "--artifacts-destination", str(folder)]  # fmt: skip
    with managed_process(sys.executable, "-m", "mlflow", *command, cwd=folder) as serving:
        wait_for_response(f"http://127.0.0.1:{port}/health")
        yield serving


def test_four_pipelines_at_once_on_one_file_lose_nothing(tmp_path, monkeypatch):
    uri = f"sqlite:///{tmp_path}/shared/store.db"
    processes = [
        start_pipeline(tmp_path / f"home {seed}", uri, "-p", f"train.seed={seed}")
        for seed in range(4)
    ]
    outputs = [wait_for_output(process) for process in processes]
    assert all("register" in output for output in outputs)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    candidates, trials = candidate_and_trial_runs()
    assert len(candidates) == len(trials) == 8
    assert {run.info.status for run in [*candidates, *trials]} == {"FINISHED"}
    assert len({run.data.tags["training"] for run in candidates}) == 4
    versions = store.client().search_model_versions(f"name = '{MODEL_NAME}'")
    assert {int(version.version) for version in versions} == set(range(1, 5))
    assert len({version.run_id for version in versions}) == 4
    champion = model_versions.get_champion(MODEL_NAME)
    assert champion.tags["verdict"] == "promoted"
    assert len(model_versions.load_model(champion).predict(_rows(tmp_path / "home 0"))) == 3
    assert list((tmp_path / "shared" / "artifacts").rglob("model.onnx"))
    assert not list(tmp_path.rglob("mlruns"))


def _rows(home):
    import pandas as pd

    from housing.schema import FEATURE_NAMES

    return pd.read_parquet(home / "data" / "processed" / "test.parquet")[FEATURE_NAMES][:3]


def test_first_starts_at_once_on_postgresql_work_too(create_postgres_database, home):
    environment = {**os.environ, "MLFLOW_TRACKING_URI": create_postgres_database("race")}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLIENT_SCRIPT], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for _ in range(4)
    ]  # fmt: skip
    outputs = {process.communicate()[0] for process in processes}
    assert outputs == {"1\n"}


def test_a_first_start_on_postgresql_that_was_killed_goes_on(
    create_postgres_database, home, monkeypatch
):
    uri = create_postgres_database("killed")
    utils = mlflow_env.load_submodule("store.db.utils")
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
    with pytest.raises(ValueError, match="/old has revision f00 of MLflow's tables, ") as raised:
        store.client()
    assert "Take a backup, then bring it up to date: mlflow db upgrade URI" in str(raised.value)
    assert "hush" not in str(raised.value)


def test_the_pipeline_runs_on_postgresql(create_postgres_database, tmp_path, home, monkeypatch):
    uri = create_postgres_database("pipeline")
    assert "decision: promoted" in wait_for_output(start_pipeline(home, uri))
    assert "nothing to do" in wait_for_output(start_pipeline(home, uri))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    about = model_versions.export_for_serving(
        model_versions.current_champion(), tmp_path / "served"
    )
    assert (about["name"], about["version"]) == (MODEL_NAME, "1")
    assert list((home / "var" / "artifacts").rglob("model.onnx"))
    for file in [*home.rglob("*.html"), *home.rglob("*.ipynb"), *home.rglob("*.json")]:
        assert "hush" not in file.read_text(), file


def test_the_pipeline_runs_on_a_server_on_postgresql(
    create_postgres_database, tmp_path, home, monkeypatch
):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    (tmp_path / "artefacts").mkdir()
    with server(port, create_postgres_database("served"), tmp_path / "artefacts"):
        assert "decision: promoted" in wait_for_output(start_pipeline(home, address))
        assert "nothing to do" in wait_for_output(start_pipeline(home, address))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        about = model_versions.export_for_serving(
            model_versions.current_champion(), tmp_path / "served"
        )
    assert about["version"] == "1"
    assert (tmp_path / "served" / "model.onnx").stat().st_size > 0
    assert list((tmp_path / "artefacts").rglob("model.onnx"))
    assert not (home / "var" / "artifacts").exists()


def test_a_server_that_dies_during_training_costs_no_second_search(tmp_path, home):
    port = free_port()
    address, database = f"http://127.0.0.1:{port}", f"sqlite:///{tmp_path}/server.db"
    (tmp_path / "artefacts").mkdir()
    with server(port, database, tmp_path / "artefacts"):
        process = start_pipeline(home, address)
        while len(list((home / "var" / "searches").rglob("output.pkl"))) < N_CACHED_RESULTS:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
    output = wait_for_output(process, 1)
    assert (
        f"StoreUnreachableError: the tracking store {address} does not answer (connection refused)"
        in output
    )
    assert "Traceback" not in output
    results = {file: file.stat().st_ino for file in (home / "var" / "searches").rglob("output.pkl")}
    with server(port, database, tmp_path / "artefacts"):
        output = wait_for_output(start_pipeline(home, address))
    assert "prep       up to date" in output
    assert "decision: promoted" in output
    for file, inode in results.items():
        assert file.stat().st_ino == inode  # read, not written again


@pytest.mark.parametrize("failure", ["down", "hangs"])
def test_a_server_that_is_away_at_the_start_costs_half_a_minute(home, failure):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        if failure == "hangs":
            silent.listen(50)
        started_at = time.monotonic()
        output = wait_for_output(start_pipeline(home, address), 1)
        duration = time.monotonic() - started_at
    reason = "connection refused" if failure == "down" else "no answer in time"
    assert f"the tracking store {address} does not answer ({reason})" in output
    assert "Traceback" not in output
    assert re.search(r"prep +(\d+)/\1 cells .*done", output)  # the earlier step is kept
    assert not (paths.var() / "searches").exists()  # no search in vain
    assert duration < 90


@contextlib.contextmanager
def relay(port, target_port):
    """Relay each connection to a port to the target port."""

    def pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    class RelayHandler(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.create_connection(("127.0.0.1", target_port)) as target:
                reply_thread = threading.Thread(target=pump, args=(target, self.request))
                reply_thread.start()
                pump(self.request, target)
                reply_thread.join()

    class Relay(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    with Relay(("127.0.0.1", port), RelayHandler) as relay_server:
        threading.Thread(target=relay_server.serve_forever).start()
        yield
        relay_server.shutdown()


def test_a_server_that_restarts_goes_unnoticed(tmp_path, home, monkeypatch):
    """A relay that goes and comes back stands for the restart, for which MLflow takes long."""
    port, server_port = free_port(), free_port()
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with server(server_port, f"sqlite:///{tmp_path}/server.db", tmp_path):
        with relay(port, server_port):
            assert store.display_name() == address
        code = (
            "from housing.tracking import store; "
            "print('asking', flush=True); print(store.display_name())"
        )
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "asking\n"
            time.sleep(3)
            with relay(port, server_port):
                assert process.communicate()[0] == f"{address}\n"
