"""The chart of the main metric on the index: its values over the runs of the newest run's group."""

from typing import NamedTuple

from pipeline.definition.project import Project
from pipeline.runs.records import RunRecord
from pipeline.runs.results import Metric
from pipeline.runs.status import StepStatus

MAX_POINTS = 200


class Point(NamedTuple):
    """A run in the chart."""

    run: RunRecord
    metric: Metric
    x: float  # from 0, the left end, to 1
    y: float  # from 0, the highest value, to 1


class Sparkline(NamedTuple):
    """The chart of the main metric."""

    points: list[Point]
    description: str


def comparable_metrics(run: RunRecord) -> dict[str, Metric]:
    """Return the results that can be compared with other runs; empty unless the run is done."""
    if run.status is not StepStatus.DONE:
        return {}
    return {name: result for name, result in run.headline.items() if isinstance(result, Metric)}


def make_sparkline(project: Project, runs: list[RunRecord], metric_name: str) -> Sparkline | None:
    """Return the metric over the runs of the newest run's group; None for fewer than two runs."""
    measured = [run for run in runs if metric_name in comparable_metrics(run)]
    group = project.group(measured[0]) if measured else ""
    shown_runs = [run for run in measured if project.group(run) == group][:MAX_POINTS][::-1]
    if len(shown_runs) < 2:
        return None
    metrics = [comparable_metrics(run)[metric_name] for run in shown_runs]
    values = [metric.value for metric in metrics]
    low, high = min(values), max(values)
    points = [
        Point(
            run,
            metric,
            x=index / (len(metrics) - 1),
            y=(high - metric.value) / (high - low) if high > low else 0.5,
        )
        for index, (run, metric) in enumerate(zip(shown_runs, metrics, strict=True))
    ]
    best_value = high if metrics[-1].better == "higher" else low
    best = metrics[values.index(best_value)]
    group_text = f" on {group}" if group else ""
    return Sparkline(
        points,
        f"{metric_name} over {len(points)} runs{group_text}: "
        f"now {metrics[-1].text}, best {best.text}",
    )
