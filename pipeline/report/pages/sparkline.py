"""The chart of the main metric on the index: its values over the runs of the newest run's group."""

import html
from collections.abc import Iterator
from typing import NamedTuple

from pipeline.definition.project import Project
from pipeline.report import rendering
from pipeline.runs.records import RunRecord
from pipeline.runs.results import Metric
from pipeline.runs.status import StepStatus

MAX_SPARKLINE_POINTS = 200
MAX_SPARKLINE_DOTS = 60  # with more runs only the newest gets a dot
SPARKLINE_WIDTH_PX = 520
SPARKLINE_HEIGHT_PX = 64
SPARKLINE_MARGIN_PX = 6
DOT_RADIUS_PX = 2.5
LAST_DOT_RADIUS_PX = 4


class Sparkline(NamedTuple):
    """The chart of the main metric."""

    svg: str
    description: str


def comparable_metrics(run: RunRecord) -> dict[str, Metric]:
    """Return the results that can be compared with other runs; empty unless the run is done."""
    if run.status is not StepStatus.DONE:
        return {}
    return {name: result for name, result in run.headline.items() if isinstance(result, Metric)}


def draw_sparkline(project: Project, runs: list[RunRecord], metric_name: str) -> Sparkline | None:
    """Return the metric over the runs of the newest run's group; None for fewer than two runs."""
    measured = [run for run in runs if metric_name in comparable_metrics(run)]
    group = project.group(measured[0]) if measured else ""
    same_group = [run for run in measured if project.group(run) == group]
    shown_runs = same_group[:MAX_SPARKLINE_POINTS][::-1]
    if len(shown_runs) < 2:
        return None
    metrics = [comparable_metrics(run)[metric_name] for run in shown_runs]
    positions = _sparkline_positions([float(metric.value) for metric in metrics])
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in positions)
    dots = "".join(_sparkline_dots(shown_runs, metrics, positions))
    best = min(
        metrics, key=lambda metric: -metric.value if metric.better == "higher" else metric.value
    )
    description = (
        f"{metric_name} over {len(shown_runs)} runs{f' on {group}' if group else ''}: "
        f"now {metrics[-1].text}, best {best.text}"
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
    runs: list[RunRecord], metrics: list[Metric], positions: list[tuple[float, float]]
) -> Iterator[str]:
    """Yield the SVG of a linked dot for each run, or for the newest one if there are many."""
    points = list(zip(runs, metrics, positions, strict=True))
    for run, metric, (x, y) in points if len(points) <= MAX_SPARKLINE_DOTS else points[-1:]:
        is_last = run is runs[-1]
        radius = LAST_DOT_RADIUS_PX if is_last else DOT_RADIUS_PX
        class_attribute = ' class="last"' if is_last else ""
        started = html.escape(rendering.format_time(run.started))
        label = f"{started}: {html.escape(metric.text)}"
        yield (
            f'<a href="{run.id}/index.html" aria-label="{label}">'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}"{class_attribute}>'
            f"<title>{label}</title></circle></a>"
        )
