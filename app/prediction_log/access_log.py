"""The access log: every request in a line of JSON, refused and odd ones too. No header but the id
that a caller gave, no query and no body: these may hold secrets."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import orjson

from app.messages import Asked
from app.prediction_log.file_lock import Alone
from app.prediction_log.json_lines import FILE_SIZE, Lines

PATIENCE = 0.1  # seconds: it is no reason to keep an answer back

logger = logging.getLogger(__name__)


class Access:
    """The file, shared by all workers; none if its name is empty."""

    def __init__(self, path: str, size: int = FILE_SIZE) -> None:
        self._lines = Lines(Path(path), size) if path else None
        self._alone = Alone(Path(f"{path}.lock"), PATIENCE)
        self._mutex = threading.Lock()

    def write(self, told: list[tuple[Asked, int, int]]) -> None:
        """A line for each request, with the status and the bytes of its answer. If it cannot be
        written, the service goes on without."""
        if self._lines is None:
            return
        text = b"".join(_line(*one) for one in told)
        try:
            with self._mutex, self._alone():
                self._lines.append(text)
        except OSError as failed:
            logger.warning("the access log cannot be written: %s", failed)


def _line(asked: Asked, status: int, size: int) -> bytes:
    line = {
        "at": asked.asked_at,
        "id": asked.id,
        "client": asked.client,
        "caller": asked.caller,
        "caller_id": asked.caller_id,
        "method": asked.method,
        "path": asked.path[:500],
        "status": status,
        "bytes": size,
        "ms": asked.latency(),
    }
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a path with half a character, which is no UTF-8
        path = line["path"].encode(errors="backslashreplace").decode()
        return orjson.dumps(line | {"path": path}, option=orjson.OPT_APPEND_NEWLINE)
