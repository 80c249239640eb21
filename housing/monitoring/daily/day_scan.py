"""Counting all rows of a day: requests, refusals and latencies, and which rows were answered."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from housing.monitoring.daily.log_files import DayFile
from housing.monitoring.daily.log_values import ModelKey, caller_name, model_key, parse_numbers
from housing.prediction_log.summary import problem_kinds

SCAN_COLUMNS = (
    "rowid", "latency_ms", "problem", "status", "caller", "model_name", "model_version",
)  # fmt: skip
ROWS_PER_CHUNK = 20_000
OK_STATUS = 200
# the upper ends of the classes of latencies, ten for each power of ten; slower ones are in the last
LATENCY_ENDS_MS = np.array([*np.geomspace(0.1, 100_000, 61).round(4), math.inf])
MAX_PROBLEM_CHARS = 200
MAX_DAILY_PROBLEMS = 20  # of each caller; the rarer ones are counted together
OTHER_PROBLEMS = "other problems"
PRUNED_PROBLEMS = 10_000  # so many different ones are reduced at once, as they arrive


class RequestGroup(NamedTuple):
    """The rows of a day that have these values in common."""

    model: ModelKey | None  # None if refused
    caller: str
    status: int


class Refusal(NamedTuple):
    """A kind of problem that a caller has."""

    caller: str
    problem: str


@dataclass
class DayScan:
    """What all rows of a day add up to."""

    requests: Counter[RequestGroup] = field(default_factory=Counter)  # rows
    refusals: Counter[Refusal] = field(default_factory=Counter)  # rows
    # (n_classes,) rows by the class of their latency; None: refused
    latencies: dict[ModelKey | None, np.ndarray] = field(default_factory=dict)
    # the numbers of the answered rows, (n,) for each file, in the order of their times
    answered: dict[ModelKey, list[np.ndarray]] = field(default_factory=dict)


def scan_day(day_files: Sequence[DayFile]) -> DayScan:
    """Count the rows of a day, in one pass. Values that no service writes count as they can."""
    try:
        return _scan(day_files)
    except sqlite3.OperationalError as error:
        if "UTF-8" not in str(error):
            raise
    # a text that was damaged: decoding each by a function takes several times as long
    for day_file in day_files:
        day_file.connection.text_factory = _decode_leniently
    return _scan(day_files)


def _decode_leniently(data: bytes) -> str:
    return data.decode(errors="replace")


def _scan(day_files: Sequence[DayFile]) -> DayScan:
    scan = DayScan()
    for file_number, day_file in enumerate(day_files):
        row_groups: defaultdict[tuple, int] = defaultdict(count().__next__)
        chunks = [
            _scan_chunk(rows, row_groups, scan.refusals)
            for rows in _fetch_chunks(day_file.select(SCAN_COLUMNS))
        ]
        if not chunks:
            continue
        numbers, classes, codes = (np.concatenate(columns) for columns in zip(*chunks, strict=True))
        shape = len(row_groups), len(LATENCY_ENDS_MS) + 1
        table = np.bincount(codes * shape[1] + classes, minlength=math.prod(shape)).reshape(shape)
        for values, code in row_groups.items():
            group = _request_group(*values)
            scan.requests[group] += int(table[code].sum())
            histogram = scan.latencies.setdefault(group.model, np.zeros(len(LATENCY_ENDS_MS), int))
            histogram += table[code, :-1]
        for model, model_codes in _answered_codes(row_groups).items():
            files = scan.answered.setdefault(model, [np.empty(0, np.int64) for _ in day_files])
            files[file_number] = numbers[np.isin(codes, model_codes)]
    scan.refusals = _group_rare_problems(scan.refusals, MAX_DAILY_PROBLEMS)
    return scan


def _fetch_chunks(cursor: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
    while rows := cursor.fetchmany(ROWS_PER_CHUNK):
        yield rows


def _scan_chunk(
    rows: list[tuple[Any, ...]], row_groups: dict[tuple, int], refusals: Counter[Refusal]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return row numbers, classes of latencies, and numbers of groups, (n,) each.

    row_groups: the number of each group, and of a new one the next number.
    """
    numbers, latencies, problems, statuses, callers, *models = zip(*rows, strict=True)
    keys = zip(statuses, callers, *models, strict=True)
    codes = np.fromiter(map(row_groups.__getitem__, keys), np.int64, len(rows))
    for caller, problem in zip(callers, problems, strict=True):
        if problem is not None:
            refusals[Refusal(caller_name(caller), shorten_problem(str(problem)))] += 1
    if len(refusals) > PRUNED_PROBLEMS:
        reduced = _group_rare_problems(refusals, MAX_DAILY_PROBLEMS)
        refusals.clear()
        refusals.update(reduced)
    return np.array(numbers), _latency_classes(latencies), codes


def _latency_classes(latencies: Sequence[Any]) -> np.ndarray:
    """Return the number of the class of each; for what is no number, the one after the last."""
    values = parse_numbers(latencies)
    classes = np.searchsorted(LATENCY_ENDS_MS, values, side="left")
    return np.where(np.isnan(values), len(LATENCY_ENDS_MS), classes)


def _request_group(status: Any, caller: Any, name: Any, version: Any) -> RequestGroup:
    status_number = status if isinstance(status, int) else 0
    return RequestGroup(model_key(name, version), caller_name(caller), status_number)


def _answered_codes(row_groups: dict[tuple, int]) -> dict[ModelKey, list[int]]:
    """Return for each version the numbers of the groups of its answered rows."""
    codes: dict[ModelKey, list[int]] = {}
    for values, code in row_groups.items():
        group = _request_group(*values)
        if group.model is not None and group.status == OK_STATUS:
            codes.setdefault(group.model, []).append(code)
    return codes


@lru_cache(maxsize=4_096)
def shorten_problem(problem: str) -> str:
    """Return the first kind of problem of a refused request, without the values of the request."""
    kind = next(iter(problem_kinds(problem)), "")
    return kind if len(kind) <= MAX_PROBLEM_CHARS else f"{kind[: MAX_PROBLEM_CHARS - 1]}…"


def _group_rare_problems(refusals: Counter[Refusal], max_problems: int) -> Counter[Refusal]:
    """Return the most frequent problems of each caller, and the others of it counted together."""
    grouped: Counter[Refusal] = Counter()
    problem_counts: Counter[str] = Counter()
    for refusal, row_count in refusals.most_common():
        problem_counts[refusal.caller] += refusal.problem != OTHER_PROBLEMS
        is_rare = problem_counts[refusal.caller] > max_problems
        grouped[refusal._replace(problem=OTHER_PROBLEMS) if is_rare else refusal] += row_count
    return grouped
