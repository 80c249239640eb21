"""Parquet files, read in a sandbox: a process beside the worker that runs sandbox_worker.py.

The process is started at the first file and kept. A file that ends it is refused, and the next file
gets a new process.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np

from app.codecs import columns, sandbox_worker
from app.codecs.sandbox_worker import FileSummary, ReadRequest
from app.problem_details import check_row_count, request_error
from housing.schema import FEATURE_NAMES

SANDBOX_TIMEOUT_SECONDS = 10.0  # for a file, and for the process to start
MAX_SUMMARY_BYTES = 1_000_000  # of the summary of a file
MAX_BYTES_PER_VALUE = 100  # of a file when it is unpacked
REQUEST_HEADER_STRUCT = struct.Struct("<Q")
RESPONSE_HEADER_STRUCT = struct.Struct("<QQ")
SANDBOX_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    # overwrites what is freed: no file's values may appear in the response to another
    "MALLOC_PERTURB_": "165",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def decode_parquet(body: bytes, max_rows: int, allow_extra_columns: bool) -> np.ndarray:
    """Return a Parquet file's (n, 8) float64, as `tables.decode_table` does.

    Raises RequestError, or ValueError if the body is no Parquet file.
    """
    request = ReadRequest(
        body_size=len(body),
        column_names=FEATURE_NAMES,
        max_rows=max_rows,
        max_bytes=MAX_BYTES_PER_VALUE * len(FEATURE_NAMES) * max_rows,
        max_columns=columns.MAX_TABLE_COLUMNS,
    )
    summary, values = _sandboxed_reader.read(body, request)
    check_row_count(summary.row_count, max_rows)
    if summary.unpacked_bytes > request.max_bytes:
        raise request_error(
            413, f"the table takes {summary.unpacked_bytes:,} bytes when it is unpacked"
        )
    columns.check_column_count(summary.column_count)
    columns.check_columns(summary.column_types, allow_extra_columns)
    columns.check_no_missing_values(summary.first_missing_rows)
    by_column = np.frombuffer(values).reshape(len(FEATURE_NAMES), summary.row_count)
    return np.ascontiguousarray(by_column.T)


class SandboxedReader:
    """The process, which reads one file after another."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def read(self, body: bytes, request: ReadRequest) -> tuple[FileSummary, bytes]:
        """Return what `sandbox_worker.read_columns` returns of a file.

        Raises ValueError if the body is no Parquet file, or if it ends the process.
        """
        request_json = json.dumps(request).encode()
        with self._lock:
            process = self._ensure_process()
            try:
                with _killed_after_timeout(process):
                    for data in (REQUEST_HEADER_STRUCT.pack(len(request_json)), request_json, body):
                        _pipe(process.stdin).write(data)
                    _pipe(process.stdin).flush()
                    summary, values = _read_response(process)
            except (OSError, EOFError) as error:
                self._kill_process()
                raise ValueError("the file ended the process that reads it") from error
        if summary is None:
            raise ValueError("pyarrow cannot read the file")
        return summary, values

    def _ensure_process(self) -> subprocess.Popen[bytes]:
        """Return the process, started anew if there is none or it has ended."""
        if self._process and self._process.poll() is not None:
            self._kill_process()
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", sandbox_worker.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | SANDBOX_ENVIRONMENT,
                start_new_session=True,
            )
            try:
                with _killed_after_timeout(self._process):
                    _read_response(self._process)
            except EOFError:
                self._kill_process()
                raise
        return self._process

    def _kill_process(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            _pipe(pipe).close()
        self._process = None


@contextmanager
def _killed_after_timeout(process: subprocess.Popen[bytes]) -> Iterator[None]:
    timer = threading.Timer(SANDBOX_TIMEOUT_SECONDS, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _read_response(process: subprocess.Popen[bytes]) -> tuple[FileSummary | None, bytes]:
    """Return the next response of the process, without a summary if it could not read the file.

    Raises EOFError if the process ends.
    """
    header = _read_exactly(process, RESPONSE_HEADER_STRUCT.size)
    summary_size, values_size = RESPONSE_HEADER_STRUCT.unpack(header)
    if summary_size > MAX_SUMMARY_BYTES:
        raise EOFError
    fields = json.loads(_read_exactly(process, summary_size))
    values = _read_exactly(process, values_size)
    return None if fields is None else FileSummary(*fields), values


def _read_exactly(process: subprocess.Popen[bytes], size: int) -> bytes:
    data = _pipe(process.stdout).read(size)
    if len(data) < size:
        raise EOFError
    return data


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """Return a stream of the process, which is started with pipes for both."""
    assert stream is not None
    return stream


_sandboxed_reader = SandboxedReader()
