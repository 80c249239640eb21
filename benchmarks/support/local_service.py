"""The real service as a process, its state in a temporary folder, and a client for it."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import orjson
import psutil

from app.model import registry_sync
from housing import paths
from housing.inference import served_model
from housing.schema import FEATURE_NAMES

T = TypeVar("T")
STATE_FILES = {
    "DATABASE": "logs.db",
    "LOG_FILE": "api.log",
    "COUNTS": "counts",
    "KEYS": "keys.json",
    "SERVING": "serving",
}
OUTPUT_FILE = "output.txt"
STOP_SECONDS = 30  # after SIGTERM; then it is killed
EXIT_SECONDS = 10  # until the files of killed workers are closed


class Service:
    """`python -m app`, its processes in a process group of their own."""

    def __init__(self, folder: Path, home: Path, *prefix: str, **settings: object) -> None:
        """Prepare a start.

        folder: where the service writes. home: whose champion it serves. prefix: a command that
        starts it, such as `env NAME=value`. settings: HOUSING_... variables without their prefix.
        """
        self.folder, self.port, self.prefix = folder, free_port(), prefix
        files = {name: folder / file for name, file in STATE_FILES.items()}
        values = {"HOME": home, "WORKERS": 2, "PORT": self.port} | files | settings
        variables = {f"HOUSING_{name}": str(value) for name, value in values.items()}
        self.environment = os.environ | variables
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start the service without waiting for it."""
        with (self.folder / OUTPUT_FILE).open("ab") as output:
            self.process = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", "app"],
                cwd=paths.PROJECT_ROOT,
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def workers(self) -> list[int]:
        """Return the process ids of its workers, including those that are about to end."""
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children()
            return [child.pid for child in children if _is_worker(child)]
        return []

    def stop(self) -> None:
        """Send SIGTERM, as `systemctl stop` does; kill what has not ended after STOP_SECONDS."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill all its processes at once, as a power failure does."""
        workers = self.workers()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        wait_until(
            lambda: not any(Path(f"/proc/{pid}/fd/0").exists() for pid in workers), EXIT_SECONDS
        )

    def output(self) -> str:
        """Return what it has written to stdout and stderr."""
        return (self.folder / OUTPUT_FILE).read_text()


@contextmanager
def run_service(home: Path, *prefix: str, **settings: object) -> Iterator[Service]:
    """Run the service with the champion of `home`; the block starts once all its workers answer."""
    with TemporaryDirectory() as name:
        folder = Path(settings.pop("folder", name))
        if not (home / "var" / "serving" / "current.json").exists():
            registry_sync.sync_once(home / "var" / "serving")
        shutil.copytree(home / "var" / "serving", folder / "serving", dirs_exist_ok=True)
        service = Service(folder, home, *prefix, **settings)
        service.start()
        try:
            run_coroutine(wait_for_workers(service))
            yield service
        finally:
            service.stop()


async def wait_for_workers(service: Service, seconds: float = 60) -> None:
    """Return once every worker shows up in the metrics. Raises TimeoutError after `seconds`."""
    deadline, n_workers = time.monotonic() + seconds, int(service.environment["HOUSING_WORKERS"])
    while time.monotonic() < deadline and service.process.poll() is None:
        with suppress(ConnectionError):
            status, page = await Client(service.port).get("/metrics")
            if status == 200 and page.count(b"process_start_time_seconds{") >= n_workers:
                return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"the service does not answer:\n{service.output()[-3000:]}")


def run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine.

    It runs in a thread of its own, because this thread may already have a running event loop: it
    keeps one once Playwright was used.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


class Client:
    """One keep-alive connection, opened at the first request and again after it was closed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> tuple[int, str, bytes]:
        """Send a request; return status, headers in lower case, and body.

        Raises ConnectionError if the connection ends before the response.
        """
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self.port, limit=2**24)
            reader, writer = self._streams
            writer.write(request)
            headers = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            size = int(re.search(r"content-length: (\d+)", headers)[1])
            body = await reader.readexactly(size)
            if "\r\nconnection: close" in headers:
                self.close()
            return int(headers[9:12]), headers, body
        except (OSError, EOFError) as error:
            self.close()
            raise ConnectionError(str(error)) from error

    async def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of a page; close the connection."""
        try:
            status, _, body = await self.send(get_request(path))
            return status, body
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._streams:
            self._streams[1].close()
            self._streams = None


def post_request(
    body: bytes, content_type: str = "application/json", path: str = "/predict"
) -> bytes:
    """Return the bytes of a POST request, by default for a prediction."""
    headers = f"POST {path} HTTP/1.1\r\nhost: here\r\ncontent-type: {content_type}\r\n"
    return f"{headers}content-length: {len(body)}\r\n\r\n".encode() + body


def get_request(path: str) -> bytes:
    """Return the bytes of a GET request."""
    return f"GET {path} HTTP/1.1\r\nhost: here\r\n\r\n".encode()


def random_block_groups(count: int, seed: int = 0) -> list[dict[str, float]]:
    """Return random block groups from the accepted ranges."""
    return [
        dict(zip(FEATURE_NAMES, row, strict=True))
        for row in served_model.random_rows(count, seed).tolist()
    ]


def single_row_requests(count: int = 1_000, seed: int = 0) -> Iterator[bytes]:
    """Yield `count` prediction requests of one row each, over and over."""
    return cycle([post_request(orjson.dumps(row)) for row in random_block_groups(count, seed)])


def sum_metric(page: bytes, name: str, **labels: str) -> float:
    """Return the sum of a metric over all its series that have these labels."""
    pairs = [f'{label}="{value}"' for label, value in labels.items()]
    series = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", page.decode(), re.MULTILINE)
    return sum(
        float(value) for series_labels, value in series if all(p in series_labels for p in pairs)
    )


def wait_until(condition: Callable[[], object], seconds: float) -> None:
    """Wait for a condition to hold. Raises TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the condition does not hold after {seconds} seconds")
        time.sleep(0.01)


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return any("spawn_main" in word for word in process.cmdline())
    return False
