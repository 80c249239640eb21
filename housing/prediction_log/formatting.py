"""Rows of the prediction log, and its summary, as lines for a person or JSON for a machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from housing.schema import COORDINATE_NAMES, USD_PER_UNIT

MAX_SUMMARY_TIMES = 31  # lines of the summary, one for an hour or a day


def to_json(row: Mapping[str, Any]) -> str:
    """Return a JSON object of all columns; those that hold JSON are parsed."""
    return json.dumps(
        {**row, "input": _parse_json(row["input"]), "warnings": _parse_json(row["warnings"])}
    )


def to_text(row: Mapping[str, Any]) -> str:
    """Return one line, of 100 columns if the warnings or the problem are short."""
    start = f"{row['asked_at'][:19].replace('T', ' ')}  {row['status']}  "
    latency = f"{row['latency_ms']:.2f} ms"
    if row["prediction"] is None:
        problem = _to_single_line(row["problem"] or "the reason was not logged")
        return f"{start}refused in {latency}: {problem}"
    value, low, high = (_format_usd(row[column]) for column in ("prediction", "low", "high"))
    interval = f"[{low} to {high}]" if low else ""
    version = f"v{row['model_version'] or '?':<3}"
    location = _format_location(row["input"])
    warnings = _to_single_line("; ".join(map(str, _parse_json(row["warnings"]) or [])))
    remarks = [_format_truth(row["prediction"], row.get("truth")), warnings]
    line = f"{start}${value:>7} {interval:20}  {version} {latency:>8}  {location:13}"
    return "  ".join([line, *filter(None, remarks)]).rstrip()


def _format_truth(prediction: float, truth: float | None) -> str:
    """Return the true value and the error of the prediction; empty if the value is not known."""
    if truth is None:
        return ""
    error = prediction - truth
    sign = "−" if error < 0 else "+"
    return f"true ${_format_usd(truth)}, error {sign}${_format_usd(abs(error))}"


def summary_lines(log_summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of what `summary.summarize` returned."""
    row_count, latency = log_summary["rows"], log_summary["latency_ms"]
    yield f"answers    {row_count:,} to {log_summary['requests']:,} requests"
    for name in ("status", "version"):
        for value, count in log_summary[name].items():
            yield f"{name:10} {value}: {count:,} ({count / row_count:.1%})"
    yield f"latency    median {latency['median']:.2f} ms, p99 {latency['p99']:.2f} ms, of requests"
    if log_summary["with_warnings"] is not None:
        yield f"warnings   {log_summary['with_warnings']:.1%} of the answers with a value"
    for problem, count in log_summary["problems"].items():
        yield f"problem    {count:,} requests: {_to_single_line(problem)}"
    times = list(log_summary["times"].items())
    older, newest = times[:-MAX_SUMMARY_TIMES], times[-MAX_SUMMARY_TIMES:]
    if older:
        yield f"asked      {sum(count for _, count in older):,} before {newest[0][0]}"
    for hour_or_day, count in newest:
        minutes = "" if len(hour_or_day) == len("2026-11-25") else ":00"
        yield f"asked      {hour_or_day.replace('T', ' ')}{minutes}  {count:,}"


def _format_usd(value: float | None) -> str:
    return "" if value is None else f"{value * USD_PER_UNIT:,.0f}"


def _format_location(input_json: str | None) -> str:
    block_group = _parse_json(input_json)
    if not isinstance(block_group, dict):
        return ""
    coordinates = [block_group.get(name) for name in COORDINATE_NAMES]
    if not all(isinstance(degrees, int | float) for degrees in coordinates):
        return ""
    return ",".join(f"{degrees:.2f}" for degrees in coordinates)


def _parse_json(text: str | None) -> Any:
    """Return what a JSON text holds; the text itself if it is no JSON, as a refused body may be."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def _to_single_line(text: str) -> str:
    """Replace what could steer the terminal by spaces: part of the text came from a client."""
    return "".join(character if character.isprintable() else " " for character in text)
