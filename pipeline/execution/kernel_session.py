"""papermill's client of a kernel, run in one event loop from start to end."""

import asyncio
import contextlib
import signal
from queue import Empty
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient

from pipeline.execution import limits
from pipeline.execution.execution_manager import ExecutionManager
from pipeline.execution.output_capture import OutputCapture
from pipeline.kernels.fork_provisioner import PROVISIONER_NAME
from pipeline.kernels.protocol import OUTPUT_FOLDER_VARIABLE
from pipeline.kernels.ready_client import ReadyClient
from pipeline.runs.records import MAX_LAST_OUTPUT_CHARS
from pipeline.runs.status import CellStatus, StepStatus

INTERRUPT_GRACE_SECONDS = 5.0  # the time that an interrupted kernel has before it is killed
SAVE_CHECK_INTERVAL_SECONDS = 0.1
# a job that was stopped or reached a limit ended its cell, which may look as if it failed
FORCED_ENDS = {
    StepStatus.STOPPED: CellStatus.KILLED,
    StepStatus.KILLED: CellStatus.KILLED,
    StepStatus.TIMED_OUT: CellStatus.TIMED_OUT,
}


class KernelSession(PapermillNotebookClient):
    """Execute a notebook's cells in one kernel; the manager's job tells how that ended."""

    def __init__(self, manager: ExecutionManager, **options: Any) -> None:
        super().__init__(manager, on_cell_executed=refuse_exit, **options)
        self.job = manager.job
        self.stop_task: asyncio.Task | None = None

    async def run(self) -> None:
        """Run all cells, or as many as possible. Raises what keeps the kernel from starting.

        The other tasks end with the event loop.
        """
        self.cells_task = asyncio.ensure_future(self._run_cells())
        self.save_task = asyncio.ensure_future(self._save_periodically())
        try:
            with self.job.listen_for_stop(self.stop):
                await self.cells_task
        except asyncio.CancelledError:
            pass  # stopped before there was a kernel to interrupt
        except Exception as error:
            self.job.finish(StepStatus.FAILED, f"{type(error).__name__}: {error}".splitlines()[0])
            raise

    def create_kernel_manager(self) -> Any:
        """Create the manager of a kernel that our provisioner starts.

        A specification that names a provisioner keeps it. Raises jupyter_client's NoSuchKernel.
        """
        self.km: Any = AsyncKernelManager(kernel_name=self.kernel_name, client_factory=ReadyClient)
        request = self.job.request
        config = {
            "socket_folder": str(request.socket_folder),
            "start_cold": bool(request.cold_start),
        }
        provisioner = {"provisioner_name": PROVISIONER_NAME, "config": config}
        kernel_spec: Any = self.km.kernel_spec
        kernel_spec.metadata.setdefault("kernel_provisioner", provisioner)
        return self.km

    async def _run_cells(self) -> None:
        """Start the kernel, run the cells in order, and stop the kernel."""
        request = self.job.request
        manager = self.create_kernel_manager()
        self.output_capture = OutputCapture(request.socket_folder)
        output_folder = {OUTPUT_FOLDER_VARIABLE: str(self.output_capture.folder)}
        limits_task: asyncio.Task | None = None
        try:
            stderr_file = request.stderr_path and request.stderr_path.open("ab")
            with stderr_file or contextlib.nullcontext() as stderr:
                await self.async_start_new_kernel(
                    cwd=str(request.working_folder),
                    env={**request.environment, **output_folder},
                    stderr=stderr,
                )
            await self.async_start_new_kernel_client()
            reply = await self.async_wait_for_reply(self.kc.kernel_info())
            self.nb.metadata.language_info = reply["content"]["language_info"]
            self.output_capture.unlink_files()
            limits_task = asyncio.ensure_future(limits.enforce(self.job, manager, self.stop))
            for cell_index, cell in enumerate(self.nb.cells):
                if self.job.is_running:
                    await self._run_cell(cell, cell_index)
        finally:
            if limits_task:
                limits_task.cancel()
            await self._shut_down(manager)
            self.output_capture.close()
            self.job.result.peak_mb = getattr(manager.provisioner, "peak_mb", 0)
            self.job.cold_start_reason = getattr(manager.provisioner, "cold_start_reason", "")

    async def _shut_down(self, manager: Any) -> None:
        """Stop the kernel and its children, and close its sockets.

        It may exit by itself, unless it was to be stopped.
        """
        self.set_widgets_metadata()
        if self.kc is not None:
            if self.job.result.status in (StepStatus.DONE, StepStatus.FAILED):
                self.kc.shutdown()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(manager.provisioner.wait(), INTERRUPT_GRACE_SECONDS)
            self.kc.stop_channels()
        if manager.has_kernel:
            await manager.provisioner.kill()
            await manager.provisioner.wait()
        await manager.cleanup_resources()

    async def _run_cell(self, cell: Any, cell_index: int) -> None:
        """Run one cell, and finish the job if the cell does not end well."""
        job = self.job
        self.nb_man.cell_start(cell, cell_index)
        self.output_capture.mark_cell_start()
        status = CellStatus.RAN
        try:
            await self.async_execute_cell(cell, cell_index)
        except CellExecutionError as error:
            status = CellStatus.FAILED
            job.result.traceback = _last_traceback(cell)
            job.finish(StepStatus.FAILED, f"{error.ename}: {error.evalue}".strip().splitlines()[0])
        except CellTimeoutError as error:  # papermill's --execution-timeout
            status = CellStatus.TIMED_OUT
            job.finish(StepStatus.TIMED_OUT, str(error).splitlines()[0])
        except DeadKernelError:
            await self._drain_outputs(cell, cell_index)
            cell.outputs += self.output_capture.missing_outputs(cell.outputs)
            exit_code = await self.km.provisioner.poll()
            job.finish(StepStatus.KILLED, describe_kernel_exit(exit_code), retryable=True)
            status = CellStatus.KILLED
        if status is not CellStatus.RAN:
            job.result.output = _last_output(cell)
            status = FORCED_ENDS.get(job.result.status, status)
        self.nb_man.cell_complete(cell, cell_index, status=status)

    async def _drain_outputs(self, cell: Any, cell_index: int) -> None:
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
        return super().process_message(message, cell, cell_index)

    def stop(self, status: StepStatus, failure: str) -> None:
        """Finish the job; interrupt the kernel, so that its cell shows where it was, then kill."""
        self.job.finish(status, failure)
        if self.stop_task is None:
            self.stop_task = asyncio.ensure_future(self._interrupt_then_kill())

    async def _interrupt_then_kill(self) -> None:
        if self.km is None or not self.km.has_kernel:
            self.cells_task.cancel()
            return
        await self.km.interrupt_kernel()
        await asyncio.sleep(INTERRUPT_GRACE_SECONDS)
        await self.km.provisioner.kill()

    async def _save_periodically(self) -> None:
        while True:
            self.nb_man.save_if_due()
            await asyncio.sleep(SAVE_CHECK_INTERVAL_SECONDS)


def refuse_exit(execute_reply: Any, **_cell: Any) -> None:
    """Fail a cell that called exit(). Raises CellExecutionError.

    A kernel of another interpreter only asks its client to stop it, and runs the cell to its end.
    """
    payloads = execute_reply["content"].get("payload") or []
    if any(payload.get("source") == "ask_exit" for payload in payloads):
        raise CellExecutionError("", "SystemExit", "a cell called exit()")


def describe_kernel_exit(exit_code: int | None) -> str:
    """Return how the kernel ended, as a sentence. exit_code: negative for a signal."""
    if exit_code is None or exit_code >= 0:
        return f"the kernel exited with code {exit_code}"
    name = signal.Signals(-exit_code).name
    hint = "; often the machine has run out of memory" if -exit_code == signal.SIGKILL else ""
    return f"the kernel was killed by {name}{hint}"


def _last_traceback(cell: Any) -> str:
    """Return the traceback of the cell's last error, with terminal colours; empty without one."""
    tracebacks = [output.traceback for output in cell.outputs if output.output_type == "error"]
    return "\n".join(tracebacks[-1]) if tracebacks else ""


def _last_output(cell: Any) -> str:
    """Return the end of what the cell printed."""
    streams = [output.text for output in cell.outputs if output.output_type == "stream"]
    return "".join(streams)[-MAX_LAST_OUTPUT_CHARS:]
