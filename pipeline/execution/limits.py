"""A step's limits of time and memory, kept while its kernel runs."""

import asyncio
import contextlib
from collections.abc import Callable

import psutil

from pipeline.execution.messages import KILLED, TIMED_OUT, NotebookJob
from pipeline.kernels.fork_provisioner import KernelManager

LIMIT_CHECK_INTERVAL_SECONDS = 0.2  # seconds between two looks


async def enforce(
    job: NotebookJob, kernel_manager: KernelManager, stop: Callable[[str, str], None]
) -> None:
    """Looks again and again until the job has ended, or passes a limit: then it stops or kills."""
    loop = asyncio.get_running_loop()
    end = loop.time() + (job.time_limit or float("inf"))
    pause = (
        LIMIT_CHECK_INTERVAL_SECONDS
        if job.memory_limit
        else min(LIMIT_CHECK_INTERVAL_SECONDS, job.time_limit or LIMIT_CHECK_INTERVAL_SECONDS)
    )
    while job.status == "done":
        await asyncio.sleep(pause)
        if loop.time() >= end:
            why = f"took longer than its limit of {job.time_limit:g} s"
            job.finish(TIMED_OUT, why, retryable=True)
            stop(TIMED_OUT, why)
        used = _memory_used_gb(kernel_manager) if job.memory_limit else 0
        if used > (job.memory_limit or 0):
            limit = f"its limit is {job.memory_limit:g} GB"
            job.finish(KILLED, f"used {used:.2f} GB of memory, {limit}")
            await kernel_manager.kill()


def _memory_used_gb(kernel_manager: KernelManager) -> float:
    """GB in use by the kernel and its children."""
    total = 0
    with contextlib.suppress(psutil.Error, AttributeError):
        kernel = psutil.Process(kernel_manager.provisioner.pid)
        for one in (kernel, *kernel.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += getattr(one.memory_full_info(), "pss", one.memory_info().rss)
    return total / 1e9
