"""Commands about past runs: `run_pipeline.py runs`, `show`, `compare`, `render` and `prune`.

Each takes its arguments and returns the text to print. Its docstring is the help text.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from pipeline.runs.prune import PinnedRuns

RunnerCommand = Callable[[Path, list[str], PinnedRuns], str]
RUN_HELP = "the id of a run, the start of an id, or latest"


def runs(home: Path, arguments: list[str], _pinned_runs: PinnedRuns) -> str:
    """List the runs, newest first."""
    parser = _command_parser("runs", runs)
    parser.add_argument(
        "--last", type=int, default=20, metavar="N", help="list the newest N (default: 20)"
    )
    limit = parser.parse_args(arguments).last
    from pipeline.cli import history

    return history.run_table(home, limit)


def show(home: Path, arguments: list[str], _pinned_runs: PinnedRuns) -> str:
    """Show one run in detail."""
    parser = _command_parser("show", show)
    parser.add_argument("run", help=RUN_HELP)
    from pipeline.cli import history

    return history.run_details(home, parser.parse_args(arguments).run)


def compare(home: Path, arguments: list[str], pinned_runs: PinnedRuns) -> str:
    """Compare two runs on one page; by default the newest and the one before it."""
    parser = _command_parser("compare", compare)
    parser.add_argument("before", nargs="?", help=RUN_HELP)
    parser.add_argument("now", nargs="?", default="latest", help="the run to compare with it")
    parser.add_argument(
        "--single-file", action="store_true", help="embed style and script in the page"
    )
    args = parser.parse_args(arguments)
    from pipeline.cli import history
    from pipeline.report.pages.comparison import write_comparison
    from pipeline.report.pages.index import RunIndex
    from pipeline.runs import records

    new_folder = history.find_run_folder(home, args.now)
    old_run_ref = args.before or RunIndex(home).previous_comparable_run(records.load(new_folder))
    if not old_run_ref:
        raise LookupError(f"there is no finished run before {new_folder.name} to compare it with")
    old_folder = history.find_run_folder(home, old_run_ref)
    path = write_comparison(home, old_folder.name, new_folder.name, args.single_file)
    RunIndex(home).write_page(pinned_runs())
    return str(path)


def render(home: Path, arguments: list[str], pinned_runs: PinnedRuns) -> str:
    """Write the pages of a run again; with --single-file each is self-contained."""
    parser = _command_parser("render", render)
    parser.add_argument("run", nargs="?", default="latest", help=RUN_HELP)
    parser.add_argument(
        "--single-file", action="store_true", help="embed style and script in each page"
    )
    args = parser.parse_args(arguments)
    from pipeline.cli import history
    from pipeline.report.live import ReportWriter
    from pipeline.runs import records

    run = records.load(history.find_run_folder(home, args.run))
    if not run.ended:
        raise ValueError(f"run {run.id} has not ended yet")
    error = ReportWriter(home, run, pinned_runs, args.single_file).rewrite_pages()
    if error:
        raise ValueError(f"some pages could not be written: {error}")
    return str(home / "reports" / run.id)


def prune(home: Path, arguments: list[str], pinned_runs: PinnedRuns) -> str:
    """Delete old runs, except those that a champion or the next run depends on."""
    parser = _command_parser("prune", prune)
    parser.add_argument("--keep", type=int, required=True, metavar="N", help="keep the newest N")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    args = parser.parse_args(arguments)
    from pipeline.execution import run_lock
    from pipeline.report.pages.index import RunIndex
    from pipeline.runs.prune import delete, plan

    with run_lock.acquire(home / "var" / "pipeline.lock", "prune", lambda _holder: None):
        prune_plan = plan(home, args.keep, pinned_runs)
        run_ids = prune_plan.deletable_runs
        lines = [
            f"kept: {run_id}, as {reason}"
            for run_id, reason in sorted(prune_plan.retained_runs.items())
        ]
        if args.dry_run:
            return "\n".join([*lines, *(f"would be deleted: {run_id}" for run_id in run_ids)])
        freed_bytes = delete(home, run_ids)
        RunIndex(home).write_page(pinned_runs())
    return "\n".join([*lines, f"{len(run_ids)} runs deleted, {freed_bytes / 1e6:,.1f} MB freed"])


def _command_parser(name: str, command: RunnerCommand) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(f"run_pipeline.py {name}", description=command.__doc__)


COMMANDS: dict[str, RunnerCommand] = {
    "runs": runs,
    "show": show,
    "compare": compare,
    "render": render,
    "prune": prune,
}
