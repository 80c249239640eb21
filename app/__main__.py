"""`python -m app`: the service's workers; beside them who follows the alias and tends the log."""

from __future__ import annotations

import errno
import ipaddress
import multiprocessing
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from uvicorn import Config
from uvicorn.supervisors import Multiprocess

from app import settings
from app.auth import api_keys
from app.model import registry_sync
from app.prediction_log import writer
from app.prediction_log.writer import PredictionLogError
from app.server import lifecycle

CHECKPOINT_INTERVAL_SECONDS = 0.1  # seconds between two looks at the log's journal
ACCEPT_DRAIN_SECONDS = 0.1  # seconds for the workers to take who waits for them


def main() -> int:
    """Serves until it is told to stop; exit code 1 if it may not or cannot listen."""
    lifecycle.configure_logging()
    try:
        told = settings.load_settings()
        host, port = told["HOST"], told["PORT"]
        _check_network_exposure(host, told)
        listening = _listen(host, port)
    except (ValueError, OSError) as refused:
        print(refused, file=sys.stderr)
        return 1
    multiprocessing.set_start_method("spawn")
    serving, model = told["SERVING"], told["MODEL"] or None
    beside = [(_checkpoint_forever, (told,))]
    if not registry_sync.is_baked(Path(serving)):
        beside.append((registry_sync.sync_forever, (serving, model)))
    for one, given in beside:
        threading.Thread(target=one, args=given, daemon=True).start()
    print(f"the service is at http://{host}:{port}", flush=True)
    # replaces a worker that dies or hangs; SIGHUP: all of them, one by one; SIGTERM: when they end
    WorkerSupervisor(lifecycle.uvicorn_config(told), [listening]).run()
    return 0


class WorkerSupervisor(Multiprocess):
    """The workers, and nobody who listens once they were told to stop."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self.should_exit = StopEvent(self.signal_queue)

    def terminate_all(self) -> None:
        for one in self.sockets:
            lifecycle.stop_accepting(one)
        time.sleep(ACCEPT_DRAIN_SECONDS)
        for one in self.sockets:
            one.close()
        super().terminate_all()


class StopEvent(threading.Event):
    """Set once the service is to stop: by a signal too that waits until a restart is over, which
    then is cut short."""

    def __init__(self, pending_signals: list[int]) -> None:
        super().__init__()
        self.pending_signals = pending_signals

    def is_set(self) -> bool:
        return super().is_set() or not {signal.SIGTERM, signal.SIGINT}.isdisjoint(
            self.pending_signals
        )


def _checkpoint_forever(settings: Mapping[str, Any]) -> None:
    kept = writer.open_log(settings)
    while True:
        with suppress(PredictionLogError):  # whoever writes to it says so
            kept.checkpoint()
        time.sleep(CHECKPOINT_INTERVAL_SECONDS)


def _check_network_exposure(host: str, settings: Mapping[str, Any]) -> None:
    if _is_loopback(host) or settings["OPEN"] or api_keys.read_keys(Path(settings["KEYS"])):
        return
    raise ValueError(
        f"HOUSING_HOST is {host}, which others can reach, and there are no API keys. Make one with "
        "`python -m app.cli.keys add NAME`, or set HOUSING_OPEN=1 to answer whoever asks"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.socket(family)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(lifecycle.LISTEN_BACKLOG)
        made.set_inheritable(True)
        return made
    except OSError as taken:
        if taken.errno != errno.EADDRINUSE:
            raise OSError(f"cannot listen at {host} port {port}: {taken.strerror}") from None
        raise OSError(f"port {port} is taken; choose another: HOUSING_PORT={port + 1}") from None


if __name__ == "__main__":
    sys.exit(main())
