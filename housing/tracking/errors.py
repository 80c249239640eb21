"""What is said when the tracking store does not answer; no password is ever shown.

Works without MLflow, requests and SQLAlchemy, so that who looks at the store need not import them.
"""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from housing import paths

CLIENTS = ("requests", "urllib3", "sqlalchemy", "psycopg", "sqlite3")  # what MLflow asks with
REASONS = {  # what the client's long text holds -> what has happened
    "connection refused": "connection refused",
    "too many clients": "it has too many clients",
    "password authentication failed": "it refuses the user or the password",
    "timed out|timeout": "no answer in time",
    "name or service not known|name resolution|resolve|getaddrinfo": "its host's name is unknown",
    "connection aborted|reset by peer|without response|closed the connection|server closed"
    "|terminating connection|broken pipe|shutting down|starting up": "the connection broke",
}


class Unreachable(RuntimeError, OSError):
    """The tracking store did not answer: a server that is down, slow or has gone."""


def unreachable(uri: str, failed: BaseException) -> Unreachable:
    """The error to raise: which store, what happened, and the way out."""
    return Unreachable(
        f"the tracking store {shown(uri)} does not answer ({reason(uri, failed)}); "
        "what was finished is kept: start it, or unset MLFLOW_TRACKING_URI, and run again"
    )


def is_away(failed: BaseException) -> bool:
    """Whether the failure says that the store did not answer, rather than that it said no."""
    found: BaseException | None = failed
    while found is not None:
        if _is_away(found):
            return True
        found = found.__cause__ or found.__context__
    return "API request to" in str(failed) and " failed with " in str(failed)  # of a thread


def _is_away(failed: BaseException) -> bool:
    kind = type(failed)
    if not kind.__module__.startswith(CLIENTS):
        return False
    status = getattr(getattr(failed, "response", None), "status_code", 500)  # of requests
    database = kind.__module__.startswith(("sqlalchemy", "psycopg", "sqlite3"))
    return kind.__name__ in ("OperationalError", "InterfaceError") if database else status >= 500


def reason(uri: str, failed: BaseException) -> str:
    """What happened, in a few words."""
    text = str(failed)
    for pattern, said in REASONS.items():
        if re.search(pattern, text, re.IGNORECASE):
            return said
    status = re.search(r"\b(?:too many|error code|HTTP Error) ?(5\d\d|4\d\d)", text)
    if status:
        return f"it answers with status {status[1]}"
    lines = [one.strip() for one in text.splitlines() if one.strip()]
    return without_password(uri, lines[0] if lines else type(failed).__name__).rstrip(".")


def shown(uri: str) -> str:
    """The store as a person may see it: a file from the home, a server without user and query."""
    parts = urlsplit(uri)
    if uri.startswith("sqlite"):
        file = Path(uri.partition(":///")[2].partition("?")[0])
        near = file.is_relative_to(paths.home())
        return str(file.relative_to(paths.home()) if near else file)
    host = parts.hostname or "".join(parse_qs(parts.query).get("host", []))
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def without_password(uri: str, text: str) -> str:
    """The text, the URI's password masked in it."""
    parts = urlsplit(uri)
    secrets = [parts.password, *parse_qs(parts.query).get("password", [])]
    for one in filter(None, secrets):
        text = text.replace(one, "***")
    return text
