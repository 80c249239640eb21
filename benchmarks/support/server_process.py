"""A server as a group of processes: start it, check its first responses, measure it, stop it."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from string import Template
from typing import NamedTuple

import numpy as np
import psutil
import pyarrow as pa

from benchmarks.support.peer_servers import Server, ServerError
from housing.data import splitting, synthetic
from housing.models import persistence
from housing.registry import artifacts, versions
from housing.schema import FEATURE_NAMES

RELATIVE_TOLERANCE = 1e-6  # a prediction further from the model's own is wrong
START_SECONDS = 180  # until the first correct response
STOP_SECONDS = 5  # until processes are killed
N_SAMPLE_ROWS = 4_000
OUTPUT_FILE = "output.txt"
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"


class Workload(NamedTuple):
    """The model that all servers serve, and the rows they predict."""

    folder: Path  # temporary
    model: Path
    rows: np.ndarray  # (n, 8)
    expected: np.ndarray  # (n,) predictions of the registered model itself


class RunningServer(NamedTuple):
    """A server whose first response was correct."""

    server: Server
    process: psutil.Popen
    port: int
    start_seconds: float  # from the start of its process to that response


def prepare_workload(folder: Path) -> Workload:
    """Load the champion and the rows of the test part; generated rows if no data is prepared."""
    champion = versions.current_champion(os.environ.get("HOUSING_MODEL"))
    if champion is None:
        raise SystemExit("there is no champion yet: `make run` trains and registers one")
    try:
        rows = splitting.read_split().test[FEATURE_NAMES]
    except LookupError:
        rows = synthetic.generate_sample(N_SAMPLE_ROWS)[FEATURE_NAMES]
    print(f"{champion.name} version {champion.version}, {os.cpu_count()} cores\n", flush=True)
    model = artifacts.download(champion, folder / "model")
    expected = persistence.load_model(model).predict(rows)
    return Workload(folder, model, rows.to_numpy(), expected)


def start(server: Server, programs: Path, workload: Workload) -> RunningServer:
    """Start a server and wait for its first correct response. Raises ServerError.

    programs: the bin folder of its environment.
    """
    folder = workload.folder / server.name.replace(",", "").replace(" ", "-")
    folder.mkdir(exist_ok=True)
    ports = _free_ports()
    values = {"bin": programs, "model": workload.model, "options": server.options} | ports
    for name, template in server.files.items():
        (folder / name).write_text(Template(template).substitute(values))
    start_time = time.perf_counter()
    with (folder / OUTPUT_FILE).open("w") as output:
        process = psutil.Popen(
            [Template(word).substitute(values) for word in server.command.split()],
            cwd=server.checkout or folder,
            env=_environment(server, programs, workload.model, folder, str(ports["port"])),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = RunningServer(server, process, ports["port"], 0)
    try:
        _wait_for_response(running, workload)
    except BaseException as error:
        stop(running)
        if not isinstance(error, ServerError):
            raise
        output_words = (folder / OUTPUT_FILE).read_text().split()
        raise ServerError(f"{error}; its output ends: {' '.join(output_words)[-200:]}") from None
    return running._replace(start_seconds=time.perf_counter() - start_time)


def _free_ports() -> dict[str, int]:
    names = ("port", "second", "third")
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return dict(zip(names, ports, strict=True))


def _environment(
    server: Server, programs: Path, model: Path, folder: Path, port: str
) -> dict[str, str]:
    """Return environment variables that hide this checkout's modules from a peer.

    They also keep what the servers write away from the user's own logs.
    """
    excluded = "PYTHONPATH", "OMP_NUM_THREADS"
    variables = {name: value for name, value in os.environ.items() if name not in excluded}
    if server.threads:  # for one row, two threads wait for each other
        variables["OMP_NUM_THREADS"] = server.threads
    return variables | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PORT": port,
        "MODEL": str(model),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_HOME": str(folder / "bentoml"),
        "HOUSING_PORT": port,
        "HOUSING_DATABASE": str(folder / "logs.db"),
        "HOUSING_LOG_FILE": str(folder / "api.log"),
        "HOUSING_SERVING": str(folder / "serving"),
    }


def _wait_for_response(running: RunningServer, workload: Workload) -> None:
    deadline, reason = time.perf_counter() + START_SECONDS, ""
    while running.process.poll() is None and time.perf_counter() < deadline:
        try:
            check_predictions(running, workload, 1)
            return
        except ServerError as error:
            reason = str(error)
            time.sleep(0.02)
    code = running.process.poll()
    raise ServerError(reason if code is None else f"it ended with exit code {code}")


def check_predictions(
    running: RunningServer, workload: Workload, count: int, media_type: str = JSON
) -> float:
    """Return the largest absolute difference from the model's predictions of the first rows.

    Raises ServerError if the server does not answer, or a difference is above RELATIVE_TOLERANCE.
    """
    server = running.server
    body = encode_rows(server, workload.rows[:count], media_type)
    response = _post(running.port, server.path, body, media_type)
    if server.predictions is None:  # a floor: any response is correct
        return 0.0
    if media_type == ARROW:
        predictions = pa.ipc.open_stream(response).read_all()["prediction"].to_numpy()
    else:
        predictions = np.array(server.predictions(json.loads(response)), dtype=float).ravel()
    if len(predictions) != count:
        raise ServerError(f"it returns {len(predictions)} predictions for {count} rows")
    expected = workload.expected[:count]
    differences = np.abs(predictions - expected)
    if not (differences <= RELATIVE_TOLERANCE * np.abs(expected)).all():
        raise ServerError(
            f"its predictions differ from the model's by up to {differences.max():.2g}"
        )
    return differences.max()


def encode_rows(server: Server, rows: np.ndarray, media_type: str = JSON) -> bytes:
    """Return the body of a request for these rows, (n, 8)."""
    if media_type == JSON:
        return json.dumps(server.to_json(rows)).encode()
    table = pa.table(dict(zip(FEATURE_NAMES, rows.T, strict=True)))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def _post(port: int, path: str, body: bytes, media_type: str) -> bytes:
    """Return the body of the response to one request. Raises ServerError if it is not a 200."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, body, {"Content-Type": media_type})
        response = connection.getresponse()
        content = response.read()
    except (OSError, HTTPException) as error:
        raise ServerError(f"no response: {error}") from None
    finally:
        connection.close()
    if response.status != 200:
        raise ServerError(f"it answered with status {response.status}")
    return content


def process_tree(running: RunningServer) -> list[psutil.Process]:
    """Return the first process of a server and all its descendants."""
    return [running.process, *running.process.children(recursive=True)]


def memory_by_process(running: RunningServer) -> list[float]:
    """Return the PSS of each process, MB: a page shared by n processes counts 1/n in each."""
    return [process.memory_full_info().pss / 1e6 for process in process_tree(running)]


def cpu_seconds(running: RunningServer) -> float:
    """Return the processor time that all processes have used so far."""
    times = [process.cpu_times() for process in process_tree(running)]
    return sum(usage.user + usage.system for usage in times)


def send_signal(number: signal.Signals, servers: Iterable[RunningServer]) -> None:
    """Send a signal to all processes of each server."""
    for running in servers:
        for process in process_tree(running):
            process.send_signal(number)


def stop(running: RunningServer) -> None:
    """End all processes of a server; kill those that have not ended after STOP_SECONDS."""
    processes = process_tree(running) if running.process.is_running() else []
    for process in processes[:1]:
        process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=STOP_SECONDS)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=STOP_SECONDS)
    with suppress(ProcessLookupError):  # descendants whose parent had ended earlier
        os.killpg(running.process.pid, signal.SIGKILL)
