"""The self-test in the report: how often the rules cry wolf at this traffic, and what they see."""

from __future__ import annotations

from housing.monitoring.analysis import self_test
from housing.monitoring.analysis.self_test import SelfTest
from housing.monitoring.reference import reference_file
from housing.monitoring.report.loading import Traffic
from housing.registry.artifacts import ModelVersion

NOT_REPLAYED = (
    "With `-p self_test=yes`, held-out rows are replayed through these rules at the volume of this "
    "traffic, clean and with planted changes, which takes half a minute: how often they cry wolf, "
    "and how soon they see a change."
)


def replay(
    is_wanted: bool, traffic: Traffic, version: ModelVersion, alarms_per_year: float
) -> SelfTest | None:
    """Replay held-out rows at the volume of the traffic; None if that is not wanted, or not there.

    Raises ValueError if the split that the version was trained on is not here.
    """
    if not is_wanted or not traffic.counts.requests["sampled"].any():
        return None
    held_out = reference_file.load_held_out(version)
    return self_test.run_self_test(
        traffic.counts, traffic.reference, held_out.split.test, held_out.answer, alarms_per_year
    )


def describe(rates: SelfTest | None) -> str:
    """Return the rate of false alarms beside the budget, in Markdown."""
    if rates is None:
        return NOT_REPLAYED
    rate, low, high = rates.false_alarm_rate()
    return (
        f"**{rate:.2f} false alarms a year** in {rates.clean_days:,} replayed clean days (95 %: "
        f"{low:.2f} to {high:.2f}); the budget allows {rates.alarms_per_year:g}. "
        f"The planted changes were replayed with {rates.row_share:.0%} of the predictions and "
        f"{rates.labelled_share:.0%} of the true values."
    )
