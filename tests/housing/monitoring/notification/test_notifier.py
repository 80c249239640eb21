"""When people get a message about the monitoring, and what it says."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from housing.monitoring.notification import delivery
from housing.monitoring.notification.delivery import DeliveryError
from housing.monitoring.notification.notifier import NotifiedState, decide, notify_finished_step
from housing.monitoring.verdict import verdict_path, write_verdict
from tests.support.monitoring_verdicts import (
    BAY_AREA_ALARM,
    FINE,
    INCOME_ALARM,
    LOOK,
    RETRAIN,
)

REPORT = "reports/20261130-050000-aaaa/04_monitor.html"


class Step(NamedTuple):
    """A step of the runner that has ended."""

    report: Path
    run_id: str = FINE.run
    failure: str = ""


def follow(*outcomes):
    """Return the message of each run in turn, None where nothing is sent; a text is a failure."""
    state, messages = NotifiedState(), []
    for outcome in outcomes:
        verdict, failure = (None, outcome) if isinstance(outcome, str) else (outcome, "")
        message, state = decide(state, verdict, failure, REPORT)
        messages.append(message)
    return messages


def reasons(*outcomes):
    """Return why a message is sent after each run; "" where none is, a failure's sentence."""
    return [
        message and "; ".join(message.fields.get("reasons", [message.fields["sentence"]]))
        for message in follow(*outcomes)
    ]


def test_nothing_is_sent_while_all_is_fine():
    assert follow(FINE, FINE) == [None, None]


def test_an_alarm_is_sent_on_its_first_day_alone_and_its_end_too():
    assert reasons(FINE, LOOK, LOOK, LOOK, FINE, FINE) == [
        None, "the verdict is worse: it was fine; there is 1 new alarm", None, None,
        "it is fine again: it was look", None,
    ]  # fmt: skip


def test_a_first_run_that_finds_something_is_worth_a_message():
    assert reasons(RETRAIN) == ["the verdict is worse: it was fine; there are 2 new alarms"]


def test_another_alarm_is_new_also_if_the_verdict_is_the_same():
    worse = replace(LOOK, alarms=(BAY_AREA_ALARM, INCOME_ALARM))
    assert reasons(LOOK, worse, worse) == [
        "the verdict is worse: it was fine; there is 1 new alarm", "there is 1 new alarm", None
    ]  # fmt: skip


def test_an_alarm_whose_sentence_or_days_change_is_the_same_alarm():
    later = replace(INCOME_ALARM, sentence="it fell by half", first_day="2026-11-21")
    assert follow(LOOK, replace(LOOK, alarms=(later,)))[1] is None


def test_a_group_follows_an_alarm_of_all_rows_without_a_message():
    all_rows = replace(LOOK, alarms=(replace(BAY_AREA_ALARM, group=""),))
    with_group = replace(LOOK, alarms=(*all_rows.alarms, BAY_AREA_ALARM))
    assert follow(all_rows, with_group)[1] is None
    only_group = replace(LOOK, alarms=(BAY_AREA_ALARM,))
    assert reasons(only_group, with_group)[1] == "there is 1 new alarm"


def test_an_alarm_that_ended_and_came_back_is_new():
    ended = replace(LOOK, alarms=(replace(BAY_AREA_ALARM, is_current=False),))
    assert reasons(LOOK, ended, LOOK)[1:] == [None, "there is 1 new alarm"]


def test_a_better_verdict_that_is_not_fine_is_no_news():
    assert reasons(RETRAIN, LOOK, RETRAIN)[1:] == [
        None, "the verdict is worse: it was look; there is 1 new alarm"
    ]  # fmt: skip


def test_a_failure_is_sent_once_and_so_is_its_end():
    assert reasons("it ran out of memory", "again", FINE, FINE, "disk full") == [
        "it ran out of memory", None, "the monitoring runs again", None, "disk full"
    ]  # fmt: skip
    assert reasons(LOOK, "disk full", LOOK)[2] == "the monitoring runs again"


def test_the_message_says_what_why_where_and_links_the_report():
    retrain = replace(RETRAIN, alarms=RETRAIN.alarms[::-1])
    [_, message] = follow(LOOK, retrain)
    assert message.subject == "Monitoring of california-housing: retrain"
    assert message.text.splitlines() == [
        f"Monitoring of california-housing. {RETRAIN.sentence}",
        "Why this message: the verdict is worse: it was look; there is 1 new alarm.",
        "- new: region: Bay Area: the absolute error rose by $9,000, since 2026-11-20",
        "- MedInc fell",
        "Version 1, 2026-09-01 to 2026-11-29: 5,000 predictions, 400 of them with a true value.",
        f"Report: {REPORT}",
    ]
    assert message.fields["verdict"] == "retrain"
    assert message.fields["alarms"][1]["group"] == "region: Bay Area"
    assert message.fields["report"] == REPORT


def test_a_message_lists_no_more_alarms_than_people_read():
    alarms = tuple(replace(BAY_AREA_ALARM, group=f"region: {number}") for number in range(15))
    [message] = follow(replace(LOOK, alarms=alarms))
    assert "\n- and 5 more alarms\n" in message.text
    assert len(message.fields["alarms"]) == 15


def test_the_message_of_a_failure_is_short_and_says_that_nothing_watches():
    [message] = follow("MemoryError:\n" + "x" * 5_000)
    assert message.text.startswith("Monitoring failed: MemoryError: xxx")
    assert len(message.text) < 800
    assert "nothing watches the model" in message.text
    assert message.fields["verdict"] == "failed"


@pytest.fixture
def step(home):
    """The monitoring's step, done."""
    return Step(home / REPORT)


def test_without_an_address_nothing_is_sent_or_kept(step):
    write_verdict(verdict_path(), LOOK)
    notify_finished_step(step)
    assert [file.name for file in verdict_path().parent.iterdir()] == ["verdict.json"]


def test_the_runs_of_a_week_send_what_is_new_with_the_report_s_address(step, webhook, monkeypatch):
    monkeypatch.setenv("HOUSING_ALERT_URL", webhook.url)
    monkeypatch.setenv("HOUSING_REPORTS_URL", "https://housing.example/reports/")
    for verdict in (FINE, LOOK, LOOK, RETRAIN, FINE):
        write_verdict(verdict_path(), verdict)
        notify_finished_step(step)
    assert [body["verdict"] for body in webhook.bodies] == ["look", "retrain", "fine"]
    assert webhook.bodies[0]["report"] == f"https://housing.example/{REPORT}"
    state_text = (verdict_path().parent / "notified.json").read_text()
    assert "s3cret" not in state_text


def test_a_message_that_did_not_get_through_is_sent_by_the_next_run(step, webhook, monkeypatch):
    monkeypatch.setenv("HOUSING_ALERT_URL", webhook.url)
    write_verdict(verdict_path(), LOOK)
    webhook.statuses = [404]
    with pytest.raises(DeliveryError):
        notify_finished_step(step)
    notify_finished_step(step)
    notify_finished_step(step)
    assert [body["verdict"] for body in webhook.bodies] == ["look", "look"]


def test_a_run_that_failed_is_sent_by_mail_with_the_report_s_path(step, mail_server, monkeypatch):
    monkeypatch.setenv(
        "HOUSING_ALERT_URL", f"smtp://127.0.0.1:{mail_server.port}/?to=ops@example.com"
    )
    write_verdict(verdict_path(), FINE)  # of the day before
    notify_finished_step(step._replace(failure="the log cannot be read"))
    [mail] = mail_server.mails
    assert mail["Subject"] == "Monitoring failed"
    assert "the log cannot be read" in mail.get_content()
    assert f"Report: {step.report}" in mail.get_content()


@pytest.mark.parametrize("content", [b"{", b"\xff"])
def test_a_run_without_a_verdict_that_can_be_read_counts_as_failed(
    step, webhook, monkeypatch, content
):
    monkeypatch.setenv("HOUSING_ALERT_URL", webhook.url)
    verdict_path().parent.mkdir(parents=True)
    verdict_path().write_bytes(content)
    notify_finished_step(step)
    [body] = webhook.bodies
    assert body["verdict"] == "failed"
    assert "verdict.json" in body["sentence"]


def test_a_report_on_the_past_sends_nothing(step, webhook, monkeypatch):
    monkeypatch.setenv("HOUSING_ALERT_URL", webhook.url)
    notify_finished_step(step)
    write_verdict(verdict_path(), LOOK)  # of another run
    notify_finished_step(step._replace(run_id="20261130-060000-bbbb"))
    assert webhook.bodies == []
    notify_finished_step(step)
    assert len(webhook.bodies) == 1


def test_a_damaged_memory_of_what_was_sent_costs_one_message_more(step, webhook, monkeypatch):
    monkeypatch.setenv("HOUSING_ALERT_URL", webhook.url)
    write_verdict(verdict_path(), LOOK)
    notify_finished_step(step)
    (verdict_path().parent / "notified.json").write_text("[]")
    notify_finished_step(step)
    notify_finished_step(step)
    assert len(webhook.bodies) == 2


def test_a_wrong_address_is_an_error_of_every_run(step, monkeypatch):
    monkeypatch.setenv("HOUSING_ALERT_URL", "ops@example.com")
    with pytest.raises(ValueError, match="HOUSING_ALERT_URL is no address"):
        notify_finished_step(step)


def test_a_retry_waits_for_seconds_only():
    assert sum(delivery.RETRY_DELAYS_SECONDS) + 3 * delivery.TIMEOUT_SECONDS < 60
