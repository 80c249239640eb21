"""Verdicts of the monitoring, as its runs leave them for the service."""

from dataclasses import replace

from housing.monitoring.verdict import Alarm, MonitoringVerdict, Verdict

BAY_AREA_ALARM = Alarm(
    signal="error",
    quantity="absolute error",
    group="region: Bay Area",
    sentence="region: Bay Area: the absolute error rose by $9,000, since 2026-11-20",
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
    sentence="Fine: no change that matters was seen in 5,000 predictions and 400 true values.",
    model_name="california-housing",
    model_version="1",
    since="2026-09-01",
    until="2026-11-29",
    created_at="2026-11-30T05:00:00+00:00",
    alarms_per_year=1.0,
    row_count=5_000,
    labelled_count=400,
    run="20261130-050000-aaaa",
    mean_absolute_error_usd=25_000.0,
    estimated_error_usd=24_500.0,
    promised_error_usd=24_000.0,
    coverage=0.9,
)
LOOK = replace(
    FINE,
    verdict=Verdict.LOOK,
    sentence="Look: MedInc fell, since 2026-11-20.",
    alarms=(INCOME_ALARM,),
)
RETRAIN = replace(
    FINE,
    verdict=Verdict.RETRAIN,
    sentence=f"Retrain: {BAY_AREA_ALARM.sentence} (and 1 other change).",
    alarms=(BAY_AREA_ALARM, INCOME_ALARM),
)
