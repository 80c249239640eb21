"""The error of a tracking store that does not answer, without any password in it.

Works without MLflow, requests and SQLAlchemy, so that a caller which only probes the store need not
import them.
"""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from housing import paths

# what MLflow connects with
CLIENT_LIBRARIES = ("requests", "urllib3", "sqlalchemy", "psycopg", "sqlite3")
DATABASE_LIBRARIES = ("sqlalchemy", "psycopg", "sqlite3")
REASON_BY_PATTERN = {  # a pattern in the client's long message -> what happened
    "connection refused": "connection refused",
    "too many clients": "it has too many clients",
    "password authentication failed": "it refuses the user or the password",
    "timed out|timeout": "no answer in time",
    "name or service not known|name resolution|resolve|getaddrinfo": "its host's name is unknown",
    "connection aborted|reset by peer|without response|closed the connection|server closed"
    "|terminating connection|broken pipe|shutting down|starting up": "the connection broke",
}


class StoreUnreachableError(RuntimeError, OSError):
    """Raised if the tracking store does not answer: its server is down, slow or unknown."""


def unreachable_error(uri: str, error: BaseException) -> StoreUnreachableError:
    """Return the error to raise: it names the store, what happened, and the way out."""
    return StoreUnreachableError(
        f"the tracking store {redacted_uri(uri)} does not answer ({failure_reason(uri, error)}); "
        "what was finished is kept: start it, or unset MLFLOW_TRACKING_URI, and run again"
    )


def is_connection_failure(error: BaseException) -> bool:
    """Return whether the store did not answer, as opposed to answering with an error."""
    cause: BaseException | None = error
    while cause is not None:
        if _is_client_connection_error(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    # an error that a thread of MLflow raised has lost its cause
    return "API request to" in str(error) and " failed with " in str(error)


def _is_client_connection_error(error: BaseException) -> bool:
    error_type = type(error)
    if not error_type.__module__.startswith(CLIENT_LIBRARIES):
        return False
    if error_type.__module__.startswith(DATABASE_LIBRARIES):
        return error_type.__name__ in ("OperationalError", "InterfaceError")
    response = getattr(error, "response", None)  # requests has it if the server answered
    return getattr(response, "status_code", 500) >= 500


def failure_reason(uri: str, error: BaseException) -> str:
    """Return what happened, in a few words."""
    text = str(error)
    for pattern, reason in REASON_BY_PATTERN.items():
        if re.search(pattern, text, re.IGNORECASE):
            return reason
    status = re.search(r"\b(?:too many|error code|HTTP Error) ?(5\d\d|4\d\d)", text)
    if status:
        return f"it answers with status {status[1]}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return mask_password(uri, lines[0] if lines else type(error).__name__).rstrip(".")


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
