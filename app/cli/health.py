"""Check whether the service on this machine is alive: `python -m app.cli.health`.

For the health check of a container; needs the standard library only, so that it starts at once.
"""

from __future__ import annotations

import http.client
import os
import sys

from app import addresses

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", "8081"
TIMEOUT_SECONDS = 2


def main() -> int:
    """Return exit code 0 if the service answers where HOUSING_HOST and HOUSING_PORT say, else 1."""
    host = addresses.local_host(os.environ.get("HOUSING_HOST") or DEFAULT_HOST)
    port = os.environ.get("HOUSING_PORT") or DEFAULT_PORT
    try:
        connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_SECONDS)
        connection.request("GET", "/health", headers={"Connection": "close"})
        status = connection.getresponse().status
    except (OSError, ValueError, OverflowError, http.client.HTTPException) as error:
        print(f"{addresses.base_url(host, port)} does not answer: {error}", file=sys.stderr)
        return 1
    if status != http.client.OK:
        print(f"{addresses.base_url(host, port)} answers with status {status}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
