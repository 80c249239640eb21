"""Send a message to a webhook or by e-mail, with time limits and retries."""

from __future__ import annotations

import http.client
import json
import smtplib
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

from housing.monitoring.notification.alert_url import Destination, MailAccount, Webhook
from housing.monitoring.notification.message import Message

TIMEOUT_SECONDS = 10.0  # for each answer of the other side
RETRY_DELAYS_SECONDS = (2.0, 10.0)
MAX_REASON_CHARS = 200  # of what a receiver says of its refusal
TOO_MANY_REQUESTS = 429


class DeliveryError(RuntimeError):
    """Raised if a message could not be sent; says where it should have gone, and why it did not."""


class _AttemptError(Exception):
    """Raised if one attempt failed; a permanent failure would fail again."""

    def __init__(self, reason: str, is_permanent: bool, status: int = 0) -> None:
        super().__init__(reason)
        self.is_permanent, self.status = is_permanent, status


class _RedirectRefuser(urllib.request.HTTPRedirectHandler):
    """Let a redirect be an error: it would be followed by GET, and the message lost."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


def deliver(
    message: Message,
    destination: Destination,
    retry_delays: Sequence[float] = RETRY_DELAYS_SECONDS,
) -> None:
    """Send the message, again after each delay (seconds) if that may help.

    Raises DeliveryError.
    """
    for attempt, delay in enumerate((*retry_delays, None), start=1):
        try:
            if isinstance(destination, Webhook):
                _post(message, destination)
            else:
                _send_mail(message, destination)
        except _AttemptError as error:
            if delay is None or error.is_permanent:
                count = f" ({attempt} attempts)" if attempt > 1 else ""
                raise DeliveryError(
                    f"the message to {destination.label} was not sent: {error}{count}"
                ) from None
            time.sleep(delay)
        else:
            return


def _post(message: Message, webhook: Webhook) -> None:
    """Send the content; if the receiver refuses our fields, the text alone."""
    try:
        _post_json(webhook, webhook_content(message, webhook))
    except _AttemptError as error:
        if error.status != http.client.BAD_REQUEST:
            raise
        _post_json(webhook, {"text": message.text})


def webhook_content(message: Message, webhook: Webhook) -> dict[str, Any]:
    """Return the JSON of a message: the text and our fields; for workflows of Teams a card."""
    if not webhook.is_teams_workflow:
        return {"text": message.text, **message.fields}
    lines = [{"type": "TextBlock", "text": line, "wrap": True} for line in message.text.split("\n")]
    card = {"type": "AdaptiveCard", "version": "1.4", "body": lines}
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def _post_json(webhook: Webhook, content: dict[str, Any]) -> None:
    request = urllib.request.Request(
        webhook.url,
        json.dumps(content).encode(),
        {"Content-Type": "application/json", "User-Agent": "california-housing"},
    )
    opener = urllib.request.build_opener(_RedirectRefuser)
    try:
        opener.open(request, timeout=TIMEOUT_SECONDS).close()
    except urllib.error.HTTPError as error:
        with error:
            is_permanent = error.code < 500 and error.code != TOO_MANY_REQUESTS
            raise _AttemptError(_refusal(error, webhook), is_permanent, error.code) from None
    except urllib.error.URLError as error:
        is_permanent = isinstance(error.reason, ssl.SSLCertVerificationError)
        raise _AttemptError(str(error.reason), is_permanent) from None
    except (OSError, http.client.HTTPException) as error:
        raise _AttemptError(str(error) or type(error).__name__, False) from None


def _refusal(error: urllib.error.HTTPError, webhook: Webhook) -> str:
    """Return the status and what the receiver says of it, without the secret path."""
    try:
        body = " ".join(error.read(MAX_REASON_CHARS).decode(errors="replace").split())
    except (OSError, http.client.HTTPException):
        body = ""
    path = webhook.url.partition("://")[2].partition("/")[2]
    comment = body.replace(path, "…") if path else body
    return f"it answers {error.code} {error.reason}" + (f": {comment}" if comment else "")


def _send_mail(message: Message, account: MailAccount) -> None:
    try:
        with _connect(account) as server:
            if account.user:
                server.login(account.user, account.password)
            server.send_message(_compose_mail(message, account))
    except smtplib.SMTPResponseException as error:
        text = error.smtp_error
        reason = text.decode(errors="replace") if isinstance(text, bytes) else text
        is_permanent = error.smtp_code >= 500
        raise _AttemptError(f"it answers {error.smtp_code} {reason}", is_permanent) from None
    except smtplib.SMTPRecipientsRefused as error:
        refusals = [
            f"{recipient}: {code} {reason.decode(errors='replace')}"
            for recipient, (code, reason) in error.recipients.items()
        ]
        is_permanent = all(code >= 500 for code, _ in error.recipients.values())
        reason = f"it takes mail for none of them ({'; '.join(refusals)})"
        raise _AttemptError(reason, is_permanent) from None
    except (ssl.SSLCertVerificationError, smtplib.SMTPNotSupportedError) as error:
        raise _AttemptError(str(error), True) from None
    except (OSError, smtplib.SMTPException) as error:
        raise _AttemptError(str(error) or type(error).__name__, False) from None


def _connect(account: MailAccount) -> smtplib.SMTP:
    """Return a connection that is encrypted if the server can do so.

    Certificates are verified where a password is sent. Raises SMTPNotSupportedError rather than
    sending one in clear.
    """
    context = ssl.create_default_context()
    if not account.password:  # as mail servers do among themselves: many have no valid certificate
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    address = account.host, account.port
    if account.has_implicit_tls:
        return smtplib.SMTP_SSL(*address, timeout=TIMEOUT_SECONDS, context=context)
    server = smtplib.SMTP(*address, timeout=TIMEOUT_SECONDS)
    try:
        server.ehlo_or_helo_if_needed()
        if server.has_extn("starttls"):
            server.starttls(context=context)
        elif account.password:
            raise smtplib.SMTPNotSupportedError(
                "it does not encrypt (no STARTTLS), and a password is sent encrypted only; use "
                "smtps://, or leave user and password out"
            )
    except BaseException:
        server.close()
        raise
    return server


def _compose_mail(message: Message, account: MailAccount) -> EmailMessage:
    sender = account.sender or f"housing@{socket.gethostname()}"
    mail = EmailMessage()
    mail["Subject"], mail["From"] = message.subject, sender
    mail["To"] = ", ".join(account.recipients)
    mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain=sender.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no one is told that we are on holiday
    mail.set_content(message.text + "\n")
    return mail
