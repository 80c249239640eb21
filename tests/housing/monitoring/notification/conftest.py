"""Receivers of messages of both kinds."""

import pytest

from tests.support.alert_receivers import MailReceiver, WebhookReceiver, serving


@pytest.fixture
def webhook():
    """A webhook that remembers what it gets."""
    with serving(WebhookReceiver()) as receiver:
        yield receiver


@pytest.fixture
def mail_server():
    """A mail server without encryption that remembers what it gets."""
    with serving(MailReceiver()) as receiver:
        yield receiver
