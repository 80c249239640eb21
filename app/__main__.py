"""`python -m app`: the service's workers, and beside them the thread that follows the alias."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import threading
from pathlib import Path

from uvicorn.supervisors import Multiprocess

from app import follow, guard, server
from app.config import DEFAULTS, check

LOOPBACK = ("127.", "::1", "localhost")


def main() -> int:
    """Serves until it is told to stop; exit code 1 if it may not or cannot listen."""
    server.told()
    told = _told()
    host, port = str(told["HOST"]), int(told["PORT"])
    try:
        check(told)
        _may_listen(host, told)
        listening = _listen(host, port)
    except (ValueError, OSError) as refused:
        print(refused, file=sys.stderr)
        return 1
    multiprocessing.set_start_method("spawn")
    following = threading.Thread(
        target=follow.forever, args=(told["SERVING"], told["MODEL"] or None), daemon=True
    )
    following.start()
    print(f"the service is at http://{host}:{port}", flush=True)
    # replaces a worker that dies or hangs; SIGHUP: all of them, one by one; SIGTERM: when they end
    Multiprocess(server.config(host, port, int(told["WORKERS"])), [listening]).run()
    return 0


def _told() -> dict[str, object]:
    """Each setting, from the environment or by default."""
    found = {}
    for name, setting in DEFAULTS.items():
        default, given = setting.value(), os.environ.get(f"HOUSING_{name}")
        try:
            found[name] = type(default)(given) if given else default
        except ValueError:
            raise SystemExit(f"HOUSING_{name} is {given!r}, expected a number") from None
    return found


def _may_listen(host: str, told: dict[str, object]) -> None:
    if host.startswith(LOOPBACK) or told["OPEN"] or guard.read(Path(str(told["KEYS"]))):
        return
    raise ValueError(
        f"HOUSING_HOST is {host}, which others can reach, and there are no API keys. Make one with "
        "`python -m app.keys add NAME`, or set HOUSING_OPEN=1 to answer whoever asks"
    )


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.socket(family)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(2_048)
        made.set_inheritable(True)
        return made
    except OSError as taken:
        if taken.errno != 98:
            raise OSError(f"cannot listen at {host} port {port}: {taken.strerror}") from None
        raise OSError(f"port {port} is taken; choose another: HOUSING_PORT={port + 1}") from None


if __name__ == "__main__":
    sys.exit(main())
