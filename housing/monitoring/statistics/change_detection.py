"""Finding the day from which a mean is no longer normal, with a stated rate of false alarms.

The evidence on a day is the sum, over all days on which a change could have begun, of the wealth
that betting on it has made since then (`betting`). As long as all is normal it grows by at most one
a day on average: so it takes C days or more, on average, to reach C, however often one looks. This
is the e-detector of Shin, Ramdas and Rinaldo (2022, arXiv 2203.03532), in the form of Shiryaev and
Roberts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from housing.monitoring.statistics.betting import STAKE_SHARES, log_growth, log_mean_exp

# Wealth of the best start by which a change counts as over. It is no part of the budget: it raises
# no alarm.
LOG_RECOVERY_THRESHOLD = float(np.log(20))


class Direction(IntEnum):
    """Where a mean has gone."""

    UP = 0
    DOWN = 1


class NormalRange(NamedTuple):
    """The means that count as normal: an alarm needs evidence for a mean outside of them."""

    low: float
    high: float


class Stream(NamedTuple):
    """One quantity of the traffic, as a histogram for each day."""

    counts: np.ndarray  # (n_days, n_values), the rows of each day by value
    values: np.ndarray  # (n_values,), from 0 to 1
    normal: NormalRange
    log_threshold: float  # exp of it is the least mean number of days to a false alarm


class Confirmation(NamedTuple):
    """A day on which the evidence for a change was enough; it is collected anew after each."""

    first_day: int  # from which on the evidence has grown most
    alarm_day: int


@dataclass
class Change:
    """A change of a mean that was detected; days are counted from 0."""

    direction: Direction
    confirmations: list[Confirmation]  # the first is the alarm; in order
    last_day: int | None = None  # before the mean was normal again; None: it still is not

    @property
    def first_day(self) -> int:
        """The day on which the change most probably began."""
        return self.confirmations[0].first_day

    @property
    def alarm_day(self) -> int:
        """The day on which the alarm was raised."""
        return self.confirmations[0].alarm_day


@dataclass
class Detection:
    """What was found in one stream."""

    log_evidence: np.ndarray  # (n_days,), the logarithm of the evidence after each day
    changes: list[Change] = field(default_factory=list)  # in the order of their alarms

    def current(self) -> Change | None:
        """Return the change that lasts at the end, if there is one."""
        return next((change for change in self.changes if change.last_day is None), None)


class _Gamblers:
    """Bets on several changes at once: the evidence for each, and since when it has grown most."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        """shape: of the changes that are bet on."""
        self.log_sums = np.full((*shape, len(STAKE_SHARES)), -np.inf)  # over the possible starts
        self._log_best = self.log_sums.copy()  # of the best start
        self._best_start = np.zeros(self.log_sums.shape, int)

    def play(self, day: int, growth: np.ndarray) -> np.ndarray:
        """Return the logarithm of the evidence after a day. growth: (*shape, n_stakes)."""
        self.log_sums = np.logaddexp(self.log_sums, 0) + growth
        self._best_start[self._log_best <= 0] = day
        self._log_best = np.maximum(self._log_best, 0) + growth
        return log_mean_exp(self.log_sums, axis=-1)

    def best_wealth(self) -> np.ndarray:
        """Return the logarithm of the wealth since the best start; days without rows add none."""
        return log_mean_exp(self._log_best, axis=-1)

    def restart(self, index: int) -> None:
        """Forget all evidence for what is at an index of the first axis."""
        self.log_sums[index] = self._log_best[index] = -np.inf

    def likely_start(self, index: tuple[int, ...]) -> int:
        """Return the day from which on the bets on one change have won most."""
        return int(self._best_start[index][np.argmax(self._log_best[index])])


def detect_changes(streams: Sequence[Stream]) -> list[Detection]:
    """Find the changes of each stream; after an alarm, the search in that stream starts anew.

    All streams have the same days.
    """
    if not streams:
        return []
    growth = np.stack([_daily_growth(stream) for stream in streams], axis=1)
    recovery_growth = np.stack([_daily_recovery_growth(stream) for stream in streams], axis=1)
    thresholds = np.array([stream.log_threshold for stream in streams])
    detections = [Detection(np.empty(len(growth))) for _ in streams]
    gamblers, recovery = _Gamblers(growth.shape[1:3]), _Gamblers(growth.shape[1:3])
    for day, (day_growth, day_recovery_growth) in enumerate(
        zip(growth, recovery_growth, strict=True)
    ):
        recovery.play(day, day_recovery_growth)
        is_over = recovery.best_wealth() >= LOG_RECOVERY_THRESHOLD
        by_direction = gamblers.play(day, day_growth)
        evidence = log_mean_exp(by_direction, axis=-1)
        for detection, value in zip(detections, evidence, strict=True):
            detection.log_evidence[day] = value
        for index, direction in np.argwhere(is_over).tolist():
            change = detections[index].current()
            if change and change.direction == direction:
                first_normal_day = recovery.likely_start((index, direction))
                change.last_day = max(first_normal_day - 1, change.first_day)
        for index in np.flatnonzero(evidence >= thresholds).tolist():
            direction = Direction(int(np.argmax(by_direction[index])))
            confirmation = Confirmation(gamblers.likely_start((index, direction)), day)
            change = detections[index].current()
            if change and change.direction == direction:
                change.confirmations.append(confirmation)
            else:
                if change:
                    change.last_day = max(confirmation.first_day - 1, change.first_day)
                detections[index].changes.append(Change(direction, [confirmation]))
                recovery.restart(index)
            gamblers.restart(index)
    return detections


def _daily_growth(stream: Stream) -> np.ndarray:
    """Return the growth of bets on each direction: (n_days, 2, n_stakes)."""
    values, normal = np.asarray(stream.values, float), stream.normal
    growth = np.stack([log_growth(values, normal.high), log_growth(1 - values, 1 - normal.low)])
    return np.einsum("dv,nsv->dns", stream.counts, growth)


def _daily_recovery_growth(stream: Stream) -> np.ndarray:
    """Return the growth of bets that a mean which has gone up, or down, is normal again."""
    values, normal = np.asarray(stream.values, float), stream.normal
    growth = np.stack([log_growth(1 - values, 1 - normal.high), log_growth(values, normal.low)])
    return np.einsum("dv,nsv->dns", stream.counts, growth)
