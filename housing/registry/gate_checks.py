"""The result of a check of the gate, and how it is said in a sentence."""

import json
from typing import Any, NamedTuple

import numpy as np

# the check of the gain, and the score that the candidate must be better than, in words
MEAN_GAIN_CHECK = "test RMSE gain over the training mean, $"
CHAMPION_GAIN_CHECK = "test RMSE gain over the champion, $"
BASELINE_SCORES = {
    MEAN_GAIN_CHECK: "that of always predicting the training mean",
    CHAMPION_GAIN_CHECK: "the champion's",
}
GAIN_INTERVAL_CHECK = "RMSE gain, lower end of its"


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
    if check.check.startswith(GAIN_INTERVAL_CHECK) and np.isfinite(check.value):
        sign = "−" if check.value < 0 else ""
        return (
            "the gain may be chance: its confidence interval starts at "
            f"{sign}${abs(check.value):,.0f}"
        )
    return f"{check.check}: {check.value:,g} (limit {check.limit:,g})"


def describe_gain(check: Check) -> str:
    """Describe a gain in RMSE, or a loss, as a sentence."""
    direction = "higher" if check.value < 0 else "lower"
    score = BASELINE_SCORES[check.check]
    return f"its test RMSE is ${abs(check.value):,.0f} {direction} than {score}"


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
