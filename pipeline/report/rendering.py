"""What all pages share: the templates and their words, the style sheet and the script."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from pipeline.runs.atomic_write import write_whole
from pipeline.runs.records import duration, said

TEMPLATES = Path(__file__).parent / "templates"
# Nothing is asked of any host but the page's own; a frame of a notebook's inherits this.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'self' file: 'unsafe-inline'; "
    "script-src 'self' file: 'unsafe-inline' 'unsafe-eval'; connect-src 'self'; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)


def render(template: str, root: str, single: bool, **told: Any) -> str:
    """A page. root: from the page to reports/. single: style and script in the page itself."""
    page = _environment().get_template(template)
    return page.render(
        root=root, single=single, assets=_assets(root, single), policy=POLICY, **told
    )


def fragment(template: str, **told: Any) -> str:
    """A part of a page."""
    return _environment().get_template(template).render(**told)


@cache
def version(template: str) -> str:
    """Changes when the template does."""
    return _digest((TEMPLATES / template).read_text())


@cache
def _environment() -> Environment:
    made = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=False)
    made.filters |= {
        "duration": duration,
        "said": said,
        "gain": gain,
        "moment": moment,
        "few": few,
        "basename": lambda path: PurePath(path).name,
    }
    return made


def moment(started: str) -> str:
    """2026-11-23 16:02 UTC, from ISO 8601."""
    return f"{started[:16].replace('T', ' ')} UTC" if started else ""


def few(reasons: list[str], most: int = 3) -> str:
    """The first of them, as one clause."""
    more = f" and {len(reasons) - most} more" if len(reasons) > most else ""
    return "; ".join(reasons[:most]) + more


class Gain(NamedTuple):
    """How a result changed against what it is measured by."""

    kind: str  # better, worse or same
    text: str


def gain(value: Any) -> Gain | None:
    """A headline number's change against what was before; None if it was not told."""
    if not isinstance(value, dict) or value.get("before") is None:
        return None
    return change(value["before"], value["value"], value.get("better", ""), said(value))


def change(before: float, after: float, better: str, like: str) -> Gain:
    """better: lower or higher. like: a text whose unit and decimals the change is told in."""
    difference = after - before
    decimals = len(found[1]) if (found := re.search(r"\d\.(\d+)", like)) else 0
    unit = like[0] if like[:1] in "$€£" else ""
    tail = "%" if like.endswith("%") else ""
    size = f"{unit}{abs(difference):,.{decimals}f}{tail}"
    if not re.search("[1-9]", size):
        return Gain("same", "as before")
    sign = "−" if difference < 0 else "+"
    share = percent(difference / abs(before)) if before and not tail else ""
    good = {"lower": difference < 0, "higher": difference > 0}.get(better)
    kind = {True: "better", False: "worse", None: "same"}[good]
    return Gain(kind, f"{sign}{size} ({share})" if share else f"{sign}{size}")


def percent(share: float) -> str:
    """A change with its sign, as +1.2%; empty if it is next to nothing, or beyond measure."""
    size = f"{abs(share):.1%}" if abs(share) >= 0.0005 else f"{abs(share):.2%}"
    if size == "0.00%" or abs(share) >= 10:
        return ""
    return f"{'−' if share < 0 else '+'}{size}"


@cache
def _assets(root: str, single: bool) -> Markup:
    if single:
        return Markup(f"<style>{style()}</style>\n<script>{_script()}</script>")
    css, js = (f"{root}assets/{name}?{_digest(text)}" for name, text in shared().items())
    return Markup(f'<link rel="stylesheet" href="{css}">\n<script src="{js}" defer></script>')


def _digest(text: str) -> str:
    """A new version is a new address: no browser keeps the old one."""
    return base64.b32encode(hashlib.sha256(text.encode()).digest())[:8].decode().lower()


@cache
def shared() -> dict[str, str]:
    """The files that all pages share, by name."""
    return {"report.css": style(), "report.js": _script()}


def write_assets(reports: Path) -> None:
    """Puts them below reports/, unless they are there."""
    for name, text in shared().items():
        path = reports / "assets" / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text)


@cache
def style() -> str:
    """The style sheet."""
    return (TEMPLATES / "report.css").read_text()


@cache
def _script() -> str:
    return (TEMPLATES / "report.js").read_text()
