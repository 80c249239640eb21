"""The access log: one line of JSON for each request, refused and malformed ones too.

No header except the id that the client sent, no query string and no body: these may hold secrets.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import orjson

from app.messages import HttpRequest
from app.prediction_log.json_lines import MAX_FILE_BYTES, RotatingFile
from housing.prediction_log.lock import FileLock

ACCESS_LOG_TIMEOUT_SECONDS = 0.1  # a log that is busy is no reason to hold a response back
MAX_LOGGED_PATH_CHARS = 500

logger = logging.getLogger(__name__)


class AccessLog:
    """The file, shared by all workers; nothing is written if its name is empty."""

    def __init__(self, path: str, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        self._file = RotatingFile(Path(path), max_file_bytes) if path else None
        self._process_lock = FileLock(Path(f"{path}.lock"), ACCESS_LOG_TIMEOUT_SECONDS)
        self._thread_lock = threading.Lock()

    def write(self, records: list[tuple[HttpRequest, int, int]]) -> None:
        """Append a line for each request, its status and the bytes of its response.

        If the file cannot be written, a warning is logged and the service goes on.
        """
        if self._file is None:
            return
        lines = b"".join(_json_line(*record) for record in records)
        try:
            with self._thread_lock, self._process_lock:
                self._file.append(lines)
        except OSError as error:
            logger.warning("the access log cannot be written: %s", error)


def _json_line(request: HttpRequest, status: int, response_bytes: int) -> bytes:
    path = request.path[:MAX_LOGGED_PATH_CHARS]
    line = {
        "at": request.received_at,
        "id": request.id,
        "client": request.client_address,
        "caller": request.api_key_name,
        "caller_id": request.client_request_id,
        "method": request.method,
        "path": path,
        "status": status,
        "bytes": response_bytes,
        "ms": request.latency_ms(),
    }
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a path with a lone surrogate is no UTF-8
        escaped_path = path.encode(errors="backslashreplace").decode()
        return orjson.dumps(line | {"path": escaped_path}, option=orjson.OPT_APPEND_NEWLINE)
