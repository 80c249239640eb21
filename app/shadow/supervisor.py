"""Start the challenger's process, and start it again when it crashes or hangs."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.model import local_copy
from app.shadow import challenger_sync
from app.shadow.status import status_path

HANG_SECONDS = 600.0  # without a sign of life; on a busy machine it may get little time
MIN_RESTART_SECONDS, MAX_RESTART_SECONDS = 1.0, 300.0  # to wait before it is started again
STABLE_SECONDS = 600.0  # after which a process counts as one that works
CHECK_INTERVAL_SECONDS = 1.0

logger = logging.getLogger(__name__)


def start_shadow(settings: Mapping[str, Any]) -> ShadowSupervisor | None:
    """Let the challenger answer a share of the requests too; return None if that is not wanted."""
    if not settings["SHADOW_SHARE"]:
        return None
    serving_folder = Path(settings["SERVING"])
    if local_copy.read_status(serving_folder).is_baked:
        logger.warning(
            "HOUSING_SHADOW_SHARE has no effect: the champion came with the image, and no registry "
            "is followed that could name a challenger"
        )
        return None
    threading.Thread(
        target=challenger_sync.sync_forever, args=(serving_folder,), daemon=True
    ).start()
    supervisor = ShadowSupervisor(settings)
    supervisor.start()
    return supervisor


class ShadowSupervisor:
    """Runs the challenger's process from `start` to `stop`; nothing waits for it."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._status_file = status_path(Path(settings["DATABASE"]))
        self._stop_event = threading.Event()
        self._thread = threading.Thread(target=self._supervise, daemon=True, name="shadow")

    def start(self) -> None:
        """Start the process, from a thread that restarts it."""
        self._thread.start()

    def stop(self) -> None:
        """End the process at once; what it has written is complete."""
        self._stop_event.set()
        if self._thread.is_alive():
            self._thread.join()

    def _supervise(self) -> None:
        delay = MIN_RESTART_SECONDS
        while not self._stop_event.is_set():
            started_at = time.monotonic()
            try:
                reason = self._run_process()
            except OSError as error:  # no memory, too many processes
                reason = f"cannot be started: {error}"
            if self._stop_event.is_set():
                return
            if time.monotonic() - started_at > STABLE_SECONDS:
                delay = MIN_RESTART_SECONDS
            logger.warning(
                "the challenger's process %s; it is started again in %.0f s, the service answers "
                "as before", reason, delay,
            )  # fmt: skip
            self._stop_event.wait(delay)
            delay = min(2 * delay, MAX_RESTART_SECONDS)

    def _run_process(self) -> str:
        """Run the process until it ends, hangs or is to stop; return what happened."""
        process = subprocess.Popen(
            [sys.executable, "-m", "app.shadow", str(os.getpid())], stdin=subprocess.DEVNULL
        )
        last_sign, last_change = 0.0, time.monotonic()
        try:
            while not self._stop_event.wait(CHECK_INTERVAL_SECONDS):
                exit_code = process.poll()
                if exit_code is not None:
                    return f"has ended with exit code {exit_code}"
                sign = self._last_written()
                if sign != last_sign:
                    last_sign, last_change = sign, time.monotonic()
                if time.monotonic() - last_change > HANG_SECONDS:
                    return f"has shown no sign of life for {HANG_SECONDS:.0f} s and is ended"
            return "is to stop"
        finally:
            process.kill()
            process.wait()

    def _last_written(self) -> float:
        try:
            return self._status_file.stat().st_mtime
        except OSError:
            return 0.0
