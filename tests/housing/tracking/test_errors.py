"""A tracking server that answers, and is not willing, or no MLflow server at all."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

from housing.registry import versions
from housing.tracking import errors, probe
from tests.support.commands import run_command

NAME = "california-housing"


class CannedResponse(NamedTuple):
    """What the server answers to every request, whatever its path."""

    status: int
    body: str
    content_type: str = "text/plain"


# of MLflow's own login; of proxies in front of it
UNAUTHENTICATED_ANSWER = CannedResponse(
    401, "You are not authenticated. Please see https://www.mlflow.org"
)
UNAUTHORIZED_JSON_ANSWER = CannedResponse(401, '{"detail": "Unauthorized"}', "application/json")
UNAUTHENTICATED_JSON_ANSWER = CannedResponse(
    401, '{"error_code": "UNAUTHENTICATED", "message": "no"}'
)
FORBIDDEN_ANSWER = CannedResponse(403, "Permission denied")
FORBIDDEN_JSON_ANSWER = CannedResponse(403, '{"error_code": "PERMISSION_DENIED", "message": "no"}')
NOT_FOUND_ANSWER = CannedResponse(404, "<h1>Not Found</h1>", "text/html")
LOGIN_PAGE_ANSWER = CannedResponse(200, "<form>Your password, please</form>", "text/html")


@pytest.fixture
def start_server(monkeypatch):
    """A function that starts a server of one answer, the tracking server; returns its address."""
    servers = []

    def start(answer):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body.encode())

            def do_POST(self):
                self.do_GET()

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        return address

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def read_with_mlflow():
    return versions.get_champion(NAME)


READERS = [probe.champion_versions, read_with_mlflow]


@pytest.mark.parametrize("read_store", READERS)
@pytest.mark.parametrize(
    "answer", [UNAUTHENTICATED_ANSWER, UNAUTHORIZED_JSON_ANSWER, UNAUTHENTICATED_JSON_ANSWER]
)
def test_a_refused_login_is_no_silence(start_server, monkeypatch, answer, read_store):
    address = start_server(answer)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hush")
    with pytest.raises(errors.LoginRefusedError) as error:
        read_store()
    assert str(error.value) == (
        f"the tracking store {address} answers, and refuses the login of the user 'ann' (status "
        "401); what was finished is kept: set MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to a login that it accepts, and run "
        "again"
    )


@pytest.mark.parametrize("read_store", READERS)
@pytest.mark.parametrize("answer", [FORBIDDEN_ANSWER, FORBIDDEN_JSON_ANSWER])
def test_a_user_who_may_not_do_this_is_told_so(start_server, monkeypatch, answer, read_store):
    start_server(answer)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hush")
    with pytest.raises(
        errors.LoginRefusedError, match=r"does not let the token in .*TOKEN do this \(status 403\)"
    ):
        read_store()


@pytest.mark.parametrize("read_store", READERS)
@pytest.mark.parametrize(
    ("answer", "reason"),
    [(NOT_FOUND_ANSWER, "status 404"), (LOGIN_PAGE_ANSWER, "its answer is no JSON")],
)
def test_another_server_is_told_from_one_that_is_silent(start_server, answer, reason, read_store):
    start_server(answer)
    with pytest.raises(errors.StoreUnreachableError) as error:
        read_store()
    assert not isinstance(error.value, errors.LoginRefusedError)
    assert f"answers, but not as an MLflow server ({reason})" in str(error.value)
    assert "correct MLFLOW_TRACKING_URI" in str(error.value)


def test_what_was_deleted_meanwhile_is_no_failure_of_the_server(start_server):
    body = '{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Registered Model not found"}'
    start_server(CannedResponse(404, body, "application/json"))
    assert probe.champion_versions() == {}
    assert read_with_mlflow() is None


def test_the_way_out_names_where_the_login_is_from(start_server, monkeypatch):
    address = start_server(UNAUTHENTICATED_ANSWER)
    with pytest.raises(errors.LoginRefusedError, match="of a client without user and token"):
        read_with_mlflow()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("//", "//eve:hush@"))
    with pytest.raises(errors.LoginRefusedError) as error:
        read_with_mlflow()
    assert "refuses the login of the user 'eve'" in str(error.value)
    assert "correct user and password in MLFLOW_TRACKING_URI" in str(error.value)
    assert "hush" not in str(error.value)


def test_a_command_reports_a_refused_login_in_one_sentence(start_server, capsys):
    start_server(UNAUTHENTICATED_ANSWER)
    assert run_command("champions", []) == 1
    output = capsys.readouterr()
    assert "refuses the login" in output.err
    assert (output.out, output.err.count("\n")) == ("", 1)
    assert probe.describe_champion("sample") == "unknown: the tracking store refuses the login"


@pytest.mark.parametrize(
    "text",
    [
        'FATAL:  password authentication failed for user "me"',
        "fe_sendauth: no password supplied",
        'FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "me"',
        'FATAL:  role "me" does not exist',
    ],
)
def test_a_database_that_refuses_the_user_is_told_too(text):
    from sqlalchemy.exc import OperationalError

    uri = "postgresql+psycopg://me:hush@db:5432/mlflow"
    error = errors.unreachable_error(uri, OperationalError("SELECT 1", {}, Exception(text)))
    assert isinstance(error, errors.LoginRefusedError)
    assert "postgresql+psycopg://db:5432/mlflow answers, and refuses the login of" in str(error)
    assert "correct user and password in MLFLOW_TRACKING_URI" in str(error)
    assert "hush" not in str(error)
