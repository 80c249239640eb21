"""The index of all runs, reports/index.html, with a sparkline of the main metric.

It stays fast with thousands of runs: the row of each run is cached in var/runs/index.json, and
rendered again only when the record of the run has changed.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.definition.project import Project
from pipeline.report import rendering
from pipeline.report.model import PageContext
from pipeline.report.pages.sparkline import comparable_metrics, make_sparkline
from pipeline.runs import records
from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.digests import json_digest
from pipeline.runs.records import RunRecord, StepRecord
from pipeline.runs.status import StepStatus
from pipeline.workspace import RUN_RECORD_NAME, Workspace

MAX_ROW_ITEMS = 6  # steps, and parameters, that a row names
MAX_INITIAL_ROWS = 100  # that are visible; the script shows the other rows on request
# what a row needs of a step; its cells and outputs stay in the run's own record
CACHED_STEP_FIELDS = (
    "name",
    "report",
    "status",
    "seconds",
    "parameters",
    "headline",
    "notice",
    "facts",
    "failure",
)


class ComparisonLink(NamedTuple):
    """The comparison of a run with an earlier one."""

    href: str  # relative to reports/
    run_pair: str  # "OLD NEW", the arguments of the command compare


class RunIndex:
    """All recorded runs, newest first, and the page that lists them."""

    def __init__(self, project: Project) -> None:
        self.project, self.workspace = project, project.workspace
        cached: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            cached = json.loads(self.workspace.run_index_cache.read_text())
        self.cache_entries: dict[str, Any] = {}  # run id -> stamp, run, key, html
        self.runs: list[RunRecord] = []
        for run_id in self.workspace.run_ids():
            run_folder = self.workspace.run_folder(run_id)
            stamp = (run_folder / RUN_RECORD_NAME).stat().st_mtime_ns
            entry = cached.get(run_id, {})
            if entry.get("stamp") != stamp:
                # an unreadable record keeps its cached row, or is left out if it has none
                with suppress(LookupError, records.UnreadableRecordError):
                    entry = {"stamp": stamp, "run": _compact_record(records.load(run_folder))}
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                self.runs.append(RunRecord.from_dict(entry["run"]))
                self.cache_entries[run_id] = entry

    def update(self, run: RunRecord) -> None:
        """Replace or add a run that is newer in memory than on disk."""
        other_runs = [indexed_run for indexed_run in self.runs if indexed_run.id != run.id]
        self.runs = sorted([run, *other_runs], key=lambda each: each.id, reverse=True)
        self.cache_entries[run.id] = {"stamp": 0, "run": _compact_record(run)}

    def previous_run_of_step(self, run: RunRecord, step_name: str) -> str:
        """Return the id of the newest earlier run whose report of the step exists and is done.

        Empty if there is none.
        """
        for earlier_run in self.runs:
            if earlier_run.id < run.id and any(
                step.name == step_name and self._has_finished_report(earlier_run, step)
                for step in earlier_run.steps
            ):
                return earlier_run.id
        return ""

    def _has_finished_report(self, run: RunRecord, step: StepRecord) -> bool:
        report = self.workspace.report_folder(run.id) / step.report
        return step.status is StepStatus.DONE and report.exists()

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
        same_group = [
            candidate for candidate in candidates if self.project.group(candidate) == group
        ]
        return next((candidate.id for candidate in [*same_group, *candidates]), "")

    def write_page(self, pin_reasons: dict[str, str]) -> Path:
        """Write reports/index.html and the cache; return the path of the page.

        pin_reasons: run id -> what the run produced that is in use.
        """
        runs, workspace, grouping_fact = self.runs, self.workspace, self.project.grouping_fact
        comparisons = find_comparisons(workspace)
        metric_name = next((name for run in runs for name in comparable_metrics(run)), "")
        rows = [
            self._row_html(run, metric_name, pin_reasons.get(run.id, ""), comparisons.get(run.id))
            for run in runs
        ]
        page = rendering.render_page(
            "index.html.j2",
            "",
            PageContext(
                self.project,
                live=any(run.status is StepStatus.RUNNING and not run.ended for run in runs[:1]),
            ),
            rows=rows,
            max_initial_rows=MAX_INITIAL_ROWS,
            metric_name=metric_name,
            statuses=sorted({run.status for run in runs}),
            grouping_fact=grouping_fact,
            groups=sorted({self.project.group(run) for run in runs} - {""}),
            run_command=self.project.command(),
            compare_command=self.project.command("compare"),
            sparkline=make_sparkline(self.project, runs, metric_name),
        )
        rendering.write_assets(workspace)
        atomic_write(workspace.run_index_page, page)
        cache_text = json.dumps(self.cache_entries, default=str)
        atomic_write(workspace.run_index_cache, cache_text, durable=False)
        return workspace.run_index_page

    def _row_html(
        self, run: RunRecord, metric_name: str, pin_reason: str, comparison: ComparisonLink | None
    ) -> str:
        """Return the row of the run, from the cache unless something in it has changed."""
        entry = self.cache_entries[run.id]
        key = json_digest(
            {
                "template": rendering.template_digest("row.html.j2"),
                "grouping_fact": self.project.grouping_fact,
                "metric_name": metric_name,
                "pin_reason": pin_reason,
                "comparison": comparison,
            }
        )
        if entry.get("key") != key:
            headline = run.headline if run.status is StepStatus.DONE else {}
            entry["key"] = key
            entry["html"] = rendering.render_fragment(
                "row.html.j2",
                run=run,
                max_items=MAX_ROW_ITEMS,
                grouping_fact=self.project.grouping_fact,
                group=self.project.group(run),
                pin_reason=pin_reason,
                comparison=comparison,
                metric_name=metric_name,
                metric=comparable_metrics(run).get(metric_name),
                other_metrics={
                    name: value for name, value in headline.items() if name != metric_name
                },
                parameters=_parameter_items(run),
            )
        return entry["html"]


def _compact_record(run: RunRecord) -> dict[str, Any]:
    """Return the record as JSON content, without what only the run's own pages show."""
    content = run.to_dict()
    content["steps"] = [
        {name: step[name] for name in CACHED_STEP_FIELDS} for step in content["steps"]
    ]
    return content


def _parameter_items(run: RunRecord) -> list[tuple[str, Any]]:
    return [
        (f"{step.name}.{name}", value)
        for step in run.steps
        for name, value in step.parameters.items()
    ]


def find_comparisons(workspace: Workspace) -> dict[str, ComparisonLink]:
    """Return run id -> the comparison with an earlier run, for each run that has one."""
    comparisons = {}
    for path in sorted(workspace.comparisons_folder.glob("*..*.html")):
        old_run_id, _, new_run_id = path.stem.partition("..")
        href = path.relative_to(workspace.reports_folder).as_posix()
        comparisons[new_run_id] = ComparisonLink(href, f"{old_run_id} {new_run_id}")
    return comparisons
