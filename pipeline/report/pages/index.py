"""The index of all runs, reports/index.html, with a sparkline of the main metric.

It stays fast with thousands of runs: the row of each run is cached in var/runs/index.json, and
rendered again only when the record of the run has changed.
"""

import html
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.report import rendering
from pipeline.runs import records
from pipeline.runs.atomic_write import atomic_write, json_digest
from pipeline.runs.records import RunRecord, StepRecord

MAX_ROW_ITEMS = 6  # steps, and parameters, that a row names
MAX_INITIAL_ROWS = 100  # in the page itself; the script adds the other rows on request
MAX_SPARKLINE_POINTS = 200
MAX_SPARKLINE_DOTS = 60  # with more runs only the newest gets a dot
SPARKLINE_WIDTH_PX = 520
SPARKLINE_HEIGHT_PX = 64
SPARKLINE_MARGIN_PX = 6
DOT_RADIUS_PX = 2.5
LAST_DOT_RADIUS_PX = 4
# what a row needs of a step; its cells and outputs stay in the run's own record
CACHED_STEP_FIELDS = (
    "name",
    "report",
    "status",
    "seconds",
    "parameters",
    "headline",
    "notice",
    "data",
    "failure",
)


class ComparisonLink(NamedTuple):
    """The comparison of a run with an earlier one."""

    href: str  # relative to reports/
    run_pair: str  # "OLD NEW", the arguments of the command compare


class Sparkline(NamedTuple):
    """The chart of the main metric."""

    svg: str
    description: str


class RunIndex:
    """All recorded runs, newest first, and the page that lists them.

    home: the folder of var/ and reports/.
    """

    def __init__(self, home: Path) -> None:
        self.home, self.cache_path = home, home / "var" / "runs" / "index.json"
        cached: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            cached = json.loads(self.cache_path.read_text())
        self.cache_entries: dict[str, Any] = {}  # run id -> stamp, run, key, html
        for path in sorted(self.cache_path.parent.glob("*/run.json"), reverse=True):
            run_id, stamp = path.parent.name, path.stat().st_mtime_ns
            entry = cached.get(run_id)
            if not entry or entry["stamp"] != stamp:
                # an unreadable record keeps its cached row, or is left out if it has none
                with suppress(ValueError, KeyError, TypeError, LookupError):
                    entry = {"stamp": stamp, "run": _compact_record(records.load(path.parent))}
            if entry:
                self.cache_entries[run_id] = entry
        self.runs = [records.from_dict(entry["run"]) for entry in self.cache_entries.values()]

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
        return step.status == "done" and (self.home / "reports" / run.id / step.report).exists()

    def previous_comparable_run(self, run: RunRecord) -> str:
        """Return the id of the newest earlier finished run that shares a step with this one.

        A run on the same data goes before all others. Empty if there is none.
        """
        step_names = {step.name for step in run.steps}
        candidates = [
            earlier_run
            for earlier_run in self.runs
            if earlier_run.id < run.id
            and earlier_run.status == "done"
            and step_names & {step.name for step in earlier_run.steps}
        ]
        same_data = [
            candidate for candidate in candidates if data_source(candidate) == data_source(run)
        ]
        return next((candidate.id for candidate in [*same_data, *candidates]), "")

    def write_page(self, pin_reasons: dict[str, str]) -> Path:
        """Write reports/index.html and the cache; return the path of the page.

        pin_reasons: run id -> why it matters, e.g. that its model serves.
        """
        reports_dir, runs = self.home / "reports", self.runs
        comparisons = find_comparisons(reports_dir)
        metric_name = next((name for run in runs for name in _numeric_metrics(run)), "")
        rows = [
            self._row_html(run, metric_name, pin_reasons.get(run.id, ""), comparisons.get(run.id))
            for run in runs
        ]
        sort_keys = [
            [run.id, run.status, run.seconds, data_source(run), _metric_value(run, metric_name)]
            for run in runs
        ]
        page = rendering.render_page(
            "index.html.j2",
            "",
            single_file=False,
            rows="\n".join(rows[:MAX_INITIAL_ROWS]),
            remaining_rows_json=_script_json({"keys": sort_keys, "rows": rows[MAX_INITIAL_ROWS:]}),
            hidden_row_count=len(rows[MAX_INITIAL_ROWS:]),
            metric_name=metric_name,
            statuses=sorted({run.status for run in runs}),
            data_sources=sorted({data_source(run) for run in runs} - {""}),
            sparkline=sparkline(runs, metric_name),
            live=any(run.status == "running" and not run.ended for run in runs[:1]),
        )
        reports_dir.mkdir(parents=True, exist_ok=True)
        rendering.write_assets(reports_dir)
        atomic_write(reports_dir / "index.html", page)
        atomic_write(self.cache_path, json.dumps(self.cache_entries, default=str), durable=False)
        return reports_dir / "index.html"

    def _row_html(
        self, run: RunRecord, metric_name: str, pin_reason: str, comparison: ComparisonLink | None
    ) -> str:
        """Return the row of the run, from the cache unless something in it has changed."""
        entry = self.cache_entries[run.id]
        key = json_digest(
            {
                "template": rendering.template_digest("row.html.j2"),
                "metric_name": metric_name,
                "pin_reason": pin_reason,
                "comparison": comparison,
            }
        )
        if entry.get("key") != key:
            headline = run.headline if run.status == "done" else {}
            has_metric = metric_name in _numeric_metrics(run)
            entry["key"] = key
            entry["html"] = rendering.render_fragment(
                "row.html.j2",
                run=run,
                max_items=MAX_ROW_ITEMS,
                data_source=data_source(run),
                pin_reason=pin_reason,
                comparison=comparison,
                metric_name=metric_name,
                metric_value=headline.get(metric_name) if has_metric else None,
                other_metrics={
                    name: value for name, value in headline.items() if name != metric_name
                },
                parameters=_parameter_items(run),
            )
        return entry["html"]


def _compact_record(run: RunRecord) -> dict[str, Any]:
    """Return the record as JSON content, without what only the run's own pages show."""
    content = asdict(run)
    content["steps"] = [
        {name: step[name] for name in CACHED_STEP_FIELDS} for step in content["steps"]
    ]
    return content


def _numeric_metrics(run: RunRecord) -> list[str]:
    """Return the names of the metrics that can be compared; empty unless the run is done."""
    if run.status != "done":
        return []
    return [name for name, value in run.headline.items() if isinstance(value, dict)]


def _metric_value(run: RunRecord, metric_name: str) -> float | None:
    return run.headline[metric_name]["value"] if metric_name in _numeric_metrics(run) else None


def _script_json(content: Any) -> str:
    """Return JSON for a script element, escaped so that no text in it ends the element."""
    return (
        json.dumps(content, separators=(",", ":"), default=str)
        .replace("</", "<\\/")
        .replace("<!", "<\\u0021")
    )


def _parameter_items(run: RunRecord) -> list[tuple[str, Any]]:
    return [
        (f"{step.name}.{name}", value)
        for step in run.steps
        for name, value in step.parameters.items()
    ]


def data_source(run: RunRecord) -> str:
    """Return the name of the run's data: "A sample" for "A sample, 5 rows"."""
    return run.data.partition(",")[0]


def find_comparisons(reports_dir: Path) -> dict[str, ComparisonLink]:
    """Return run id -> the comparison with an earlier run, for each run that has one."""
    comparisons = {}
    for path in sorted((reports_dir / "compare").glob("*..*.html")):
        old_run_id, _, new_run_id = path.stem.partition("..")
        href = f"compare/{path.name}"
        comparisons[new_run_id] = ComparisonLink(href, f"{old_run_id} {new_run_id}")
    return comparisons


def sparkline(runs: list[RunRecord], metric_name: str) -> Sparkline | None:
    """Return the metric over the runs on the newest run's data; None for fewer than two runs."""
    measured = [run for run in runs if metric_name in _numeric_metrics(run)]
    source = data_source(measured[0]) if measured else ""
    same_data = [run for run in measured if data_source(run) == source]
    shown_runs = same_data[:MAX_SPARKLINE_POINTS][::-1]
    if len(shown_runs) < 2:
        return None
    metrics = [run.headline[metric_name] for run in shown_runs]
    positions = _sparkline_positions([float(metric["value"]) for metric in metrics])
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in positions)
    dots = "".join(_sparkline_dots(shown_runs, metrics, positions))
    best = min(
        metrics,
        key=lambda metric: metric["value"] * (-1 if metric.get("better") == "higher" else 1),
    )
    description = (
        f"{metric_name} over {len(shown_runs)} runs on {source or 'this data'}: "
        f"now {records.format_metric(metrics[-1])}, best {records.format_metric(best)}"
    )
    svg = (
        f'<svg width="{SPARKLINE_WIDTH_PX}" height="{SPARKLINE_HEIGHT_PX}" '
        f'viewBox="0 0 {SPARKLINE_WIDTH_PX} {SPARKLINE_HEIGHT_PX}" role="group" '
        f'aria-label="{html.escape(description)}">'
        f'<polyline class="line" points="{line}"/>{dots}</svg>'
    )
    return Sparkline(svg, description)


def _sparkline_positions(values: list[float]) -> list[tuple[float, float]]:
    """Return (x, y) in pixels of each value, from left to right; at least two values."""
    low, high = min(values), max(values)
    step_width = (SPARKLINE_WIDTH_PX - 2 * SPARKLINE_MARGIN_PX) / (len(values) - 1)
    height = SPARKLINE_HEIGHT_PX - 2 * SPARKLINE_MARGIN_PX
    bottom = SPARKLINE_HEIGHT_PX - SPARKLINE_MARGIN_PX
    return [
        (
            SPARKLINE_MARGIN_PX + step_width * index,
            bottom - height * _fraction_of_range(value, low, high),
        )
        for index, value in enumerate(values)
    ]


def _fraction_of_range(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _sparkline_dots(
    runs: list[RunRecord], metrics: list[Any], positions: list[tuple[float, float]]
) -> Iterator[str]:
    """Yield the SVG of a linked dot for each run, or for the newest one if there are many."""
    points = list(zip(runs, metrics, positions, strict=True))
    for run, metric, (x, y) in points if len(points) <= MAX_SPARKLINE_DOTS else points[-1:]:
        is_last = run is runs[-1]
        radius = LAST_DOT_RADIUS_PX if is_last else DOT_RADIUS_PX
        class_attribute = ' class="last"' if is_last else ""
        started = html.escape(rendering.format_time(run.started))
        label = f"{started}: {html.escape(records.format_metric(metric))}"
        yield (
            f'<a href="{run.id}/index.html" aria-label="{label}">'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}"{class_attribute}>'
            f"<title>{label}</title></circle></a>"
        )
