"""The commands of the runner's script about past runs: runs, show, compare, render and prune.

Each takes its arguments and returns the text to print. Its docstring is the help text.
"""

import argparse
from collections.abc import Callable

from pipeline.definition.project import Project

RunnerCommand = Callable[[Project, list[str]], str]
RUN_HELP = "the id of a run, the start of an id, or latest"


def runs(project: Project, arguments: list[str]) -> str:
    """List the runs, newest first."""
    parser = _command_parser(project, "runs", runs)
    parser.add_argument(
        "--last", type=int, default=20, metavar="N", help="list the newest N (default: 20)"
    )
    limit = parser.parse_args(arguments).last
    from pipeline.cli import history

    return history.run_table(project.workspace, limit)


def show(project: Project, arguments: list[str]) -> str:
    """Show one run in detail."""
    parser = _command_parser(project, "show", show)
    parser.add_argument("run", help=RUN_HELP)
    from pipeline.cli import history

    return history.run_details(project.workspace, parser.parse_args(arguments).run)


def compare(project: Project, arguments: list[str]) -> str:
    """Compare two runs on one page; by default the newest and the one before it."""
    parser = _command_parser(project, "compare", compare)
    parser.add_argument("before", nargs="?", help=RUN_HELP)
    parser.add_argument("now", nargs="?", default="latest", help="the run to compare with it")
    parser.add_argument(
        "--single-file", action="store_true", help="embed style and script in the page"
    )
    args = parser.parse_args(arguments)
    from pipeline.kernels.slow_imports import skip_rfc3987_syntax

    skip_rfc3987_syntax()
    from pipeline.cli import history
    from pipeline.report.pages.comparison import write_comparison
    from pipeline.report.pages.index import RunIndex
    from pipeline.runs import records

    workspace = project.workspace
    new_folder = history.find_run_folder(workspace, args.now)
    new_run = records.load(new_folder)
    old_run_ref = args.before or RunIndex(project).previous_comparable_run(new_run)
    if not old_run_ref:
        raise LookupError(f"there is no finished run before {new_run.id} to compare it with")
    old_folder = history.find_run_folder(workspace, old_run_ref)
    path = write_comparison(project, old_folder.name, new_folder.name, args.single_file)
    RunIndex(project).write_page(project.pinned_runs())
    return str(path)


def render(project: Project, arguments: list[str]) -> str:
    """Write the pages of a run again; with --single-file each is self-contained."""
    parser = _command_parser(project, "render", render)
    parser.add_argument("run", nargs="?", default="latest", help=RUN_HELP)
    parser.add_argument(
        "--single-file", action="store_true", help="embed style and script in each page"
    )
    args = parser.parse_args(arguments)
    from pipeline.cli import history
    from pipeline.report.live import ReportWriter
    from pipeline.runs import records

    run = records.load(history.find_run_folder(project.workspace, args.run))
    if not run.ended:
        raise ValueError(f"run {run.id} has not ended yet")
    error = ReportWriter(project, run, args.single_file).rewrite_pages()
    if error:
        raise ValueError(f"some pages could not be written: {error}")
    return str(project.workspace.report_folder(run.id))


def prune(project: Project, arguments: list[str]) -> str:
    """Delete old runs, except those whose results are in use or needed by the next run."""
    parser = _command_parser(project, "prune", prune)
    parser.add_argument("--keep", type=int, required=True, metavar="N", help="keep the newest N")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    args = parser.parse_args(arguments)
    from pipeline.execution import run_lock
    from pipeline.report.pages.index import RunIndex
    from pipeline.runs.prune import delete_runs, plan_pruning

    with run_lock.hold(project.workspace.lock_file, "prune", lambda _holder: None):
        prune_plan = plan_pruning(project.workspace, args.keep, project.pinned_runs)
        run_ids = prune_plan.deletable_runs
        lines = [
            f"kept: {run_id}, as {reason}"
            for run_id, reason in sorted(prune_plan.retained_runs.items())
        ]
        if args.dry_run:
            return "\n".join([*lines, *(f"would be deleted: {run_id}" for run_id in run_ids)])
        freed_bytes = delete_runs(project.workspace, run_ids)
        RunIndex(project).write_page(project.pinned_runs())
    return "\n".join([*lines, f"{len(run_ids)} runs deleted, {freed_bytes / 1e6:,.1f} MB freed"])


def _command_parser(project: Project, name: str, command: RunnerCommand) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(f"{project.script} {name}", description=command.__doc__)


COMMANDS: dict[str, RunnerCommand] = {
    "runs": runs,
    "show": show,
    "compare": compare,
    "render": render,
    "prune": prune,
}
