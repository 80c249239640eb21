"""What the project's `compare_commits` says of the commits of two runs, for their comparison."""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.definition.project import Project
from pipeline.runs.records import RunRecord


class CommitChanges(NamedTuple):
    """A section of the comparison: the project's table, and notes on it."""

    title: str
    columns: Sequence[str]  # the cells of before and now are coloured
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]  # sentences
    command: str  # prints the same; may be empty


def compare_commits(
    project: Project, old_run: RunRecord, new_run: RunRecord
) -> CommitChanges | None:
    """Return what differs between the commits of the runs; None if there is nothing to say."""
    old_commit, new_commit = (run.commit.removesuffix("-dirty") for run in (old_run, new_run))
    if not (project.compare_commits and old_commit and new_commit):
        return None
    table = project.compare_commits(project.workspace.project, old_commit, new_commit)
    if table is None:
        return None
    notes = list(table.notes)
    if table.rows or old_run.fact(project.grouping_fact) != new_run.fact(project.grouping_fact):
        notes += _uncommitted_notes(old_run, new_run)
    if not table.rows and not notes:
        return None
    return CommitChanges(table.title, table.columns, table.rows, notes, table.command)


def _uncommitted_notes(old_run: RunRecord, new_run: RunRecord) -> list[str]:
    """Return a note for each run of a modified checkout."""
    return [
        f"There were uncommitted changes when run {run.id} was made, so the files it used may "
        "differ from those of its commit."
        for run in (old_run, new_run)
        if run.commit.endswith("-dirty")
    ]
