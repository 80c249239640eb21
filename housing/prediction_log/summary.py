"""The service's log in short: how many, how fast, and what went wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from housing.prediction_log import reader
from housing.prediction_log.filters import Wanted

HOURS = 48  # a longer time is told by the day
PROBLEMS = 10  # how many of the most frequent ones
VALUE = re.compile(r"(?<= is ).+?(?=, expected)|'[^']*'|\"[^\"]*\"|(?<=has )[\d,]+(?= rows)")
NEXT = re.compile(r"; (?=(?:row \d+: )?(?:\w+|'[^']*'|\"[^\"]*\") is )")  # a request's next problem


def summary(file: Path, wanted: Wanted) -> dict[str, Any]:
    """What `logs --summary` tells; counts are of rows, latencies (ms) and problems of requests."""
    groups: Counter[tuple[Any, ...]] = Counter()
    problems: Counter[str] = Counter()
    latencies: list[float] = []
    before = None
    for status, model, version, hour, warned, latency, request, problem in _rows(file, wanted):
        groups[status, model, version, hour, warned] += 1
        if request != before:  # the answers to a list stand together, and took as long
            before = request
            latencies.append(latency)
            if problem:
                problems[problem] += 1
    return _told(groups, problems, sorted(latencies))


def _rows(file: Path, wanted: Wanted) -> Any:
    if not file.exists():
        return
    with reader.opened(file) as database:
        known = reader.columns(database)
        if not known:
            return
        where, values = reader.matching(wanted, known)
        warned = "coalesce(warnings NOT IN ('', '[]'), 0)" if "warnings" in known else "0"
        database.row_factory = None
        yield from database.execute(
            "SELECT status, model_name, model_version, substr(asked_at, 1, 13), "
            f"{warned}, latency_ms, request_id, problem FROM prediction WHERE {where}",
            values,
        )


def _told(
    groups: Mapping[tuple[Any, ...], int], problems: Mapping[str, int], latencies: list[float]
) -> dict[str, Any]:
    total = sum(groups.values())
    answered = sum(many for (_, model, *_), many in groups.items() if model)
    warned = sum(many for (*_, warned), many in groups.items() if warned)
    versions = {group: f"{group[1]} {group[2]}" if group[1] else None for group in groups}
    return {
        "rows": total,
        "requests": len(latencies),
        "status": _counted(groups, lambda group: group[0]),
        "version": _counted(groups, versions.__getitem__),
        "latency_ms": {"median": _at(latencies, 0.5), "p99": _at(latencies, 0.99)},
        "with_warnings": warned / answered if answered else None,
        "problems": _kinds(problems),
        "times": _times(_counted(groups, lambda group: group[3])),
    }


def _counted(groups: Mapping[tuple[Any, ...], int], of: Any) -> dict[Any, int]:
    """Rows by something, the most first; what is None is not counted."""
    found: Counter[Any] = Counter()
    for group, many in groups.items():
        if of(group) is not None:
            found[of(group)] += many
    return dict(found.most_common())


def _at(ordered: list[float], share: float) -> float | None:
    """The least value that so large a share does not exceed."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else None


def _kinds(problems: Mapping[str, int]) -> dict[str, int]:
    """Requests by kind of problem, whatever the value or the row."""
    found: Counter[str] = Counter()
    for problem, many in problems.items():
        for kind in {_kind(one) for one in NEXT.split(problem)}:
            found[kind] += many
    return dict(found.most_common(PROBLEMS))


def _kind(problem: str) -> str:
    return VALUE.sub("…", re.sub(r"^row \d+: ", "", problem))


def _times(hours: Mapping[str, int]) -> dict[str, int]:
    """Rows by the hour, or, if that were too many, by the day; in order, empty ones left out."""
    found: Counter[str] = Counter()
    for hour, many in hours.items():
        found[hour if len(hours) <= HOURS else hour[:10]] += many
    return dict(sorted(found.items()))
