"""The checks of the gate: their limits, a result, and how it is said in a sentence."""

import json
from typing import Any, NamedTuple

import numpy as np

from housing.evaluation.champion_comparison import RmseGain

# the check of the gain, and the score that the candidate must be better than, in words
MEAN_GAIN_CHECK = "test RMSE gain over the training mean, $"
CHAMPION_GAIN_CHECK = "test RMSE gain over the champion, $"
RECENT_MEAN_GAIN_CHECK = "recent RMSE gain over the training mean, $"
RECENT_CHAMPION_GAIN_CHECK = "recent RMSE gain over the champion, $"
BASELINE_SCORES = {
    MEAN_GAIN_CHECK: "that of always predicting the training mean",
    CHAMPION_GAIN_CHECK: "the champion's",
    RECENT_MEAN_GAIN_CHECK: "that of always predicting the training mean",
    RECENT_CHAMPION_GAIN_CHECK: "the champion's",
}
GAIN_INTERVAL_CHECK = "RMSE gain, lower end of its"
RECENT_GAIN_INTERVAL_CHECK = f"recent {GAIN_INTERVAL_CHECK}"
LABELLED_ROWS_CHECK = "labelled rows that the champion has learnt from and the candidate has not"


class GateLimits(NamedTuple):
    """The limits a candidate must keep."""

    min_gain_usd: float = 0.0  # dollars of test RMSE that it must gain at least
    confidence_level: float = 0.9  # of the interval of that gain, which must lie above 0
    max_slice_loss_percent: float = 10.0  # percent by which the RMSE of a group may increase
    prediction_margin: float = 0.2  # beyond the training values, as a share of their range
    max_latency_ms: float = 1.0  # milliseconds for one row
    max_size_mb: float = 50.0  # megabytes of the graph
    min_test_rows: int = 100  # fewer test rows are no evidence
    # with labelled rows: by how much the rank correlation with the recorded test values may fall
    max_rank_loss: float = 0.02


DEFAULT_LIMITS = GateLimits()


class Check(NamedTuple):
    """The result of one check of the gate."""

    check: str
    value: float
    limit: float
    passed: bool

    @classmethod
    def at_least(cls, name: str, value: float, limit: float) -> "Check":
        """Check that a value is not below the limit."""
        return cls(name, float(value), float(limit), bool(value >= limit))

    @classmethod
    def at_most(cls, name: str, value: float, limit: float) -> "Check":
        """Check that a value is not above the limit."""
        return cls(name, float(value), float(limit), bool(value <= limit))


def describe_failure(check: Check) -> str:
    """Say why a check failed: the gain in a sentence, any other with its value and limit."""
    if check.check in BASELINE_SCORES and np.isfinite(check.value):
        return f"{describe_gain(check)} (required: more than ${check.limit:,.0f} lower)"
    if GAIN_INTERVAL_CHECK in check.check and np.isfinite(check.value):
        sign = "−" if check.value < 0 else ""
        place = " on the recent test rows" if check.check.startswith("recent") else ""
        return (
            f"the gain{place} may be chance: its confidence interval starts at "
            f"{sign}${abs(check.value):,.0f}"
        )
    if check.check == LABELLED_ROWS_CHECK:
        return (
            f"the champion has learnt from {check.value:,.0f} labelled rows of the prediction log, "
            "and the candidate from none: train with labelled=yes"
        )
    return f"{check.check}: {check.value:,g} (limit {check.limit:,g})"


def describe_gain(check: Check) -> str:
    """Describe a gain in RMSE, or a loss, as a sentence."""
    direction = "higher" if check.value < 0 else "lower"
    own_score, score = "test RMSE", BASELINE_SCORES[check.check]
    if check.check in (RECENT_MEAN_GAIN_CHECK, RECENT_CHAMPION_GAIN_CHECK):
        own_score = "RMSE on the recent test rows"
    return f"its {own_score} is ${abs(check.value):,.0f} {direction} than {score}"


def gain_checks(
    gain: RmseGain, interval_check: str, gain_check: str, min_gain: float, level: float
) -> list[Check]:
    """Check that a gain in RMSE is unlikely to be chance, and large enough.

    interval_check, gain_check: the names of the checks. min_gain: dollars. level: the confidence
    level of the gain's interval.
    """
    value, low = (round(dollars, 2) + 0.0 for dollars in (gain.value, gain.low))  # never -0
    return [
        Check(f"{interval_check} {level:.0%} interval, $", low, 0.0, low > 0),
        Check(gain_check, value, min_gain, value > min_gain),
    ]


def lacks_only_gain(checks_json: str) -> bool:
    """Return whether a version has passed every check of the gate but those of its gain.

    checks_json: what `checks_as_json` returned, as the tag of the version has it. False if it
    cannot be read: then it is not known what has failed.
    """
    try:
        checks = json.loads(checks_json)
        failed_names = [check["check"] for check in checks if not check["passed"]]
    except (ValueError, TypeError, KeyError):
        return False
    return bool(checks) and all(
        name in BASELINE_SCORES or name.startswith(GAIN_INTERVAL_CHECK) for name in failed_names
    )


def checks_as_json(checks: list[Check]) -> list[dict[str, Any]]:
    """Convert the checks to values that JSON can hold: a number that is not finite to a string."""
    return [
        check._asdict() | {"value": check.value if np.isfinite(check.value) else str(check.value)}
        for check in checks
    ]
