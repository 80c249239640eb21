"""Answers of the service's log as a person or a machine reads them, and all of them in short."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from housing.schema import USD_PER_UNIT


def to_json(row: Mapping[str, Any]) -> str:
    """A JSON object: all columns, what is JSON in them as such."""
    return json.dumps(
        {**row, "input": _parse_json(row["input"]), "warnings": _parse_json(row["warnings"])}
    )


def to_text(row: Mapping[str, Any]) -> str:
    """One line, of 100 columns if the warnings or the problem are short."""
    start = f"{row['asked_at'][:19].replace('T', ' ')}  {row['status']}  "
    latency = f"{row['latency_ms']:.2f} ms"
    if row["prediction"] is None:
        return (
            f"{start}refused in {latency}: {_to_single_line(row['problem'] or 'nobody knows why')}"
        )
    value, low, high = (_format_usd(row[one]) for one in ("prediction", "low", "high"))
    interval = f"[{low} to {high}]" if low else ""
    warnings = "; ".join(map(str, _parse_json(row["warnings"]) or []))
    told = f"${value:>7} {interval:20}  v{row['model_version'] or '?':<3} {latency:>8}"
    return (
        f"{start}{told}  {_format_location(row['input']):13}  {_to_single_line(warnings)}".rstrip()
    )


def summary_lines(log_summary: Mapping[str, Any]) -> Iterator[str]:
    """What `summary.summary` found, some lines."""
    rows, latency = log_summary["rows"], log_summary["latency_ms"]
    yield f"answers    {rows:,} to {log_summary['requests']:,} requests"
    for name in ("status", "version"):
        for one, many in log_summary[name].items():
            yield f"{name:10} {one}: {many:,} ({many / rows:.1%})"
    yield f"latency    median {latency['median']:.2f} ms, p99 {latency['p99']:.2f} ms, of requests"
    if log_summary["with_warnings"] is not None:
        yield f"warnings   {log_summary['with_warnings']:.1%} of the answers with a value"
    for problem, many in log_summary["problems"].items():
        yield f"problem    {many:,} requests: {_to_single_line(problem)}"
    times = list(log_summary["times"].items())
    if len(times) > 31:
        yield f"asked      {sum(many for _, many in times[:-31]):,} before {times[-31][0]}"
    for at, many in times[-31:]:
        yield f"asked      {at.replace('T', ' ')}{'' if len(at) == 10 else ':00'}  {many:,}"


def _format_usd(value: float | None) -> str:
    return "" if value is None else f"{value * USD_PER_UNIT:,.0f}"


def _format_location(input_json: str | None) -> str:
    row = _parse_json(input_json)
    at = [row.get(one) for one in ("Latitude", "Longitude")] if isinstance(row, dict) else [None]
    return (
        ",".join(f"{one:.2f}" for one in at)
        if all(isinstance(one, int | float) for one in at)
        else ""
    )


def _parse_json(text: str | None) -> Any:
    """The body of a refused request may be no JSON: then it stays a text."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def _to_single_line(text: str) -> str:
    """In one line that cannot steer the terminal: part of it came from a caller."""
    return "".join(one if one.isprintable() else " " for one in text)
