"""Masking secrets in what a notebook leaves, however an output spells them.

Values are masked, structure never: neither the fields of the notebook format nor those of published
results.
"""

import io
import json
import re
from collections.abc import Iterable
from typing import Any, TextIO

from pipeline.runs.secret_forms import Span, spelled_patterns
from pipeline.secret_marks import SecretMarks

SECRET_MASK = "•••"
MIN_HELD_CHARS = 64
# entries of metadata that describe the notebook or its execution, and hold nothing a cell made
FORMAT_METADATA = ("kernelspec", "language_info", "tags")
# entries of the metadata of an output, by which it is shown
OUTPUT_METADATA = (
    *("expanded", "filenames", "height", "isolated", "needs_background", "root", "unconfined"),
    "width",
)
MIME_TYPE = re.compile(r"(?:application|audio|font|image|model|text|video)/[\w.+-]+")
PATH_LISTS = ("input_files", "output_files")  # of published results
RESULT_FIELDS = ("headline", "notice", "facts", "links", "outputs", "pages")
ITEM_FIELDS = ("value", "text", "better", "before", "title", "markdown")  # of metrics and pages


class SecretMask:
    """Replace secrets in texts, JSON content, notebooks and published results."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self.secrets = {secret.strip() for secret in secrets} - {""}
        self.patterns = [
            pattern for secret in sorted(self.secrets) for pattern in spelled_patterns(secret)
        ]

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def mask(self, content: Any, structure: tuple[str, ...] = ()) -> Any:
        """Return JSON content with the secrets in it masked, in names too.

        structure: names that stay as they are.
        """
        if not self.patterns:
            return content
        if isinstance(content, str):
            return self._mask_text(content)
        if isinstance(content, dict):
            return {
                name if name in structure else self.mask(name): self.mask(value, structure)
                for name, value in content.items()
            }
        if isinstance(content, list | tuple):
            return [self.mask(item, structure) for item in content]
        if isinstance(content, int | float) and not isinstance(content, bool):
            return SECRET_MASK if self._is_secret_number(content) else content
        return content

    def _is_secret_number(self, number: int | float) -> bool:
        texts = {str(number)}
        if isinstance(number, float) and number.is_integer():
            texts.add(str(int(number)))
        return bool(self.secrets & texts)

    def _mask_text(self, text: str) -> str:
        pieces, end = [], 0
        for span_start, span_end in self.find(text):
            pieces += [text[end:span_start], SECRET_MASK]
            end = span_end
        return "".join([*pieces, text[end:]]) if pieces else text

    def find(self, text: str) -> list[Span]:
        """Return where secrets stand in a text, in order; overlapping ones are joined."""
        spans: list[Span] = []
        for start, end in sorted(span for pattern in self.patterns for span in pattern.find(text)):
            if spans and start < spans[-1][1]:
                spans[-1] = spans[-1][0], max(end, spans[-1][1])
            else:
                spans.append((start, end))
        return spans

    def mask_notebook(self, notebook: dict[str, Any]) -> dict[str, Any]:
        """Return a notebook with the secrets in sources, outputs and metadata masked."""
        if not self.patterns:
            return notebook
        return {
            **notebook,
            "metadata": self._mask_metadata(notebook["metadata"]),
            "cells": [self._mask_cell(cell) for cell in notebook["cells"]],
        }

    def _mask_cell(self, cell: dict[str, Any]) -> dict[str, Any]:
        masked = {
            **cell,
            "source": self.mask(cell["source"]),
            "metadata": self._mask_metadata(cell["metadata"], (*FORMAT_METADATA, "papermill")),
        }
        if "attachments" in cell:
            masked["attachments"] = self._mask_values(cell["attachments"])
        if "outputs" in cell:
            masked["outputs"] = [self._mask_output(output) for output in cell["outputs"]]
        return masked

    def _mask_metadata(
        self, metadata: dict[str, Any], unchanged: tuple[str, ...] = FORMAT_METADATA
    ) -> dict[str, Any]:
        return {
            name: value if name in unchanged else self._mask_values(value)
            for name, value in metadata.items()
        }

    def _mask_values(self, content: Any) -> Any:
        """Return JSON content with secrets masked, but not in names."""
        if isinstance(content, dict):
            return {name: self._mask_values(value) for name, value in content.items()}
        if isinstance(content, list):
            return [self._mask_values(item) for item in content]
        return self.mask(content)

    def _mask_output(self, output: dict[str, Any]) -> dict[str, Any]:
        masked = dict(output)
        for name in ("text", "ename", "evalue", "traceback"):
            if name in output:
                masked[name] = self.mask(output[name])
        if "data" in output:  # MIME type -> content
            masked["data"] = self._mask_bundle(output["data"])
        if "metadata" in output:  # a cell may name its entries as it likes
            masked["metadata"] = self._mask_bundle(output["metadata"])
        return masked

    def _mask_bundle(self, bundle: dict[str, Any]) -> dict[str, Any]:
        """Return content by MIME type with secrets masked, in names that are no type, too."""
        return self.mask(bundle, (*filter(MIME_TYPE.fullmatch, bundle), *OUTPUT_METADATA))

    def mask_results(self, text: str, marks: SecretMarks) -> str:
        """Return the JSON of published results with the secrets masked, and marks in paths."""
        if not self.patterns:
            return text
        try:
            content = json.loads(text)
        except ValueError:
            return self._mask_text(text)
        if not isinstance(content, dict):
            return json.dumps(self.mask(content))
        paths = {name: marks.hide(content.pop(name)) for name in PATH_LISTS if name in content}
        masked = self.mask(content, (*RESULT_FIELDS, *ITEM_FIELDS)) | paths
        return json.dumps(masked)


class MaskedStream(io.TextIOBase):
    """A stream of text in which secrets are masked before it is written, as it comes.

    The last characters are held back until more comes or it is closed: they may be the beginning of
    a secret.
    """

    def __init__(self, file: TextIO, secrets: SecretMask) -> None:
        self.file, self.secrets, self.pending = file, secrets, ""
        lengths = (pattern.max_chars for pattern in secrets.patterns)
        self.max_held_chars = max((MIN_HELD_CHARS, *lengths))

    def write(self, text: str) -> int:
        """Write what cannot be a part of a secret that is not complete."""
        self.pending += text
        end = max(0, len(self.pending) - self.max_held_chars)
        for span_start, span_end in self.secrets.find(self.pending):
            if span_start < end < span_end:
                end = span_start
        self.file.write(self.secrets.mask(self.pending[:end]))
        self.pending = self.pending[end:]
        return len(text)

    def flush(self) -> None:
        """Flush what is written; what is held back stays so."""
        self.file.flush()

    def finish(self) -> None:
        """Write what was held back."""
        self.file.write(self.secrets.mask(self.pending))
        self.pending = ""
        self.file.flush()
