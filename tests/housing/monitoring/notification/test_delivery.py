"""Messages sent to real receivers on ports of this machine."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from housing.monitoring.notification.alert_url import parse_alert_url
from housing.monitoring.notification.delivery import DeliveryError, deliver, webhook_content
from housing.monitoring.notification.message import Message
from tests.support.alert_receivers import MailReceiver, serving
from tests.support.processes import free_port

MESSAGE = Message("Monitoring: look", "Look at Fresno – it is new.", {"verdict": "look"})
AT_ONCE = (0.0, 0.0)


@pytest.fixture(scope="module")
def tls_file(tmp_path_factory):
    """A certificate for 127.0.0.1 that no authority has signed, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now, address = datetime.now(UTC), x509.IPAddress(ip_address("127.0.0.1"))
    certificate = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1)
    )
    certificate = certificate.add_extension(x509.SubjectAlternativeName([address]), True)
    certificate = certificate.add_extension(x509.BasicConstraints(True, None), True)
    pem_key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(certificate.sign(key, SHA256()).public_bytes(Encoding.PEM) + pem_key)
    return file


@pytest.fixture
def tls_mail_server(tls_file):
    """A mail server that offers STARTTLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls_file)
    with serving(MailReceiver(context)) as receiver:
        yield receiver


def mail_account(server, credentials=""):
    return parse_alert_url(f"smtp://{credentials}127.0.0.1:{server.port}/?to=ops@example.com")


def test_a_webhook_gets_the_text_and_the_fields(webhook):
    deliver(MESSAGE, parse_alert_url(webhook.url))
    assert webhook.bodies == [{"text": MESSAGE.text, "verdict": "look"}]


def test_a_webhook_that_refuses_our_fields_gets_the_text_alone(webhook):
    webhook.refuses_unknown_fields = True
    deliver(MESSAGE, parse_alert_url(webhook.url))
    assert webhook.bodies[1:] == [{"text": MESSAGE.text}]


def test_a_workflow_of_teams_gets_a_card():
    url = "https://prod-1.westeurope.logic.azure.com:443/workflows/s3cret?sig=s3cret"
    content = webhook_content(Message("s", "one line\nanother", {}), parse_alert_url(url))
    [attachment] = content["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    texts = [block["text"] for block in attachment["content"]["body"]]
    assert texts == ["one line", "another"]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_what_may_help_is_tried_again(webhook, status):
    webhook.statuses = [status, status]
    deliver(MESSAGE, parse_alert_url(webhook.url), AT_ONCE)
    assert len(webhook.bodies) == 3


def test_after_two_retries_the_error_names_the_host_and_the_reason_and_no_secret(webhook):
    webhook.statuses = [503] * 4
    with pytest.raises(DeliveryError) as caught:
        deliver(MESSAGE, parse_alert_url(webhook.url), AT_ONCE)
    assert str(caught.value) == (
        "the message to http://127.0.0.1 was not sent: it answers 503 Service Unavailable: status "
        "503 at /… (3 attempts)"
    )
    assert len(webhook.bodies) == 3


@pytest.mark.parametrize("status", [302, 404, 410])
def test_what_would_fail_again_is_tried_once(webhook, status):
    webhook.statuses = [status] * 3
    with pytest.raises(DeliveryError, match=f"it answers {status} "):
        deliver(MESSAGE, parse_alert_url(webhook.url), AT_ONCE)
    assert len(webhook.bodies) == 1


@pytest.mark.parametrize("form", ["http://127.0.0.1:{}/s3cret",
                                  "smtp://127.0.0.1:{}/?to=ops@example.com"])  # fmt: skip
def test_a_receiver_that_is_away_is_named(form):
    with pytest.raises(DeliveryError, match=r"Connection refused \(3 attempts\)") as caught:
        deliver(MESSAGE, parse_alert_url(form.format(free_port())), AT_ONCE)
    assert "127.0.0.1" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_mail_has_subject_text_sender_and_recipients(mail_server):
    url = (
        f"smtp://127.0.0.1:{mail_server.port}/?to=ops@example.com,ann@example.com&from=h@x.example"
    )
    deliver(MESSAGE, parse_alert_url(url))
    [mail] = mail_server.mails
    assert (mail["Subject"], mail["From"]) == (MESSAGE.subject, "h@x.example")
    assert mail["To"] == "ops@example.com, ann@example.com"
    assert mail_server.recipients == ["ops@example.com", "ann@example.com"]
    assert mail.get_content().strip() == MESSAGE.text
    assert mail["Date"]
    assert mail["Message-ID"].endswith("@x.example>")


def test_a_mail_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not(mail_server):
    mail_server.responses["RCPT"] = ["451 try later"]
    deliver(MESSAGE, mail_account(mail_server), AT_ONCE)
    assert len(mail_server.mails) == 1
    mail_server.responses["RCPT"] = ["550 no such user"] * 3
    with pytest.raises(DeliveryError, match=r"ops@example.com: 550 no such user"):
        deliver(MESSAGE, mail_account(mail_server), AT_ONCE)
    assert len(mail_server.responses["RCPT"]) == 2
    mail_server.responses = {"DATA": ["554 not from you"]}
    with pytest.raises(DeliveryError, match="it answers 554 not from you"):
        deliver(MESSAGE, mail_account(mail_server), AT_ONCE)


def test_a_password_is_never_sent_in_clear(mail_server):
    with pytest.raises(DeliveryError, match="does not encrypt") as caught:
        deliver(MESSAGE, mail_account(mail_server, "ann:s3cret@"), AT_ONCE)
    assert not any(command.startswith("AUTH") for command in mail_server.commands)
    assert "s3cret" not in str(caught.value)


def test_mail_is_encrypted_if_the_server_can(tls_mail_server):
    deliver(MESSAGE, mail_account(tls_mail_server))
    assert "STARTTLS" in tls_mail_server.commands
    assert len(tls_mail_server.mails) == 1


def test_a_password_goes_only_to_a_server_that_proves_who_it_is(
    tls_mail_server, tls_file, monkeypatch
):
    account = mail_account(tls_mail_server, "ann:s3cret@")
    with pytest.raises(DeliveryError, match="certificate verify failed"):
        deliver(MESSAGE, account, AT_ONCE)
    assert not any(command.startswith("AUTH") for command in tls_mail_server.commands)
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_file))
    deliver(MESSAGE, account, AT_ONCE)
    assert any(command.startswith("AUTH PLAIN") for command in tls_mail_server.commands)
    assert len(tls_mail_server.mails) == 1
