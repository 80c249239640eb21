"""papermill's client of a kernel, which takes whatever messages a kernel sends."""

import asyncio
import contextlib
from queue import Empty
from typing import Any

import zmq
from nbclient.exceptions import CellControlSignal
from nbformat.v4 import new_output
from papermill.clientwrap import PapermillNotebookClient

from pipeline.kernels import cell_errors
from pipeline.kernels.mime_bundle import MIME_BUNDLE_MESSAGES, normalize_mime_bundle

REPLY_GRACE_SECONDS = 2.0  # the time between a cell's end and its reply


class KernelClient(PapermillNotebookClient):
    """A client that makes outputs of a kernel's messages.

    manager: papermill's, with a method `report_progress` that takes a line.
    """

    def __init__(self, manager: Any, **options: Any) -> None:
        super().__init__(
            manager,
            on_cell_executed=cell_errors.raise_exit,
            on_cell_error=cell_errors.add_reply_error,
            **options,
        )
        self.is_reply_lost = False  # of a cell that has failed

    async def drain_outputs(self, cell: Any, cell_index: int) -> None:
        """Process the messages that a dead kernel sent before its end."""
        with contextlib.suppress(Empty):
            while True:
                message = await self.kc.get_iopub_msg(timeout=0.1)
                with contextlib.suppress(Exception):
                    self.process_message(message, cell, cell_index)

    def process_message(self, message: Any, cell: Any, cell_index: int) -> Any:
        """Process a kernel's message, as nbclient does; report the line an updated display shows.

        That may be a progress bar.
        """
        if message["msg_type"] == "update_display_data":
            text = message["content"]["data"].get("text/plain", "")
            line = "".join(text).strip()  # the message holds a text, or a list of its lines
            if line and "\n" not in line:
                self.nb_man.report_progress(line)
        if message["msg_type"] in MIME_BUNDLE_MESSAGES:
            message["content"]["data"] = normalize_mime_bundle(message["content"]["data"])
        if message["msg_type"] == "error":
            message["content"].update(cell_errors.normalize_error(message["content"]))
        try:
            return super().process_message(message, cell, cell_index)
        except CellControlSignal:  # the cell has ended
            asyncio.get_running_loop().call_later(
                REPLY_GRACE_SECONDS, self._give_up_reply, self.task_poll_for_reply, cell
            )
            raise
        except Exception as error:  # whatever a kernel sends, its cell is the one that runs
            problem = cell_errors.describe_error(type(error).__name__, str(error))
            text = f"an output cannot be shown, as it is not valid ({problem})\n"
            cell.outputs.append(new_output("stream", name="stderr", text=text))
            return None
        finally:
            self._notice_reply()

    def _notice_reply(self) -> None:
        """Have the event loop look whether a reply has arrived.

        For an output in a widget, nbclient sends a message in which zmq may take notice of a reply
        too: that counts once, so nothing would wake up the task that waits for it.
        """
        self.kc.shell_channel.socket.get(zmq.EVENTS)

    def _give_up_reply(self, reply_task: asyncio.Task, cell: Any) -> None:
        """Wait no longer for the reply of a cell that has failed and ended.

        IPython sends none if it cannot report the exception, as one whose traceback is no text.
        """
        if not reply_task.done() and cell_errors.last_error(cell):
            self.is_reply_lost = True
            reply_task.cancel()
