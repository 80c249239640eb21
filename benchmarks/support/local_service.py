"""What those share that ask the real service: the service, its state in a folder that is thrown
away, and a client that keeps its connection."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
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
PLACES = {"DATABASE": "logs.db", "LOG_FILE": "api.log", "ACCESS_LOG": "access.log",
          "COUNTS": "counts", "KEYS": "keys.json", "SERVING": "serving"}  # fmt: skip


class Running:
    """`python -m app`, its processes in a group of their own."""

    def __init__(self, folder: Path, home: Path, *prefix: str, **settings: object) -> None:
        """folder: of all that it writes. prefix: a command that starts it. settings: HOUSING_…"""
        self.folder, self.port, self.prefix = folder, free_port(), prefix
        told = {name: folder / file for name, file in PLACES.items()} | {"PORT": self.port}
        told = {f"HOUSING_{name}": str(value) for name, value in (told | settings).items()}
        self.environment = os.environ | {"HOUSING_HOME": str(home), "HOUSING_WORKERS": "2"} | told
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Returns at once."""
        with (self.folder / "said").open("ab") as said:
            self.process = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", "app"], cwd=paths.PROJECT_ROOT,
                env=self.environment, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip

    def workers(self) -> list[int]:
        """The processes that answer, and those that still end."""
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children()
            return [one.pid for one in children if _is_worker(one)]
        return []

    def stop(self) -> None:
        """As `systemctl stop` does; what does not end is killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
        self.kill()

    def kill(self) -> None:
        """All its processes at once, as a power cut does."""
        workers = self.workers()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        until(lambda: not any(Path(f"/proc/{one}/fd/0").exists() for one in workers), 10)

    def said(self) -> str:
        """What it has written to stdout and stderr."""
        return (self.folder / "said").read_text()


@contextmanager
def running(home: Path, *prefix: str, **settings: object) -> Iterator[Running]:
    """The service with the home's champion, once all its workers answer."""
    with TemporaryDirectory() as name:
        folder = Path(settings.pop("folder", name))
        if not (home / "var" / "serving" / "current.json").exists():
            registry_sync.sync_once(home / "var" / "serving")
        shutil.copytree(home / "var" / "serving", folder / "serving", dirs_exist_ok=True)
        service = Running(folder, home, *prefix, **settings)
        service.start()
        try:
            finished(ready(service))
            yield service
        finally:
            service.stop()


async def ready(service: Running, seconds: float = 60) -> None:
    """Returns once every worker has counted itself in; TimeoutError if that takes too long."""
    end, wanted = time.monotonic() + seconds, int(service.environment["HOUSING_WORKERS"])
    while time.monotonic() < end and service.process.poll() is None:
        with suppress(ConnectionError):
            status, page = await Client(service.port).get("/metrics")
            if status == 200 and page.count(b"process_start_time_seconds{") >= wanted:
                return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"the service does not answer:\n{service.said()[-3000:]}")


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """What it gives in the end. In a thread of its own: a loop may run in this one, as it does for
    good once Playwright was used."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


class Client:
    """One connection, made when it is needed and kept while it lasts."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, str, bytes]:
        """Status, headers and body, read to the end. Raises ConnectionError."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self.port, limit=2**24)
            reader, writer = self._streams
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            size = int(re.search(r"content-length: (\d+)", head)[1])
            body = await reader.readexactly(size)
            if "\r\nconnection: close" in head:
                self.close()
            return int(head[9:12]), head, body
        except (OSError, EOFError) as gone:
            self.close()
            raise ConnectionError(str(gone)) from gone

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a page, by a connection of its own."""
        try:
            status, _, body = await self.ask(f"GET {path} HTTP/1.1\r\nhost: here\r\n\r\n".encode())
            return status, body
        finally:
            self.close()

    def close(self) -> None:
        """Made anew at the next request."""
        if self._streams:
            self._streams[1].close()
            self._streams = None


def post(body: bytes, kind: str = "application/json", path: str = "/predict") -> bytes:
    """A request, as it is sent."""
    head = f"POST {path} HTTP/1.1\r\nhost: here\r\ncontent-type: {kind}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def rows(count: int, seed: int = 0) -> list[dict[str, float]]:
    """Block groups drawn from the accepted ranges."""
    return [
        dict(zip(FEATURE_NAMES, row, strict=True))
        for row in served_model.random_rows(count, seed).tolist()
    ]


def requests(count: int = 1_000, seed: int = 0) -> Iterator[bytes]:
    """Single rows to ask about, over and over."""
    return cycle([post(orjson.dumps(one)) for one in rows(count, seed)])


def total(page: bytes, name: str, **labels: str) -> float:
    """The sum of a metric's values that have these labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    lines = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", page.decode(), re.MULTILINE)
    return sum(float(value) for has, value in lines if all(one in has for one in wanted))


def until(reached, seconds: float) -> None:
    """Waits for it; TimeoutError if it does not come."""
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > end:
            raise TimeoutError(f"{seconds} seconds are over")
        time.sleep(0.01)


def free_port() -> int:
    """One that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return any("spawn_main" in word for word in process.cmdline())
    return False
