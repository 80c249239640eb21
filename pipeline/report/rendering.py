"""What all pages share: the Jinja templates and their filters, the style sheet and the script."""

import hashlib
import re
from functools import cache
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.report.local_files import page_url
from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.formatting import (
    end_sentence,
    format_duration,
    hidden_items_suffix,
    join_limited,
)
from pipeline.runs.records import RunRecord
from pipeline.runs.results import Metric, format_metric
from pipeline.runs.status import StepStatus
from pipeline.workspace import Workspace

TEMPLATE_DIR = Path(__file__).parent / "templates"
# A page may load from its own host only; the frame of a notebook's output inherits this policy.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src data:; style-src 'self' file: 'unsafe-inline'; "
    "script-src 'self' file: 'unsafe-inline' 'unsafe-eval'; connect-src 'self'; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)


def render_template(template_name: str, **variables: Any) -> str:
    """Return the HTML of a page, whose variables include a PageContext's fields, or of a part."""
    return _jinja_environment().get_template(template_name).render(variables)


@cache
def _jinja_environment() -> Environment:
    environment = Environment(loader=FileSystemLoader(TEMPLATE_DIR))
    configure(environment)
    return environment


def configure(environment: Environment) -> None:
    """Add to the environment what our templates need.

    A page is a single file unless it says; root_href is the relative URL from it to reports/.
    """
    environment.autoescape = True
    environment.undefined = StrictUndefined
    environment.globals |= {
        "StepStatus": StepStatus,
        "policy": CONTENT_SECURITY_POLICY,
        "live": False,
        "single_file": True,
        "root_href": "../",
        "assets": shared_assets(),
        "assets_digest": hashlib.sha256("".join(shared_assets().values()).encode()).hexdigest()[:8],
    }
    environment.filters |= {
        "duration": format_duration,
        "end_sentence": end_sentence,
        "format_metric": format_metric,
        "metric_change": metric_change,
        "format_time": format_time,
        "parameter_items": parameter_items,
        "join_limited": join_limited,
        "hidden_items_suffix": hidden_items_suffix,
        "capitalize_first": capitalize_first,
        "page_url": page_url,
        "basename": lambda path: PurePath(path).name,
    }


def format_time(timestamp: str) -> str:
    """Return an ISO 8601 time as 2026-11-23 16:02 UTC; empty if the timestamp is."""
    return f"{timestamp[:16].replace('T', ' ')} UTC" if timestamp else ""


def parameter_items(run: RunRecord) -> list[tuple[str, Any]]:
    """Return (step.parameter, value) for each parameter that the run has set."""
    return [
        (f"{step.name}.{name}", value)
        for step in run.steps
        for name, value in step.parameters.items()
    ]


def capitalize_first(text: str) -> str:
    """Return the text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


class MetricChange(NamedTuple):
    """How a metric changed against the value that it is compared with."""

    direction: str  # better, worse or same
    text: str


def metric_change(result: Metric | str) -> MetricChange | None:
    """Return the change of a result since the value before; None if it has no such value."""
    if isinstance(result, str) or result.before is None:
        return None
    return format_change(result.before, result)


def format_change(old_value: float, metric: Metric) -> MetricChange:
    """Return the change from old_value to the metric, with the unit and decimals of its text."""
    difference = metric.value - old_value
    decimals_match = re.search(r"\d\.(\d+)", metric.text)
    decimals = len(decimals_match[1]) if decimals_match else 0
    currency = metric.text[0] if metric.text[:1] in ("$", "€", "£") else ""
    percent_sign = "%" if metric.text.endswith("%") else ""
    size = f"{currency}{abs(difference):,.{decimals}f}{percent_sign}"
    if not re.search("[1-9]", size):
        return MetricChange("same", "as before")
    sign = "−" if difference < 0 else "+"
    has_percent_change = old_value and not percent_sign
    percent = format_percent_change(difference / abs(old_value)) if has_percent_change else ""
    is_better = {"lower": difference < 0, "higher": difference > 0}.get(metric.better)
    direction = {True: "better", False: "worse", None: "same"}[is_better]
    return MetricChange(direction, f"{sign}{size} ({percent})" if percent else f"{sign}{size}")


def format_percent_change(relative_change: float) -> str:
    """Return a change with its sign, as +1.2%.

    Empty below 0.005% and from 1,000% up, where a percentage says nothing.
    """
    size = abs(relative_change)
    text = f"{size:.1%}" if size >= 0.0005 else f"{size:.2%}"
    if text == "0.00%" or size >= 10:
        return ""
    return f"{'−' if relative_change < 0 else '+'}{text}"


@cache
def shared_assets() -> dict[str, str]:
    """Return the text of each file that all pages share, by file name."""
    return {
        name: (TEMPLATE_DIR / name).read_text(encoding="utf-8")
        for name in ("report.css", "report.js")
    }


def write_assets(workspace: Workspace) -> None:
    """Write the files that all pages share, except those that are up to date."""
    for name, text in shared_assets().items():
        path = workspace.assets_folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            atomic_write(path, text)
