"""A step's limits of time and memory, kept while its kernel runs."""

import asyncio
import contextlib
from collections.abc import Callable

import psutil

from pipeline.execution.messages import KILLED, TIMED_OUT, Job
from pipeline.kernels.fork_provisioner import Manager

OFTEN = 0.2  # seconds between two looks


async def keep(job: Job, manager: Manager, stop: Callable[[str, str], None]) -> None:
    """Looks again and again until the job has ended, or passes a limit: then it stops or kills."""
    loop = asyncio.get_running_loop()
    end = loop.time() + (job.time_limit or float("inf"))
    pause = OFTEN if job.memory_limit else min(OFTEN, job.time_limit or OFTEN)
    while job.status == "done":
        await asyncio.sleep(pause)
        if loop.time() >= end:
            why = f"took longer than its limit of {job.time_limit:g} s"
            job.ends(TIMED_OUT, why, may_pass=True)
            stop(TIMED_OUT, why)
        used = _memory(manager) if job.memory_limit else 0
        if used > (job.memory_limit or 0):
            limit = f"its limit is {job.memory_limit:g} GB"
            job.ends(KILLED, f"used {used:.2f} GB of memory, {limit}")
            await manager.kill()


def _memory(manager: Manager) -> float:
    """GB in use by the kernel and its children."""
    total = 0
    with contextlib.suppress(psutil.Error, AttributeError):
        kernel = psutil.Process(manager.provisioner.pid)
        for one in (kernel, *kernel.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += getattr(one.memory_full_info(), "pss", one.memory_info().rss)
    return total / 1e9
