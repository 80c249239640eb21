"""reports/index.html: every run with its status, data, results and what differs; and the spark
line of the result that counts.

Thousands of runs stay quick: what a run's line says is kept in var/runs/index.json, and made
again only when its record has changed.
"""

import html
import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.report import rendering
from pipeline.runs import records
from pipeline.runs.atomic_write import atomic_write, json_digest
from pipeline.runs.records import RunRecord

MAX_ROW_ITEMS = 6  # steps and parameters that a line names
MAX_INITIAL_ROWS = 100  # runs in the page itself; the others are shown when asked for
MAX_SPARKLINE_POINTS = 200  # of the spark line
SPARKLINE_WIDTH_PX, SPARKLINE_HEIGHT_PX, SPARKLINE_MARGIN_PX = (
    520,
    64,
    6,
)  # of the spark line, in pixels
# what a line needs of a step; its cells and outputs stay in the run's own record
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


class RunIndex:
    """The runs there are, newest first, and the page of them all."""

    def __init__(self, home: Path) -> None:
        self.home, self.cache_path = home, home / "var" / "runs" / "index.json"
        known: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            known = json.loads(self.cache_path.read_text())
        self.cache_entries: dict[str, Any] = {}
        for path in sorted(self.cache_path.parent.glob("*/run.json"), reverse=True):
            name, stamp = path.parent.name, path.stat().st_mtime_ns
            entry = known.get(name)
            if not entry or entry["stamp"] != stamp:
                with suppress(ValueError, KeyError, TypeError, LookupError):  # one left out
                    entry = {"stamp": stamp, "run": _compact_record(records.load(path.parent))}
            if entry:
                self.cache_entries[name] = entry
        self.runs = [records.from_dict(one["run"]) for one in self.cache_entries.values()]

    def update(self, run: RunRecord) -> None:
        """What is known of a run that goes on, newer than what is on disk."""
        rest = [one for one in self.runs if one.id != run.id]
        self.runs = sorted([run, *rest], key=lambda one: one.id, reverse=True)
        self.cache_entries[run.id] = {"stamp": 0, "run": _compact_record(run)}

    def previous_run_of_step(self, run: RunRecord, step_name: str) -> str:
        """The run before this one in which the step was done, if its page is still there."""
        for one in self.runs:
            if one.id < run.id and any(
                its.name == step_name
                and its.status == "done"
                and (self.home / "reports" / one.id / its.report).exists()
                for its in one.steps
            ):
                return one.id
        return ""

    def previous_comparable_run(self, run: RunRecord) -> str:
        """The finished run before this one that shares a step with it; of the same data, if any."""
        steps = {one.name for one in run.steps}
        found = [
            one
            for one in self.runs
            if one.id < run.id and one.status == "done" and steps & {its.name for its in one.steps}
        ]
        alike = [one for one in found if data_source(one) == data_source(run)]
        return next((one.id for one in [*alike, *found]), "")

    def write_page(self, pin_reasons: dict[str, str]) -> Path:
        """Writes the page. keeps: run -> why it matters, e.g. that its model serves."""
        reports, runs = self.home / "reports", self.runs
        compared = find_comparisons(reports)
        metric = next((name for one in runs for name in _numeric_metrics(one)), "")
        rows = [
            self._row_html(one, metric, pin_reasons.get(one.id, ""), compared.get(one.id))
            for one in runs
        ]
        keys = [
            [one.id, one.status, one.seconds, data_source(one), _metric_value(one, metric)]
            for one in runs
        ]
        page = rendering.render_page(
            "index.html.j2", "", False,
            rows="\n".join(rows[:MAX_INITIAL_ROWS]),
            rest=_script_json({"keys": keys, "rows": rows[MAX_INITIAL_ROWS:]}),
            left=len(rows[MAX_INITIAL_ROWS:]),
            metric=metric,
            statuses=sorted({one.status for one in runs}),
            sources=sorted({data_source(one) for one in runs} - {""}),
            spark=sparkline(runs, metric),
            live=any(one.status == "running" and not one.ended for one in runs[:1]),
        )  # fmt: skip
        reports.mkdir(parents=True, exist_ok=True)
        rendering.write_assets(reports)
        atomic_write(reports / "index.html", page)
        atomic_write(self.cache_path, json.dumps(self.cache_entries, default=str), durable=False)
        return reports / "index.html"

    def _row_html(self, run: RunRecord, metric_name: str, pin_reason: str, comparison: Any) -> str:
        """The run's line; made again if anything that it says has changed."""
        entry = self.cache_entries[run.id]
        key = json_digest(
            [rendering.template_digest("row.html.j2"), metric_name, pin_reason, comparison]
        )
        if entry.get("key") != key:
            headline = run.headline if run.status == "done" else {}
            entry["key"], entry["html"] = key, rendering.render_fragment(
                "row.html.j2",
                run=run,
                few=MAX_ROW_ITEMS,
                source=data_source(run),
                kept=pin_reason,
                comparison=comparison,
                name=metric_name,
                metric=headline.get(metric_name) if metric_name in _numeric_metrics(run) else None,
                others={name: it for name, it in headline.items() if name != metric_name},
                parameters=_parameter_items(run),
            )  # fmt: skip
        return entry["html"]


def _compact_record(run: RunRecord) -> dict[str, Any]:
    """The record without what only the run's own pages tell."""
    told = asdict(run)
    told["steps"] = [{name: step[name] for name in CACHED_STEP_FIELDS} for step in told["steps"]]
    return told


def _numeric_metrics(run: RunRecord) -> list[str]:
    """The results that are numbers, which can be compared; of a run that came to its end."""
    if run.status != "done":
        return []
    return [name for name, it in run.headline.items() if isinstance(it, dict)]


def _metric_value(run: RunRecord, metric_name: str) -> float | None:
    return run.headline[metric_name]["value"] if metric_name in _numeric_metrics(run) else None


def _script_json(content: Any) -> str:
    """For a script element: nothing in it ends the element."""
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
    """Which data, in a word or two."""
    return run.data.partition(",")[0]


def find_comparisons(reports_dir: Path) -> dict[str, dict[str, str]]:
    """run -> the comparison with the run before it, if one was made."""
    found = {}
    for path in sorted((reports_dir / "compare").glob("*..*.html")):
        before, _, after = path.stem.partition("..")
        found[after] = {"href": f"compare/{path.name}", "pair": f"{before} {after}"}
    return found


def sparkline(runs: list[RunRecord], metric_name: str) -> dict[str, str] | None:
    """The result over the runs on the newest run's data; None if there are too few."""
    of = next((data_source(one) for one in runs if metric_name in _numeric_metrics(one)), "")
    shown = [
        one for one in runs if metric_name in _numeric_metrics(one) and data_source(one) == of
    ][:MAX_SPARKLINE_POINTS][::-1]
    shown = [one for one in shown if one.status == "done"]
    if len(shown) < 2:
        return None
    told = [one.headline[metric_name] for one in shown]
    values = [float(one["value"]) for one in told]
    low, high = min(values), max(values)
    across = (SPARKLINE_WIDTH_PX - 2 * SPARKLINE_MARGIN_PX) / (len(values) - 1)
    places = [
        (
            SPARKLINE_MARGIN_PX + across * number,
            SPARKLINE_HEIGHT_PX
            - SPARKLINE_MARGIN_PX
            - (SPARKLINE_HEIGHT_PX - 2 * SPARKLINE_MARGIN_PX)
            * _fraction_of_range(value, low, high),
        )
        for number, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(
        f'<a href="{run.id}/index.html" aria-label="{html.escape(rendering.format_time(run.started))}: '
        f'{html.escape(records.format_metric(one))}"><circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}"{kind}>'
        f"<title>{html.escape(rendering.format_time(run.started))}: {html.escape(records.format_metric(one))}</title>"
        "</circle></a>"
        for run, one, (x, y), radius, kind in _sparkline_dots(shown, told, places)
    )
    best = min(told, key=lambda one: one["value"] * (-1 if one.get("better") == "higher" else 1))
    words = f"{metric_name} over {len(shown)} runs on {of or 'this data'}: now {records.format_metric(told[-1])}"
    words += f", best {records.format_metric(best)}"
    drawing = (
        f'<svg width="{SPARKLINE_WIDTH_PX}" height="{SPARKLINE_HEIGHT_PX}" viewBox="0 0 {SPARKLINE_WIDTH_PX} {SPARKLINE_HEIGHT_PX}" role="group" '
        f'aria-label="{html.escape(words)}"><polyline class="line" points="{line}"/>{dots}</svg>'
    )
    return {"drawing": drawing, "words": words}


def _fraction_of_range(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _sparkline_dots(runs: list[RunRecord], metrics: list[Any], positions: list[Any]) -> Any:
    """Few runs get a dot each, many the last one alone."""
    all_of_them = list(zip(runs, metrics, positions, strict=True))
    few = all_of_them if len(all_of_them) <= 60 else all_of_them[-1:]
    for run, one, place in few:
        last = run is runs[-1]
        yield run, one, place, 4 if last else 2.5, ' class="last"' if last else ""
