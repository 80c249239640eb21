"""The service's log in short: how many, how fast, and what went wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from housing.prediction_log import reader
from housing.prediction_log.filters import LogFilters

MAX_HOURLY_BUCKETS = 48  # a longer time is told by the day
MAX_SUMMARY_PROBLEMS = 10  # how many of the most frequent ones
VALUE_PATTERN = re.compile(
    r"(?<= is ).+?(?=, expected)|'[^']*'|\"[^\"]*\"|(?<=has )[\d,]+(?= rows)"
)
PROBLEM_SEPARATOR_PATTERN = re.compile(
    r"; (?=(?:row \d+: )?(?:\w+|'[^']*'|\"[^\"]*\") is )"
)  # a request's next problem


def summarize(file: Path, filters: LogFilters) -> dict[str, Any]:
    """What `logs --summary` tells; counts are of rows, latencies (ms) and problems of requests."""
    groups: Counter[tuple[Any, ...]] = Counter()
    problems: Counter[str] = Counter()
    latencies: list[float] = []
    before = None
    for status, model, version, hour, warned, latency, request, problem in _select_rows(
        file, filters
    ):
        groups[status, model, version, hour, warned] += 1
        if request != before:  # the answers to a list stand together, and took as long
            before = request
            latencies.append(latency)
            if problem:
                problems[problem] += 1
    return _build_summary(groups, problems, sorted(latencies))


def _select_rows(file: Path, filters: LogFilters) -> Any:
    if not file.exists():
        return
    with reader.open_log(file) as database:
        known = reader.table_columns(database)
        if not known:
            return
        where, values = reader.where_clause(filters, known)
        warned = "coalesce(warnings NOT IN ('', '[]'), 0)" if "warnings" in known else "0"
        database.row_factory = None
        yield from database.execute(
            "SELECT status, model_name, model_version, substr(asked_at, 1, 13), "
            f"{warned}, latency_ms, request_id, problem FROM prediction WHERE {where}",
            values,
        )


def _build_summary(
    row_counts: Mapping[tuple[Any, ...], int],
    problem_counts: Mapping[str, int],
    latencies: list[float],
) -> dict[str, Any]:
    total = sum(row_counts.values())
    answered = sum(many for (_, model, *_), many in row_counts.items() if model)
    warned = sum(many for (*_, warned), many in row_counts.items() if warned)
    versions = {group: f"{group[1]} {group[2]}" if group[1] else None for group in row_counts}
    return {
        "rows": total,
        "requests": len(latencies),
        "status": _count_rows_by(row_counts, lambda group: group[0]),
        "version": _count_rows_by(row_counts, versions.__getitem__),
        "latency_ms": {"median": _quantile(latencies, 0.5), "p99": _quantile(latencies, 0.99)},
        "with_warnings": warned / answered if answered else None,
        "problems": _count_problem_kinds(problem_counts),
        "times": _count_rows_by_time(_count_rows_by(row_counts, lambda group: group[3])),
    }


def _count_rows_by(row_counts: Mapping[tuple[Any, ...], int], key: Any) -> dict[Any, int]:
    """Rows by something, the most first; what is None is not counted."""
    found: Counter[Any] = Counter()
    for group, many in row_counts.items():
        if key(group) is not None:
            found[key(group)] += many
    return dict(found.most_common())


def _quantile(sorted_values: list[float], probability: float) -> float | None:
    """The least value that so large a share does not exceed."""
    return (
        sorted_values[max(0, -int(-probability * len(sorted_values) // 1) - 1)]
        if sorted_values
        else None
    )


def _count_problem_kinds(problem_counts: Mapping[str, int]) -> dict[str, int]:
    """Requests by kind of problem, whatever the value or the row."""
    found: Counter[str] = Counter()
    for problem, many in problem_counts.items():
        for kind in {_problem_kind(one) for one in PROBLEM_SEPARATOR_PATTERN.split(problem)}:
            found[kind] += many
    return dict(found.most_common(MAX_SUMMARY_PROBLEMS))


def _problem_kind(problem: str) -> str:
    return VALUE_PATTERN.sub("…", re.sub(r"^row \d+: ", "", problem))


def _count_rows_by_time(hourly_counts: Mapping[str, int]) -> dict[str, int]:
    """Rows by the hour, or, if that were too many, by the day; in order, empty ones left out."""
    found: Counter[str] = Counter()
    for hour, many in hourly_counts.items():
        found[hour if len(hourly_counts) <= MAX_HOURLY_BUCKETS else hour[:10]] += many
    return dict(sorted(found.items()))
