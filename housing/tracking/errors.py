"""What is said when the tracking store does not answer; no password is ever shown.

Works without MLflow, requests and SQLAlchemy, so that who looks at the store need not import them.
"""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from housing import paths

CLIENT_LIBRARIES = (
    "requests",
    "urllib3",
    "sqlalchemy",
    "psycopg",
    "sqlite3",
)  # what MLflow asks with
REASON_BY_PATTERN = {  # what the client's long text holds -> what has happened
    "connection refused": "connection refused",
    "too many clients": "it has too many clients",
    "password authentication failed": "it refuses the user or the password",
    "timed out|timeout": "no answer in time",
    "name or service not known|name resolution|resolve|getaddrinfo": "its host's name is unknown",
    "connection aborted|reset by peer|without response|closed the connection|server closed"
    "|terminating connection|broken pipe|shutting down|starting up": "the connection broke",
}


class StoreUnreachableError(RuntimeError, OSError):
    """The tracking store did not answer: a server that is down, slow or has gone."""


def unreachable_error(uri: str, error: BaseException) -> StoreUnreachableError:
    """The error to raise: which store, what happened, and the way out."""
    return StoreUnreachableError(
        f"the tracking store {redacted_uri(uri)} does not answer ({failure_reason(uri, error)}); "
        "what was finished is kept: start it, or unset MLFLOW_TRACKING_URI, and run again"
    )


def is_connection_failure(error: BaseException) -> bool:
    """Whether the failure says that the store did not answer, rather than that it said no."""
    found: BaseException | None = error
    while found is not None:
        if _is_client_connection_error(found):
            return True
        found = found.__cause__ or found.__context__
    return "API request to" in str(error) and " failed with " in str(error)  # of a thread


def _is_client_connection_error(error: BaseException) -> bool:
    kind = type(error)
    if not kind.__module__.startswith(CLIENT_LIBRARIES):
        return False
    status = getattr(getattr(error, "response", None), "status_code", 500)  # of requests
    database = kind.__module__.startswith(("sqlalchemy", "psycopg", "sqlite3"))
    return kind.__name__ in ("OperationalError", "InterfaceError") if database else status >= 500


def failure_reason(uri: str, error: BaseException) -> str:
    """What happened, in a few words."""
    text = str(error)
    for pattern, said in REASON_BY_PATTERN.items():
        if re.search(pattern, text, re.IGNORECASE):
            return said
    status = re.search(r"\b(?:too many|error code|HTTP Error) ?(5\d\d|4\d\d)", text)
    if status:
        return f"it answers with status {status[1]}"
    lines = [one.strip() for one in text.splitlines() if one.strip()]
    return mask_password(uri, lines[0] if lines else type(error).__name__).rstrip(".")


def redacted_uri(uri: str) -> str:
    """The store as a person may see it: a file from the home, a server without user and query."""
    parts = urlsplit(uri)
    if uri.startswith("sqlite"):
        file = Path(uri.partition(":///")[2].partition("?")[0])
        near = file.is_relative_to(paths.home())
        return str(file.relative_to(paths.home()) if near else file)
    host = parts.hostname or "".join(parse_qs(parts.query).get("host", []))
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def mask_password(uri: str, text: str) -> str:
    """The text, the URI's password masked in it."""
    parts = urlsplit(uri)
    secrets = [parts.password, *parse_qs(parts.query).get("password", [])]
    for one in filter(None, secrets):
        text = text.replace(one, "***")
    return text
