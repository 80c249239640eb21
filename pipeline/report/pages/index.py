"""The index of all runs, reports/index.html, with a sparkline of the main metric."""

from pathlib import Path
from typing import NamedTuple

from pipeline.definition.project import Project
from pipeline.report import rendering
from pipeline.report.pages.sparkline import comparable_metrics, make_sparkline
from pipeline.runs import records
from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.records import RunRecord
from pipeline.runs.status import StepStatus
from pipeline.workspace import Workspace

MAX_ROW_ITEMS = 6  # steps, and parameters, that a row names
PIPELINE_LABEL = "pipeline"  # of the runs that are not of an on-demand step
MAX_INITIAL_ROWS = 100  # that are visible; the script shows the other rows on request


class ComparisonLink(NamedTuple):
    """The comparison of a run with an earlier one."""

    href: str  # relative to reports/
    run_pair: str  # "OLD NEW", the arguments of the command compare


class RunIndex:
    """All recorded runs, newest first, and the page that lists them."""

    def __init__(self, project: Project) -> None:
        self.project, self.workspace = project, project.workspace
        self.runs = records.load_all(self.workspace.runs_folder)

    def update(self, run: RunRecord) -> None:
        """Replace or add a run that is newer in memory than on disk."""
        other_runs = [indexed_run for indexed_run in self.runs if indexed_run.id != run.id]
        self.runs = sorted([run, *other_runs], key=lambda each: each.id, reverse=True)

    def previous_run_of_step(self, run: RunRecord, step_name: str) -> str:
        """Return the id of the newest earlier run whose report of the step exists and is done.

        Empty if there is none.
        """
        for earlier_run in self.runs:
            folder = self.workspace.report_folder(earlier_run.id)
            for step in earlier_run.steps if earlier_run.id < run.id else ():
                is_done = step.name == step_name and step.status is StepStatus.DONE
                if is_done and (folder / step.report).exists():
                    return earlier_run.id
        return ""

    def previous_comparable_run(self, run: RunRecord) -> str:
        """Return the id of the newest earlier finished run that shares a step with this one.

        A run of the same group goes before all others. Empty if there is none.
        """
        step_names = {step.name for step in run.steps}
        candidates = [
            earlier_run
            for earlier_run in self.runs
            if earlier_run.id < run.id
            and earlier_run.status is StepStatus.DONE
            and step_names & {step.name for step in earlier_run.steps}
        ]
        group = self.project.group(run)
        # a stable sort: the newest stays first
        candidates.sort(key=lambda candidate: self.project.group(candidate) != group)
        return candidates[0].id if candidates else ""

    def write_page(self, pin_reasons: dict[str, str]) -> Path:
        """Write reports/index.html and return its path.

        pin_reasons: run id -> what the run produced that is in use.
        """
        runs, workspace = self.runs, self.workspace
        # a report on demand does not put its own metric in the place of the pipeline's
        pipeline_runs = [run for run in runs if not run.on_demand_step]
        charted_runs = pipeline_runs or runs
        metric_name = next((name for run in charted_runs for name in comparable_metrics(run)), "")
        page = rendering.render_template(
            "index.html.j2",
            project=self.project,
            live=any(run.status is StepStatus.RUNNING and not run.ended for run in runs[:1]),
            single_file=False,
            root_href="",
            written_at=records.utc_now(),
            runs=runs,
            max_row_items=MAX_ROW_ITEMS,
            max_initial_rows=MAX_INITIAL_ROWS,
            statuses=sorted({run.status for run in runs}),
            groups=sorted({self.project.group(run) for run in runs} - {""}),
            pin_reasons=pin_reasons,
            comparisons=find_comparisons(workspace),
            comparable_metrics=comparable_metrics,
            metric_name=metric_name,
            sparkline=make_sparkline(self.project, charted_runs, metric_name),
            newest_runs=find_newest_runs(runs),
        )
        rendering.write_assets(workspace)
        atomic_write(workspace.run_index_page, page)
        return workspace.run_index_page


def find_newest_runs(runs: list[RunRecord]) -> dict[str, RunRecord]:
    """Return "pipeline" and the name of each on-demand step -> its newest run.

    runs: newest first. Empty if all are of the pipeline, as then the first row is that run.
    """
    newest_runs: dict[str, RunRecord] = {}
    for run in sorted(runs, key=lambda run: bool(run.on_demand_step)):  # newest first of each kind
        newest_runs.setdefault(run.on_demand_step or PIPELINE_LABEL, run)
    return newest_runs if set(newest_runs) - {PIPELINE_LABEL} else {}


def find_comparisons(workspace: Workspace) -> dict[str, ComparisonLink]:
    """Return run id -> the comparison with an earlier run, for each run that has one."""
    comparisons = {}
    for path in sorted(workspace.comparisons_folder.glob("*..*.html")):
        old_run_id, _, new_run_id = path.stem.partition("..")
        href = path.relative_to(workspace.reports_folder).as_posix()
        comparisons[new_run_id] = ComparisonLink(href, f"{old_run_id} {new_run_id}")
    return comparisons
