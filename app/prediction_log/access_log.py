"""The access log: every request in a line of JSON, refused and odd ones too. No header but the id
that a caller gave, no query and no body: these may hold secrets."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import orjson

from app.messages import HttpRequest
from app.prediction_log.file_lock import FileLock
from app.prediction_log.json_lines import MAX_FILE_BYTES, RotatingFile

ACCESS_LOG_TIMEOUT_SECONDS = 0.1  # seconds: it is no reason to keep an answer back

logger = logging.getLogger(__name__)


class AccessLog:
    """The file, shared by all workers; none if its name is empty."""

    def __init__(self, path: str, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        self._file = RotatingFile(Path(path), max_file_bytes) if path else None
        self._process_lock = FileLock(Path(f"{path}.lock"), ACCESS_LOG_TIMEOUT_SECONDS)
        self._thread_lock = threading.Lock()

    def write(self, records: list[tuple[HttpRequest, int, int]]) -> None:
        """A line for each request, with the status and the bytes of its answer. If it cannot be
        written, the service goes on without."""
        if self._file is None:
            return
        text = b"".join(_json_line(*one) for one in records)
        try:
            with self._thread_lock, self._process_lock():
                self._file.append(text)
        except OSError as failed:
            logger.warning("the access log cannot be written: %s", failed)


def _json_line(request: HttpRequest, status: int, response_bytes: int) -> bytes:
    line = {
        "at": request.received_at,
        "id": request.id,
        "client": request.client_address,
        "caller": request.api_key_name,
        "caller_id": request.client_request_id,
        "method": request.method,
        "path": request.path[:500],
        "status": status,
        "bytes": response_bytes,
        "ms": request.latency_ms(),
    }
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a path with half a character, which is no UTF-8
        path = line["path"].encode(errors="backslashreplace").decode()
        return orjson.dumps(line | {"path": path}, option=orjson.OPT_APPEND_NEWLINE)
