"""The command `run_pipeline.py feedback`, which records the true values in a file. It prints."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from housing.cli import standalone

if TYPE_CHECKING:  # every command of the runner reads this module; few of them record anything
    from housing.prediction_log.feedback import FeedbackReport

FEEDBACK_DESCRIPTION = """
Records the true values of predictions in the service's log, as POST /feedback does, also while the
service runs. FILE is CSV, Parquet, JSON (a list of objects) or JSON lines, compressed or not:

  id,truth_usd,observed_at
  01a223f9b9d8751c98e02cdf5ced9afb-0,452600,2026-11-29

id is that of the prediction; request_id, the service's or the client's own, with index does too.
The value is truth (in $100,000), truth_usd (in dollars) or actual (as truth). observed_at, the ISO
date or time of the event, may be left out. The same value again changes nothing; another one is a
correction, and what it corrects is kept. Predictions of archived months are found.

A row with a problem is printed with its number, from 1, and the others are recorded. The exit code
is 0 if all rows were taken, else 1. So a file whose problems are mended can be given as a whole.
"""
MAX_PRINTED_PROBLEMS = 100


def add_command(add_parser: Callable[[str, Callable[..., int]], ArgumentParser]) -> None:
    """Add the command by a function that takes its name and function and returns its parser."""
    add_arguments(add_parser("feedback", record_feedback))


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `feedback`."""
    parser.description = FEEDBACK_DESCRIPTION
    parser.add_argument("file", metavar="FILE", type=Path, help="the true values")


def record_feedback(file: Path) -> int:
    """Record the true values of predictions from a file."""
    from datetime import UTC, datetime
    from functools import partial

    from housing.prediction_log import feedback, feedback_files, lock, months, reader, table

    rows = feedback_files.read_rows(file)
    log = reader.log_path()
    if not log.exists():
        raise LookupError(
            f"{log}: nothing is logged yet; the service (`make serve`) logs what it answers, and "
            "HOUSING_DATABASE names another log"
        )
    open_exclusively = partial(lock.exclusive_connection, log)
    with open_exclusively() as connection:
        table.create_or_migrate(connection)  # an older service may have begun the log
    received_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    report = feedback.take_feedback(
        rows, log, months.archive_folder(), open_exclusively, received_at
    )
    _print_report(report)
    return 1 if report.problems else 0


def _print_report(report: "FeedbackReport") -> None:
    from housing.text import omission_text

    for problem in report.problems[:MAX_PRINTED_PROBLEMS]:
        print(f"row {problem.row + 1}: {problem.error}", file=sys.stderr)
    omission = omission_text(len(report.problems), MAX_PRINTED_PROBLEMS, "problems")
    if omission:
        print(omission, file=sys.stderr)
    counts = [f"{count:,} {outcome}" for outcome, count in report.counts.items()]
    print(f"true values: {', '.join(counts)}")


if __name__ == "__main__":  # in the image, where there is no runner
    feedback_parser = standalone.CommandParser("python -m housing.cli.feedback", allow_abbrev=False)
    add_arguments(feedback_parser)
    sys.exit(standalone.run_command(lambda: record_feedback(**vars(feedback_parser.parse_args()))))
