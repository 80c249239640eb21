"""HOUSING_ALERT_URL, the one setting that says where messages go: a webhook, or e-mail.

`https://...` gets JSON. `mailto:ops@example.com` goes through the mail server of this machine,
`smtp://USER:PASSWORD@HOST:PORT/?to=ops@example.com` through another one (encrypted by STARTTLS if
the server offers it, which a password requires), `smtps://...` through one that speaks TLS from the
start. `&from=ADDRESS` sets the sender; several recipients are separated by commas. No error shows
the value, as it may hold a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

VARIABLE = "HOUSING_ALERT_URL"
MAIL_PORTS = {"smtp": 25, "smtps": 465}
EXPECTED_FORMS = (
    "https://HOST/PATH, mailto:ADDRESS, or smtp://USER:PASSWORD@HOST:PORT/?to=ADDRESS "
    "(smtps:// for TLS)"
)
TEAMS_WORKFLOW_DOMAINS = (
    ".logic.azure.com", ".powerplatform.com", ".powerautomate.com", ".flow.microsoft.com",
)  # fmt: skip
ADDRESS_PATTERN = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")


@dataclass(frozen=True)
class Webhook:
    """An address that takes JSON. Its path is a secret, as of Slack's."""

    url: str = field(repr=False)

    @property
    def label(self) -> str:
        """The address without what may be secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}"

    @property
    def is_teams_workflow(self) -> bool:
        """Whether it is a workflow of Microsoft Teams, which takes cards alone."""
        return (urlsplit(self.url).hostname or "").endswith(TEAMS_WORKFLOW_DOMAINS)


@dataclass(frozen=True)
class MailAccount:
    """A mail server, and whom it sends to."""

    host: str
    port: int
    recipients: tuple[str, ...]
    sender: str = ""  # empty: housing@ and the name of this machine
    user: str = ""
    password: str = field(default="", repr=False)
    has_implicit_tls: bool = False

    @property
    def label(self) -> str:
        """The recipients and the server."""
        return f"{', '.join(self.recipients)} by {self.host}:{self.port}"


Destination = Webhook | MailAccount


def parse_alert_url(url: str) -> Destination:
    """Return the destination. Raises ValueError that does not show the value."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:  # whose message may hold a part of the password
        raise ValueError(
            f"{VARIABLE} has no valid host and port, expected {EXPECTED_FORMS}; in a password "
            "write / as %2F, @ as %40, : as %3A"
        ) from None
    if parts.scheme in ("http", "https") and parts.hostname:
        return Webhook(url.strip())
    if parts.scheme == "mailto":
        recipients, sender = _mail_addresses(parts, unquote(parts.path))
        return MailAccount("localhost", MAIL_PORTS["smtp"], recipients, sender)
    if parts.scheme in MAIL_PORTS and parts.hostname:
        recipients, sender = _mail_addresses(parts)
        return MailAccount(
            parts.hostname,
            port or MAIL_PORTS[parts.scheme],
            recipients,
            sender,
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            parts.scheme == "smtps",
        )
    raise ValueError(f"{VARIABLE} is no address that messages can go to, expected {EXPECTED_FORMS}")


def _mail_addresses(parts: SplitResult, recipients_text: str = "") -> tuple[tuple[str, ...], str]:
    """Return the recipients and the sender, which may be empty."""
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(options.keys() - {"to", "from"})
    if unknown:
        raise ValueError(f"{VARIABLE} has the option {unknown[0]!r}, expected only to and from")
    texts = [*recipients_text.split(","), *options.get("to", "").split(",")]
    recipients = tuple(text.strip() for text in texts if text.strip())
    sender = options.get("from", "").strip()
    wrong = [text for text in (*recipients, sender) if text and not ADDRESS_PATTERN.fullmatch(text)]
    if wrong or not recipients:
        problem = f"the e-mail address {wrong[0]!r}" if wrong else "no recipient"
        raise ValueError(f"{VARIABLE} has {problem}, expected such as to=ops@example.com")
    return recipients, sender
