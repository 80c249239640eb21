"""The limits of a step, enforced while its kernel runs, and of the system before a run."""

import asyncio
import contextlib
import resource
from typing import Any

import psutil

from pipeline.execution.notebook_job import NotebookJob, StopCallback
from pipeline.runs.status import StepStatus

MEMORY_CHECK_INTERVAL_SECONDS = 0.2
MIN_OPEN_FILES = 96  # a kernel needs about 70, and what it imports some more


def require_open_files() -> None:
    """Raise ValueError if this process may not open as many files as a kernel needs."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < MIN_OPEN_FILES:
        raise ValueError(
            f"a process may open only {limit} files here, and a kernel needs {MIN_OPEN_FILES}; "
            "raise the limit first, as by: ulimit -n 1024"
        )


async def enforce(job: NotebookJob, kernel_manager: Any, stop: StopCallback) -> None:
    """Check the limits of `job` until it ends or exceeds one.

    kernel_manager: jupyter_client's.
    A job that takes too long is stopped with `stop`, which interrupts it first; one that uses too
    much memory is killed at once.
    """
    time_limit, memory_limit = job.request.time_limit, job.request.memory_limit
    try:
        async with asyncio.timeout(time_limit or None):
            while job.is_running:
                await asyncio.sleep(MEMORY_CHECK_INTERVAL_SECONDS)
                pid = getattr(kernel_manager.provisioner, "pid", None)
                used_gb = _memory_used_gb(pid) if memory_limit and pid else 0
                if used_gb > (memory_limit or 0):
                    limit = f"its limit is {memory_limit:g} GB"
                    job.finish(StepStatus.KILLED, f"used {used_gb:.2f} GB of memory, {limit}")
                    await kernel_manager.provisioner.kill()
    except TimeoutError:
        failure = f"took longer than its limit of {time_limit:g} s"
        job.finish(StepStatus.TIMED_OUT, failure, retryable=True)
        stop(StepStatus.TIMED_OUT, failure)


def _memory_used_gb(pid: int) -> float:
    """Return the memory in GB that a process and its children use.

    Shared pages are counted proportionally (PSS) where the system reports that.
    """
    n_bytes = 0
    with contextlib.suppress(psutil.Error):
        kernel = psutil.Process(pid)
        for process in (kernel, *kernel.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                memory = process.memory_full_info()
                n_bytes += getattr(memory, "pss", process.memory_info().rss)
    return n_bytes / 1e9
