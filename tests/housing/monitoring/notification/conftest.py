"""Fixtures of the tests of messages: verdicts, and receivers of both kinds."""

from dataclasses import replace

import pytest

from housing.monitoring.verdict import Alarm, MonitoringVerdict, Verdict
from tests.support.alert_receivers import MailReceiver, WebhookReceiver, serving

BAY_AREA_ALARM = Alarm(
    signal="error",
    quantity="absolute error",
    group="region: Bay Area",
    sentence="the absolute error in the Bay Area rose by $9,000 from 2026-11-20 on",
    first_day="2026-11-20",
    alarm_day="2026-11-24",
    is_current=True,
    effect_usd=9_000.0,
)
INCOME_ALARM = replace(
    BAY_AREA_ALARM, signal="features", quantity="MedInc", group="", sentence="MedInc fell"
)
FINE = MonitoringVerdict(
    verdict=Verdict.FINE,
    sentence="No signal has changed.",
    model_name="california-housing",
    model_version="1",
    since="2026-09-01",
    until="2026-11-29",
    created_at="2026-11-30T05:00:00+00:00",
    alarms_per_year=1.0,
    row_count=5_000,
    labelled_count=400,
)
LOOK = replace(
    FINE, verdict=Verdict.LOOK, sentence="Look at the Bay Area.", alarms=(BAY_AREA_ALARM,)
)
RETRAIN = replace(
    FINE, verdict=Verdict.RETRAIN, sentence="Retrain.", alarms=(BAY_AREA_ALARM, INCOME_ALARM)
)


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
