"""What whoever is on call types to read the service's log: `run_pipeline.py logs`.

Like commands.py it prints.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from housing.prediction_log.filters import LogFilters

LOGS_DESCRIPTION = """
The newest answers of the service, refused requests too, one a line: when (UTC), status, value and
90 % interval, version, latency, place (latitude,longitude), warnings. `--json` has all columns, the
ids that `trace` takes among them.
"""
TIME_HELP = (
    "TIME is an ISO date or time in UTC (2026-11-25, 2026-11-25T14:30, 14:30), or 30m, 2h, 7d ago."
)
FILTER_OPTIONS = ("since", "until", "status", "version", "model", "problem", "warned", "place", "min_usd",
           "max_usd", "request")  # fmt: skip
DISPLAY_OPTIONS = ("limit", "follow", "json", "summary", "source")


def logs(arguments: list[str]) -> int:
    """Reads the service's log, or moves old answers out of it."""
    asked = _parser().parse_args(arguments)
    _check_options(asked)
    try:
        return _archive_log(asked) if asked.archive is not None else _print_log(asked)
    except (RuntimeError, OSError) as failed:
        if isinstance(failed, BrokenPipeError):  # whoever read it, as `head`, has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(failed, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if asked.archive is not None:
            print("\nstopped by Ctrl-C; type the same again to go on", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "run_pipeline.py logs", description=LOGS_DESCRIPTION, epilog=TIME_HELP
    )
    add = parser.add_argument_group("which answers").add_argument
    add("--since", metavar="TIME", help="asked then or later")
    add("--until", metavar="TIME", help="asked before")
    add("--status", metavar="CODE", help="an HTTP status, or a class: 4xx")
    add("--version", metavar="N", help="of the model")
    add("--model", metavar="NAME", help="the registered model")
    add("--problem", action="store_true", help="those that were refused")
    add("--warned", action="store_true", help="those with warnings")
    add("--place", metavar="LAT,LON,KM", help="no farther than that from a place")
    add("--min-usd", metavar="USD", help="worth that or more")
    add("--max-usd", metavar="USD", help="worth that or less")
    add("--request", metavar="ID", help="of an answer, a request, or the caller's X-Request-ID")
    add = parser.add_argument_group("how they are shown").add_argument
    add("--limit", metavar="N", type=int, help="the newest N, the last one newest (default: 20)")
    add("--follow", "-f", action="store_true", help="and each new one, until Ctrl-C")
    add("--json", action="store_true", help="an object a line, with all columns")
    add("--summary", action="store_true", help="all of them in short, instead of a list")
    add("--from", dest="source", metavar="FILE", type=Path, help="another log, or an archived "
        "month; by default HOUSING_DATABASE, else var/logs.db")  # fmt: skip
    add = parser.add_argument_group(
        "moving old answers away, also while the service runs"
    ).add_argument
    add("--archive", metavar="TIME", help="moves what was asked before into a file a month")
    add("--to", metavar="FOLDER", type=Path, help="where the months are (default: var/archive)")
    add("--compact", action="store_true", help="gives the room back to the disk; meanwhile the "
        "service answers with 503")  # fmt: skip
    return parser


def _check_options(options: argparse.Namespace) -> None:
    """ValueError for options that contradict each other."""
    given = {name for name, it in vars(options).items() if it is not None and it is not False}
    rules = [
        ("archive", {*FILTER_OPTIONS, *DISPLAY_OPTIONS}, "--archive moves all that is older than its time, out of "
         "the log that HOUSING_DATABASE names"),
        ("follow", {"summary", "until"}, "--follow has no end"),
        ("summary", {"limit"}, "--summary is of all answers; --since leaves the older ones out"),
    ]  # fmt: skip
    wrong = [(one, why) for option, others, why in rules if option in given
             for one in sorted(given & others)]  # fmt: skip
    if "archive" not in given:
        wrong += [(one, "it belongs to --archive") for one in sorted(given & {"to", "compact"})]
    for option, why in wrong:
        name = "from" if option == "source" else option.replace("_", "-")
        raise ValueError(f"--{name} cannot be used here: {why}")
    if options.limit is not None and options.limit < 0:
        raise ValueError(f"--limit is {options.limit}, expected 0 or more")


def _print_log(options: argparse.Namespace) -> int:
    from housing.prediction_log import filters, reader

    which = filters.parse_filters(vars(options))
    file = options.source or reader.log_path()
    if options.source and not file.is_file():
        known = (
            ", ".join(map(str, reader.archive_paths()))
            or "none yet; `logs --archive TIME` makes one"
        )
        raise LookupError(f"--from is {str(file)!r}, expected a log; archived months: {known}")
    if options.summary:
        return _print_summary(file, which, options.json)
    limit = 20 if options.limit is None else options.limit
    rows = reader.follow if options.follow else reader.read_newest
    shown = _print_rows(rows(file, which, limit), options.json)
    if not shown:
        print(_no_rows_message(file), file=sys.stderr)
    return 0


def _print_rows(rows: Iterable[Mapping[str, Any]], as_json: bool) -> int:
    """Prints each as it comes; gives how many there were."""
    from housing.prediction_log import formatting

    shown = 0
    for shown, row in enumerate(rows, 1):  # noqa: B007
        print(formatting.to_json(row) if as_json else formatting.to_text(row), flush=True)
    return shown


def _no_rows_message(file: Path) -> str:
    from housing.prediction_log import reader

    ends = "SELECT (SELECT min(asked_at) FROM prediction), (SELECT max(asked_at) FROM prediction)"
    first, last = next(iter(reader.query(file, ends)), {"": None, "-": None}).values()
    if first is None:
        return f"{file}: nothing is logged yet; the service (`make serve`) logs what it answers"
    months = [one.name for one in reader.archive_paths()]
    older = f"; archived months, for --from: {', '.join(months)}" if months else ""
    return f"{file}: no answer is like that; it has those from {first} to {last}{older}"


def _print_summary(file: Path, filters: "LogFilters", as_json: bool) -> int:
    from housing.prediction_log import formatting, summary

    told = summary.summarize(file, filters)
    if as_json:
        print(json.dumps(told))
    elif told["rows"]:
        print("\n".join(formatting.summary_lines(told)))
    else:
        print(_no_rows_message(file), file=sys.stderr)
    return 0


def _archive_log(options: argparse.Namespace) -> int:
    from housing import paths
    from housing.prediction_log import archive, filters, reader

    before = filters.parse_time(options.archive, "--archive")
    if before > filters.parse_time("0s", "now"):
        raise ValueError(f"--archive is {options.archive!r}, expected a time that has been")
    log, folder = reader.log_path(), options.to or paths.var() / "archive"
    if not log.exists():
        print(_no_rows_message(log), file=sys.stderr)
        return 0
    moved = archive.archive_rows(log, before, folder, _print_progress)
    for file, rows in sorted(moved.items()):
        print(f"{file}: {rows:,} answers came")
    if not moved:
        print(f"{log}: no answer is older than {before} UTC")
    archive.vacuum(log, options.compact)
    size, free = archive.measure_log(log)
    print(f"{log}: {size / 1e6:,.1f} MB, of which new answers can use {free / 1e6:,.1f} MB again")
    if free > size / 2:
        print("`--compact` gives that back to the disk; the service answers with 503 meanwhile")
    return 0


def _print_progress(row_count: int) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{row_count:,} answers moved", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":  # in the image, where there is no runner
    try:
        sys.exit(logs(sys.argv[1:]))
    except ValueError as wrong:
        sys.exit(str(wrong))
