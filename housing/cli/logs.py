"""The command `run_pipeline.py logs`, which reads and archives the service's log. It prints."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from housing.cli import standalone

if TYPE_CHECKING:  # every command of the runner reads this module; few of them read the log
    from housing.prediction_log.filters import LogFilters

LOGS_DESCRIPTION = """
Prints the newest answers of the service, refused requests too, one a line: time (UTC), status,
value and 90 % interval (not calibrated where there are warnings), version, latency, place
(latitude,longitude), true value and error if the value is known, warnings. `--json` has all
columns, the ids that `trace` takes among them.
"""
TIME_HELP = (
    "TIME is an ISO date or time in UTC (2026-11-25, 2026-11-25T14:30, 14:30), or 30m, 2h, 7d ago."
)
FILTER_OPTIONS = {
    "since", "until", "status", "version", "model", "problem", "warned", "labelled", "place",
    "min_usd", "max_usd", "request",
}  # fmt: skip
DISPLAY_OPTIONS = {"limit", "follow", "json", "summary", "source"}
ARCHIVE_OPTIONS = {"to", "compact"}
DEFAULT_LIMIT = 20
ARCHIVE_REASON = (
    "--archive moves all that is older than its time, out of the log that HOUSING_DATABASE names"
)
# option -> those that cannot be used with it, and why
EXCLUDED_OPTIONS = {
    "archive": (FILTER_OPTIONS | DISPLAY_OPTIONS, ARCHIVE_REASON),
    "follow": ({"summary", "until"}, "--follow has no end"),
    "summary": ({"limit"}, "--summary is of all answers; --since leaves the older ones out"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `logs`."""
    parser.description, parser.epilog = LOGS_DESCRIPTION, TIME_HELP
    add = parser.add_argument_group("which answers").add_argument
    add("--since", metavar="TIME", help="asked then or later")
    add("--until", metavar="TIME", help="asked before")
    add("--status", metavar="CODE", help="an HTTP status, or a class: 4xx")
    add("--version", metavar="N", help="of the model")
    add("--model", metavar="NAME", help="the registered model")
    add("--problem", action="store_true", help="those that were refused")
    add("--warned", action="store_true", help="those with warnings")
    add("--labelled", action="store_true", help="those whose true value is known")
    add("--place", metavar="LAT,LON,KM", help="no farther than KM from a place")
    add("--min-usd", metavar="USD", help="worth that or more")
    add("--max-usd", metavar="USD", help="worth that or less")
    add("--request", metavar="ID", help="of an answer, a request, or the client's X-Request-ID")
    add = parser.add_argument_group("how they are shown").add_argument
    add(
        "--limit",
        metavar="N",
        type=int,
        help=f"the newest N, the last one newest (default: {DEFAULT_LIMIT})",
    )
    add("--follow", "-f", action="store_true", help="and each new one, until Ctrl-C")
    add("--json", action="store_true", help="an object a line, with all columns")
    add("--summary", action="store_true", help="counts of all of them, instead of a list")
    add(
        "--from",
        dest="source",
        metavar="FILE",
        type=Path,
        help="another log, or an archived month; by default HOUSING_DATABASE, else var/logs.db",
    )
    add = parser.add_argument_group(
        "archiving old answers, also while the service runs"
    ).add_argument
    add("--archive", metavar="TIME", help="move what was asked before into one file a month")
    add("--to", metavar="FOLDER", type=Path, help="where the months are (default: var/archive)")
    add(
        "--compact",
        action="store_true",
        help="return the free space to the disk; meanwhile the service answers with 503",
    )


def logs(**options: Any) -> int:
    """Print the answers that the service has logged, or archive old ones."""
    args = argparse.Namespace(**options)
    _check_options(args)
    try:
        return _archive_log(args) if args.archive is not None else _print_log(args)
    except KeyboardInterrupt:
        if args.archive is not None:
            print("\nstopped by Ctrl-C; run the same command again to continue", file=sys.stderr)
        return standalone.CTRL_C_EXIT_CODE


def _check_options(options: argparse.Namespace) -> None:
    """Raise ValueError for options that contradict each other."""
    used = {
        name for name, value in vars(options).items() if value is not None and value is not False
    }
    conflicts = [
        (used & names, why) for name, (names, why) in EXCLUDED_OPTIONS.items() if name in used
    ]
    if "archive" not in used:
        conflicts.append((used & ARCHIVE_OPTIONS, "it belongs to --archive"))
    for names, reason in conflicts:
        for name in sorted(names):
            option = "from" if name == "source" else name.replace("_", "-")
            raise ValueError(f"--{option} cannot be used here: {reason}")
    if options.limit is not None and options.limit < 0:
        raise ValueError(f"--limit is {options.limit}, expected 0 or more")


def _print_log(options: argparse.Namespace) -> int:
    from housing.prediction_log import filters, months, reader

    log_filters = filters.parse_filters(vars(options))
    file = options.source or reader.log_path()
    if options.source and not file.is_file():
        archives = ", ".join(map(str, months.archive_paths()))
        archives = archives or "none yet; `logs --archive TIME` makes one"
        raise LookupError(f"--from is {str(file)!r}, expected a log; archived months: {archives}")
    if options.summary:
        return _print_summary(file, log_filters, options.json)
    limit = DEFAULT_LIMIT if options.limit is None else options.limit
    read_rows = reader.follow if options.follow else reader.read_newest
    printed_rows = _print_rows(read_rows(file, log_filters, limit), options.json)
    if not printed_rows:
        print(_no_rows_message(file), file=sys.stderr)
    return 0


def _print_rows(rows: Iterable[Mapping[str, Any]], as_json: bool) -> int:
    """Print each row as it comes; return how many there were."""
    from housing.prediction_log import formatting

    row_count, format_row = 0, formatting.to_json if as_json else formatting.to_text
    for row in rows:
        print(format_row(row), flush=True)
        row_count += 1
    return row_count


def _no_rows_message(file: Path) -> str:
    from housing.prediction_log import months, reader

    times = reader.query(
        file,
        "SELECT (SELECT min(asked_at) FROM prediction) AS first, "
        "(SELECT max(asked_at) FROM prediction) AS last",
    )
    if not times or times[0]["first"] is None:
        return f"{file}: nothing is logged yet; the service (`make serve`) logs what it answers"
    first, last = times[0]["first"], times[0]["last"]
    names = ", ".join(file.name for file in months.archive_paths())
    archives = f"; archived months, for --from: {names}" if names else ""
    return f"{file}: no answer matches; it has those from {first} to {last}{archives}"


def _print_summary(file: Path, log_filters: "LogFilters", as_json: bool) -> int:
    from housing.prediction_log import formatting, summary

    log_summary = summary.summarize(file, log_filters)
    if as_json:
        print(json.dumps(log_summary))
    elif log_summary["rows"]:
        print("\n".join(formatting.summary_lines(log_summary)))
    else:
        print(_no_rows_message(file), file=sys.stderr)
    return 0


def _archive_log(options: argparse.Namespace) -> int:
    from housing.prediction_log import archive, filters, months, reader

    cutoff = filters.parse_time(options.archive, "--archive")
    if cutoff > filters.parse_time("0s", "now"):
        raise ValueError(f"--archive is {options.archive!r}, expected a time in the past")
    log, folder = reader.log_path(), options.to or months.archive_folder()
    if not log.exists():
        print(_no_rows_message(log), file=sys.stderr)
        return 0
    moved_rows = archive.archive_rows(log, cutoff, folder, _print_progress)
    for file, row_count in sorted(moved_rows.items()):
        print(f"{file}: {row_count:,} answers added")
    if not moved_rows:
        print(f"{log}: no answer is older than {cutoff} UTC")
    archive.vacuum(log, options.compact)
    size, free = archive.measure_log(log)
    print(f"{log}: {size / 1e6:,.1f} MB, of which new answers can use {free / 1e6:,.1f} MB again")
    if free > size / 2:
        print("`--compact` returns that to the disk; the service answers with 503 meanwhile")
    return 0


def _print_progress(row_count: int) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{row_count:,} answers moved", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":  # in the image, where there is no runner
    logs_parser = standalone.CommandParser("python -m housing.cli.logs", allow_abbrev=False)
    add_arguments(logs_parser)
    sys.exit(standalone.run_command(lambda: logs(**vars(logs_parser.parse_args()))))
