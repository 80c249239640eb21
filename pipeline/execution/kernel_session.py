"""papermill's client of a kernel, run in one event loop from start to end."""

import contextlib
from collections.abc import Callable
from queue import Empty
from typing import Any

from nbclient.exceptions import CellExecutionError
from papermill.clientwrap import PapermillNotebookClient

from pipeline.execution.notebook_writer import NotebookWriter
from pipeline.kernels.fork_provisioner import KernelManager


class KernelSession(PapermillNotebookClient):
    """Executes a notebook's cells in one kernel; the saver is told which cells have changed.

    heard: gets the line that an output, while it changes, says of how far its cell is.
    """

    def __init__(
        self,
        notebook: Any,
        kernel_manager: KernelManager,
        writer: NotebookWriter,
        on_progress: Callable[[str], None],
    ) -> None:
        self.notebook, self.kernel_manager, self.writer, self.on_progress = (
            notebook,
            kernel_manager,
            writer,
            on_progress,
        )
        super().__init__(self, km=kernel_manager, timeout=None)

    @property
    def nb(self) -> Any:
        return self.notebook

    @nb.setter
    def nb(self, _notebook: Any) -> None:
        pass

    def autosave_cell(self) -> None:
        """papermill's hook after each message; the saver has its own clock."""

    async def start(self, **kernel_options: Any) -> None:
        """The kernel, ready; raises what keeps it from starting."""
        self.reset_execution_trackers()
        await self.async_start_new_kernel(**kernel_options)
        await self.kernel_manager.wait_for_sockets()
        await self.async_start_new_kernel_client()
        info = await self.async_wait_for_reply(self.kc.kernel_info())
        self.nb.metadata.language_info = info["content"]["language_info"]

    async def shutdown(self, timeout_seconds: float) -> None:
        """The kernel and its children gone, its sockets closed."""
        self.set_widgets_metadata()
        if self.kc is not None:
            await self.kernel_manager.stop(self.kc, timeout_seconds)
            self.kc.stop_channels()
        await self.kernel_manager.kill()
        await self.kernel_manager._async_cleanup_resources()

    async def drain_outputs(self, cell: Any, cell_index: int) -> None:
        """Takes the outputs that a dead kernel sent before its end."""
        with contextlib.suppress(Empty):
            while True:
                message = await self.kc.get_iopub_msg(timeout=0.1)
                with contextlib.suppress(Exception):
                    self.process_message(message, cell, cell_index)

    async def _check_raise_for_error(self, cell: Any, cell_index: int, exec_reply: Any) -> None:
        """A kernel that is not ours only asks to be stopped when a cell calls exit()."""
        asked = (exec_reply or {}).get("content", {}).get("payload") or []
        if any(one.get("source") == "ask_exit" for one in asked):
            raise CellExecutionError("", "SystemExit", "a cell called exit()")
        await super()._check_raise_for_error(cell, cell_index, exec_reply)

    def process_message(self, message: Any, cell: Any, cell_index: int) -> Any:
        self.writer.mark_dirty(cell_index)
        return super().process_message(message, cell, cell_index)

    def _update_display_id(self, display_id: str, message: Any) -> None:
        super()._update_display_id(display_id, message)
        for number in self._display_id_map.get(display_id, ()):
            self.writer.mark_dirty(number)
        said = message["content"]["data"].get("text/plain", "")
        line = "".join(said).strip()  # a text, or its lines
        if line and "\n" not in line:
            self.on_progress(line)
