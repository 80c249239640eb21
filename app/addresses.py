"""Addresses of the service as hosts, ports and URLs. Needs the standard library only."""

from __future__ import annotations

MAX_PORT = 65_535
# what a client on this machine connects to where the service listens at all addresses
LOCAL_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def bare_host(host: str) -> str:
    """Return a host without the brackets that an IPv6 address has in a URL."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def base_url(host: str, port: int | str, path_prefix: str = "") -> str:
    """Return the URL of a service, an IPv6 address in brackets and its zone encoded (RFC 6874)."""
    host = bare_host(host)
    if ":" in host:
        host = f"[{host.replace('%', '%25')}]"
    return f"http://{host}:{port}{path_prefix}"


def local_host(host: str) -> str:
    """Return the host by which a client on this machine reaches a service that listens there."""
    return LOCAL_HOSTS.get(bare_host(host), bare_host(host))
