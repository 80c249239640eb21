"""What the report of the preparation says of labelled rows, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from housing.retraining.training_part import RetrainingPart


def describe(retraining: RetrainingPart | None) -> str:
    """Describe the labelled rows below a sentence: which, and why older values are what they are.

    Returns an empty text for None.
    """
    if retraining is None:
        return ""
    record = retraining.part.record
    versions = ", ".join(f"{version} ({rows:,})" for version, rows in record.versions.items())
    paragraphs = [
        f"**Labelled rows.** {record.describe()[0].upper()}{record.describe()[1:]}. They were "
        f"answered by {versions}; the recent test rows begin at {record.recent_since[:16]}.",
        f"{record.replaced_rows:,} older training rows were replaced by a newer value of the same "
        f"block group; {record.capped_rows:,} true values above the cap count as the cap, as those "
        "of the data do.",
        _describe_left_out(record.left_out),
        "**What older values are worth.** An index multiplies them, everywhere or by region. It is "
        "taken if its predictions of the newest labelled rows to train on, which it has not seen, "
        "are clearly better than those of the last that was taken (*at least* is the lower end of "
        "an interval that holds the gain with 98 %), by 1 % of the error or more.",
        _markdown_table(retraining.evidence),
    ]
    return "\n\n" + "\n\n".join(filter(None, paragraphs)).replace("$", "\\$")


def _describe_left_out(left_out: Mapping[str, int]) -> str:
    if not left_out:
        return ""
    reasons = "; ".join(f"{reason}: {count:,}" for reason, count in left_out.items())
    return f"Labelled rows that are in neither part: {reasons}."


def _markdown_table(table: pd.DataFrame) -> str:
    header = ["index", *table.columns]
    lines = [f"| {' | '.join(header)} |", f"| --- |{' ---: |' * len(table.columns)}"]
    for name, row in table.iterrows():
        cells = ["yes" if row["taken"] else "no"]
        cells = [_format_dollars(row[column]) for column in table.columns[:-1]] + cells
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _format_dollars(value: float) -> str:
    return "" if pd.isna(value) else f"{value:,.0f}"
