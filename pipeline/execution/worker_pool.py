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
THREAD_COUNT_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS",
    "VECLIB_MAXIMUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "LOKY_MAX_CPU_COUNT",
)  # fmt: skip


class WorkerPool:
    """All that a run starts; gone with it, whatever happens to the runner."""

    def __init__(
        self, run_id: str, log_path: Path, lock_descriptor: int, environment: dict[str, str]
    ) -> None:
        self.environment = {**environment, "PIPELINE_RUN_ID": run_id}
        self.log_file = log_path.open("ab")
        self.socket_folder = Path(
            tempfile.mkdtemp(prefix="run-")
        )  # short: a socket's path is limited
        self.workers: list[Worker] = []
        self.fork_server: subprocess.Popen | None = None
        self.run_id, self.lock_descriptor = run_id, lock_descriptor
        self.watchdog = self._start_watchdog()

    def start_fork_server(self, tasks: list[Task]) -> None:
        """Kernels of these find their imports done. Linux only: elsewhere forks are unsafe."""
        if sys.platform == "linux":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(self.socket_folder / "nursery"))
                listener.listen(64)
                number = listener.fileno()
                wanted = json.dumps(_modules_to_preload(tasks))
                self.fork_server = self._start_process(
                    "kernels.fork_server", str(number), wanted, pass_fds=[number]
                )

    def _start_watchdog(self) -> subprocess.Popen:
        told = (self.run_id, str(self.socket_folder))
        return self._start_process(
            "execution.orphan_cleanup", *told, pass_fds=[self.lock_descriptor], env=None
        )

    def ensure_watchdog(self) -> None:
        """There is a watchdog, whatever happened to the last one."""
        if self.watchdog.poll() is not None:
            self.watchdog = self._start_watchdog()

    def idle_worker(self) -> "Worker":
        """An idle one, started if there is none."""
        for one in self.workers:
            if one.task is None and one.process.poll() is None:
                return one
        self.workers.append(Worker(self._start_process("execution.worker", stdout=subprocess.PIPE)))
        return self.workers[-1]

    def _start_process(
        self, module_name: str, *arguments: str, **popen_options: Any
    ) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", f"pipeline.{module_name}", *arguments],
            **{"env": self.environment, "stdout": self.log_file, **popen_options},
            stdin=subprocess.PIPE,
            stderr=self.log_file,
            start_new_session=True,  # a Ctrl-C in the terminal is the runner's to deal with
        )

    def kill_workers(self) -> None:
        """All workers, at once; their kernels follow."""
        for one in self.workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(one.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Ends them, in the order in which they depend on each other."""
        for one in self.workers:
            one.close()
        self.ensure_watchdog()
        for one in (self.fork_server, self.watchdog):
            if one:
                one.stdin.close()
        self.watchdog.wait()
        for one in (self.fork_server, *(worker.process for worker in self.workers)):
            if one:
                one.wait()
        self.log_file.close()
        shutil.rmtree(self.socket_folder, ignore_errors=True)


class Worker:
    """A process that executes notebooks, one after the other."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process, self.task = process, None
        self.buffer = b""

    @property
    def event_stream(self) -> IO[bytes]:
        """To be waited for."""
        return self.process.stdout

    def send(self, message: dict[str, Any]) -> None:
        """A job, or the wish to stop the one that is running."""
        with contextlib.suppress(BrokenPipeError):  # it has died: its end of events tells
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def read_events(self) -> list[dict[str, Any]]:
        """The events there are; ends with an empty one if the process has gone."""
        found = os.read(self.event_stream.fileno(), 1 << 20)
        *lines, self.buffer = (self.buffer + found).split(b"\n")
        return [json.loads(one) for one in lines] + ([] if found else [{}])

    def close(self) -> None:
        """It ends by itself once it has nothing more to read."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


def _modules_to_preload(tasks: list[Task]) -> list[list[str]]:
    """What the notebooks and our modules import of installed packages.

    Our own modules are imported by each kernel itself: they may look at its folder, environment
    or files, and may be edited while the run goes on.
    """
    notebooks = dict.fromkeys(one.step.notebook for one in tasks)
    return [fingerprint.resolve_imports(one)[1] for one in notebooks]


def available_cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_limits(max_workers: int) -> dict[str, str]:
    """The environment in which so many kernels share the cores; what the user has set stays."""
    if max_workers < 2:
        return {}
    share = str(max(1, available_cores() // max_workers))
    return {name: os.environ.get(name, share) for name in THREAD_COUNT_VARIABLES}
