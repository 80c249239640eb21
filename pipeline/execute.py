"""One notebook through papermill: its cells counted as they finish, its end told truthfully."""

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import papermill
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines
from papermill.exceptions import PapermillExecutionError

NOT_RUN = "not run"


class Outcome(NamedTuple):
    """How a step ended."""

    status: str  # "done", "failed" or "stopped"
    seconds: float
    failure: str = ""  # one sentence; empty if done
    traceback: str = ""  # with terminal colours


def execute(
    notebook: Path,
    output: Path,
    values: dict[str, Any],
    environment: dict[str, str],
    on_cell: Callable[[int, int], None],
) -> Outcome:
    """Runs the notebook in its own folder, the executed copy kept at `output` cell by cell.

    environment: the kernel's, whole. on_cell: told (cells done, cells) after each. The kernel's
    own stderr goes to a file beside the output. Never raises for what happens in the notebook.
    """
    started = time.monotonic()
    status, failure, traceback = "done", "", ""
    with output.with_suffix(".stderr").open("wb") as errors:
        try:
            papermill.execute_notebook(
                notebook,
                output,
                values,
                engine_name="truthful",
                progress_bar=False,
                cwd=notebook.parent,
                on_cell=on_cell,
                kernel_options={"env": environment, "stderr": errors},
            )
        except PapermillExecutionError as failed:
            status, traceback = "failed", "\n".join(failed.traceback)
            failure = f"{failed.ename}: {failed.evalue}".strip().splitlines()[0]
        except KeyboardInterrupt:
            status, failure = "stopped", "stopped by Ctrl-C"
        except Exception as failed:
            # a dead kernel, no kernel, a full disk: all belong into the record
            status, failure = "failed", f"{type(failed).__name__}: {failed}".splitlines()[0]
    return Outcome(status, time.monotonic() - started, failure, traceback)


class _Manager(NotebookExecutionManager):
    """papermill's bookkeeping, without its "completed" for cells that a dead kernel never ran."""

    def __init__(self, *args: Any, on_cell: Callable[[int, int], None], **options: Any) -> None:
        super().__init__(*args, **options)
        self.on_cell, self.done = on_cell, 0

    def notebook_start(self, **kwargs: Any) -> None:
        super().notebook_start(**kwargs)
        self.on_cell(0, len(self.nb.cells))

    def cell_complete(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        if sys.exc_info()[0] is not None:  # papermill's `finally`, with the kernel gone
            self.cell_exception(cell, cell_index)
        super().cell_complete(cell, cell_index, **kwargs)
        if cell.metadata.papermill["status"] == self.COMPLETED:
            self.done += 1
            self.on_cell(self.done, len(self.nb.cells))

    def notebook_complete(self, **kwargs: Any) -> None:
        for cell in self.nb.cells:
            if cell.metadata.papermill["status"] == self.PENDING:
                cell.metadata.papermill["status"] = NOT_RUN
        super().notebook_complete(**kwargs)


class _Engine(NBClientEngine):
    """papermill's own engine, with our bookkeeping and options for the kernel's process."""

    @classmethod
    def execute_notebook(
        cls, nb: Any, kernel_name: str, output_path: str, on_cell: Callable, kernel_options: dict,
        start_timeout: int = 60, **_kwargs: Any,
    ) -> Any:  # fmt: skip
        manager = _Manager(nb, output_path=output_path, progress_bar=False, on_cell=on_cell)
        manager.notebook_start()
        client = PapermillNotebookClient(
            manager, timeout=None, startup_timeout=start_timeout, kernel_name=kernel_name
        )
        try:
            client.execute(**kernel_options)
        finally:
            manager.notebook_complete()
        return manager.nb


papermill_engines.register("truthful", _Engine)
logging.getLogger("papermill").setLevel(logging.ERROR)  # it takes Annotated parameters for unknown
