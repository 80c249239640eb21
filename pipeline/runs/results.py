"""The results that a notebook publishes to the runner, as they stand in a file of the run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# the type of each entry of the file
ENTRY_TYPES: dict[str, type] = {
    "headline": dict,
    "notice": str,
    "facts": dict,
    "links": dict,
    "outputs": dict,
    "input_files": list,
    "output_files": list,
    "pages": dict,
}


@dataclass(frozen=True)
class Metric:
    """A result that can be compared with that of another run."""

    value: float
    text: str  # the value with its unit, as pages show it
    better: str = ""  # lower, higher, or empty if neither is better
    before: float | None = None  # the value to compare with, if the notebook knows one

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Metric":
        """Return the metric that JSON describes; unknown entries are dropped.

        A missing text is the value itself. Raises ValueError if the value is no number.
        """
        value, before = content.get("value"), content.get("before")
        if not isinstance(value, int | float) or not isinstance(before, int | float | None):
            raise ValueError(f"{dict(content)!r}, expected a number as value")
        text = str(content.get("text", value))
        return cls(value, text, str(content.get("better") or ""), before)


Headline = dict[str, Metric | str]  # name -> the result; a text cannot be compared


@dataclass(frozen=True)
class ExtraPage:
    """A page beside the report of a step."""

    title: str
    markdown: str


@dataclass
class PublishedResults:
    """What a notebook has published."""

    headline: Headline = field(default_factory=dict)
    notice: str = ""  # a warning that no reader of the report may miss
    facts: dict[str, str] = field(default_factory=dict)  # name -> text, shown in the report's head
    links: dict[str, str] = field(default_factory=dict)  # "what: its name" -> address
    outputs: dict[str, str] = field(default_factory=dict)  # results that are no files: name -> id
    input_files: list[str] = field(default_factory=list)  # that the runner cannot see being read
    output_files: list[str] = field(default_factory=list)  # that it cannot see being written
    pages: dict[str, ExtraPage] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "PublishedResults":
        """Return what the notebook wrote to the file; empty results if there is no such file.

        Raises ValueError that names the entry if the file is malformed.
        """
        if not path.exists():
            return cls()
        content = json.loads(path.read_text())
        if not isinstance(content, dict):
            raise ValueError(f"it published {type(content).__name__}, expected dict ({path})")
        for name, entry_type in ENTRY_TYPES.items():
            value = content.get(name, entry_type())
            if not isinstance(value, entry_type):
                raise ValueError(
                    f"it published {name} as {type(value).__name__}, "
                    f"expected {entry_type.__name__} ({path})"
                )
        entries = {name: content[name] for name in ENTRY_TYPES if name in content}
        entries["facts"] = {name: str(text) for name, text in content.get("facts", {}).items()}
        entries["headline"] = headline_from_dict(content.get("headline", {}))
        entries["pages"] = {
            name: _parse_page(name, page) for name, page in content.get("pages", {}).items()
        }
        return cls(**entries)


def headline_from_dict(content: Mapping[str, Any]) -> Headline:
    """Return the headline that JSON describes: a metric for a dictionary, else a text.

    Raises ValueError that names the result if a metric has no number.
    """
    headline: Headline = {}
    for name, value in content.items():
        try:
            is_metric = isinstance(value, Mapping)
            headline[name] = Metric.from_dict(value) if is_metric else str(value)
        except ValueError as error:
            raise ValueError(f"it published {name} as {error}") from None
    return headline


def _parse_page(name: str, content: Any) -> ExtraPage:
    fields = content if isinstance(content, dict) else {}
    texts = [fields.get("title"), fields.get("markdown")]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError(f"it published the page {name}, but not its title and its Markdown")
    return ExtraPage(fields["title"], fields["markdown"])


def format_metric(value: Metric | str) -> str:
    """Return a headline's value as text."""
    return value.text if isinstance(value, Metric) else value
