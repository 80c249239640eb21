"""What a request was before proxies passed it on: its client, scheme, host and path prefix.

Used for ASGI and WSGI alike. Stricter than werkzeug's ProxyFix, whose prefix may lead to another
host, and laxer where several proxies pass on one value.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]

PREFIX_PATTERN = re.compile(r"(/[A-Za-z0-9._~-]+)+")
HOST_PATTERN = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
# 192.0.2.1:4711 and [2001:db8::1]:4711, as some proxies write a client
ADDRESS_AND_PORT_PATTERN = re.compile(r"(\d+\.\d+\.\d+\.\d+):\d+|\[([^]]+)\](?::\d+)?")


class ProxySettings(NamedTuple):
    """What is known of the proxies in front of the service."""

    path_prefix: str  # such as "/housing"
    trusted_count: int  # how many of them set X-Forwarded-...

    @property
    def are_set(self) -> bool:
        """Whether any request can be other than it looks."""
        return bool(self.path_prefix or self.trusted_count)


class OriginalRequest(NamedTuple):
    """A request as its client sent it."""

    path_prefix: str
    path: str  # below the prefix, as the routes have it
    client: str
    scheme: str
    host: str | None


def proxy_settings(config: Mapping[str, Any]) -> ProxySettings:
    """Return what the settings say of proxies."""
    return ProxySettings(normalize_prefix(config["PATH_PREFIX"]), config["TRUSTED_PROXIES"])


def normalize_prefix(text: str) -> str:
    """Return a path prefix with a slash at its start and none at its end; "" for none.

    Raises ValueError that says what is expected.
    """
    segments = text.strip().strip("/")
    prefix = f"/{segments}" if segments else ""
    if prefix and not PREFIX_PATTERN.fullmatch(prefix):
        raise ValueError("a path of letters, digits and any of . _ ~ -, such as /housing")
    if {".", ".."} & {*prefix.split("/")}:
        raise ValueError("a path without . and .. in it, such as /housing")
    return prefix


def resolve_request(
    settings: ProxySettings, path: str, headers: Mapping[str, str], client: str, scheme: str
) -> OriginalRequest:
    """Return a request as it was before the trusted proxies.

    headers: with lower-case names. Values that are no valid ones are ignored.
    """
    count, forwarded_prefix, host = settings.trusted_count, "", headers.get("host")
    if count:
        client = _find_client(headers.get("x-forwarded-for", ""), count) or client
        forwarded_scheme = _forwarded_value(headers.get("x-forwarded-proto", ""), count).lower()
        scheme = forwarded_scheme if forwarded_scheme in ("http", "https") else scheme
        forwarded_host = _forwarded_value(headers.get("x-forwarded-host", ""), count)
        host = forwarded_host if HOST_PATTERN.fullmatch(forwarded_host) else host
        try:
            value = _forwarded_value(headers.get("x-forwarded-prefix", ""), count)
            forwarded_prefix = normalize_prefix(value)
        except ValueError:
            pass
    path_prefix, path = split_prefix(path, settings.path_prefix, forwarded_prefix)
    return OriginalRequest(path_prefix, path, client, scheme, host)


def split_prefix(path: str, configured_prefix: str, forwarded_prefix: str) -> tuple[str, str]:
    """Return a request's path prefix, and its path below that.

    A proxy may have stripped the prefix from the path, or not. The forwarded one wins over the
    configured one, unless a path that has the configured one shows that it was stripped before it.
    """
    path = "/" + path.lstrip("/")
    for prefix in (forwarded_prefix, configured_prefix):
        if prefix and (path == prefix or path.startswith(f"{prefix}/")):
            path_below = path[len(prefix) :] or "/"
            if prefix == forwarded_prefix or forwarded_prefix.endswith(prefix):
                return forwarded_prefix, path_below
            return forwarded_prefix + prefix, path_below
    return forwarded_prefix or configured_prefix, path


def wrap_wsgi_app(wsgi_app: WsgiApp, settings: ProxySettings) -> WsgiApp:
    """Return a WSGI app that answers each request as its client sent it."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if "asgi.scope" not in environ:  # else the ASGI application has done so
            _resolve_environ(environ, settings)
        return wsgi_app(environ, start_response)

    return application


def _resolve_environ(environ: dict[str, Any], settings: ProxySettings) -> None:
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith(("HTTP_X_FORWARDED_", "HTTP_HOST"))
    }
    original = resolve_request(
        settings,
        environ.get("PATH_INFO", ""),
        headers,
        environ.get("REMOTE_ADDR", ""),
        environ["wsgi.url_scheme"],
    )
    environ["PATH_INFO"], environ["REMOTE_ADDR"] = original.path, original.client
    script_name, prefix = environ.get("SCRIPT_NAME", ""), original.path_prefix
    if not f"{script_name}/".startswith(f"{prefix}/"):  # else the WSGI server knows it too
        environ["SCRIPT_NAME"] = prefix + script_name
    environ["wsgi.url_scheme"] = original.scheme
    if original.host:
        environ["HTTP_HOST"] = original.host


def _forwarded_value(header: str, trusted_count: int) -> str:
    """Return the value that the outermost trusted proxy has set.

    Each proxy appends its value, or the header has the only one that any of them has set.
    """
    values = [value.strip().strip('"') for value in header.split(",")]
    return values[-min(trusted_count, len(values))]


def _find_client(header: str, trusted_count: int) -> str:
    """Return the address that the outermost trusted proxy has seen; "" if it is no address.

    With fewer addresses than trusted proxies there is one that was not passed.
    """
    if header.count(",") + 1 < trusted_count:
        return ""
    value = _forwarded_value(header, trusted_count)
    match = ADDRESS_AND_PORT_PATTERN.fullmatch(value)
    address = (match[1] or match[2]) if match else value
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return ""
    return address
