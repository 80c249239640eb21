"""A summary of the prediction log: how many rows, how fast, and what went wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from housing.prediction_log import reader, table
from housing.prediction_log.filters import LogFilters

MAX_HOURLY_BUCKETS = 48  # a longer time is counted by the day
MAX_SUMMARY_PROBLEMS = 10  # the most frequent ones
VALUE_PATTERN = re.compile(
    r"(?<= is ).+?(?=, expected)|'[^']*'|\"[^\"]*\"|(?<=has )[\d,]+(?= rows)"
)
# between two problems of one request
PROBLEM_SEPARATOR_PATTERN = re.compile(r"; (?=(?:row \d+: )?(?:\w+|'[^']*'|\"[^\"]*\") is )")


class RowGroup(NamedTuple):
    """What rows that are counted together have in common."""

    status: int
    model_name: str | None
    model_version: str | None
    hour: str  # the start of an ISO time, like 2026-11-25T14
    has_warnings: bool


def summarize(file: Path, filters: LogFilters) -> dict[str, Any]:
    """Return what `logs --summary` prints.

    Status, version, warnings and times count rows; latencies (ms) and problems are of requests.
    """
    group_counts: Counter[tuple[Any, ...]] = Counter()  # made RowGroups below: that takes time
    problem_counts: Counter[str] = Counter()
    latencies: list[float] = []
    last_request = None
    for (
        status, model_name, model_version, hour, has_warnings, latency, request_id, problem
    ) in _select_rows(file, filters):  # fmt: skip
        group_counts[status, model_name, model_version, hour, has_warnings] += 1
        # the rows of one request follow each other and have the same latency
        if request_id != last_request:
            last_request = request_id
            latencies.append(latency)
            if problem:
                problem_counts[problem] += 1
    row_counts = {RowGroup(*group): count for group, count in group_counts.items()}
    return _build_summary(row_counts, problem_counts, sorted(latencies))


def _select_rows(file: Path, filters: LogFilters) -> Iterator[tuple[Any, ...]]:
    if not file.exists():
        return
    with reader.open_log(file) as connection:
        columns = table.column_types(connection)
        if not columns:
            return
        condition, values = reader.where_clause(filters, columns)
        has_warnings = "coalesce(warnings NOT IN ('', '[]'), 0)" if "warnings" in columns else "0"
        connection.row_factory = None
        yield from connection.execute(
            "SELECT status, model_name, model_version, substr(asked_at, 1, 13), "
            f"{has_warnings}, latency_ms, request_id, problem FROM prediction WHERE {condition}",
            values,
        )


def _build_summary(
    row_counts: Mapping[RowGroup, int],
    problem_counts: Mapping[str, int],
    latencies: list[float],
) -> dict[str, Any]:
    answered = sum(count for group, count in row_counts.items() if group.model_name)
    with_warnings = sum(count for group, count in row_counts.items() if group.has_warnings)
    hourly_counts = _count_rows_by(row_counts, lambda group: group.hour)
    return {
        "rows": sum(row_counts.values()),
        "requests": len(latencies),
        "status": _count_rows_by(row_counts, lambda group: group.status),
        "version": _count_rows_by(row_counts, _version_label),
        "latency_ms": {"median": _quantile(latencies, 0.5), "p99": _quantile(latencies, 0.99)},
        "with_warnings": with_warnings / answered if answered else None,
        "problems": _count_problem_kinds(problem_counts),
        "times": _count_rows_by_time(hourly_counts),
    }


def _version_label(group: RowGroup) -> str | None:
    return f"{group.model_name} {group.model_version}" if group.model_name else None


def _count_rows_by(
    row_counts: Mapping[RowGroup, int], key: Callable[[RowGroup], Hashable]
) -> dict[Any, int]:
    """Return the rows by a key, the most frequent first; rows whose key is None are left out."""
    counts: Counter[Any] = Counter()
    for group, count in row_counts.items():
        if key(group) is not None:
            counts[key(group)] += count
    return dict(counts.most_common())


def _quantile(sorted_values: list[float], probability: float) -> float | None:
    """Return the least value that so large a share does not exceed; None without values."""
    if not sorted_values:
        return None
    rank = -int(-probability * len(sorted_values) // 1)  # rounded up
    return sorted_values[max(0, rank - 1)]


def _count_problem_kinds(problem_counts: Mapping[str, int]) -> dict[str, int]:
    """Return the requests by kind of problem, whatever the value or the row."""
    counts: Counter[str] = Counter()
    for problem, count in problem_counts.items():
        # not a set: its order would differ from one process to the next
        for kind in dict.fromkeys(map(_problem_kind, PROBLEM_SEPARATOR_PATTERN.split(problem))):
            counts[kind] += count
    return dict(counts.most_common(MAX_SUMMARY_PROBLEMS))


def _problem_kind(problem: str) -> str:
    return VALUE_PATTERN.sub("…", re.sub(r"^row \d+: ", "", problem))


def _count_rows_by_time(hourly_counts: Mapping[str, int]) -> dict[str, int]:
    """Return the rows by hour, or by day if there are many hours; in order, none of them 0."""
    counts: Counter[str] = Counter()
    by_hour = len(hourly_counts) <= MAX_HOURLY_BUCKETS
    for hour, count in hourly_counts.items():
        counts[hour if by_hour else hour[:10]] += count
    return dict(sorted(counts.items()))
