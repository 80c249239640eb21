"""papermill's client of a kernel, run in one event loop from start to end."""

import contextlib
from collections.abc import Callable
from queue import Empty
from typing import Any

from nbclient.exceptions import CellExecutionError
from papermill.clientwrap import PapermillNotebookClient

from pipeline.execution.notebook_writer import Saver
from pipeline.kernels.fork_provisioner import Manager


class Client(PapermillNotebookClient):
    """Executes a notebook's cells in one kernel; the saver is told which cells have changed.

    heard: gets the line that an output, while it changes, says of how far its cell is.
    """

    def __init__(
        self, notebook: Any, manager: Manager, saver: Saver, heard: Callable[[str], None]
    ) -> None:
        self.notebook, self.manager, self.saver, self.heard = notebook, manager, saver, heard
        super().__init__(self, km=manager, timeout=None)

    @property
    def nb(self) -> Any:
        return self.notebook

    @nb.setter
    def nb(self, _same: Any) -> None:
        pass

    def autosave_cell(self) -> None:
        """papermill's hook after each message; the saver has its own clock."""

    async def start(self, **options: Any) -> None:
        """The kernel, ready; raises what keeps it from starting."""
        self.reset_execution_trackers()
        await self.async_start_new_kernel(**options)
        await self.manager.bound()
        await self.async_start_new_kernel_client()
        info = await self.async_wait_for_reply(self.kc.kernel_info())
        self.nb.metadata.language_info = info["content"]["language_info"]

    async def end(self, patience: float) -> None:
        """The kernel and its children gone, its sockets closed."""
        self.set_widgets_metadata()
        if self.kc is not None:
            await self.manager.stop(self.kc, patience)
            self.kc.stop_channels()
        await self.manager.kill()
        await self.manager._async_cleanup_resources()

    async def drain(self, cell: Any, number: int) -> None:
        """Takes the outputs that a dead kernel sent before its end."""
        with contextlib.suppress(Empty):
            while True:
                message = await self.kc.get_iopub_msg(timeout=0.1)
                with contextlib.suppress(Exception):
                    self.process_message(message, cell, number)

    async def _check_raise_for_error(self, cell: Any, number: int, reply: Any) -> None:
        """A kernel that is not ours only asks to be stopped when a cell calls exit()."""
        asked = (reply or {}).get("content", {}).get("payload") or []
        if any(one.get("source") == "ask_exit" for one in asked):
            raise CellExecutionError("", "SystemExit", "a cell called exit()")
        await super()._check_raise_for_error(cell, number, reply)

    def process_message(self, message: Any, cell: Any, number: int) -> Any:
        self.saver.touch(number)
        return super().process_message(message, cell, number)

    def _update_display_id(self, display_id: str, message: Any) -> None:
        super()._update_display_id(display_id, message)
        for number in self._display_id_map.get(display_id, ()):
            self.saver.touch(number)
        said = message["content"]["data"].get("text/plain", "")
        line = "".join(said).strip()  # a text, or its lines
        if line and "\n" not in line:
            self.heard(line)
