"""papermill's engine: records how each cell really ended, enforces limits, saves outputs early.

Also its translator, for parameters that papermill cannot write as a literal.
"""

import asyncio
import contextlib
import logging
import signal
from datetime import UTC, datetime
from typing import Any

from nbclient.exceptions import CellExecutionError, DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.translators import PythonTranslator, papermill_translators

from pipeline.execution import limits
from pipeline.execution.kernel_session import KernelSession
from pipeline.execution.messages import CellEnded, CellStarted
from pipeline.execution.notebook_job import NotebookJob
from pipeline.execution.notebook_writer import NotebookWriter
from pipeline.execution.output_capture import OutputCapture
from pipeline.kernels.fork_provisioner import KernelManager, create_kernel_manager
from pipeline.kernels.protocol import OUTPUT_FOLDER_VARIABLE
from pipeline.runs.records import MAX_LAST_OUTPUT_CHARS
from pipeline.runs.status import CellStatus, StepStatus

ENGINE_NAME = "pipeline"  # papermill finds the engine by it
INTERRUPT_GRACE_SECONDS = 5.0  # the time that an interrupted kernel has before it is killed
SAVE_CHECK_INTERVAL_SECONDS = 0.1


def register() -> None:
    """Register the engine and the translator of parameters with papermill, in this process.

    Silences what papermill and traitlets log: papermill calls Annotated parameters unknown, and
    the run's record has what traitlets logs.
    """
    papermill_engines.register(ENGINE_NAME, PipelineEngine)
    papermill_translators.register("python", ParameterTranslator)
    logging.getLogger("papermill").setLevel(logging.ERROR)
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)


class PythonExpression(str):
    """Python code to inject as it is, where papermill would write a quoted text."""


class ParameterTranslator(PythonTranslator):
    """papermill's Python translator, extended by `PythonExpression`."""

    @classmethod
    def translate(cls, val: Any) -> str:
        """Return the source code of a parameter's value."""
        return str(val) if isinstance(val, PythonExpression) else super().translate(val)


class PipelineEngine(NBClientEngine):
    """Run by `papermill.execute_notebook(..., engine_name=ENGINE_NAME, job=NotebookJob(...))`."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, job: NotebookJob, **_options: Any) -> Any:
        """Execute the notebook in place and return it; `job` tells how it ended."""
        asyncio.run(_NotebookExecution(nb, kernel_name, job).run())
        return nb


class _NotebookExecution:
    """The execution of one notebook in one kernel."""

    def __init__(self, notebook: Any, kernel_name: str, job: NotebookJob) -> None:
        self.notebook, self.job = notebook, job
        self.writer = NotebookWriter(notebook, job.executed_path, job.secret_values)
        self.kernel_name = kernel_name
        self.kernel_manager: KernelManager | None = None
        self.heading, self.cell_index = "", 0
        self.kernel_ready = asyncio.Event()
        self.cells_task: asyncio.Task | None = None
        self.stop_task: asyncio.Task | None = None

    async def run(self) -> None:
        """Run all cells, or as many as possible; never raise for what happens in the notebook."""
        job, started = self.job, _utc_now()
        self._reset_notebook()
        notebook_state = self.notebook.metadata.papermill
        notebook_state.update(
            start_time=started.isoformat(), output_path=str(job.executed_path), exception=None
        )
        background_tasks = [
            asyncio.ensure_future(self._save_periodically()),
            asyncio.ensure_future(self._enforce_limits()),
        ]
        try:
            self.cells_task = asyncio.ensure_future(self._run_cells())
            with job.listen_for_stop(self.stop):
                await self.cells_task
        except asyncio.CancelledError:
            pass  # stopped before there was a kernel to interrupt
        except Exception as error:
            job.finish(StepStatus.FAILED, f"{type(error).__name__}: {error}".splitlines()[0])
        finally:
            for task in (*background_tasks, self.stop_task):
                if task:
                    task.cancel()
            notebook_state.update(
                end_time=_utc_now().isoformat(),
                exception=not job.is_running,
                duration=(_utc_now() - started).total_seconds(),
            )
            self._finalize()

    def _reset_notebook(self) -> None:
        """Mark all cells as pending and remove their outputs."""
        self.job.result.cell_status = [CellStatus.NOT_RUN for _ in self.notebook.cells]
        for cell in self.notebook.cells:
            cell.metadata.papermill = {"status": "pending", "exception": None}
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None

    def _finalize(self) -> None:
        """Save the notebook for the last time, and mask secrets in all that the job leaves."""
        for cell_index, cell in enumerate(self.notebook.cells):
            if self.job.result.cell_status[cell_index] is CellStatus.NOT_RUN:
                cell.metadata.papermill.status = CellStatus.NOT_RUN.papermill
                self.writer.mark_dirty(cell_index)
        self._save_final()
        for suffix in (".stderr", ".json", ".trace"):
            with contextlib.suppress(OSError):
                self.writer.mask_file(self.job.executed_path.with_suffix(suffix))
        for name in ("failure", "traceback", "output"):
            setattr(self.job.result, name, self.writer.mask(getattr(self.job.result, name)))

    async def _run_cells(self) -> None:
        """Start the kernel, run the cells in order, and stop the kernel."""
        job = self.job
        with job.executed_path.with_suffix(".stderr").open("ab") as stderr:
            self.kernel_manager = create_kernel_manager(self.kernel_name, job.socket_folder)
            self.session = KernelSession(
                self.notebook, self.kernel_manager, self.writer, self._report_progress
            )
            self.output_capture = OutputCapture(job.socket_folder)
            environment = {
                **job.request.environment,
                OUTPUT_FOLDER_VARIABLE: str(self.output_capture.folder),
            }
            try:
                await self.session.start(
                    cwd=job.request.working_folder, env=environment, stderr=stderr
                )
                self.output_capture.unlink_files()
                self.kernel_ready.set()
                for cell_index in range(len(self.notebook.cells)):
                    if not job.is_running:
                        break
                    await self._run_cell(cell_index)
            finally:
                may_exit = job.result.status in (StepStatus.DONE, StepStatus.FAILED)
                await self.session.shutdown(INTERRUPT_GRACE_SECONDS if may_exit else 0)
                self.output_capture.close()
                job.result.peak_mb = getattr(self.kernel_manager.provisioner, "peak_mb", 0)

    def _report_progress(self, line: str) -> None:
        """Send the line that an updated display shows, so that users see how far its cell is."""
        self._send_cell_started(
            self.writer.mask(f"{self.heading}: {line}" if self.heading else line)
        )

    def _send_cell_started(self, heading: str) -> None:
        n_cells = len(self.notebook.cells)
        self.job.send_event(CellStarted(self.cell_index, n_cells, heading))

    async def _run_cell(self, cell_index: int) -> None:
        """Run one cell; record its status and times in the notebook and the job, and send them."""
        cell = self.notebook.cells[cell_index]
        cell_state, started = cell.metadata.papermill, _utc_now()
        cell_state.update(status=CellStatus.RUNNING.papermill, start_time=started.isoformat())
        self.writer.mark_dirty(cell_index)
        if cell.cell_type == "markdown":
            headings = [line for line in cell.source.splitlines() if line.startswith("#")]
            self.heading = headings[-1].lstrip("# ") if headings else self.heading
        self.cell_index = cell_index
        self._send_cell_started(self.heading)
        status = await self._execute_cell(cell, cell_index)
        seconds = (_utc_now() - started).total_seconds()
        cell_state.update(
            status=status.papermill,
            exception=status is not CellStatus.RAN,
            end_time=_utc_now().isoformat(),
            duration=seconds,
        )
        self.job.result.cell_status[cell_index] = status
        self.writer.mark_dirty(cell_index)
        self.job.send_event(CellEnded(cell_index, status, round(seconds, 3)))

    async def _execute_cell(self, cell: Any, cell_index: int) -> CellStatus:
        """Execute one cell; return its status, and finish the job if the cell did not end well."""
        job = self.job
        self.output_capture.mark_cell_start()
        try:
            await self.session.async_execute_cell(cell, cell_index)
            return CellStatus.RAN
        except CellExecutionError as error:
            status = CellStatus.FAILED
            job.result.traceback = _last_traceback(cell)
            job.finish(StepStatus.FAILED, f"{error.ename}: {error.evalue}".strip().splitlines()[0])
        except DeadKernelError:
            status = CellStatus.KILLED
            await self.session.drain_outputs(cell, cell_index)
            cell.outputs += self.output_capture.missing_outputs(cell.outputs)
            exit_code = await self.session.kernel_manager.exit_code()
            job.finish(StepStatus.KILLED, _describe_kernel_exit(exit_code), retryable=True)
        job.result.output = _last_output(cell)
        # a job that was stopped or reached a limit ended its cell, which may look as if it failed
        forced_ends = {
            StepStatus.STOPPED: CellStatus.KILLED,
            StepStatus.KILLED: CellStatus.KILLED,
            StepStatus.TIMED_OUT: CellStatus.TIMED_OUT,
        }
        return forced_ends.get(job.result.status, status)

    def stop(self, status: StepStatus, failure: str) -> None:
        """Finish the job; interrupt the kernel, so that its cell shows where it was, then kill."""
        self.job.finish(status, failure)
        if self.stop_task is None:
            self.stop_task = asyncio.ensure_future(self._interrupt_then_kill())

    async def _interrupt_then_kill(self) -> None:
        if not (self.kernel_manager and self.kernel_manager.has_kernel):
            if self.cells_task:
                self.cells_task.cancel()
            return
        await self.kernel_manager.interrupt()
        await asyncio.sleep(INTERRUPT_GRACE_SECONDS)
        await self.kernel_manager.kill()

    async def _save_periodically(self) -> None:
        while True:
            self.writer.save_if_due()
            await asyncio.sleep(SAVE_CHECK_INTERVAL_SECONDS)

    async def _enforce_limits(self) -> None:
        await self.kernel_ready.wait()
        await limits.enforce(self.job, self.session.kernel_manager, self.stop)

    def _save_final(self) -> None:
        """Save the notebook; on a full disk, fail the job and save the notebook without outputs."""
        try:
            self.writer.save()
        except OSError as error:
            failure = f"the executed notebook could not be saved: {error}"
            # outweighs an earlier failure
            self.job.result.status, self.job.result.failure = StepStatus.FAILED, failure
            self.writer.drop_outputs()
            with contextlib.suppress(OSError):
                self.writer.save()


def _describe_kernel_exit(exit_code: int | None) -> str:
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
    streams = [output.text for output in cell.get("outputs", []) if output.output_type == "stream"]
    return "".join(streams)[-MAX_LAST_OUTPUT_CHARS:]


def _utc_now() -> datetime:
    return datetime.now(UTC)
