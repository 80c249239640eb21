"""Keep the challenger's process from taking anything that the service could need."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

MAX_DATA_BYTES = 1 << 30  # of memory that a process does not share; a worker has a tenth of it
STARTUP_NICENESS = 10  # while it imports its packages, which it could not at the lowest priority
NICENESS = 19
PARENT_CHECK_SECONDS = 0.5
OOM_SCORE_FILE = Path("/proc/self/oom_score_adj")


def limit_process(parent_pid: int) -> None:
    """Limit the memory of this process, lower its priority, and end it with its parent.

    If the machine runs out of memory, Linux ends this process first.
    """
    os.nice(STARTUP_NICENESS)
    with suppress(OSError, ValueError):  # a lower limit is set already
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_DATA_BYTES, MAX_DATA_BYTES))
    with suppress(OSError):  # not on Linux
        OOM_SCORE_FILE.write_text("1000")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_exit_with_parent, args=(parent_pid,), daemon=True).start()


def yield_processor() -> None:
    """Run only while no other process wants to, from now on, as far as the system can do that."""
    os.nice(NICENESS)
    if hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _exit_with_parent(parent_pid: int) -> None:
    """End this process at once when its parent has died; what it has written is complete."""
    while os.getppid() == parent_pid:
        time.sleep(PARENT_CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
