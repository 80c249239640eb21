"""Check that nothing a client sends harms the service.

.venv/bin/python -m benchmarks.service.fuzzing [--minutes 10] [--seed 0] [--home FOLDER]

Connections send randomly mutated requests (benchmarks/support/request_mutations.py) to the real
service. Each response must be valid HTTP with strict JSON, no internal error and no internal
details; all workers must survive with little more memory and no traceback in their log; and plain
requests sent meanwhile must get the right prediction. At the first violation the run ends, and the
bytes that caused it are written to a file.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import orjson

from benchmarks.support.local_service import (
    Client,
    Service,
    post_request,
    random_block_groups,
    run_service,
)
from benchmarks.support.request_mutations import (
    ConnectionScript,
    ValidRequest,
    random_script,
    valid_requests,
)
from housing import paths

CONNECTION_SECONDS = 20.0  # for all responses of a connection
PLAIN_REQUEST_SECONDS = 5.0
MAX_GROWTH_BYTES = 400 << 20  # of a worker's memory, since its start
SECRETS = (b"Traceback", b"site-packages", b'File "/', b"/lib/python", b"pyarrow.lib", b"0x7f")
SHORT_TIMEOUTS = {"HEADER_SECONDS": 1, "BODY_SECONDS": 2, "IDLE_SECONDS": 2}


class ViolationError(Exception):
    """Raised for a response that the service must not give."""


class FuzzingStatus:
    """Counts so far, the first violation, and the end of the run."""

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self.n_scripts = self.n_plain = 0
        self.slowest_script = self.slowest_plain = 0.0  # seconds
        self.statuses: Counter[int] = Counter()
        self.violation: str | None = None
        self.sent: list[bytes] = []  # what led to the violation

    def is_over(self) -> bool:
        """Return whether a violation was found, or the time is over."""
        return self.violation is not None or time.monotonic() > self.deadline

    def add_violation(self, violation: str, sent: list[bytes]) -> None:
        """Keep a violation, unless there is an earlier one."""
        if self.violation is None:
            self.violation, self.sent = violation, sent


def main() -> int:
    """Print what was sent and answered; return 1 if there was a violation."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--connections", type=int, default=24)
    parser.add_argument("--home", type=Path, default=paths.home())
    parser.add_argument(
        "--found", type=Path, default=Path("found.bin"), help="file for what led to a violation"
    )
    options = parser.parse_args()
    with run_service(options.home.resolve(), **SHORT_TIMEOUTS) as service:
        status = asyncio.run(fuzz(service, options))
        output = service.output()
    counts = ", ".join(f"{code}: {count:,}" for code, count in sorted(status.statuses.items()))
    print(f"{status.n_scripts:,} connections with mutated requests; responses {counts or 'none'}")
    print(
        f"the slowest took {status.slowest_script:.2f} s; of {status.n_plain:,} plain requests in "
        f"between the slowest took {status.slowest_plain:.2f} s"
    )
    if status.violation is not None:
        options.found.write_bytes(b"".join(status.sent))
        print(f"VIOLATION: {status.violation}\nthe bytes sent are in {options.found}")
        print(output[-3_000:])
        return 1
    return 0


async def fuzz(service: Service, options: argparse.Namespace) -> FuzzingStatus:
    """Send mutated requests for the given minutes, or until a violation."""
    status, requests = FuzzingStatus(options.minutes * 60), valid_requests()
    connections = [
        _send_scripts(service, status, random.Random(f"{options.seed} {number}"), requests)
        for number in range(options.connections)
    ]
    await asyncio.gather(
        _send_plain_requests(service, status), _watch_workers(service, status), *connections
    )
    return status


async def _send_scripts(
    service: Service,
    status: FuzzingStatus,
    generator: random.Random,
    requests: list[ValidRequest],
) -> None:
    while not status.is_over():
        script, start = random_script(generator, requests), time.monotonic()
        try:
            received = await asyncio.wait_for(_exchange(service.port, script), CONNECTION_SECONDS)
            status.statuses.update(
                check_responses(received, service, b"HEAD" in b"".join(script.segments))
            )
        except ViolationError as error:
            status.add_violation(str(error), script.segments)
        except TimeoutError:
            status.add_violation(
                f"the connection is open after {CONNECTION_SECONDS} seconds", script.segments
            )
        status.n_scripts += 1
        status.slowest_script = max(status.slowest_script, time.monotonic() - start)


async def _exchange(port: int, script: ConnectionScript) -> bytes:
    """Send a script; return all that is received until the service closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received: list[bytes] = []

    async def read() -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                received.append(data)

    reading = asyncio.create_task(read()) if script.reads_responses else None
    with suppress(ConnectionError):
        for segment in script.segments:
            writer.write(segment)
            await writer.drain()
            await asyncio.sleep(script.pause)
    if reading:
        await reading
    writer.transport.abort()
    return b"".join(received)


def check_responses(received: bytes, service: Service, may_lack_body: bool) -> list[int]:
    """Return the statuses of the responses in what was received. Raises ViolationError.

    may_lack_body: whether some may be responses to HEAD, which have no body.
    """
    statuses = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        match = re.match(rb"HTTP/1\.1 (\d{3}) [ -~]*(\r\n[!-~]+: [ -~]*)*$", head)
        if not match:
            raise ViolationError(f"no valid response headers: {head[:300]!r}")
        status = int(match[1])
        if status == 100:
            continue
        statuses.append(status)
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if may_lack_body and (not received or received.startswith(b"HTTP/1.1 ")):
            continue
        size = int(headers.get(b"content-length", 0))
        body, received = received[:size], received[size:]
        if len(body) == size:  # else the connection was closed in the middle, which is allowed
            _check_body(status, headers.get(b"content-type", b""), body, service)
    return statuses


def _check_body(status: int, content_type: bytes, body: bytes, service: Service) -> None:
    if status >= 500 and not (status == 503 and b"try again" in body):
        raise ViolationError(f"status {status}: {body[:500]!r}")
    secrets = (*SECRETS, str(paths.PROJECT_ROOT).encode(), str(service.folder).encode())
    leaked = [secret for secret in secrets if secret in body]
    if leaked and status >= 400:
        raise ViolationError(f"{leaked[0]!r} is in a response: {body[:500]!r}")
    if b"json" in content_type:
        try:
            content = json.loads(body, parse_constant=_reject_constant)
            json.dumps(content, ensure_ascii=False).encode()
        except ValueError as error:
            raise ViolationError(f"no strict JSON ({error}): {body[:500]!r}") from error


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(f"it contains {constant}")


async def _send_plain_requests(service: Service, status: FuzzingStatus) -> None:
    """Send one valid request repeatedly: its prediction must always be the first one."""
    request, first_prediction = post_request(orjson.dumps(random_block_groups(1, 7)[0])), None
    while not status.is_over():
        client, start = Client(service.port), time.monotonic()
        try:
            code, _, body = await asyncio.wait_for(client.send(request), PLAIN_REQUEST_SECONDS)
            response = json.loads(body)
            first_prediction = first_prediction or response.get("prediction")
            if code != 200 or response["prediction"] != first_prediction:
                raise ViolationError(f"a plain request got status {code}: {body[:300]!r}")
        except (ConnectionError, TimeoutError, ViolationError) as error:
            status.add_violation(f"a plain request failed: {error!r}", [request])
        client.close()
        status.n_plain += 1
        status.slowest_plain = max(status.slowest_plain, time.monotonic() - start)
        await asyncio.sleep(0.02)


async def _watch_workers(service: Service, status: FuzzingStatus) -> None:
    """Check that the workers stay the same, log no traceback, and need little more memory."""
    memory_at_start = {pid: _resident_bytes(pid) for pid in service.workers()}
    while not status.is_over():
        await asyncio.sleep(0.5)
        workers = service.workers()
        if workers != list(memory_at_start):
            status.add_violation(f"a worker died: {list(memory_at_start)} are {workers} now", [])
            return
        if "Traceback" in service.output():
            status.add_violation("the service's log has a traceback", [])
        for pid in workers:
            if _resident_bytes(pid) - memory_at_start[pid] > MAX_GROWTH_BYTES:
                status.add_violation(f"a worker uses {_resident_bytes(pid):,} bytes", [])


def _resident_bytes(pid: int) -> int:
    with suppress(OSError):
        match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        return int(match[1]) * 1024 if match else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
