"""Parquet files, read by a process beside the worker: see sandbox_worker.py. It is started at the first
file and kept; a file that ends it is refused, and the next file gets a new one."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

from app.codecs import columns
from app.problem_details import check_count, refused
from housing.schema import NAMES

PATIENCE = 10.0  # seconds for a file, and for the process to start
MOST_TOLD = 1_000_000  # bytes that are said of a file
SIZES = struct.Struct("<QQ")
# MALLOC_PERTURB_ overwrites what is freed: no file's values may be found in the answer to another
ALONE = {"MALLOC_ARENA_MAX": "1", "MALLOC_PERTURB_": "165", "OMP_NUM_THREADS": "1",
         "OPENBLAS_NUM_THREADS": "1"}  # fmt: skip


def read(body: bytes, most_rows: int, more: bool) -> np.ndarray:
    """(n, 8) float64, as `tables.read` gives them. Raises Refused, or ValueError for what is no
    Parquet file."""
    size = 100 * len(NAMES) * most_rows
    told, values = _unpacker.ask(body, {"rows": most_rows, "bytes": size, "names": NAMES})
    check_count(told["rows"], most_rows)
    if told["bytes"] > size:
        raise refused(413, f"the table takes {told['bytes']:,} bytes when it is unpacked")
    columns.check_width(told["columns"])
    columns.check([(name, kind) for name, kind in told["kinds"]], more)
    columns.check_complete(told["empty"])
    return np.ascontiguousarray(np.frombuffer(values).reshape(len(NAMES), told["rows"]).T)


class Unpacker:
    """The process, which reads one file after another."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, body: bytes, limits: dict) -> tuple[dict, bytes]:
        """As `sandbox_worker.unpack`. Raises ValueError for what is no Parquet file, or ends the process.

        limits: the names of the columns, and how many rows and bytes there may be.
        """
        asked = json.dumps(limits | {"size": len(body)}).encode()
        with self._lock:
            child = self._start()
            late = threading.Timer(PATIENCE, child.kill)
            late.start()
            try:
                for one in (struct.pack("<Q", len(asked)), asked, body):
                    child.stdin.write(one)
                child.stdin.flush()
                told, values = _answer(child)
            except (OSError, EOFError) as ended:
                self._end()
                raise ValueError("the file ended the process that reads it") from ended
            finally:
                late.cancel()
        if "torn" in told:
            raise ValueError("pyarrow cannot read the file")
        return told, values

    def _start(self) -> subprocess.Popen[bytes]:
        """The process, which may be a new one."""
        if self._child and self._child.poll() is not None:
            self._end()
        if self._child is None:
            script = Path(__file__).with_name("sandbox_worker.py")
            self._child = subprocess.Popen(
                [sys.executable, "-P", str(script)], stdin=subprocess.PIPE, env=os.environ | ALONE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            late = threading.Timer(PATIENCE, self._child.kill)
            late.start()
            try:
                _answer(self._child)
            except EOFError:
                self._end()
                raise
            finally:
                late.cancel()
        return self._child

    def _end(self) -> None:
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            pipe.close()
        self._child = None


def _answer(child: subprocess.Popen[bytes]) -> tuple[dict, bytes]:
    """What the process says next. Raises EOFError if it ends."""
    text, values = SIZES.unpack(_exactly(child, SIZES.size))
    if text > MOST_TOLD:
        raise EOFError
    return json.loads(_exactly(child, text)), _exactly(child, values)


def _exactly(child: subprocess.Popen[bytes], size: int) -> bytes:
    found = child.stdout.read(size)
    if len(found) < size:
        raise EOFError
    return found


_unpacker = Unpacker()
