"""The errors of a tracking store that does not answer or refuses the login, without passwords.

Works without MLflow, requests and SQLAlchemy, so that a caller which only probes the store need not
import them.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from housing import paths

# what MLflow connects with
CLIENT_LIBRARIES = ("requests", "urllib3", "sqlalchemy", "psycopg", "sqlite3")
DATABASE_LIBRARIES = ("sqlalchemy", "psycopg", "sqlite3")
REASON_BY_PATTERN = {  # a pattern in the client's long message -> what happened
    "connection refused": "connection refused",
    "too many clients": "it has too many clients",
    "timed out|timeout": "no answer in time",
    "name or service not known|name resolution|resolve|getaddrinfo": "its host's name is unknown",
    "connection aborted|reset by peer|without response|closed the connection|server closed"
    "|terminating connection|broken pipe|shutting down|starting up": "the connection broke",
}


# what a database says that refuses the login, or what the user may do
DATABASE_LOGIN_PATTERN = (
    "password authentication failed|no password supplied|no pg_hba.conf entry|access denied for"
    "|permission denied for|role .* does not exist|not permitted to log in"
)
LOGIN_STATUSES = {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403}  # MLflow's code -> of HTTP
FORBIDDEN = LOGIN_STATUSES["PERMISSION_DENIED"]
# of an address at which there is no MLflow server, but perhaps another one
OTHER_SERVER_STATUSES = (404, 405)
NOT_JSON_PATTERN = "not in a valid JSON format|Expecting value"


class StoreUnreachableError(RuntimeError, OSError):
    """Raised if the tracking store does not answer: its server is down, slow or unknown."""


class LoginRefusedError(StoreUnreachableError):
    """Raised if the tracking store answers, and refuses the user or what the user may do."""


def unreachable_error(uri: str, error: BaseException) -> StoreUnreachableError:
    """Return the error to raise: it names the store, what happened, and the way out."""
    store, reason, status = redacted_uri(uri), failure_reason(uri, error), _find_status(error)
    if is_login_failure(error):
        refusal = f"refuses the login of {_login_text(uri)}"
        if status == FORBIDDEN or "permission denied" in str(error):
            refusal = f"does not let {_login_text(uri)} do this"
        return LoginRefusedError(
            f"the tracking store {store} answers, and {refusal} ({reason}); what was finished is "
            f"kept: {_login_remedy(uri)}, and run again"
        )
    if status in OTHER_SERVER_STATUSES or re.search(NOT_JSON_PATTERN, str(error)):
        return StoreUnreachableError(
            f"the tracking store {store} answers, but not as an MLflow server ({reason}); what was "
            "finished is kept: correct MLFLOW_TRACKING_URI, or unset it, and run again"
        )
    return StoreUnreachableError(
        f"the tracking store {store} does not answer ({reason}); "
        "what was finished is kept: start it, or unset MLFLOW_TRACKING_URI, and run again"
    )


def is_login_failure(error: BaseException) -> bool:
    """Return whether the store refused the user, or what the user may do."""
    if _find_status(error) in LOGIN_STATUSES.values():
        return True
    is_of_database = any(
        type(cause).__module__.startswith(DATABASE_LIBRARIES) for cause in _causes(error)
    )
    return is_of_database and bool(re.search(DATABASE_LOGIN_PATTERN, str(error), re.IGNORECASE))


def is_proxy_answer(error: BaseException) -> bool:
    """Return whether MLflow raised this for JSON that no MLflow server wrote.

    MLflow forgets the answer's status then.
    """
    answers = [getattr(cause, "json", None) for cause in _causes(error)]
    return any(isinstance(answer, dict) and "error_code" not in answer for answer in answers)


def is_connection_failure(error: BaseException) -> bool:
    """Return whether the store did not answer or refused the login, not any other error of it."""
    if is_login_failure(error) or any(map(_is_client_connection_error, _causes(error))):
        return True
    # an error that a thread of MLflow raised has lost its cause
    text = str(error)
    return "API request to" in text and (
        " failed with " in text or bool(re.search(NOT_JSON_PATTERN, text))
    )


def is_temporary(error: BaseException) -> bool:
    """Return whether a storage of artifacts, of any kind, could not be reached."""
    return any(
        isinstance(cause, (ConnectionError, TimeoutError))
        or re.search("Connection|Timeout", type(cause).__name__)
        for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and those that led to it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _is_client_connection_error(error: BaseException) -> bool:
    error_type = type(error)
    if not error_type.__module__.startswith(CLIENT_LIBRARIES):
        return False
    if error_type.__module__.startswith(DATABASE_LIBRARIES):
        return error_type.__name__ in ("OperationalError", "InterfaceError")
    response = getattr(error, "response", None)  # requests has it if the server answered
    return getattr(response, "status_code", 500) >= 500


def _find_status(error: BaseException) -> int | None:
    """Return the HTTP status that a server answered with; None if there is none in the error."""
    for cause in _causes(error):
        response = getattr(cause, "response", None)
        status = getattr(response, "status_code", getattr(cause, "status", None))
        if isinstance(status, int):
            return status
        # of MLflow's own server, or of a proxy whose answer is JSON
        status = LOGIN_STATUSES.get(str(getattr(cause, "error_code", "")))
        if status:
            return status
    match = re.search(r"\b(?:too many|error code|HTTP Error) ?(5\d\d|4\d\d)", str(error))
    return int(match[1]) if match else None


def failure_reason(uri: str, error: BaseException) -> str:
    """Return what happened, in a few words."""
    text, status = str(error), _find_status(error)
    if status and "Max retries exceeded" not in text:
        return f"status {status}"
    for pattern, reason in REASON_BY_PATTERN.items():
        if re.search(pattern, text, re.IGNORECASE):
            return reason
    if status:
        return f"status {status}"
    if re.search(NOT_JSON_PATTERN, text):
        return "its answer is no JSON"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return mask_password(uri, lines[0] if lines else type(error).__name__).rstrip(".")


def _login_text(uri: str) -> str:
    """Return whose login MLflow uses: the URI's, else that of its own variables."""
    user = urlsplit(uri).username or os.environ.get("MLFLOW_TRACKING_USERNAME")
    if user:
        return f"the user {unquote(user)!r}"
    if not uri.startswith("http"):
        return "this user"
    has_token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return "the token in MLFLOW_TRACKING_TOKEN" if has_token else "a client without user and token"


def _login_remedy(uri: str) -> str:
    if not uri.startswith("http") or urlsplit(uri).username:
        return "correct user and password in MLFLOW_TRACKING_URI"
    return (
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to a "
        "login that it accepts"
    )


def redacted_uri(uri: str) -> str:
    """Return the store's URI as it may be shown: without user, password and query.

    A sqlite URI becomes the path of its file, relative to the home if it is below it.
    """
    split_uri = urlsplit(uri)
    if uri.startswith("sqlite"):
        file = Path(uri.partition(":///")[2].partition("?")[0])
        is_below_home = file.is_relative_to(paths.home())
        return str(file.relative_to(paths.home()) if is_below_home else file)
    host = split_uri.hostname or "".join(parse_qs(split_uri.query).get("host", []))
    port = f":{split_uri.port}" if split_uri.port else ""
    return f"{split_uri.scheme}://{host}{port}{split_uri.path}"


def mask_password(uri: str, text: str) -> str:
    """Replace the passwords of the URI in the text by `***`."""
    split_uri = urlsplit(uri)
    passwords = [split_uri.password, *parse_qs(split_uri.query).get("password", [])]
    for password in filter(None, passwords):
        text = text.replace(password, "***")
    return text
