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
from app.problem_details import check_row_count, request_error
from housing.schema import FEATURE_NAMES

SANDBOX_TIMEOUT_SECONDS = 10.0  # seconds for a file, and for the process to start
MAX_SUMMARY_BYTES = 1_000_000  # bytes that are said of a file
RESPONSE_HEADER_STRUCT = struct.Struct("<QQ")
# MALLOC_PERTURB_ overwrites what is freed: no file's values may be found in the answer to another
SANDBOX_ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "MALLOC_PERTURB_": "165", "OMP_NUM_THREADS": "1",
         "OPENBLAS_NUM_THREADS": "1"}  # fmt: skip


def read_parquet(body: bytes, max_rows: int, allow_extra_columns: bool) -> np.ndarray:
    """(n, 8) float64, as `tables.read` gives them. Raises Refused, or ValueError for what is no
    Parquet file."""
    size = 100 * len(FEATURE_NAMES) * max_rows
    told, values = _sandboxed_reader.read(
        body, {"rows": max_rows, "bytes": size, "names": FEATURE_NAMES}
    )
    check_row_count(told["rows"], max_rows)
    if told["bytes"] > size:
        raise request_error(413, f"the table takes {told['bytes']:,} bytes when it is unpacked")
    columns.check_column_count(told["columns"])
    columns.check_columns([(name, kind) for name, kind in told["kinds"]], allow_extra_columns)
    columns.check_no_missing_values(told["empty"])
    return np.ascontiguousarray(np.frombuffer(values).reshape(len(FEATURE_NAMES), told["rows"]).T)


class SandboxedReader:
    """The process, which reads one file after another."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def read(self, body: bytes, limits: dict) -> tuple[dict, bytes]:
        """As `sandbox_worker.unpack`. Raises ValueError for what is no Parquet file, or ends the process.

        limits: the names of the columns, and how many rows and bytes there may be.
        """
        asked = json.dumps(limits | {"size": len(body)}).encode()
        with self._lock:
            child = self._ensure_process()
            late = threading.Timer(SANDBOX_TIMEOUT_SECONDS, child.kill)
            late.start()
            try:
                for one in (struct.pack("<Q", len(asked)), asked, body):
                    child.stdin.write(one)
                child.stdin.flush()
                told, values = _read_response(child)
            except (OSError, EOFError) as ended:
                self._kill_process()
                raise ValueError("the file ended the process that reads it") from ended
            finally:
                late.cancel()
        if "torn" in told:
            raise ValueError("pyarrow cannot read the file")
        return told, values

    def _ensure_process(self) -> subprocess.Popen[bytes]:
        """The process, which may be a new one."""
        if self._process and self._process.poll() is not None:
            self._kill_process()
        if self._process is None:
            script = Path(__file__).with_name("sandbox_worker.py")
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(script)], stdin=subprocess.PIPE, env=os.environ | SANDBOX_ENVIRONMENT,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            late = threading.Timer(SANDBOX_TIMEOUT_SECONDS, self._process.kill)
            late.start()
            try:
                _read_response(self._process)
            except EOFError:
                self._kill_process()
                raise
            finally:
                late.cancel()
        return self._process

    def _kill_process(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()
        self._process = None


def _read_response(process: subprocess.Popen[bytes]) -> tuple[dict, bytes]:
    """What the process says next. Raises EOFError if it ends."""
    text, values = RESPONSE_HEADER_STRUCT.unpack(
        _read_exactly(process, RESPONSE_HEADER_STRUCT.size)
    )
    if text > MAX_SUMMARY_BYTES:
        raise EOFError
    return json.loads(_read_exactly(process, text)), _read_exactly(process, values)


def _read_exactly(process: subprocess.Popen[bytes], size: int) -> bytes:
    found = process.stdout.read(size)
    if len(found) < size:
        raise EOFError
    return found


_sandboxed_reader = SandboxedReader()
