"""The results that a notebook publishes to the runner, as they stand in a file of the run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.runs.strict_json import NON_FINITE_TEXTS, decode_json


@dataclass(frozen=True)
class Metric:
    """A result that can be compared with that of another run."""

    value: float
    text: str  # the value with its unit, as pages show it
    better: str = ""  # lower, higher, or empty if neither is better
    before: float | None = None  # the value to compare with, if the notebook knows one


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
    verdict: str = ""  # of those that the step declares
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
        content = decode_json(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError(f"it published {type(content).__name__}, expected dict ({path})")
        entries: dict[str, Any] = {}
        for name, empty in vars(cls()).items():
            entries[name] = content.get(name, empty)
            if not isinstance(entries[name], type(empty)):
                raise ValueError(
                    f"it published {name} as {type(entries[name]).__name__}, "
                    f"expected {type(empty).__name__} ({path})"
                )
        entries["headline"] = headline_from_dict(entries["headline"])
        entries["facts"] = {name: str(text) for name, text in entries["facts"].items()}
        entries["pages"] = {
            name: _parse_page(name, page) for name, page in entries["pages"].items()
        }
        return cls(**entries)


def headline_from_dict(content: Mapping[str, Any]) -> Headline:
    """Return the headline that JSON describes: a metric for a dictionary, else a text.

    Raises ValueError that names the result if a metric has no number.
    """
    return {name: _parse_result(name, result) for name, result in content.items()}


def _parse_result(name: str, content: Any) -> Metric | str:
    """Return a result of a headline; the text of a metric that has none is its value."""
    if not isinstance(content, Mapping):
        return str(content)
    value, before = _parse_number(content.get("value")), _parse_number(content.get("before"))
    if not isinstance(value, int | float) or not isinstance(before, int | float | None):
        raise ValueError(f"it published {name} as {dict(content)!r}, expected a number as value")
    text, better = str(content.get("text", value)), str(content.get("better") or "")
    return Metric(value, text, better, before)


def _parse_number(content: Any) -> Any:
    """Return NaN or infinity for its text in JSON; other content as it is."""
    return float(content) if content in NON_FINITE_TEXTS else content


def _parse_page(name: str, content: Any) -> ExtraPage:
    fields = content if isinstance(content, dict) else {}
    texts = [fields.get("title"), fields.get("markdown")]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError(f"it published the page {name}, but not its title and its Markdown")
    return ExtraPage(fields["title"], fields["markdown"])


def format_metric(value: Metric | str) -> str:
    """Return a headline's value as text."""
    return value.text if isinstance(value, Metric) else value
