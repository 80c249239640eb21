"""Run a notebook's cells in one kernel and one event loop, from start to end."""

import asyncio
import contextlib
from typing import Any, BinaryIO

from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import (
    CellExecutionError,
    CellTimeoutError,
    DeadKernelError,
)

from pipeline.execution import limits
from pipeline.execution.execution_manager import ExecutionManager
from pipeline.execution.output_capture import OutputCapture
from pipeline.kernels import cell_errors
from pipeline.kernels.fork_provisioner import PROVISIONER_NAME
from pipeline.kernels.kernel_client import KernelClient
from pipeline.kernels.kernel_stderr import open_stderr
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


class KernelSession(KernelClient):
    """Execute a notebook's cells in one kernel; the manager's job tells how that ended."""

    def __init__(self, manager: ExecutionManager, **options: Any) -> None:
        super().__init__(manager, **options)
        self.job = manager.job
        self.stop_task: asyncio.Task | None = None
        self.has_started = False
        self.has_exited = False  # by a cell that called exit() or sys.exit(0)

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
            failure = f"{type(error).__name__}: {error}".splitlines()[0]
            if not self.has_started:
                failure = f"the kernel {self.kernel_name!r} did not start: {failure}"
            self.job.finish(StepStatus.FAILED, failure)
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
        """Run the cells in a kernel whose stderr is kept."""
        request = self.job.request
        with open_stderr(request.stderr_path, self.job.secrets, request.socket_folder) as stderr:
            await self._run_kernel(stderr)

    async def _run_kernel(self, stderr: BinaryIO | None) -> None:
        """Start the kernel, run the cells in order, and stop the kernel."""
        request = self.job.request
        manager = self.create_kernel_manager()
        self.output_capture = OutputCapture(request.socket_folder)
        output_folder = {OUTPUT_FOLDER_VARIABLE: str(self.output_capture.folder)}
        limits_task: asyncio.Task | None = None
        try:
            await self.async_start_new_kernel(
                cwd=str(request.working_folder),
                env={**request.environment, **output_folder},
                stdout=stderr,
                stderr=stderr,
            )
            await self.async_start_new_kernel_client()
            reply = await self.async_wait_for_reply(self.kc.kernel_info())
            self.nb.metadata.language_info = reply["content"]["language_info"]
            self.has_started = True
            self.output_capture.unlink_files()
            limits_task = asyncio.ensure_future(limits.enforce(self.job, manager, self.stop))
            for cell_index, cell in enumerate(self.nb.cells):
                if not self.job.is_running or self.has_exited:
                    break
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
        is_skipped = cell.cell_type == "code" and self.skip_cells_with_tag in cell.metadata.tags
        status = CellStatus.SKIPPED if is_skipped else CellStatus.RAN
        try:
            await self.async_execute_cell(cell, cell_index)
        except CellExecutionError as error:
            status = self._end_cell_by_error(cell, cell_index, error.ename, error.evalue)
        except CellTimeoutError as error:  # papermill's --execution-timeout
            status = CellStatus.TIMED_OUT
            job.finish(StepStatus.TIMED_OUT, str(error).splitlines()[0])
        except DeadKernelError:
            error_output = self.is_reply_lost and cell_errors.last_error(cell)
            if error_output:
                name, value = error_output.ename, error_output.evalue
                status = self._end_cell_by_error(cell, cell_index, name, value)
            else:
                await self.drain_outputs(cell, cell_index)
                cell.outputs += self.output_capture.missing_outputs(cell.outputs)
                failure = cell_errors.describe_kernel_exit(await self.km.provisioner.poll())
                job.finish(StepStatus.KILLED, failure, retryable=True)
                status = CellStatus.KILLED
        # a cell may catch the interrupt and end as if nothing had happened
        status = FORCED_ENDS.get(job.result.status, status)
        if not status.is_success:
            job.result.output = job.secrets.mask(_output_text(cell))[-MAX_LAST_OUTPUT_CHARS:]
        self.nb_man.cell_complete(cell, cell_index, status=status)

    def _end_cell_by_error(
        self, cell: Any, cell_index: int, error_name: str, error_value: str
    ) -> CellStatus:
        """Finish the job, or end it well after an exception that is no failure."""
        if cell_errors.is_successful_exit(error_name, error_value):
            self._end_early(cell_index)
            return CellStatus.RAN
        error_output = cell_errors.last_error(cell)
        self.job.result.traceback = "\n".join(error_output.traceback) if error_output else ""
        value = self.job.secrets.mask(error_value)  # before it is shortened
        self.job.finish(StepStatus.FAILED, cell_errors.describe_error(error_name, value))
        return CellStatus.FAILED

    def _end_early(self, cell_index: int) -> None:
        """Run no further cell, as this one has ended the notebook well."""
        self.has_exited = True
        n_left = sum(cell.cell_type == "code" for cell in self.nb.cells[cell_index + 1 :])
        rest = f"; the {n_left} code cells after it were not run" if n_left else ""
        cell_number = self.nb_man.source_indexes[cell_index] + 1
        self.job.result.notes.append(
            f"the notebook ended by its own decision in cell {cell_number}, "
            f"which called exit() or sys.exit(0){rest}"
        )

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


def _output_text(cell: Any) -> str:
    """Return what the cell printed."""
    streams = [output.text for output in cell.outputs if output.output_type == "stream"]
    return "".join(streams)
