"""Arrow and Parquet, read in a sandbox: a process beside the worker that runs sandbox_worker.py.

The process is started at the first table and kept. A table that ends it is refused, and the next
one gets a new process.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import NamedTuple

import numpy as np

from app.codecs import columns, sandbox_worker
from app.codecs.columns import TableColumns
from app.codecs.sandbox_worker import ReadRequest, TableSummary
from app.problem_details import MAX_REPORTED_ERRORS, check_row_count, request_error

SANDBOX_TIMEOUT_SECONDS = 10.0  # without a byte from the process, which may have to start
MAX_BYTES_PER_VALUE = 100  # of a file when it is unpacked
TABLE_TOO_LARGE_MESSAGE = (
    f"the table cannot be read in {sandbox_worker.MAX_MEMORY_BYTES >> 20:,} MB of memory and "
    f"{sandbox_worker.MAX_CPU_SECONDS} seconds; it may be damaged, or send fewer rows"
)
SANDBOX_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    # overwrites what is freed: no table's values may appear in the response to another
    "MALLOC_PERTURB_": "165",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class SandboxedTable(NamedTuple):
    """The columns of a table that were asked for and are there."""

    row_count: int
    numbers: dict[str, np.ndarray]  # (n,) float64; NaN for a missing one
    texts: dict[str, list[str | None]]
    missing_cells: list[tuple[int, int]]  # row and column of the first numbers that are missing


def read_table(
    body: bytes,
    is_parquet: bool,
    max_rows: int,
    table_columns: TableColumns,
    allow_extra_columns: bool = False,
) -> SandboxedTable:
    """Return the columns of a Parquet file, or of an Arrow IPC stream or file.

    Raises RequestError, or ValueError if the body is no such table.
    """
    request = ReadRequest(
        is_parquet=is_parquet,
        number_columns=table_columns.number_names,
        text_columns=list(table_columns.text_names),
        required_columns=list(table_columns.required_names),
        max_rows=max_rows,
        max_bytes=MAX_BYTES_PER_VALUE * len(table_columns.names) * max_rows,
        max_columns=columns.MAX_TABLE_COLUMNS,
        max_missing_cells=MAX_REPORTED_ERRORS,
    )
    summary, values = _sandboxed_reader.read(body, request)
    columns.check_column_count(summary.column_count)
    columns.check_columns(summary.column_types, table_columns, allow_extra_columns)
    check_row_count(summary.row_count, max_rows)
    if summary.unpacked_bytes > request.max_bytes:
        raise request_error(
            413, f"the table takes {summary.unpacked_bytes:,} bytes when it is unpacked"
        )
    present = {name for name, _ in summary.column_types}
    number_names = [name for name in request.number_columns if name in present]
    text_names = [name for name in request.text_columns if name in present]
    value_count = len(number_names) * summary.row_count
    numbers = np.frombuffer(values, count=value_count).reshape(-1, summary.row_count)
    texts = json.loads(values[numbers.nbytes :])
    missing_cells = [(row, column) for row, column in summary.missing_cells]  # from JSON: lists
    return SandboxedTable(
        summary.row_count,
        dict(zip(number_names, numbers, strict=True)),
        dict(zip(text_names, texts, strict=True)),
        missing_cells,
    )


class SandboxedReader:
    """The process, which reads one table after another."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def read(self, body: bytes, request: ReadRequest) -> tuple[TableSummary, bytes]:
        """Return what `sandbox_worker.read_columns` returns of a table.

        Raises ValueError if the body is no such table, or if it ends the process; RequestError if
        it takes too much memory or time (400), or if there is no process (503).
        """
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                try:
                    self._start_process()
                except (OSError, EOFError) as error:
                    self._kill_process()
                    raise request_error(
                        503, "the process that reads tables does not start; try again, or send JSON"
                    ) from error
            try:
                sandbox_worker.write_message(self._stream, request, body)
                header, values = sandbox_worker.read_message(self._stream)
            except (OSError, EOFError) as error:
                exit_code = self._kill_process()
                if exit_code == -signal.SIGXCPU or isinstance(error, TimeoutError):
                    raise request_error(400, TABLE_TOO_LARGE_MESSAGE) from error
                raise ValueError("the table ended the process that reads it") from error
        if header == sandbox_worker.OUT_OF_MEMORY:
            raise request_error(400, TABLE_TOO_LARGE_MESSAGE)
        if header is None:
            raise ValueError("pyarrow cannot read the table")
        return TableSummary(*header), values

    def _start_process(self) -> None:
        """Start the process and wait until it is ready. Raises OSError or EOFError."""
        socket_here, socket_there = socket.socketpair()
        with socket_here, socket_there:
            socket_here.settimeout(SANDBOX_TIMEOUT_SECONDS)
            self._process = subprocess.Popen(
                [sys.executable, "-P", sandbox_worker.__file__],
                stdin=socket_there.fileno(),
                stdout=socket_there.fileno(),
                stderr=subprocess.DEVNULL,
                env=os.environ | SANDBOX_ENVIRONMENT,
                start_new_session=True,
            )
            self._stream = socket_here.makefile("rwb")
        sandbox_worker.read_message(self._stream)

    def _kill_process(self) -> int | None:
        """Return the exit code of the process, which is its own if it has ended by itself."""
        if self._process is None:
            return None
        self._process.kill()
        return self._process.wait()


_sandboxed_reader = SandboxedReader()
