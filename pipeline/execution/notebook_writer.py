"""The executed notebook on disk: always whole, at most a second old, at a bounded cost."""

import html
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.execution.output_capture import coalesce_streams
from pipeline.runs.atomic_write import atomic_write

MIN_SAVE_INTERVAL_SECONDS = 0.5  # seconds between two saves of a notebook that keeps changing
SAVE_PAUSE_FACTOR = (
    5  # a save is followed by at least as many times its own duration without one, but
)
MAX_SAVE_INTERVAL_SECONDS = 1.2  # seconds at most: what a cell shows is on disk within two
SECRET_MASK = "•••"


class NotebookWriter:
    """Saves a notebook again and again; only the cells touched since are made into JSON again.

    secrets: texts that are masked wherever an output says them.
    """

    def __init__(self, notebook: Any, path: Path, secrets: list[str]) -> None:
        self.notebook, self.path = notebook, path
        self.secret_spellings = sorted(
            {form for one in secrets for form in _spell_variants(one)}, key=len
        )[::-1]
        self.cell_json = ["" for _ in notebook.cells]
        self.dirty_cells = set(range(len(notebook.cells)))
        self.next_save_at = 0.0
        self.last_error: OSError | None = None  # of the last try

    def mark_dirty(self, cell_index: int) -> None:
        """Says that a cell has changed."""
        self.dirty_cells.add(cell_index)

    def save_if_due(self) -> None:
        """Saves what has changed, unless the last save was too recent; a full disk may pass."""
        if not self.dirty_cells or time.monotonic() < self.next_save_at:
            return
        started = time.monotonic()
        try:
            self.save(durable=False)
        except OSError as failure:
            self.last_error = failure
        ended = time.monotonic()
        self.next_save_at = ended + min(
            max(MIN_SAVE_INTERVAL_SECONDS, SAVE_PAUSE_FACTOR * (ended - started)),
            MAX_SAVE_INTERVAL_SECONDS,
        )

    def save(self, durable: bool = True) -> None:
        """Saves now; OSError if it cannot."""
        for one in self.dirty_cells:
            self.cell_json[one] = json.dumps(self._prepare_cell(self.notebook.cells[one]))
        rest = {name: self.mask(it) for name, it in self.notebook.items() if name != "cells"}
        head = json.dumps(rest).removesuffix("}")
        cells = ",\n".join(self.cell_json)
        atomic_write(self.path, f'{head}, "cells": [\n{cells}\n]}}\n', durable)
        self.dirty_cells, self.last_error = set(), None

    def drop_outputs(self) -> None:
        """For a full disk: what each cell did is kept, what it showed is not."""
        for number, cell in enumerate(self.notebook.cells):
            if cell.cell_type == "code":
                cell.outputs = []
                self.mark_dirty(number)

    def mask_file(self, path: Path) -> None:
        """Masks what another process has written."""
        if self.secret_spellings and path.exists():
            text = path.read_text(errors="surrogateescape")
            clean = self.mask(text)
            if clean != text:
                atomic_write(path, clean.encode(errors="surrogateescape"))

    def _prepare_cell(self, cell: Any) -> Any:
        """The cell as it is written; its own outputs stay, as nbclient knows them by number."""
        if cell.cell_type != "code":
            return cell
        return {**cell, "outputs": self.mask(coalesce_streams(cell.outputs))}

    def mask(self, content: Any) -> Any:
        """The content with the secrets in its texts masked."""
        if not self.secret_spellings:
            return content
        if isinstance(content, str):
            for one in self.secret_spellings:
                content = content.replace(one, SECRET_MASK)
            return content
        if isinstance(content, dict):
            return {self.mask(name): self.mask(value) for name, value in content.items()}
        if isinstance(content, list):
            return [self.mask(one) for one in content]
        return content


def _spell_variants(secret: str) -> set[str]:
    """How a secret may be spelt in an output."""
    cut = range(40, len(secret))  # a table shows the first letters of a long text
    return {
        *(secret[:one] + end for one in cut for end in ("...", "…")),
        secret,
        html.escape(secret),
        html.escape(secret, quote=False),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        quote(secret),
        quote(secret, safe=""),
    }
