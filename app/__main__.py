"""`python -m app`: the service under Granian, and beside it the thread that follows the alias."""

import os
import socket
import sys
import threading
from typing import Any

from flask import Flask
from granian import Granian
from granian.constants import Interfaces

from app import create_app, follow
from housing import paths

THREADS = 4  # a slow upload occupies one; more threads cost throughput


def main() -> int:
    """Serves until it is told to stop; exit code 1 if the port is taken."""
    host = os.environ.get("HOUSING_HOST", "127.0.0.1")
    port = int(os.environ.get("HOUSING_PORT", "8081"))
    if _taken(host, port):
        print(f"port {port} is taken; choose another: HOUSING_PORT={port + 1}", file=sys.stderr)
        return 1
    serving = os.environ.get("HOUSING_SERVING") or str(paths.var() / "serving")
    following = threading.Thread(
        target=follow.forever, args=(serving, os.environ.get("HOUSING_MODEL")), daemon=True
    )
    following.start()
    print(f"the service is at http://{host}:{port}", flush=True)
    server = _Server(
        "app",
        interface=Interfaces.WSGI,
        address=host,
        port=port,
        workers=1,
        blocking_threads=THREADS,
        respawn_failed_workers=True,
        log_enabled=False,
    )
    server.serve(target_loader=_load)
    return 0


class _Server(Granian):
    """Granian, safe against a second signal while it handles the first (`make` passes it on)."""

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """In a thread: it sets an event whose lock the interrupted thread may hold."""
        handler = super().signal_handler_interrupt
        threading.Thread(target=handler, args=args, kwargs=kwargs).start()


def _load(_target: str) -> Flask:
    """Granian's own loader would look in the current folder first."""
    return create_app()


def _taken(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
