"""One budget of false alarms for all that is watched, divided into shares.

If a share w of the budget of a alarms a year falls to a stream, its alarm needs evidence of
365 / (a * w) days (`change_detection`): on average it takes that long, or longer, to a false one.
The shares add up to 1, so all streams together raise at most a false alarms a year on average.
"""

from __future__ import annotations

import math

DAYS_PER_YEAR = 365.25


def log_threshold(alarms_per_year: float, share: float) -> float:
    """Return the logarithm of the evidence, in days, at which a stream raises an alarm.

    Raises ValueError if alarms_per_year is not above 0, or share not above 0 and at most 1.
    """
    if not alarms_per_year > 0:
        raise ValueError(f"alarms_per_year is {alarms_per_year!r}, expected a number above 0")
    if not 0 < share <= 1:
        raise ValueError(f"share is {share!r}, expected a number above 0 and at most 1")
    return math.log(DAYS_PER_YEAR / (alarms_per_year * share))


def open_ended_share(position: int) -> float:
    """Return the share of what comes at a position, from 0, of a list that may always grow.

    As of callers, in the order in which they first appear: all shares together are 1 (Euler,
    1735).
    """
    return 6 / (math.pi * (position + 1)) ** 2
