"""Where messages go: every form of HOUSING_ALERT_URL, and no secret in what is said of it."""

import pytest

from housing.monitoring.notification.alert_url import MailAccount, Webhook, parse_alert_url

OPS = ("ops@example.com",)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://hooks.example/T0/s3cret", Webhook("https://hooks.example/T0/s3cret")),
        (" http://10.0.0.7:8065/hooks/x\n", Webhook("http://10.0.0.7:8065/hooks/x")),
        ("mailto:ops@example.com", MailAccount("localhost", 25, OPS)),
        (
            "mailto:ops@example.com,ann@example.com?from=housing@example.com",
            MailAccount("localhost", 25, (*OPS, "ann@example.com"), "housing@example.com"),
        ),
        ("smtp://mail.example/?to=ops@example.com", MailAccount("mail.example", 25, OPS)),
        (
            "smtp://ann%40example.com:p%2Fw%3A@mail.example:587/?to=ops%40example.com",
            MailAccount("mail.example", 587, OPS, "", "ann@example.com", "p/w:"),
        ),
        (
            "smtps://ann:pw@mail.example?to=ops@example.com",
            MailAccount("mail.example", 465, OPS, "", "ann", "pw", True),
        ),
    ],
)
def test_each_form_names_a_destination(url, expected):
    assert parse_alert_url(url) == expected


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("s3cret", "no address that messages can go to, expected https://HOST/PATH"),
        ("s3cret:ops@example.com", "no address that messages can go to"),
        ("https:///s3cret", "no address that messages can go to"),
        ("smtp://ann:s3cret@/?to=ops@example.com", "no address that messages can go to"),
        ("smtp://ann:s3c/ret@mail.example/?to=ops@example.com", "write / as %2F"),
        ("smtp://ann:s3cret@mail.example:smtp/?to=ops@example.com", "no valid host and port"),
        ("smtp://ann:s3cret@mail.example/", "no recipient, expected such as to=ops@example.com"),
        ("mailto:", "no recipient"),
        ("mailto:ops", "the e-mail address 'ops'"),
        ("mailto:ops@example.com?from=a b@c", "the e-mail address 'a b@c'"),
        ("mailto:ops@example.com%0D%0ABcc:x@example.com", "the e-mail address"),
        ("mailto:ops@example.com?cc=ann@example.com", "the option 'cc', expected only to and from"),
    ],
)
def test_a_wrong_one_is_refused_without_showing_it(url, problem):
    with pytest.raises(ValueError, match=r"^HOUSING_ALERT_URL (has|is) ") as caught:
        parse_alert_url(url)
    assert problem in str(caught.value)
    assert "s3c" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("https://ann:s3cret@hooks.example/T0/s3cret", "https://hooks.example"),
        ("smtp://ann:s3cret@mail.example:587/?to=ops@example.com",
         "ops@example.com by mail.example:587"),
    ],
)  # fmt: skip
def test_messages_show_a_destination_without_its_secrets(url, label):
    destination = parse_alert_url(url)
    assert destination.label == label
    assert "s3cret" not in repr(destination)
