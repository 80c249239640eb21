"""What else a user types: `run_pipeline.py runs`, `show`, `compare`, `render`, `prune`.

Each gets its arguments and gives what it has to say.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from pipeline.runs.prune import PinnedRuns

RunnerCommand = Callable[[Path, list[str], PinnedRuns], str]


def runs(home: Path, arguments: list[str], _pinned_runs: PinnedRuns) -> str:
    """The runs, newest first."""
    parser = _command_parser("runs", runs)
    parser.add_argument("--last", type=int, default=20, metavar="N", help="so many (default: 20)")
    last = parser.parse_args(arguments).last
    from pipeline.cli import history

    return history.run_table(home, last)


def show(home: Path, arguments: list[str], _pinned_runs: PinnedRuns) -> str:
    """One run in detail."""
    parser = _command_parser("show", show)
    parser.add_argument("run", help="its id, the start of it, or latest")
    from pipeline.cli import history

    return history.run_details(home, parser.parse_args(arguments).run)


def compare(home: Path, arguments: list[str], pinned_runs: PinnedRuns) -> str:
    """Two runs on one page, with what differs marked; by default the newest and the one before."""
    parser = _command_parser("compare", compare)
    parser.add_argument("before", nargs="?", help="a run: its id, the start of it, or latest")
    parser.add_argument("now", nargs="?", default="latest", help="the run to compare with it")
    parser.add_argument("--single-file", action="store_true", help="style and script in the page")
    told = parser.parse_args(arguments)
    from pipeline.cli import history
    from pipeline.report.pages.comparison import write_comparison
    from pipeline.report.pages.index import RunIndex
    from pipeline.runs import records

    now = history.find_run_folder(home, told.now)
    found = told.before or RunIndex(home).previous_comparable_run(records.load(now))
    if not found:
        raise LookupError(f"there is no finished run before {now.name} to compare it with")
    before, now = history.find_run_folder(home, found).name, now.name
    path = write_comparison(home, before, now, told.single_file)
    RunIndex(home).write_page(pinned_runs())
    return str(path)


def render(home: Path, arguments: list[str], pinned_runs: PinnedRuns) -> str:
    """The pages of a run, written again; with --single-file each can be sent alone."""
    parser = _command_parser("render", render)
    parser.add_argument("run", nargs="?", default="latest", help="its id, the start, or latest")
    parser.add_argument("--single-file", action="store_true", help="style and script in each page")
    told = parser.parse_args(arguments)
    from pipeline.cli import history
    from pipeline.report.live import ReportWriter
    from pipeline.runs import records

    run = records.load(history.find_run_folder(home, told.run))
    if not run.ended:
        raise ValueError(f"run {run.id} has not ended yet")
    failed = ReportWriter(home, run, pinned_runs, told.single_file).rewrite_pages()
    if failed:
        raise ValueError(f"not all could be written: {failed}")
    return str(home / "reports" / run.id)


def prune(home: Path, arguments: list[str], pinned_runs: PinnedRuns) -> str:
    """Old runs deleted, but none that a champion or the next run rests on."""
    parser = _command_parser("prune", prune)
    parser.add_argument("--keep", type=int, required=True, metavar="N", help="the newest N stay")
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    told = parser.parse_args(arguments)
    from pipeline.execution import run_lock
    from pipeline.report.pages.index import RunIndex
    from pipeline.runs.prune import delete, plan

    with run_lock.acquire(home / "var" / "pipeline.lock", "prune", lambda _holder: None):
        made = plan(home, told.keep, pinned_runs)
        lines = [f"stays: {name}, as {why}" for name, why in sorted(made.retained_runs.items())]
        if told.dry_run:
            return "\n".join([*lines, *(f"would go: {one}" for one in made.deletable_runs)])
        freed = delete(home, made.deletable_runs)
        RunIndex(home).write_page(pinned_runs())
    return "\n".join([*lines, f"{len(made.deletable_runs)} runs deleted, {freed / 1e6:,.1f} MB"])


def _command_parser(name: str, command: RunnerCommand) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(f"run_pipeline.py {name}", description=command.__doc__)


COMMANDS: dict[str, RunnerCommand] = {
    one.__name__: one for one in (runs, show, compare, render, prune)
}
