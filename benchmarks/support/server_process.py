"""A server as processes: its start, its first answers, what it takes, its end."""

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

from benchmarks.support.peer_servers import OURS, Left, Server
from housing import paths
from housing.data import splitting, synthetic
from housing.models import persistence
from housing.registry import artifacts, versions
from housing.schema import FEATURE_NAMES

ALIKE = 1e-6  # relative; an answer further from the model's own is wrong
PATIENCE = 180  # seconds for the first right answer
GRACE = 5  # seconds to end in
OUTPUT = "output.txt"
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"


class Case(NamedTuple):
    """What all of them serve and are asked."""

    place: Path  # thrown away at the end
    model: Path
    rows: np.ndarray  # (n, 8)
    truth: np.ndarray  # (n,) what the registered model itself says of them


class Running(NamedTuple):
    """A server that has answered as the model does."""

    server: Server
    process: psutil.Popen
    port: int
    took: float  # seconds from the start of the process to that answer


def case(place: Path) -> Case:
    """The champion and rows of the test part; made-up rows if no data is prepared here."""
    found = versions.current_champion(os.environ.get("HOUSING_MODEL"))
    if found is None:
        raise SystemExit("there is no champion yet: `make run` trains and registers one")
    try:
        rows = splitting.read_split().test[FEATURE_NAMES]
    except LookupError:
        rows = synthetic.generate_sample(4_000)[FEATURE_NAMES]
    print(f"{found.name} version {found.version}, {os.cpu_count()} cores\n", flush=True)
    model = artifacts.download(found, place / "model")
    return Case(place, model, rows.to_numpy(), persistence.load_model(model).predict(rows))


def start(server: Server, programs: Path, case: Case) -> Running:
    """Starts it, and waits for its first right answer. Raises Left."""
    folder = case.place / server.name.replace(",", "").replace(" ", "-")
    folder.mkdir(exist_ok=True)
    ports = _free_ports()
    told = {"bin": programs, "model": case.model, "how": server.how} | ports
    for name, text in server.files.items():
        (folder / name).write_text(Template(text).substitute(told))
    begun = time.perf_counter()
    with (folder / OUTPUT).open("w") as output:
        process = psutil.Popen(
            [Template(word).substitute(told) for word in server.command.split()],
            cwd=paths.PROJECT_ROOT if server is OURS else folder,
            env=_environment(server, programs, case.model, folder, str(ports["port"])),
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    found = Running(server, process, ports["port"], 0)
    try:
        _wait(found, case)
    except BaseException as why:
        stop(found)
        if not isinstance(why, Left):
            raise
        said = (folder / OUTPUT).read_text().split()
        raise Left(f"{why}; its last words: {' '.join(said)[-200:]}") from None
    return found._replace(took=time.perf_counter() - begun)


def _free_ports() -> dict[str, int]:
    names = ("port", "second", "third")
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return dict(zip(names, ports, strict=True))


def _environment(
    server: Server, programs: Path, model: Path, folder: Path, port: str
) -> dict[str, str]:
    """A peer sees none of this checkout's modules; and nothing goes where the user's logs are."""
    mine = "PYTHONPATH", "OMP_NUM_THREADS"
    kept = {name: value for name, value in os.environ.items() if name not in mine}
    if server.threads:  # for one row, two threads wait for each other
        kept["OMP_NUM_THREADS"] = server.threads
    return kept | {
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


def _wait(found: Running, case: Case) -> None:
    end, why = time.perf_counter() + PATIENCE, ""
    while found.process.poll() is None and time.perf_counter() < end:
        try:
            check(found, case, 1)
            return
        except Left as not_yet:
            why = str(not_yet)
            time.sleep(0.02)
    code = found.process.poll()
    raise Left(why if code is None else f"it ended with exit code {code}")


def check(found: Running, case: Case, count: int, form: str = JSON) -> float:
    """By how much its answers for the first rows differ from the model's. Raises Left."""
    server = found.server
    said = _ask(found.port, server.path, body(server, case.rows[:count], form), form)
    if server.values is None:  # a floor answers, and that is all
        return 0.0
    if form == ARROW:
        values = pa.ipc.open_stream(said).read_all()["prediction"].to_numpy()
    else:
        values = np.array(server.values(json.loads(said)), dtype=float).ravel()
    if len(values) != count:
        raise Left(f"it gives {len(values)} answers to {count} rows")
    off = np.abs(values - case.truth[:count])
    if not (off <= ALIKE * np.abs(case.truth[:count])).all():
        raise Left(f"its answers differ from the model's by up to {off.max():.2g}")
    return off.max()


def body(server: Server, rows: np.ndarray, form: str = JSON) -> bytes:
    """What asks it for these rows."""
    if form == JSON:
        return json.dumps(server.content(rows)).encode()
    table = pa.table(dict(zip(FEATURE_NAMES, rows.T, strict=True)))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def _ask(port: int, path: str, content: bytes, form: str) -> bytes:
    """What a plain client is answered; Left if that is not 200."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, content, {"Content-Type": form})
        answer = connection.getresponse()
        said = answer.read()
    except (OSError, HTTPException) as failed:
        raise Left(f"no answer: {failed}") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise Left(f"refused with status {answer.status}")
    return said


def tree(found: Running) -> list[psutil.Process]:
    """Its first process, and all below."""
    return [found.process, *found.process.children(recursive=True)]


def memory(found: Running) -> list[float]:
    """PSS of each of its processes, MB: of a page that n processes share, 1/n counts."""
    return [one.memory_full_info().pss / 1e6 for one in tree(found)]


def busy(found: Running) -> float:
    """Seconds of processor time that its processes have had so far."""
    times = [one.cpu_times() for one in tree(found)]
    return sum(one.user + one.system for one in times)


def sends(number: signal.Signals, several: Iterable[Running]) -> None:
    """The signal to all processes of each."""
    for found in several:
        for one in tree(found):
            one.send_signal(number)


def stop(found: Running) -> None:
    """Ends all its processes, after a while by force."""
    processes = tree(found) if found.process.is_running() else []
    for one in processes[:1]:
        one.terminate()
    _, left = psutil.wait_procs(processes, timeout=GRACE)
    for one in left:
        one.kill()
    psutil.wait_procs(left, timeout=GRACE)
    with suppress(ProcessLookupError):  # those whose parent was gone before
        os.killpg(found.process.pid, signal.SIGKILL)
