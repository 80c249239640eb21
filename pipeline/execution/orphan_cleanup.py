"""Ends whatever a run has started once the runner is gone, however it went.

    python -P -m pipeline.execution.orphan_cleanup RUN_ID FOLDER

Waits for stdin to close, as a killed runner's end of a pipe does; then kills each process whose
environment names the run, and removes the folder of their sockets. Holds the runner's lock until
then, so that no second run meets them.
"""

import contextlib
import os
import shutil
import sys
import time

import psutil


def main(run_id: str, socket_folder: str) -> None:
    """Until none is left."""
    while os.read(0, 4096):
        pass
    kill_run_processes(run_id)
    shutil.rmtree(socket_folder, ignore_errors=True)


def kill_run_processes(run_id: str) -> None:
    """Kills the run's processes until none is left."""
    while _kill_once(run_id):
        time.sleep(0.02)


def _kill_once(run_id: str) -> int:
    """How many there were."""
    found = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("PIPELINE_RUN_ID") == run_id:
                found += process.status() != psutil.STATUS_ZOMBIE
                process.kill()
    return found


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
