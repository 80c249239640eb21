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
from pipeline.runs.atomic_write import digest, write_whole
from pipeline.runs.records import RunRecord

FEW = 6  # steps and parameters that a line names
SHOWN = 100  # runs in the page itself; the others are shown when asked for
POINTS = 200  # of the spark line
WIDTH, HEIGHT, EDGE = 520, 64, 6  # of the spark line, in pixels
# what a line needs of a step; its cells and outputs stay in the run's own record
KEPT = (
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


class Index:
    """The runs there are, newest first, and the page of them all."""

    def __init__(self, home: Path) -> None:
        self.home, self.cache = home, home / "var" / "runs" / "index.json"
        known: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            known = json.loads(self.cache.read_text())
        self.entries: dict[str, Any] = {}
        for path in sorted(self.cache.parent.glob("*/run.json"), reverse=True):
            name, stamp = path.parent.name, path.stat().st_mtime_ns
            entry = known.get(name)
            if not entry or entry["stamp"] != stamp:
                with suppress(ValueError, KeyError, TypeError, LookupError):  # one left out
                    entry = {"stamp": stamp, "run": _short(records.load(path.parent))}
            if entry:
                self.entries[name] = entry
        self.runs = [records.of(one["run"]) for one in self.entries.values()]

    def update(self, run: RunRecord) -> None:
        """What is known of a run that goes on, newer than what is on disk."""
        rest = [one for one in self.runs if one.id != run.id]
        self.runs = sorted([run, *rest], key=lambda one: one.id, reverse=True)
        self.entries[run.id] = {"stamp": 0, "run": _short(run)}

    def earlier(self, run: RunRecord, step: str) -> str:
        """The run before this one in which the step was done, if its page is still there."""
        for one in self.runs:
            if one.id < run.id and any(
                its.name == step
                and its.status == "done"
                and (self.home / "reports" / one.id / its.report).exists()
                for its in one.steps
            ):
                return one.id
        return ""

    def before(self, run: RunRecord) -> str:
        """The finished run before this one that shares a step with it; of the same data, if any."""
        steps = {one.name for one in run.steps}
        found = [
            one
            for one in self.runs
            if one.id < run.id and one.status == "done" and steps & {its.name for its in one.steps}
        ]
        alike = [one for one in found if source(one) == source(run)]
        return next((one.id for one in [*alike, *found]), "")

    def write(self, keeps: dict[str, str]) -> Path:
        """Writes the page. keeps: run -> why it matters, e.g. that its model serves."""
        reports, runs = self.home / "reports", self.runs
        compared = comparisons(reports)
        metric = next((name for one in runs for name in _numbers(one)), "")
        rows = [self._row(one, metric, keeps.get(one.id, ""), compared.get(one.id)) for one in runs]
        keys = [[one.id, one.status, one.seconds, source(one), _value(one, metric)] for one in runs]
        page = rendering.render(
            "index.html.j2", "", False,
            rows="\n".join(rows[:SHOWN]),
            rest=_json({"keys": keys, "rows": rows[SHOWN:]}),
            left=len(rows[SHOWN:]),
            metric=metric,
            statuses=sorted({one.status for one in runs}),
            sources=sorted({source(one) for one in runs} - {""}),
            spark=spark(runs, metric),
            live=any(one.status == "running" and not one.ended for one in runs[:1]),
        )  # fmt: skip
        reports.mkdir(parents=True, exist_ok=True)
        rendering.write_assets(reports)
        write_whole(reports / "index.html", page)
        write_whole(self.cache, json.dumps(self.entries, default=str), durable=False)
        return reports / "index.html"

    def _row(self, run: RunRecord, metric: str, keeps: str, comparison: Any) -> str:
        """The run's line; made again if anything that it says has changed."""
        entry = self.entries[run.id]
        key = digest([rendering.version("row.html.j2"), metric, keeps, comparison])
        if entry.get("key") != key:
            headline = run.headline if run.status == "done" else {}
            entry["key"], entry["html"] = key, rendering.fragment(
                "row.html.j2",
                run=run,
                few=FEW,
                source=source(run),
                kept=keeps,
                comparison=comparison,
                name=metric,
                metric=headline.get(metric) if metric in _numbers(run) else None,
                others={name: it for name, it in headline.items() if name != metric},
                parameters=_parameters(run),
            )  # fmt: skip
        return entry["html"]


def _short(run: RunRecord) -> dict[str, Any]:
    """The record without what only the run's own pages tell."""
    told = asdict(run)
    told["steps"] = [{name: step[name] for name in KEPT} for step in told["steps"]]
    return told


def _numbers(run: RunRecord) -> list[str]:
    """The results that are numbers, which can be compared; of a run that came to its end."""
    if run.status != "done":
        return []
    return [name for name, it in run.headline.items() if isinstance(it, dict)]


def _value(run: RunRecord, metric: str) -> float | None:
    return run.headline[metric]["value"] if metric in _numbers(run) else None


def _json(content: Any) -> str:
    """For a script element: nothing in it ends the element."""
    return (
        json.dumps(content, separators=(",", ":"), default=str)
        .replace("</", "<\\/")
        .replace("<!", "<\\u0021")
    )


def _parameters(run: RunRecord) -> list[tuple[str, Any]]:
    return [
        (f"{step.name}.{name}", value)
        for step in run.steps
        for name, value in step.parameters.items()
    ]


def source(run: RunRecord) -> str:
    """Which data, in a word or two."""
    return run.data.partition(",")[0]


def comparisons(reports: Path) -> dict[str, dict[str, str]]:
    """run -> the comparison with the run before it, if one was made."""
    found = {}
    for path in sorted((reports / "compare").glob("*..*.html")):
        before, _, after = path.stem.partition("..")
        found[after] = {"href": f"compare/{path.name}", "pair": f"{before} {after}"}
    return found


def spark(runs: list[RunRecord], metric: str) -> dict[str, str] | None:
    """The result over the runs on the newest run's data; None if there are too few."""
    of = next((source(one) for one in runs if metric in _numbers(one)), "")
    shown = [one for one in runs if metric in _numbers(one) and source(one) == of][:POINTS][::-1]
    shown = [one for one in shown if one.status == "done"]
    if len(shown) < 2:
        return None
    told = [one.headline[metric] for one in shown]
    values = [float(one["value"]) for one in told]
    low, high = min(values), max(values)
    across = (WIDTH - 2 * EDGE) / (len(values) - 1)
    places = [
        (EDGE + across * number, HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * _part(value, low, high))
        for number, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(
        f'<a href="{run.id}/index.html" aria-label="{html.escape(rendering.moment(run.started))}: '
        f'{html.escape(records.said(one))}"><circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}"{kind}>'
        f"<title>{html.escape(rendering.moment(run.started))}: {html.escape(records.said(one))}</title>"
        "</circle></a>"
        for run, one, (x, y), radius, kind in _dots(shown, told, places)
    )
    best = min(told, key=lambda one: one["value"] * (-1 if one.get("better") == "higher" else 1))
    words = f"{metric} over {len(shown)} runs on {of or 'this data'}: now {records.said(told[-1])}"
    words += f", best {records.said(best)}"
    drawing = (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="group" '
        f'aria-label="{html.escape(words)}"><polyline class="line" points="{line}"/>{dots}</svg>'
    )
    return {"drawing": drawing, "words": words}


def _part(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _dots(shown: list[RunRecord], told: list[Any], places: list[Any]) -> Any:
    """Few runs get a dot each, many the last one alone."""
    all_of_them = list(zip(shown, told, places, strict=True))
    few = all_of_them if len(all_of_them) <= 60 else all_of_them[-1:]
    for run, one, place in few:
        last = run is shown[-1]
        yield run, one, place, 4 if last else 2.5, ' class="last"' if last else ""
