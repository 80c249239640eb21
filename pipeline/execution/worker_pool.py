"""The processes beside the runner: workers, the nursery of kernels, and the watchdog."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

from pipeline.definition.steps import Task
from pipeline.staleness import fingerprint

# each says how many threads a library may start
THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS",
    "VECLIB_MAXIMUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "LOKY_MAX_CPU_COUNT",
)  # fmt: skip


class Processes:
    """All that a run starts; gone with it, whatever happens to the runner."""

    def __init__(self, run: str, log: Path, lock: int, environment: dict[str, str]) -> None:
        self.environment = {**environment, "PIPELINE_RUN_ID": run}
        self.log = log.open("ab")
        self.sockets = Path(tempfile.mkdtemp(prefix="run-"))  # short: a socket's path is limited
        self.workers: list[Worker] = []
        self.nursery: subprocess.Popen | None = None
        self.run, self.lock = run, lock
        self.watchdog = self._start_watchdog()

    def start_nursery(self, tasks: list[Task]) -> None:
        """Kernels of these find their imports done. Linux only: elsewhere forks are unsafe."""
        if sys.platform == "linux":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(self.sockets / "nursery"))
                listener.listen(64)
                number = listener.fileno()
                wanted = json.dumps(_preloads(tasks))
                self.nursery = self._start(
                    "kernels.fork_server", str(number), wanted, pass_fds=[number]
                )

    def _start_watchdog(self) -> subprocess.Popen:
        told = (self.run, str(self.sockets))
        return self._start("execution.orphan_cleanup", *told, pass_fds=[self.lock], env=None)

    def revive(self) -> None:
        """There is a watchdog, whatever happened to the last one."""
        if self.watchdog.poll() is not None:
            self.watchdog = self._start_watchdog()

    def worker(self) -> "Worker":
        """An idle one, started if there is none."""
        for one in self.workers:
            if one.task is None and one.process.poll() is None:
                return one
        self.workers.append(Worker(self._start("execution.worker", stdout=subprocess.PIPE)))
        return self.workers[-1]

    def _start(self, module: str, *arguments: str, **options: Any) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", f"pipeline.{module}", *arguments],
            **{"env": self.environment, "stdout": self.log, **options},
            stdin=subprocess.PIPE,
            stderr=self.log,
            start_new_session=True,  # a Ctrl-C in the terminal is the runner's to deal with
        )

    def kill(self) -> None:
        """All workers, at once; their kernels follow."""
        for one in self.workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(one.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Ends them, in the order in which they depend on each other."""
        for one in self.workers:
            one.close()
        self.revive()
        for one in (self.nursery, self.watchdog):
            if one:
                one.stdin.close()
        self.watchdog.wait()
        for one in (self.nursery, *(worker.process for worker in self.workers)):
            if one:
                one.wait()
        self.log.close()
        shutil.rmtree(self.sockets, ignore_errors=True)


class Worker:
    """A process that executes notebooks, one after the other."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process, self.task = process, None
        self.rest = b""

    @property
    def events(self) -> IO[bytes]:
        """To be waited for."""
        return self.process.stdout

    def send(self, message: dict[str, Any]) -> None:
        """A job, or the wish to stop the one that is running."""
        with contextlib.suppress(BrokenPipeError):  # it has died: its end of events tells
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def read(self) -> list[dict[str, Any]]:
        """The events there are; ends with an empty one if the process has gone."""
        found = os.read(self.events.fileno(), 1 << 20)
        *lines, self.rest = (self.rest + found).split(b"\n")
        return [json.loads(one) for one in lines] + ([] if found else [{}])

    def close(self) -> None:
        """It ends by itself once it has nothing more to read."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


def _preloads(tasks: list[Task]) -> list[list[str]]:
    """What the notebooks and our modules import of installed packages.

    Our own modules are imported by each kernel itself: they may look at its folder, environment
    or files, and may be edited while the run goes on.
    """
    notebooks = dict.fromkeys(one.step.notebook for one in tasks)
    return [fingerprint.modules(one)[1] for one in notebooks]


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads(side_by_side: int) -> dict[str, str]:
    """The environment in which so many kernels share the cores; what the user has set stays."""
    if side_by_side < 2:
        return {}
    share = str(max(1, cores() // side_by_side))
    return {name: os.environ.get(name, share) for name in THREADS}
