"""Run the service: `python -m app`.

The parent process supervises the workers, checkpoints the prediction log and follows the
champion's alias in the registry.
"""

from __future__ import annotations

import ipaddress
import logging
import multiprocessing
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from app import limit_openmp_threads, startup

try:
    from uvicorn import Config
    from uvicorn.supervisors import Multiprocess

    from app import addresses, forwarding
    from app.auth import api_keys
    from app.model import local_copy, registry_sync
    from app.prediction_log import writer
    from app.prediction_log.writer import PredictionLogError
    from app.server import lifecycle, listening, startup_checks
    from app.settings import load_settings, removed_setting_messages
    from app.shadow import supervisor
except Exception as error:  # a missing package, or the syntax of a newer Python
    startup.explain_import_error(error, "app", "serve")

CHECKPOINT_INTERVAL_SECONDS = 0.1  # seconds between two checkpoints of the log's journal

logger = logging.getLogger("app")


def main() -> int:
    """Serve until a stop signal; return exit code 1 if the service may not or cannot listen."""
    limit_openmp_threads()  # the workers inherit it, and load OpenMP as they start
    lifecycle.ignore_minor_signals()  # until uvicorn's supervisor handles them
    lifecycle.configure_logging()
    try:
        settings = load_settings()
        for message in removed_setting_messages():
            logger.warning(message)
        host, port = settings["HOST"], settings["PORT"]
        _check_network_exposure(host, settings)
        startup_checks.check_files(settings)
        shared_port = listening.take_port(host, port)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    multiprocessing.set_start_method("spawn")
    _start_daemon_thread(_checkpoint_forever, settings)
    serving_folder = Path(settings["SERVING"])
    if not local_copy.read_status(serving_folder).is_baked:
        _start_daemon_thread(registry_sync.sync_forever, serving_folder, settings["MODEL"] or None)
    shadow_supervisor = supervisor.start_shadow(settings)
    path_prefix = forwarding.proxy_settings(settings).path_prefix
    print(f"the service is at {addresses.base_url(host, port, path_prefix)}", flush=True)
    # replaces a worker that dies or hangs. SIGHUP restarts the workers one by one; SIGTERM stops
    # the service once they have ended
    WorkerSupervisor(lifecycle.uvicorn_config(settings), [shared_port]).run()
    if shadow_supervisor:
        shadow_supervisor.stop()
    return 0


class WorkerSupervisor(Multiprocess):
    """uvicorn's supervisor of workers, which also notices what happens while it waits for one."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self.should_exit = StopEvent(self.signal_queue)

    def keep_subprocess_alive(self) -> None:
        for process in self.processes:
            # the worker's end of the pipe, held here too: a worker that dies before it answers a
            # health check would be waited for
            process.child_conn.close()
        super().keep_subprocess_alive()


class StopEvent(threading.Event):
    """An event that is set as soon as the service is to stop.

    It counts as set while a stop signal is still queued behind a restart of the workers, which is
    cut short by that.
    """

    def __init__(self, pending_signals: list[int]) -> None:
        super().__init__()
        self.pending_signals = pending_signals

    def is_set(self) -> bool:
        return super().is_set() or not {signal.SIGTERM, signal.SIGINT}.isdisjoint(
            self.pending_signals
        )


def _start_daemon_thread(target: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=target, args=arguments, daemon=True).start()


def _checkpoint_forever(settings: Mapping[str, Any]) -> None:
    prediction_log = writer.open_prediction_log(settings)
    while True:
        with suppress(PredictionLogError):  # the workers report it when they write
            prediction_log.checkpoint()
        time.sleep(CHECKPOINT_INTERVAL_SECONDS)


def _check_network_exposure(host: str, settings: Mapping[str, Any]) -> None:
    """Raise ValueError if other machines could reach the service and no API key protects it.

    Raises OSError if the host has no address.
    """
    _, (address, *_) = listening.resolve_host(host, settings["PORT"])
    is_loopback = ipaddress.ip_address(address.partition("%")[0]).is_loopback
    if is_loopback or settings["OPEN"] or api_keys.read_keys(Path(settings["KEYS"])):
        return
    raise ValueError(
        f"HOUSING_HOST is {host}, which other machines can reach, and there are no API keys. "
        "Create one with `python -m app.cli.keys add NAME`, or set HOUSING_OPEN=1 to answer every "
        "client without a key"
    )


if __name__ == "__main__":
    sys.exit(main())
