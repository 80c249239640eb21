"""The executed notebook on disk: always complete, at most two seconds old, at a bounded cost."""

import html
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.execution.output_capture import coalesce_streams
from pipeline.runs.atomic_write import atomic_write

# A notebook that keeps changing is saved again after a pause of at least MIN_SAVE_INTERVAL_SECONDS
# and SAVE_PAUSE_FACTOR times the last save's duration, so that saving takes a bounded share of the
# time; but after at most MAX_SAVE_INTERVAL_SECONDS, so that an output is on disk within two seconds
MIN_SAVE_INTERVAL_SECONDS = 0.5
SAVE_PAUSE_FACTOR = 5
MAX_SAVE_INTERVAL_SECONDS = 1.2
SECRET_MASK = "•••"
MIN_SECRET_PREFIX_CHARS = 40  # a table cuts a long text after at least as many


class NotebookWriter:
    """Save a notebook repeatedly, encoding only the cells that changed since the last save.

    secrets: texts that are masked wherever an output contains them.
    """

    def __init__(self, notebook: Any, path: Path, secrets: list[str]) -> None:
        self.notebook, self.path = notebook, path
        spellings = {spelling for secret in secrets for spelling in _spell_variants(secret)}
        self.secret_spellings = sorted(spellings, key=len)[::-1]  # the longest is masked first
        self.cell_json = ["" for _ in notebook.cells]
        self.dirty_cells = set(range(len(notebook.cells)))
        self.next_save_at = 0.0
        self.last_error: OSError | None = None  # of the latest save, None if that succeeded

    def mark_dirty(self, cell_index: int) -> None:
        """Have the cell encoded again at the next save."""
        self.dirty_cells.add(cell_index)

    def save_if_due(self) -> None:
        """Save what has changed, unless the last save was too recent.

        An OSError is kept in `last_error` instead of raised: a full disk may have room later.
        """
        if not self.dirty_cells or time.monotonic() < self.next_save_at:
            return
        started = time.monotonic()
        try:
            self.save(durable=False)
        except OSError as error:
            self.last_error = error
        ended = time.monotonic()
        self.next_save_at = ended + min(
            max(MIN_SAVE_INTERVAL_SECONDS, SAVE_PAUSE_FACTOR * (ended - started)),
            MAX_SAVE_INTERVAL_SECONDS,
        )

    def save(self, durable: bool = True) -> None:
        """Save now. Raises OSError if the file cannot be written."""
        for cell_index in self.dirty_cells:
            cell = self._prepare_cell(self.notebook.cells[cell_index])
            self.cell_json[cell_index] = json.dumps(cell)
        fields = {
            name: self.mask(value) for name, value in self.notebook.items() if name != "cells"
        }
        head = json.dumps(fields).removesuffix("}")
        cells = ",\n".join(self.cell_json)
        atomic_write(self.path, f'{head}, "cells": [\n{cells}\n]}}\n', durable)
        self.dirty_cells, self.last_error = set(), None

    def drop_outputs(self) -> None:
        """Remove all outputs, so that on a full disk at least each cell's status is kept."""
        for cell_index, cell in enumerate(self.notebook.cells):
            if cell.cell_type == "code":
                cell.outputs = []
                self.mark_dirty(cell_index)

    def mask_file(self, path: Path) -> None:
        """Mask the secrets in a file that another process wrote."""
        if self.secret_spellings and path.exists():
            text = path.read_text(errors="surrogateescape")
            masked = self.mask(text)
            if masked != text:
                atomic_write(path, masked.encode(errors="surrogateescape"))

    def _prepare_cell(self, cell: Any) -> Any:
        """Return the cell as it is saved; its own outputs stay, as nbclient knows them by index."""
        if cell.cell_type != "code":
            return cell
        return {**cell, "outputs": self.mask(coalesce_streams(cell.outputs))}

    def mask(self, content: Any) -> Any:
        """Return JSON content with the secrets in its texts masked."""
        if not self.secret_spellings:
            return content
        if isinstance(content, str):
            for spelling in self.secret_spellings:
                content = content.replace(spelling, SECRET_MASK)
            return content
        if isinstance(content, dict):
            return {self.mask(name): self.mask(value) for name, value in content.items()}
        if isinstance(content, list):
            return [self.mask(item) for item in content]
        return content


def _spell_variants(secret: str) -> set[str]:
    """Return the ways in which an output may spell a secret."""
    prefix_lengths = range(MIN_SECRET_PREFIX_CHARS, len(secret))
    return {
        *(secret[:length] + ellipsis for length in prefix_lengths for ellipsis in ("...", "…")),
        secret,
        html.escape(secret),
        html.escape(secret, quote=False),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        quote(secret),
        quote(secret, safe=""),
    }
