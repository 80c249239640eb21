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
    """Execute a notebook's cells in one kernel, and tell `writer` which cells have changed.

    on_progress: called with the line of text that an updated display shows, such as a progress
    bar's.
    """

    def __init__(
        self,
        notebook: Any,
        kernel_manager: KernelManager,
        writer: NotebookWriter,
        on_progress: Callable[[str], None],
    ) -> None:
        self.notebook, self.kernel_manager = notebook, kernel_manager
        self.writer, self.on_progress = writer, on_progress
        super().__init__(self, km=kernel_manager, timeout=None)

    @property
    def nb(self) -> Any:
        """The notebook. papermill reads it from its notebook manager, which this class is too."""
        return self.notebook

    @nb.setter
    def nb(self, _notebook: Any) -> None:
        pass

    def autosave_cell(self) -> None:
        """Do nothing: papermill calls this after each message, but `writer` has its own clock."""

    async def start(self, **kernel_options: Any) -> None:
        """Start the kernel and wait until it is ready. Raises what keeps it from starting."""
        self.reset_execution_trackers()
        await self.async_start_new_kernel(**kernel_options)
        await self.kernel_manager.wait_for_sockets()
        await self.async_start_new_kernel_client()
        reply = await self.async_wait_for_reply(self.kc.kernel_info())
        self.nb.metadata.language_info = reply["content"]["language_info"]

    async def shutdown(self, timeout_seconds: float) -> None:
        """Stop the kernel and its children, and close its sockets.

        timeout_seconds: how long the kernel may take to exit by itself before it is killed.
        """
        self.set_widgets_metadata()
        if self.kc is not None:
            await self.kernel_manager.stop(self.kc, timeout_seconds)
            self.kc.stop_channels()
        await self.kernel_manager.kill()
        await self.kernel_manager._async_cleanup_resources()

    async def drain_outputs(self, cell: Any, cell_index: int) -> None:
        """Process the messages that a dead kernel sent before its end."""
        with contextlib.suppress(Empty):
            while True:
                message = await self.kc.get_iopub_msg(timeout=0.1)
                with contextlib.suppress(Exception):
                    self.process_message(message, cell, cell_index)

    async def _check_raise_for_error(self, cell: Any, cell_index: int, exec_reply: Any) -> None:
        """Fail a cell that called exit().

        A kernel of another interpreter only asks its client to stop it, and runs the cell to its
        end.
        """
        payloads = (exec_reply or {}).get("content", {}).get("payload") or []
        if any(payload.get("source") == "ask_exit" for payload in payloads):
            raise CellExecutionError("", "SystemExit", "a cell called exit()")
        await super()._check_raise_for_error(cell, cell_index, exec_reply)

    def process_message(self, message: Any, cell: Any, cell_index: int) -> Any:
        """Process a kernel's message, as nbclient does; the cell is due to be saved."""
        self.writer.mark_dirty(cell_index)
        return super().process_message(message, cell, cell_index)

    def _update_display_id(self, display_id: str, message: Any) -> None:
        super()._update_display_id(display_id, message)
        for cell_index in self._display_id_map.get(display_id, ()):
            self.writer.mark_dirty(cell_index)
        text = message["content"]["data"].get("text/plain", "")
        line = "".join(text).strip()  # the message holds a text, or a list of its lines
        if line and "\n" not in line:
            self.on_progress(line)
