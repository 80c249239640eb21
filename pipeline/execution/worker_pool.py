"""The processes beside the runner: workers, the fork server of kernels, and the watchdog."""

import contextlib
import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from importlib.machinery import PathFinder
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pipeline import notebook
from pipeline.definition.tasks import Task
from pipeline.execution.messages import Event, JobResult, Request
from pipeline.kernels.protocol import FORK_SERVER_SOCKET_NAME
from pipeline.kernels.socket_folder import make_socket_folder
from pipeline.runs.status import StepStatus
from pipeline.staleness.access_kinds import RUNNER_PACKAGE
from pipeline.staleness.static_analysis import imports

# each limits the threads that a library starts
THREAD_COUNT_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)


class WorkerPool:
    """All processes that a run starts. They end with it, whatever happens to the runner.

    lock_descriptor: of the run lock, which the watchdog holds too. environment: of the kernels.
    """

    def __init__(
        self, run_id: str, log_path: Path, lock_descriptor: int, environment: dict[str, str]
    ) -> None:
        self.environment = {
            **environment,
            **runner_path(environment),
            notebook.RUN_ID_VARIABLE: run_id,
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else each kernel warns on stderr
        }
        self.log_file = log_path.open("ab")
        # in the system's temporary folder, as the length of a socket's path is limited
        self.socket_folder = make_socket_folder()
        self.workers: list[Worker] = []
        self.processes: list[subprocess.Popen] = []
        self.run_id, self.lock_descriptor = run_id, lock_descriptor
        self.watchdog: subprocess.Popen | None = None
        self.ensure_watchdog()

    def start_fork_server(self, tasks: list[Task]) -> None:
        """Start the process whose kernels have the tasks' imports done already.

        On Linux only: elsewhere forking is unsafe, and each kernel is a new process.
        """
        if sys.platform == "linux":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(self.socket_folder / FORK_SERVER_SOCKET_NAME))
                listener.listen(64)
                descriptor = listener.fileno()
                # not the project's own modules, which each kernel imports itself: they may look at
                # its folder, environment or files, and may be edited during the run
                notebooks = dict.fromkeys(task.step.notebook for task in tasks)
                packages = [
                    imports.resolve_imports(notebook).installed_modules for notebook in notebooks
                ]
                arguments = str(descriptor), json.dumps(packages)
                self._start_process("kernels.fork_server", *arguments, pass_fds=[descriptor])

    def ensure_watchdog(self) -> None:
        """Start the watchdog, or another one if the last one has died."""
        if self.watchdog is None or self.watchdog.poll() is not None:
            self.watchdog = self._start_process(
                "execution.orphan_cleanup",
                self.run_id,
                str(self.socket_folder),
                pass_fds=[self.lock_descriptor],
                # without the run's id, as it is no process of the run to be killed
                env={**os.environ, **runner_path(os.environ)},
            )

    def connected_workers(self) -> list["Worker"]:
        """Return the workers that have not died, as far as their events tell."""
        return [worker for worker in self.workers if not worker.connection.closed]

    def idle_worker(self) -> "Worker":
        """Return a worker without a task; start one if there is none."""
        for worker in self.connected_workers():
            if worker.task is None and worker.process.poll() is None:
                return worker
        runner_end, worker_end = multiprocessing.Pipe()
        with worker_end:
            descriptor = worker_end.fileno()
            process = self._start_process(
                "execution.worker", str(descriptor), pass_fds=[descriptor], stdin=subprocess.DEVNULL
            )
        self.workers.append(Worker(process, runner_end))
        return self.workers[-1]

    def _start_process(
        self, module_name: str, *arguments: str, **popen_options: Any
    ) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", f"pipeline.{module_name}", *arguments],
            **{"env": self.environment, "stdin": subprocess.PIPE, **popen_options},
            stdout=self.log_file,
            stderr=self.log_file,
            start_new_session=True,  # a Ctrl-C in the terminal is for the runner to handle
        )
        self.processes.append(process)
        return process

    def kill_workers(self) -> None:
        """Kill all workers at once; their kernels end with them."""
        for worker in self.workers:
            worker.process.kill()

    def close(self) -> None:
        """End all processes; the watchdog, which ends last, kills what is left of the run."""
        for worker in self.workers:
            worker.connection.close()
        self.ensure_watchdog()
        for process in reversed(self.processes):  # the watchdog was the first
            if process.stdin:
                process.stdin.close()
        for process in self.processes:
            process.wait()
        self.log_file.close()
        shutil.rmtree(self.socket_folder, ignore_errors=True)


class Worker:
    """A process that runs notebooks, one after the other, and the connection to it."""

    def __init__(self, process: subprocess.Popen, connection: Connection) -> None:
        self.process, self.connection = process, connection
        self.task: Task | None = None

    def send(self, request: Request) -> None:
        """Send a job, or the request to stop the one that is running."""
        with contextlib.suppress(OSError):  # it has died: the end of its events tells so
            self.connection.send(request)

    def read_events(self) -> list[Event]:
        """Return the events that have arrived; the last one tells if the process has died."""
        events: list[Event] = []
        try:
            while self.connection.poll():
                events.append(self.connection.recv())
        except (EOFError, OSError):
            self.connection.close()
            failure = "its worker process was killed"
            events.append(JobResult(StepStatus.KILLED, failure, retryable=True))
        return events


def runner_path(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the PYTHONPATH with which other processes import the runner that this one runs.

    Empty if they do so in any case. They would import another copy if this checkout is run by the
    interpreter of another one, and with it the packages beside that copy.
    """
    own_path = sys.path if sys.flags.safe_path else sys.path[1:]  # without the script's folder
    spec = PathFinder.find_spec(RUNNER_PACKAGE.name, own_path)
    if spec and spec.origin and Path(spec.origin).parent.resolve() == RUNNER_PACKAGE:
        return {}
    folders = [str(RUNNER_PACKAGE.parent), environment.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, folders))}


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_limits(max_workers: int) -> dict[str, str]:
    """Return the environment variables with which `max_workers` kernels share the cores.

    A variable that the user has set keeps its value. Empty for a single kernel.
    """
    if max_workers < 2:
        return {}
    n_threads = str(max(1, available_cores() // max_workers))
    return {name: os.environ.get(name, n_threads) for name in THREAD_COUNT_VARIABLES}
