"""Marks such as `{env:NAME}` in stored paths: they stand for a secret, which is written nowhere.

Unlike a mask, a mark can be resolved, by whoever has the variable in the environment.
"""

import base64
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

MIN_SECRET_CHARS = 6  # a shorter text occurs everywhere by chance
MARK_PATTERN = re.compile(r"\{env:(?P<variable>[^:{}]+)(?::(?P<form>[a-z0-9]+))?\}")


class SecretMarks:
    """Replace the values of environment variables by marks, and marks by the values.

    The values are those of the moment when a variable is added.
    """

    def __init__(self, variables: Iterable[str] = ()) -> None:
        self.values: dict[str, str] = {}
        self._marks: dict[str, str] = {}  # text -> the mark that stands for it
        self._pattern: re.Pattern[str] | None = None
        self.add(variables)

    def add(self, variables: Iterable[str]) -> None:
        """Hide the values of these variables too, as far as they are set."""
        new_variables = {name for name in variables if os.environ.get(name)} - self.values.keys()
        if not new_variables:
            return
        for variable in sorted(new_variables):
            self.values[variable] = os.environ[variable]
            for form, text in _path_forms(self.values[variable]).items():
                suffix = f":{form}" if form else ""
                self._marks.setdefault(text, f"{{env:{variable}{suffix}}}")
        texts = sorted(self._marks, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, texts))) if texts else None

    def hide(self, content: Any) -> Any:
        """Return a text, or JSON content, with marks in place of the values."""
        if self._pattern is None:
            return content
        pattern = self._pattern
        return _map_texts(
            content, lambda text: pattern.sub(lambda match: self._marks[match[0]], text)
        )

    def reveal(self, content: Any) -> Any:
        """Return a text, or JSON content, with the values in place of the marks.

        A mark stays whose variable is not set. The others are hidden from now on.
        """
        return _map_texts(content, lambda text: MARK_PATTERN.sub(self._resolve, text))

    def _resolve(self, match: re.Match[str]) -> str:
        self.add([match["variable"]])
        value = self.values.get(match["variable"])
        forms = _path_forms(value) if value else {}
        return forms.get(match["form"] or "", match[0])


def _map_texts(content: Any, replace: Any) -> Any:
    """Return JSON content with each text replaced, names too."""
    if isinstance(content, str):
        return replace(content)
    if isinstance(content, dict):
        return {
            _map_texts(name, replace): _map_texts(item, replace) for name, item in content.items()
        }
    if isinstance(content, list | tuple):
        return [_map_texts(item, replace) for item in content]
    return content


def _path_forms(value: str) -> dict[str, str]:
    """Return the name of a form -> the text by which a path may contain a secret.

    The value itself has an empty name; of equal texts the first is left.
    """
    text = value.strip()
    encoded = text.encode(errors="surrogateescape")
    forms = {
        "": value,
        "stripped": text,
        "path": _path_core(text),
        "untrimmed": _path_core(value),
        "real": _path_core(os.path.realpath(os.path.expanduser(text))) if "/" in text else "",  # noqa: PTH111 - a text that need not be a path
        "quoted": quote(encoded, safe=""),
        "address": quote(encoded),
        "plus": quote_plus(encoded),
        "base64": base64.b64encode(encoded).decode(),
        "urlsafe": base64.urlsafe_b64encode(encoded).decode(),
        "hex": encoded.hex(),
    }
    unique_forms = {form_text: name for name, form_text in reversed(forms.items())}
    return {
        name: form_text
        for form_text, name in reversed(unique_forms.items())
        if len(form_text) >= MIN_SECRET_CHARS
    }


def _path_core(text: str) -> str:
    """Return what is left of a text in an absolute path without `.` and `..`."""
    names = Path(os.path.normpath(text)).parts
    kept_names = [name for name in names if name not in ("..", "/", "//")]
    if kept_names and kept_names[0].startswith("~"):
        kept_names = kept_names[1:]
    return "/".join(kept_names)
