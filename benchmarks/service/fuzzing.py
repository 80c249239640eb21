"""Whether anything that a client sends harms the service.

.venv/bin/python -m benchmarks.service.fuzzing [--minutes 10] [--seed 0] [--connections 24] [--home FOLDER]

Connections send valid requests that were changed at random (odd.py), to the real service. Each
answer must be HTTP, its JSON strict, no failure of the service's and no word of its inside; all
workers must live on, with little more memory and no traceback in their log; and a plain request in
between is answered rightly. What was sent when one of these did not hold is written to a file, and
the run ends.
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

import orjson

from benchmarks.support.local_service import Client, Running, post, rows, running
from benchmarks.support.request_mutations import Odd, bodies, odd
from housing import paths

PATIENCE = 20.0  # seconds for all answers of a connection
SLOWEST = 5.0  # seconds for a plain request in between
GROWTH = 400 << 20  # bytes that a worker may take more than at its start
SECRETS = (b"Traceback", b"site-packages", b'File "/', b"/lib/python", b"pyarrow.lib", b"0x7f")
STRICT = {"HEADER_SECONDS": 1, "BODY_SECONDS": 2, "IDLE_SECONDS": 2}


class Finding(Exception):
    """Raised for what must not be."""


class Seen:
    """What has come of it so far."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.sent = self.plain = 0
        self.worst = self.worst_plain = 0.0
        self.statuses: Counter[int] = Counter()
        self.found: tuple[str, list[bytes]] | None = None

    def over(self) -> bool:
        """Whether it is time to end."""
        return self.found is not None or time.monotonic() > self.end


def main() -> int:
    """Prints what was sent and answered; exit code 1 if something must not have been."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--connections", type=int, default=24)
    parser.add_argument("--home", type=Path, default=paths.home())
    parser.add_argument("--found", type=Path, default=Path("found.bin"), help="where it is written")
    options = parser.parse_args()
    with running(options.home.resolve(), **STRICT) as service:
        seen = asyncio.run(fuzzed(service, options))
        said = service.said()
    told = ", ".join(f"{status}: {many:,}" for status, many in sorted(seen.statuses.items()))
    print(f"{seen.sent:,} connections with odd requests; answers {told or 'none'}")
    print(f"the slowest took {seen.worst:.2f} s; of {seen.plain:,} plain requests in between the "
          f"slowest took {seen.worst_plain:.2f} s")  # fmt: skip
    if seen.found:
        options.found.write_bytes(b"".join(seen.found[1]))
        print(f"FOUND: {seen.found[0]}\nwhat was sent is in {options.found}\n{said[-3_000:]}")
        return 1
    return 0


async def fuzzed(service: Running, options: argparse.Namespace) -> Seen:
    """What came of that many minutes."""
    seen, known = Seen(options.minutes * 60), bodies()
    sending = [_send(service, seen, random.Random(f"{options.seed} {at}"), known)
               for at in range(options.connections)]  # fmt: skip
    await asyncio.gather(_plain(service, seen), _watch(service, seen), *sending)
    return seen


async def _send(service: Running, seen: Seen, chance: random.Random, known: list) -> None:
    while not seen.over():
        one, started = odd(chance, known), time.monotonic()
        try:
            text = await asyncio.wait_for(_asked(service.port, one), PATIENCE)
            for status in checked(text, service, b"HEAD" in b"".join(one.pieces)):
                seen.statuses[status] += 1
        except Finding as wrong:
            seen.found = seen.found or (str(wrong), one.pieces)
        except TimeoutError:
            seen.found = seen.found or (f"no end after {PATIENCE} seconds", one.pieces)
        seen.sent += 1
        seen.worst = max(seen.worst, time.monotonic() - started)


async def _asked(port: int, one: Odd) -> bytes:
    """All that comes back until the service closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    text: list[bytes] = []

    async def read() -> None:
        with suppress(ConnectionError):
            while part := await reader.read(1 << 16):
                text.append(part)

    reading = asyncio.create_task(read()) if one.reads else None
    with suppress(ConnectionError):
        for piece in one.pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(one.pause)
    if reading:
        await reading
    writer.transport.abort()
    return b"".join(text)


def checked(text: bytes, service: Running, heads: bool) -> list[int]:
    """The statuses of the answers in what came back. Raises Finding.

    heads: whether some may be answers to HEAD, which have no body.
    """
    found = []
    while text:
        head, _, text = text.partition(b"\r\n\r\n")
        line = re.match(rb"HTTP/1\.1 (\d{3}) [ -~]*(\r\n[!-~]+: [ -~]*)*$", head)
        if not line:
            raise Finding(f"no head of an answer: {head[:300]!r}")
        status = int(line[1])
        if status == 100:
            continue
        found.append(status)
        told = dict(one.lower().split(b": ", 1) for one in head.split(b"\r\n")[1:])
        if heads and (not text or text.startswith(b"HTTP/1.1 ")):
            continue
        size = int(told.get(b"content-length", 0))
        body, text = text[:size], text[size:]
        if len(body) == size:  # else the connection ended before: it was cut, and may be
            _check(status, told.get(b"content-type", b""), body, service)
    return found


def _check(status: int, kind: bytes, body: bytes, service: Running) -> None:
    if status >= 500 and not (status == 503 and b"try again" in body):
        raise Finding(f"answered {status}: {body[:500]!r}")
    secrets = (*SECRETS, str(paths.PROJECT_ROOT).encode(), str(service.folder).encode())
    told = [one for one in secrets if one in body]
    if told and status >= 400:
        raise Finding(f"{told[0]!r} is in an answer: {body[:500]!r}")
    if b"json" in kind:
        try:
            json.dumps(json.loads(body, parse_constant=_refuse), ensure_ascii=False).encode()
        except ValueError as torn:
            raise Finding(f"no strict JSON ({torn}): {body[:500]!r}") from torn


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} in it")


async def _plain(service: Running, seen: Seen) -> None:
    """A valid request, over and over: its answer must be the first one's."""
    asking, first = post(orjson.dumps(rows(1, 7)[0])), None
    while not seen.over():
        client, started = Client(service.port), time.monotonic()
        try:
            status, _, body = await asyncio.wait_for(client.ask(asking), SLOWEST)
            answer = json.loads(body)
            first = first or answer.get("prediction")
            if status != 200 or answer["prediction"] != first:
                raise Finding(f"a plain request was answered {status}: {body[:300]!r}")
        except (ConnectionError, TimeoutError, Finding) as wrong:
            seen.found = seen.found or (f"a plain request: {wrong!r}", [asking])
        client.close()
        seen.plain += 1
        seen.worst_plain = max(seen.worst_plain, time.monotonic() - started)
        await asyncio.sleep(0.02)


async def _watch(service: Running, seen: Seen) -> None:
    """Whether the workers are the same, and how much memory they take."""
    before = {pid: _memory(pid) for pid in service.workers()}
    while not seen.over():
        await asyncio.sleep(0.5)
        now = service.workers()
        if now != list(before):
            seen.found = seen.found or (f"a worker died: {list(before)} are {now} now", [])
            return
        for pid in now:
            if "Traceback" in service.said():
                seen.found = seen.found or ("the service's log has a traceback", [])
            if _memory(pid) - before[pid] > GROWTH:
                seen.found = seen.found or (f"a worker takes {_memory(pid):,} bytes", [])


def _memory(pid: int) -> int:
    with suppress(OSError):
        told = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        return int(told[1]) * 1024 if told else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
