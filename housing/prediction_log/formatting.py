"""Answers of the service's log as a person or a machine reads them, and all of them in short."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from housing.schema import USD


def machine(row: Mapping[str, Any]) -> str:
    """A JSON object: all columns, what is JSON in them as such."""
    return json.dumps({**row, "input": _parsed(row["input"]), "warnings": _parsed(row["warnings"])})


def line(row: Mapping[str, Any]) -> str:
    """One line, of 100 columns if the warnings or the problem are short."""
    start = f"{row['asked_at'][:19].replace('T', ' ')}  {row['status']}  "
    latency = f"{row['latency_ms']:.2f} ms"
    if row["prediction"] is None:
        return f"{start}refused in {latency}: {_flat(row['problem'] or 'nobody knows why')}"
    value, low, high = (_usd(row[one]) for one in ("prediction", "low", "high"))
    interval = f"[{low} to {high}]" if low else ""
    warnings = "; ".join(map(str, _parsed(row["warnings"]) or []))
    told = f"${value:>7} {interval:20}  v{row['model_version'] or '?':<3} {latency:>8}"
    return f"{start}{told}  {_place(row['input']):13}  {_flat(warnings)}".rstrip()


def summary(told: Mapping[str, Any]) -> Iterator[str]:
    """What `summary.summary` found, some lines."""
    rows, latency = told["rows"], told["latency_ms"]
    yield f"answers    {rows:,} to {told['requests']:,} requests"
    for name in ("status", "version"):
        for one, many in told[name].items():
            yield f"{name:10} {one}: {many:,} ({many / rows:.1%})"
    yield f"latency    median {latency['median']:.2f} ms, p99 {latency['p99']:.2f} ms, of requests"
    if told["with_warnings"] is not None:
        yield f"warnings   {told['with_warnings']:.1%} of the answers with a value"
    for problem, many in told["problems"].items():
        yield f"problem    {many:,} requests: {_flat(problem)}"
    times = list(told["times"].items())
    if len(times) > 31:
        yield f"asked      {sum(many for _, many in times[:-31]):,} before {times[-31][0]}"
    for at, many in times[-31:]:
        yield f"asked      {at.replace('T', ' ')}{'' if len(at) == 10 else ':00'}  {many:,}"


def _usd(value: float | None) -> str:
    return "" if value is None else f"{value * USD:,.0f}"


def _place(text: str | None) -> str:
    row = _parsed(text)
    at = [row.get(one) for one in ("Latitude", "Longitude")] if isinstance(row, dict) else [None]
    return (
        ",".join(f"{one:.2f}" for one in at)
        if all(isinstance(one, int | float) for one in at)
        else ""
    )


def _parsed(text: str | None) -> Any:
    """The body of a refused request may be no JSON: then it stays a text."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def _flat(text: str) -> str:
    """In one line that cannot steer the terminal: part of it came from a caller."""
    return "".join(one if one.isprintable() else " " for one in text)
