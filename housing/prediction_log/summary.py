"""A summary of the prediction log: how many rows, how fast, and what went wrong."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from housing.prediction_log import reader, table
from housing.prediction_log.filters import LogFilters, where_clause

MAX_HOURLY_BUCKETS = 48  # a longer time is counted by the day
MAX_SUMMARY_PROBLEMS = 10  # the most frequent ones
VALUE_PATTERN = re.compile(
    r"(?<= is ).+?(?=, expected)|'[^']*'|\"[^\"]*\"|(?<=has )[\d,]+(?= rows)"
)
ROW_PATTERN = re.compile(r"^row \d+: ")
# between two problems of one request
PROBLEM_SEPARATOR_PATTERN = re.compile(r"; (?=(?:row \d+: )?(?:\w+|'[^']*'|\"[^\"]*\") is )")


def summarize(file: Path, filters: LogFilters) -> dict[str, Any]:
    """Return what `logs --summary` prints.

    Status, version, warnings and times count rows; latencies (ms) and problems are of requests.
    """
    statuses: Counter[int] = Counter()
    versions: Counter[str] = Counter()
    hours: Counter[str] = Counter()  # the start of an ISO time, like 2026-11-25T14 -> rows
    problems: Counter[str] = Counter()
    latencies: list[float] = []
    n_with_warnings, last_request = 0, None
    for row in _select_rows(file, filters):
        status, version, hour, has_warnings, latency, request_id, problem = row
        statuses[status] += 1
        hours[hour] += 1
        n_with_warnings += has_warnings
        if version:
            versions[version] += 1
        # the rows of one request follow each other and have the same latency
        if request_id != last_request:
            last_request = request_id
            latencies.append(latency)
            if problem:
                problems[problem] += 1
    latencies.sort()
    return {
        "rows": statuses.total(),
        "requests": len(latencies),
        "status": dict(statuses.most_common()),
        "version": dict(versions.most_common()),
        "latency_ms": {"median": _quantile(latencies, 0.5), "p99": _quantile(latencies, 0.99)},
        "with_warnings": n_with_warnings / versions.total() if versions else None,
        "problems": _count_problem_kinds(problems),
        "times": _count_rows_by_time(hours),
    }


def _select_rows(file: Path, filters: LogFilters) -> Iterator[tuple[Any, ...]]:
    if not file.exists():
        return
    with reader.open_log(file) as connection:
        columns = table.column_types(connection)
        if not columns:
            return
        feedback_table = reader.find_feedback_table(connection)
        condition, values = where_clause(filters, columns, feedback_table)
        has_warnings = "coalesce(warnings NOT IN ('', '[]'), 0)" if "warnings" in columns else "0"
        connection.row_factory = None
        yield from connection.execute(
            "SELECT status, model_name || ' ' || model_version, substr(asked_at, 1, 13), "
            f"{has_warnings}, latency_ms, request_id, problem FROM prediction WHERE {condition}",
            values,
        )


def _quantile(sorted_values: list[float], probability: float) -> float | None:
    """Return the least value that so large a share does not exceed; None without values."""
    if not sorted_values:
        return None
    return sorted_values[math.ceil(probability * len(sorted_values)) - 1]


def _count_problem_kinds(problem_counts: Mapping[str, int]) -> dict[str, int]:
    """Return the requests by kind of problem, whatever the value or the row."""
    counts: Counter[str] = Counter()
    for problem, count in problem_counts.items():
        for kind in problem_kinds(problem):
            counts[kind] += count
    return dict(counts.most_common(MAX_SUMMARY_PROBLEMS))


def problem_kinds(problem: str) -> list[str]:
    """Return the kinds of problem that a refused request has, each once: without value and row."""
    texts = (ROW_PATTERN.sub("", text) for text in PROBLEM_SEPARATOR_PATTERN.split(problem))
    # not a set: its order would differ from one process to the next
    return list(dict.fromkeys(VALUE_PATTERN.sub("…", text) for text in texts))


def _count_rows_by_time(hourly_counts: Mapping[str, int]) -> dict[str, int]:
    """Return the rows by hour, or by day if there are many hours; in order, none of them 0."""
    counts: Counter[str] = Counter()
    by_hour = len(hourly_counts) <= MAX_HOURLY_BUCKETS
    for hour, count in hourly_counts.items():
        counts[hour if by_hour else hour[:10]] += count
    return dict(sorted(counts.items()))
