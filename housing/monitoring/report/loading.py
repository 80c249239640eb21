"""Loading what a report is about: the counts of a period, and the reference of a model."""

from __future__ import annotations

from typing import NamedTuple

from housing.monitoring.counts import DailyCounts
from housing.monitoring.daily import store as daily_store
from housing.monitoring.reference import reference_file
from housing.monitoring.reference.held_out import Reference
from housing.monitoring.report.period import Period
from housing.prediction_log import reader
from housing.registry import versions
from housing.registry.artifacts import ModelVersion
from housing.text import count_text


class Traffic(NamedTuple):
    """The traffic of a period, and what it is compared with."""

    counts: DailyCounts
    reference: Reference
    notes: list[str]  # sentences on what could not be counted


def load_traffic(version: ModelVersion, period: Period, all_versions: bool = True) -> Traffic:
    """Count the days of the log that are new, and return those of a period.

    version: whose held-out rows are the reference. all_versions: of its name, else this one alone.
    Raises ValueError if its held-out rows are not known, RuntimeError if the log cannot be read.
    """
    reference = reference_file.load_reference(version)
    references = {(version.name, version.version): reference}

    def find_reference(name: str, number: str) -> Reference:
        """Raises LookupError for a version that has none."""
        key = name, number
        if key not in references:
            try:
                references[key] = reference_file.load_reference(versions.get_version(*key))
            except ValueError as error:
                raise LookupError(str(error)) from error
        return references[key]

    store = daily_store.store_path()
    summary = daily_store.refresh(store, reader.log_path(), find_reference, since=period.since)
    only_version = None if all_versions else version.version
    counts = daily_store.read(store, version.name, only_version, period.since, period.until)
    notes = [
        f"{name} version {number} is counted, but not by the values of its rows: {problem}"
        for (name, number), problem in summary.uncounted_versions.items()
    ]
    if summary.undated_rows:
        rows = count_text(summary.undated_rows, "row")
        notes.append(f"{rows} of the log cannot be from the day that it names: counted nowhere")
    return Traffic(counts, reference, notes)
