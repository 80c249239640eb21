"""The page that compares two runs: parameters, facts, results, tables, figures and code."""

from pathlib import Path
from typing import NamedTuple

from pipeline.definition.project import ComparisonTable, Project
from pipeline.report import rendering
from pipeline.report.model import PageContext
from pipeline.report.pages.step_comparison import StepComparison, compare_steps
from pipeline.runs import records
from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.formatting import format_duration
from pipeline.runs.records import RunRecord

MAX_SUMMARY_ITEMS = 4  # results, and parameters, that the summary names


class ComparedValue(NamedTuple):
    """A value of both runs, in a row of the table at the top."""

    name: str
    old_text: str
    new_text: str


def write_comparison(
    project: Project, old_run_id: str, new_run_id: str, single_file: bool = False
) -> Path:
    """Write reports/compare/OLD..NEW.html and return its path.

    single_file: without links to other pages. Raises LookupError if there is no such run.
    """
    workspace = project.workspace
    old_run, new_run = (
        records.load(workspace.run_folder(run_id)) for run_id in (old_run_id, new_run_id)
    )
    steps = compare_steps(workspace, old_run, new_run)
    commit_changes = _compare_commits(project, old_run, new_run)
    is_data_changed = old_run.fact(project.grouping_fact) != new_run.fact(project.grouping_fact)
    page = rendering.render_template(
        "comparison.html.j2",
        **PageContext(project, single_file)._asdict(),
        old_run=old_run,
        new_run=new_run,
        steps=steps,
        parameters=_parameter_rows(old_run, new_run),
        commit_changes=commit_changes,
        commit_notes=_commit_notes(commit_changes, is_data_changed, old_run, new_run),
        run_rows=_compare_values(
            _run_values(old_run, new_run), _run_values(new_run, old_run), default=""
        ),
        summary=_summary_sentences(project, old_run, new_run, steps, commit_changes),
        command=project.command("compare", old_run.id, new_run.id),
    )
    path = workspace.comparison_page(old_run_id, new_run_id)
    rendering.write_assets(workspace)
    atomic_write(path, page)
    return path


def _compare_commits(
    project: Project, old_run: RunRecord, new_run: RunRecord
) -> ComparisonTable | None:
    """Return the project's table of what differs between the commits of the runs, if it has one."""
    commits = [run.commit.removesuffix("-dirty") for run in (old_run, new_run)]
    if project.compare_commits is None or not all(commits):
        return None
    return project.compare_commits(project.workspace.project, *commits)


def _commit_notes(
    table: ComparisonTable | None, is_data_changed: bool, old_run: RunRecord, new_run: RunRecord
) -> list[str]:
    """Return the notes of the table, and one for each run of a modified checkout."""
    if table is None:
        return []
    dirty_runs = [run for run in (old_run, new_run) if run.commit.endswith("-dirty")]
    return list(table.notes) + [
        f"There were uncommitted changes when run {run.id} was made, so the files it used may "
        "differ from those of its commit."
        for run in dirty_runs
        if table.rows or is_data_changed
    ]


def _compare_values(
    old_values: dict[str, str], new_values: dict[str, str], default: str
) -> list[ComparedValue]:
    """Return what at least one of the runs has."""
    rows = [
        ComparedValue(name, old_values.get(name, default), new_values.get(name, default))
        for name in old_values | new_values
    ]
    return [row for row in rows if row.old_text or row.new_text]


def _parameter_rows(old_run: RunRecord, new_run: RunRecord) -> list[ComparedValue]:
    """Return the parameters that either run has set, by name."""
    old_values, new_values = (
        {name: str(value) for name, value in rendering.parameter_items(run)}
        for run in (old_run, new_run)
    )
    return sorted(_compare_values(old_values, new_values, "the default"))


def _run_values(run: RunRecord, compared_run: RunRecord) -> dict[str, str]:
    """Return the run's times, status, commit, notice, and the facts that either run has."""
    fact_names = [
        name for each in (run, compared_run) for step in each.steps for name in step.facts
    ]
    return {
        "started": rendering.format_time(run.started),
        "status": run.status,
        "took": format_duration(run.seconds),
        **{name: run.fact(name) for name in fact_names},
        "commit": run.commit,
        "notice": run.notice,
    }


def _summary_sentences(
    project: Project,
    old_run: RunRecord,
    new_run: RunRecord,
    steps: list[StepComparison],
    commit_changes: ComparisonTable | None,
) -> list[str]:
    """Return sentences on what differs, the most important first."""
    sentences = [
        f"{row.name}: {row.old_text} became {row.new_text}: {row.change.text}."
        for step in steps
        for row in step.results
        if row.change and row.change.text != "as before"
    ][:MAX_SUMMARY_ITEMS]
    parameters = [row for row in _parameter_rows(old_run, new_run) if row.old_text != row.new_text]
    sentences += [
        f"{row.name} was {row.old_text}, is now {row.new_text}."
        for row in parameters[:MAX_SUMMARY_ITEMS]
    ]
    old_fact, new_fact = (run.fact(project.grouping_fact) for run in (old_run, new_run))
    if old_fact != new_fact:
        sentences.append(
            f"The {project.grouping_fact} was {old_fact or 'not recorded'}, is now "
            f"{new_fact or 'not recorded'}."
        )
    if commit_changes and commit_changes.rows:
        n_changes = len(commit_changes.rows)
        verb = "differs" if n_changes == 1 else "differ"
        sentences.append(f"{rendering.capitalize_first(commit_changes.title)}: {n_changes} {verb}.")
    for noun in ("code cell", "table", "figure"):
        count = sum(step.change_counts[noun] for step in steps)
        if count:
            sentences.append(
                f"{count} {noun} differs." if count == 1 else f"{count} {noun}s differ."
            )
    return list(dict.fromkeys(sentences)) or ["Nothing differs."]
