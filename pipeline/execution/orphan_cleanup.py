"""The watchdog: a process that kills all that a run has started once the runner is gone.

    python -P -m pipeline.execution.orphan_cleanup RUN_ID SOCKET_FOLDER

Waits for stdin to close, which happens however the runner ends, even if it is killed; then kills
each process whose environment names the run, and removes the folder of their sockets. Holds the
run lock until then, so that the next run does not meet them.
"""

import contextlib
import os
import shutil
import sys
import time

import psutil

from pipeline.notebook import RUN_ID_VARIABLE


def main(run_id: str, socket_folder: str) -> None:
    """Wait for the runner's end, then kill the run's processes and remove `socket_folder`."""
    while os.read(0, 4096):
        pass
    kill_run_processes(run_id)
    shutil.rmtree(socket_folder, ignore_errors=True)


def kill_run_processes(run_id: str) -> None:
    """Kill the run's processes until none is left: one that was just forked may escape a pass."""
    while _kill_once(run_id):
        time.sleep(0.02)


def _kill_once(run_id: str) -> int:
    """Kill each process of the run that exists now; return how many were alive."""
    n_alive = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(RUN_ID_VARIABLE) == run_id:
                n_alive += process.status() != psutil.STATUS_ZOMBIE
                process.kill()
    return n_alive


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
