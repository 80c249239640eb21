"""One client for the API, wherever it runs: Flask's own client, or `python -m app` by sockets.

A test that takes the fixture `api` or `start_api` of tests/app/conftest.py runs against both.
"""

import http.client
import json
import os
import select
import sqlite3
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import pytest
from werkzeug.datastructures import Headers

from app import create_app
from app.auth.api_keys import KEY_FILE_CHECK_SECONDS
from app.model.champion import RELOAD_INTERVAL_SECONDS
from housing.paths import PROJECT_ROOT
from tests.support.processes import free_port, managed_process, wait_for_response

RESPONSE_TIMEOUT_SECONDS = 60
OUTPUT_FILE = "output.txt"


class ApiResponse(NamedTuple):
    """A response of the API; its headers have any case."""

    status_code: int
    headers: Headers
    data: bytes

    @property
    def text(self) -> str:
        """The body, which is UTF-8."""
        return self.data.decode()

    @property
    def json(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.data)

    @property
    def content_type(self) -> str:
        """The media type with its parameters."""
        return self.headers.get("content-type", "")

    @property
    def mimetype(self) -> str:
        """The media type without its parameters."""
        return self.content_type.partition(";")[0]


class Api(ABC):
    """The API of one instance of the service, and what that instance has logged.

    settings: without the prefix HOUSING_. The rows and lines are those written since this object
    was created.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self._first_row = self._last_row_id()
        self._log_file = Path(settings["LOG_FILE"])
        self._log_start = self._log_inode_and_size()

    @abstractmethod
    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> ApiResponse:
        """Send a request. path: percent-encoded, maybe with a query."""

    @abstractmethod
    def wait_until_files_are_read(self) -> None:
        """Return once the next request sees a change of the API keys or of the champion."""

    @abstractmethod
    def messages(self) -> str:
        """Return what the instance has reported to its operator."""

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> ApiResponse:
        """Send a GET request."""
        return self.request("GET", path, headers=headers)

    def post(
        self,
        path: str,
        data: bytes = b"",
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> ApiResponse:
        """Send a POST request. json: a value to send as JSON instead of the data."""
        if json is not None:
            data, content_type = _encode_json(json), "application/json"
        type_header = {"Content-Type": content_type} if content_type is not None else {}
        return self.request("POST", path, data, {**type_header, **(headers or {})})

    def log_rows(self) -> list[dict[str, Any]]:
        """Return the rows of the prediction log, the oldest first."""
        return self._select("rowid > ? ORDER BY rowid", self._first_row)

    def log_row(self, row_id: str) -> dict[str, Any]:
        """Return the row of that id."""
        [row] = self._select("id = ?", row_id)
        return row

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the lines of the prediction log's file."""
        if not self._log_file.is_file():
            return []
        (first_inode, first_size), (inode, _) = self._log_start, self._log_inode_and_size()
        start = first_size if inode == first_inode else 0
        return [json.loads(line) for line in self._log_file.read_bytes()[start:].splitlines()]

    def _select(self, condition: str, value: int | str) -> list[dict[str, Any]]:
        if not self._database.is_file():
            return []
        with closing(sqlite3.connect(self._database)) as connection:
            connection.row_factory = sqlite3.Row
            query = f"SELECT * FROM prediction WHERE {condition}"
            return [dict(row) for row in connection.execute(query, [value])]

    @property
    def _database(self) -> Path:
        return Path(self.settings["DATABASE"])

    def _log_inode_and_size(self) -> tuple[int, int]:
        if not self._log_file.is_file():
            return 0, 0
        status = self._log_file.stat()
        return status.st_ino, status.st_size

    def _last_row_id(self) -> int:
        if not self._database.is_file():
            return 0
        with closing(sqlite3.connect(self._database)) as connection, suppress(sqlite3.Error):
            return connection.execute("SELECT max(rowid) FROM prediction").fetchone()[0] or 0
        return 0


class FlaskApi(Api):
    """The API as `create_app` returns it, without a server."""

    def __init__(
        self, settings: Mapping[str, Any], caplog: pytest.LogCaptureFixture | None = None
    ) -> None:
        super().__init__(settings)
        self.app, self._caplog = create_app(dict(settings)), caplog
        self._client = self.app.test_client()

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> ApiResponse:
        """Send a request; the app gets its path and its query as a WSGI server would give them."""
        raw_path, _, query_string = path.partition("?")
        response = self._client.open(
            method=method,
            data=body,
            headers=headers,
            environ_overrides={
                "PATH_INFO": unquote_to_bytes(raw_path).decode("latin-1"),
                "QUERY_STRING": query_string,
                "REMOTE_ADDR": "127.0.0.1",
            },
        )
        return ApiResponse(response.status_code, response.headers, response.data)

    def wait_until_files_are_read(self) -> None:
        """Make the next request look at the files, without the usual wait."""
        self.app.extensions["api_key_auth"]._next_check_at = 0
        self.app.extensions["champion"]._next_check_at = 0

    def messages(self) -> str:
        """Return what was logged in this process."""
        return self._caplog.text if self._caplog else ""

    def close(self) -> None:
        """Close the log's files."""
        self.app.extensions["log"].close()


class ServerApi(Api):
    """The API as `python -m app` serves it."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """settings: those of a service that runs, with its PORT."""
        super().__init__(settings)
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", settings["PORT"], timeout=RESPONSE_TIMEOUT_SECONDS
        )

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> ApiResponse:
        """Send a request on a connection that stays open until the service closes it."""
        idle_socket = self._connection.sock
        if idle_socket and select.select([idle_socket], [], [], 0)[0]:  # closed by the service
            self._connection.close()
        self._connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": "localhost", **(headers or {})}.items():
            self._connection.putheader(name, value.encode("latin-1"))
        if body or method in ("POST", "PUT", "PATCH"):
            self._connection.putheader("Content-Length", str(len(body)))
        with suppress(ConnectionError):  # it may have answered before it has read all
            self._connection.endheaders(body)
        response = self._connection.getresponse()
        return ApiResponse(response.status, Headers(response.getheaders()), response.read())

    def wait_until_files_are_read(self) -> None:
        """Wait for as long as the service may go on with what it has read."""
        time.sleep(max(KEY_FILE_CHECK_SECONDS, 2 * RELOAD_INTERVAL_SECONDS) + 0.1)

    def messages(self) -> str:
        """Return what the service has written to stdout and stderr."""
        return (Path(self.settings["COUNTS"]).parent / OUTPUT_FILE).read_text()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _encode_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def state_settings(folder: Path, serving_folder: Path) -> dict[str, Any]:
    """Return settings of an instance that writes to a folder, and to no other."""
    files = {
        "DATABASE": "logs.db",
        "ARCHIVE": "archive",
        "LOG_FILE": "api.log",
        "ACCESS_LOG": "access.log",
        "COUNTS": "counts",
        "KEYS": "keys.json",
        "REPORTS": "reports",
        "VERDICT": "verdict.json",
    }
    settings = {name: str(folder / file) for name, file in files.items()}
    return settings | {"SERVING": str(serving_folder)}


@contextmanager
def run_server(settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Run `python -m app` with one worker; yield its settings once it answers."""
    started_settings = {"WORKERS": 1, "PORT": free_port(), **settings}
    variables = {f"HOUSING_{name}": str(value) for name, value in started_settings.items()}
    with (
        (Path(settings["COUNTS"]).parent / OUTPUT_FILE).open("ab") as output,
        managed_process(
            sys.executable,
            "-m",
            "app",
            env=os.environ | variables,
            cwd=PROJECT_ROOT,
            stdout=output,
            stderr=output,
        ),
    ):
        wait_for_response(f"http://127.0.0.1:{started_settings['PORT']}/health")
        yield started_settings
