"""papermill's record of an execution: how each cell really ended, in a file always complete.

papermill's own manager rewrites the file in place, twice a cell, and calls the cells completed that
a killed kernel never ran.
"""

import contextlib
import time
from pathlib import Path
from typing import Any

from papermill.engines import NotebookExecutionManager

from pipeline.definition import notebook_file
from pipeline.execution.messages import CellEvent
from pipeline.execution.notebook_job import NotebookJob
from pipeline.execution.output_capture import coalesce_streams
from pipeline.runs.atomic_write import atomic_write
from pipeline.runs.os_errors import describe_error
from pipeline.runs.status import CellStatus, StepStatus
from pipeline.runs.strict_json import encode_json, to_json_content

# A notebook that keeps changing is saved again after a pause of at least MIN_SAVE_INTERVAL_SECONDS
# and SAVE_PAUSE_FACTOR times the last save's duration, so that saving takes a bounded share of the
# time; but after at most MAX_SAVE_INTERVAL_SECONDS, so that an output is on disk within two seconds
MIN_SAVE_INTERVAL_SECONDS = 0.5
SAVE_PAUSE_FACTOR = 5
MAX_SAVE_INTERVAL_SECONDS = 1.2
GOOD_STATUSES = (CellStatus.RUNNING, CellStatus.RAN, CellStatus.SKIPPED, CellStatus.NOT_RUN)


class ExecutionManager(NotebookExecutionManager):
    """Record the execution of a notebook in its metadata, in `job`, and on disk.

    job: gets the status of each cell, and sends an event at each start and end. options:
    papermill's.
    """

    def __init__(self, notebook: Any, job: NotebookJob, **options: Any) -> None:
        super().__init__(notebook, job.request.executed_path, **options)
        self.job = job
        self.heading, self.progress, self.cell_index = "", "", 0
        self.source_indexes = notebook_file.source_cell_indexes(notebook.cells)
        self.added_cells = [notebook_file.is_added_cell(cell) for cell in notebook.cells]
        self.has_changed, self.next_save_at = True, 0.0

    def notebook_start(self, **options: Any) -> None:
        """Mark all cells as pending and remove their outputs."""
        super().notebook_start(**options)
        self.job.result.cell_status = [CellStatus.NOT_RUN for _ in self.nb.cells]
        kernelspec = self.nb.metadata.get("kernelspec")
        if kernelspec is not None:  # a notebook without these two entries is not valid
            for entry in ("name", "display_name"):
                kernelspec[entry] = kernelspec.get(entry) or self.job.request.kernel_name
        state = self.nb.metadata.papermill
        state["output_path"] = self.output_path
        if self.job.request.notebook.name:  # else papermill has read the file, and knows it
            state["input_path"] = str(self.job.request.notebook)
        values = state.get("parameters")  # JSON has no dates and paths
        state["parameters"] = to_json_content(values)

    def cell_start(self, cell: Any, cell_index: int = 0, **options: Any) -> None:
        """Record that a cell has started."""
        super().cell_start(cell, cell_index, **options)
        if cell.cell_type == "markdown":
            headings = [line for line in cell.source.splitlines() if line.startswith("#")]
            self.heading = headings[-1].lstrip("# ") if headings else self.heading
        self.progress, self.cell_index = self.heading, cell_index
        self._send_event(CellStatus.RUNNING)

    def report_progress(self, line: str) -> None:
        """Send the line that an updated display shows, so that users see how far its cell is."""
        self.progress = f"{self.heading}: {line}" if self.heading else line
        self._send_event(CellStatus.RUNNING)

    def _send_event(self, status: CellStatus, seconds: float = 0.0) -> None:
        if self.added_cells[self.cell_index] and status in GOOD_STATUSES:
            return
        index, n_cells = self.source_indexes[self.cell_index], self.added_cells.count(False)
        progress = self.job.secrets.mask(self.progress)
        self.job.send_event(CellEvent(index, n_cells, progress, status, seconds))

    def _source_statuses(self) -> list[CellStatus]:
        """Return the status of each cell of the notebook as users have it.

        A cell that papermill has added counts only if it did not end well, as the one before it.
        """
        statuses = [CellStatus.NOT_RUN] * self.added_cells.count(False)
        cells = zip(self.job.result.cell_status, self.source_indexes, self.added_cells, strict=True)
        for status, index, is_added in cells:
            if status not in GOOD_STATUSES or not is_added:
                statuses[index] = status
        return statuses

    def cell_complete(
        self,
        cell: Any,
        cell_index: int = 0,
        status: CellStatus = CellStatus.RAN,
        **options: Any,
    ) -> None:
        """Record how a cell has ended."""
        super().cell_complete(cell, cell_index, **options)
        cell_state = cell.metadata.papermill
        cell_state.update(status=status.papermill, exception=not status.is_success)
        self.job.result.cell_status[cell_index] = status
        self._send_event(status, round(cell_state["duration"], 3))

    def notebook_complete(self, **options: Any) -> None:
        """Record how the notebook has ended, and save it for the last time."""
        for cell, status in zip(self.nb.cells, self.job.result.cell_status, strict=True):
            if status is CellStatus.NOT_RUN:
                cell.metadata.papermill["status"] = status.papermill
            if cell.cell_type == "code":
                cell.outputs = coalesce_streams(cell.outputs)
        self.job.result.cell_status = self._source_statuses()
        self.nb.metadata.papermill["exception"] = not self.job.is_running
        super().notebook_complete(**options)
        try:
            self.write()
        except OSError as error:
            self._drop_outputs(error)

    def _drop_outputs(self, error: OSError) -> None:
        """Fail the job and save no outputs: on a full disk at least each cell's status is kept."""
        # outweighs an earlier failure
        self.job.result.status = StepStatus.FAILED
        self.job.result.failure = (
            f"the executed notebook could not be saved: {describe_error(error)}"
        )
        for cell in self.nb.cells:
            if cell.cell_type == "code":
                cell.outputs = []
        with contextlib.suppress(OSError):
            self.write()

    def save(self, **_options: Any) -> None:
        """Have the notebook saved soon; papermill calls this at each cell's start and end."""
        self.has_changed = True

    autosave_cell = save  # papermill calls it after each message of the kernel

    def save_if_due(self) -> None:
        """Save what has changed, unless the last save was too recent or the disk is full."""
        if not self.has_changed or time.monotonic() < self.next_save_at:
            return
        started = time.monotonic()
        with contextlib.suppress(OSError):  # there may be room later
            self.write(durable=False)
        ended = time.monotonic()
        self.next_save_at = ended + min(
            max(MIN_SAVE_INTERVAL_SECONDS, SAVE_PAUSE_FACTOR * (ended - started)),
            MAX_SAVE_INTERVAL_SECONDS,
        )

    def write(self, durable: bool = True) -> None:
        """Save now, with secrets masked. Raises OSError if the file cannot be written.

        An address, such as s3://..., is left to papermill.
        """
        self.has_changed = False
        if self.output_path and "://" in self.output_path:
            super().save()
        elif self.output_path:
            content = {**self.nb, "cells": [_cell_to_save(cell) for cell in self.nb.cells]}
            text = encode_json(self.job.secrets.mask_notebook(content))
            atomic_write(Path(self.output_path), text + "\n", durable)


def _cell_to_save(cell: Any) -> Any:
    """Return the cell as it is saved; its own outputs stay, as nbclient knows them by index."""
    if cell.cell_type != "code":
        return cell
    return {**cell, "outputs": coalesce_streams(cell.outputs)}
