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
from app.prediction_log.writer import Unlogged
from app.server import lifecycle

TEND_EVERY = 0.1  # seconds between two looks at the log's journal
TAKE_IN = 0.1  # seconds for the workers to take who waits for them


def main() -> int:
    """Serves until it is told to stop; exit code 1 if it may not or cannot listen."""
    lifecycle.speak()
    try:
        told = settings.told()
        host, port = told["HOST"], told["PORT"]
        _may_listen(host, told)
        listening = _listen(host, port)
    except (ValueError, OSError) as refused:
        print(refused, file=sys.stderr)
        return 1
    multiprocessing.set_start_method("spawn")
    serving, model = told["SERVING"], told["MODEL"] or None
    beside = [(_tend_forever, (told,))]
    if not registry_sync.is_baked(Path(serving)):
        beside.append((registry_sync.forever, (serving, model)))
    for one, given in beside:
        threading.Thread(target=one, args=given, daemon=True).start()
    print(f"the service is at http://{host}:{port}", flush=True)
    # replaces a worker that dies or hangs; SIGHUP: all of them, one by one; SIGTERM: when they end
    Workers(lifecycle.config(told), [listening]).run()
    return 0


class Workers(Multiprocess):
    """The workers, and nobody who listens once they were told to stop."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self.should_exit = Stop(self.signal_queue)

    def terminate_all(self) -> None:
        for one in self.sockets:
            lifecycle.let_nobody_in(one)
        time.sleep(TAKE_IN)
        for one in self.sockets:
            one.close()
        super().terminate_all()


class Stop(threading.Event):
    """Set once the service is to stop: by a signal too that waits until a restart is over, which
    then is cut short."""

    def __init__(self, signals: list[int]) -> None:
        super().__init__()
        self.signals = signals

    def is_set(self) -> bool:
        return super().is_set() or not {signal.SIGTERM, signal.SIGINT}.isdisjoint(self.signals)


def _tend_forever(told: Mapping[str, Any]) -> None:
    kept = writer.made(told)
    while True:
        with suppress(Unlogged):  # whoever writes to it says so
            kept.tend()
        time.sleep(TEND_EVERY)


def _may_listen(host: str, told: Mapping[str, Any]) -> None:
    if _is_loopback(host) or told["OPEN"] or api_keys.read(Path(told["KEYS"])):
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
        made.listen(lifecycle.BACKLOG)
        made.set_inheritable(True)
        return made
    except OSError as taken:
        if taken.errno != errno.EADDRINUSE:
            raise OSError(f"cannot listen at {host} port {port}: {taken.strerror}") from None
        raise OSError(f"port {port} is taken; choose another: HOUSING_PORT={port + 1}") from None


if __name__ == "__main__":
    sys.exit(main())
