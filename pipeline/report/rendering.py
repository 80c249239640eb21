"""What all pages share: the templates and their words, the style sheet and the script."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.records import format_duration, format_metric

TEMPLATE_DIR = Path(__file__).parent / "templates"
# Nothing is asked of any host but the page's own; a frame of a notebook's inherits this.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src data:; style-src 'self' file: 'unsafe-inline'; "
    "script-src 'self' file: 'unsafe-inline' 'unsafe-eval'; connect-src 'self'; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)


def render_page(template_name: str, root_href: str, single_file: bool, **variables: Any) -> str:
    """A page. root: from the page to reports/. single: style and script in the page itself."""
    page = _jinja_environment().get_template(template_name)
    return page.render(
        root=root_href,
        single=single_file,
        assets=_asset_tags(root_href, single_file),
        policy=CONTENT_SECURITY_POLICY,
        **variables,
    )


def render_fragment(template_name: str, **variables: Any) -> str:
    """A part of a page."""
    return _jinja_environment().get_template(template_name).render(**variables)


@cache
def template_digest(template_name: str) -> str:
    """Changes when the template does."""
    return _digest((TEMPLATE_DIR / template_name).read_text())


@cache
def _jinja_environment() -> Environment:
    made = Environment(loader=FileSystemLoader(TEMPLATE_DIR), autoescape=True, trim_blocks=False)
    made.filters |= {
        "duration": format_duration,
        "said": format_metric,
        "gain": metric_change,
        "moment": format_time,
        "few": join_reasons,
        "basename": lambda path: PurePath(path).name,
    }
    return made


def format_time(timestamp: str) -> str:
    """2026-11-23 16:02 UTC, from ISO 8601."""
    return f"{timestamp[:16].replace('T', ' ')} UTC" if timestamp else ""


def join_reasons(reasons: list[str], max_reasons: int = 3) -> str:
    """The first of them, as one clause."""
    more = f" and {len(reasons) - max_reasons} more" if len(reasons) > max_reasons else ""
    return "; ".join(reasons[:max_reasons]) + more


class MetricChange(NamedTuple):
    """How a result changed against what it is measured by."""

    direction: str  # better, worse or same
    text: str


def metric_change(value: Any) -> MetricChange | None:
    """A headline number's change against what was before; None if it was not told."""
    if not isinstance(value, dict) or value.get("before") is None:
        return None
    return format_change(
        value["before"], value["value"], value.get("better", ""), format_metric(value)
    )


def format_change(
    old_value: float, new_value: float, better_direction: str, formatted_value: str
) -> MetricChange:
    """better: lower or higher. like: a text whose unit and decimals the change is told in."""
    difference = new_value - old_value
    decimals = len(found[1]) if (found := re.search(r"\d\.(\d+)", formatted_value)) else 0
    unit = formatted_value[0] if formatted_value[:1] in "$€£" else ""
    tail = "%" if formatted_value.endswith("%") else ""
    size = f"{unit}{abs(difference):,.{decimals}f}{tail}"
    if not re.search("[1-9]", size):
        return MetricChange("same", "as before")
    sign = "−" if difference < 0 else "+"
    share = format_percent_change(difference / abs(old_value)) if old_value and not tail else ""
    good = {"lower": difference < 0, "higher": difference > 0}.get(better_direction)
    kind = {True: "better", False: "worse", None: "same"}[good]
    return MetricChange(kind, f"{sign}{size} ({share})" if share else f"{sign}{size}")


def format_percent_change(relative_change: float) -> str:
    """A change with its sign, as +1.2%; empty if it is next to nothing, or beyond measure."""
    size = (
        f"{abs(relative_change):.1%}"
        if abs(relative_change) >= 0.0005
        else f"{abs(relative_change):.2%}"
    )
    if size == "0.00%" or abs(relative_change) >= 10:
        return ""
    return f"{'−' if relative_change < 0 else '+'}{size}"


@cache
def _asset_tags(root_href: str, single_file: bool) -> Markup:
    if single_file:
        return Markup(f"<style>{stylesheet()}</style>\n<script>{_script()}</script>")
    css, js = (
        f"{root_href}assets/{name}?{_digest(text)}" for name, text in shared_assets().items()
    )
    return Markup(f'<link rel="stylesheet" href="{css}">\n<script src="{js}" defer></script>')


def _digest(text: str) -> str:
    """A new version is a new address: no browser keeps the old one."""
    return base64.b32encode(hashlib.sha256(text.encode()).digest())[:8].decode().lower()


@cache
def shared_assets() -> dict[str, str]:
    """The files that all pages share, by name."""
    return {"report.css": stylesheet(), "report.js": _script()}


def write_assets(reports_dir: Path) -> None:
    """Puts them below reports/, unless they are there."""
    for name, text in shared_assets().items():
        path = reports_dir / "assets" / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, text)


@cache
def stylesheet() -> str:
    """The style sheet."""
    return (TEMPLATE_DIR / "report.css").read_text()


@cache
def _script() -> str:
    return (TEMPLATE_DIR / "report.js").read_text()
