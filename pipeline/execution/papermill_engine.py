"""papermill's engine: each cell's end told truthfully, limits kept, outputs saved early."""

import asyncio
import contextlib
import logging
import signal
from datetime import UTC, datetime
from typing import Any

from nbclient.exceptions import CellExecutionError, DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines

from pipeline.execution import limits
from pipeline.execution.kernel_session import KernelSession
from pipeline.execution.messages import FAILED, KILLED, NOT_RUN, RAN, TIMED_OUT, NotebookJob
from pipeline.execution.notebook_writer import NotebookWriter
from pipeline.execution.output_capture import OutputCapture
from pipeline.kernels.fork_provisioner import KernelManager, create_kernel_manager

ENGINE_NAME = "pipeline"  # papermill knows the engine by it
INTERRUPT_GRACE_SECONDS = 5.0  # seconds that an interrupted kernel has before it is killed
MAX_LAST_OUTPUT_CHARS = 2_000  # letters of the last output that the record keeps
PAPERMILL_STATUS = {RAN: "completed"}  # what papermill calls it in the notebook's metadata


class PipelineEngine(NBClientEngine):
    """papermill.execute_notebook(..., engine_name=NAME, job=Job(...))."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, job: NotebookJob, **_options: Any) -> Any:
        asyncio.run(_NotebookExecution(nb, kernel_name, job).run())
        return nb


class _NotebookExecution:
    """One notebook in one kernel."""

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
        """Runs all cells, or as many as it can; never raises for what happens in the notebook."""
        job, started = self.job, _utc_now()
        job.cell_status = [NOT_RUN for _ in self.notebook.cells]
        about = self.notebook.metadata.papermill
        about.update(
            start_time=started.isoformat(), output_path=str(job.executed_path), exception=None
        )
        for cell in self.notebook.cells:
            cell.metadata.papermill = {"status": "pending", "exception": None}
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        keepers = [
            asyncio.ensure_future(self._save_periodically()),
            asyncio.ensure_future(self._enforce_limits()),
        ]
        try:
            self.cells_task = asyncio.ensure_future(self._run_cells())
            with job.listen_for_stop(self.stop):
                await self.cells_task
        except asyncio.CancelledError:
            pass  # stopped before there was a kernel to interrupt
        except Exception as failed:
            job.finish(FAILED, f"{type(failed).__name__}: {failed}".splitlines()[0])
        finally:
            for one in (*keepers, self.stop_task):
                if one:
                    one.cancel()
            about.update(end_time=_utc_now().isoformat(), exception=job.status != "done")
            about.update(duration=(_utc_now() - started).total_seconds())
            self._finalize()

    def _finalize(self) -> None:
        """What is left is told and saved, without the secrets."""
        for number, cell in enumerate(self.notebook.cells):
            if self.job.cell_status[number] == NOT_RUN:
                cell.metadata.papermill.status = NOT_RUN
                self.writer.mark_dirty(number)
        self._save_final()
        for ending in (".stderr", ".json", ".trace"):
            with contextlib.suppress(OSError):
                self.writer.mask_file(
                    self.job.executed_path.with_name(self.job.executed_path.stem + ending)
                )
        for name in ("failure", "traceback", "output"):
            setattr(self.job, name, self.writer.mask(getattr(self.job, name)))

    async def _run_cells(self) -> None:
        job, path = (
            self.job,
            self.job.executed_path.with_name(f"{self.job.executed_path.stem}.stderr"),
        )
        with path.open("ab") as errors:
            self.kernel_manager = create_kernel_manager(self.kernel_name, job.socket_folder)
            self.session = KernelSession(
                self.notebook, self.kernel_manager, self.writer, self._report_progress
            )
            self.output_capture = OutputCapture(job.socket_folder)
            try:
                environment = {**job.environment, "PIPELINE_TEE": str(self.output_capture.folder)}
                await self.session.start(
                    cwd=str(job.working_folder), env=environment, stderr=errors
                )
                self.output_capture.unlink_files()
                self.kernel_ready.set()
                for number in range(len(self.notebook.cells)):
                    if job.status != "done":
                        break
                    await self._run_cell(number)
            finally:
                patience = INTERRUPT_GRACE_SECONDS if job.status in ("done", FAILED) else 0
                await self.session.shutdown(patience)
                self.output_capture.close()
                job.peak_mb = getattr(self.kernel_manager.provisioner, "peak_mb", 0)

    def _report_progress(self, line: str) -> None:
        """An output that changes tells how far its cell is."""
        self._send_cell_started(
            self.writer.mask(f"{self.heading}: {line}" if self.heading else line)
        )

    def _send_cell_started(self, heading: str) -> None:
        cells = len(self.notebook.cells)
        self.job.send_event(
            "cell", number=self.cell_index, status="running", of=cells, heading=heading
        )

    async def _run_cell(self, cell_index: int) -> None:
        job, cell = self.job, self.notebook.cells[cell_index]
        state, started = cell.metadata.papermill, _utc_now()
        state.update(status="running", start_time=started.isoformat())
        self.writer.mark_dirty(cell_index)
        if cell.cell_type == "markdown":
            titles = [one for one in cell.source.splitlines() if one.startswith("#")]
            self.heading = titles[-1].lstrip("# ") if titles else self.heading
        self.cell_index = cell_index
        self._send_cell_started(self.heading)
        ended = RAN
        self.output_capture.mark_cell_start()
        try:
            await self.session.async_execute_cell(cell, cell_index)
        except CellExecutionError as failed:
            ended = FAILED
            job.traceback = _last_traceback(cell)
            job.finish(FAILED, f"{failed.ename}: {failed.evalue}".strip().splitlines()[0])
        except DeadKernelError:
            ended = KILLED
            await self.session.drain_outputs(cell, cell_index)
            cell.outputs += self.output_capture.missing_outputs(cell.outputs)
            job.finish(
                KILLED,
                _describe_kernel_exit(await self.kernel_manager.provisioner.poll()),
                retryable=True,
            )
        if ended != RAN:
            ended = job.status if job.status in (TIMED_OUT, KILLED) else ended
            ended = KILLED if job.status == "stopped" else ended
            job.output = _last_output(cell)
        took = (_utc_now() - started).total_seconds()
        state.update(status=PAPERMILL_STATUS.get(ended, ended), exception=ended != RAN)
        state.update(end_time=_utc_now().isoformat(), duration=took)
        job.cell_status[cell_index] = ended
        self.writer.mark_dirty(cell_index)
        job.send_event("cell", number=cell_index, status=ended, seconds=round(took, 3))

    def stop(self, status: str, failure: str) -> None:
        """Interrupts the kernel, so that the cell can say where it was; then kills it."""
        self.job.finish(status, failure)
        if self.stop_task is None:
            self.stop_task = asyncio.ensure_future(self._interrupt_then_kill())

    async def _interrupt_then_kill(self) -> None:
        if not (self.kernel_manager and self.kernel_manager.has_kernel):
            self.cells_task.cancel()
            return
        await self.kernel_manager.provisioner.send_signal(signal.SIGINT)
        await asyncio.sleep(INTERRUPT_GRACE_SECONDS)
        await self.kernel_manager.kill()

    async def _save_periodically(self) -> None:
        while True:
            self.writer.save_if_due()
            await asyncio.sleep(0.1)

    async def _enforce_limits(self) -> None:
        await self.kernel_ready.wait()
        await limits.enforce(self.job, self.kernel_manager, self.stop)

    def _save_final(self) -> None:
        try:
            self.writer.save()
        except OSError as failure:
            self.job.finish(FAILED, f"the executed notebook could not be saved: {failure}")
            self.job.failure = f"the executed notebook could not be saved: {failure}"
            self.job.status = FAILED
            self.writer.drop_outputs()
            with contextlib.suppress(OSError):
                self.writer.save()


def _describe_kernel_exit(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"the kernel left with exit code {exit_code}"
    name = signal.Signals(-exit_code).name
    hint = "; often the machine has run out of memory" if -exit_code == signal.SIGKILL else ""
    return f"the kernel was killed by {name}{hint}"


def _last_traceback(cell: Any) -> str:
    """With terminal colours."""
    errors = [one.traceback for one in cell.outputs if one.output_type == "error"]
    return "\n".join(errors[-1]) if errors else ""


def _last_output(cell: Any) -> str:
    """The end of what the cell printed."""
    said = [one.text for one in cell.get("outputs", []) if one.output_type == "stream"]
    return "".join(said)[-MAX_LAST_OUTPUT_CHARS:]


def _utc_now() -> datetime:
    return datetime.now(UTC)


papermill_engines.register(ENGINE_NAME, PipelineEngine)
logging.getLogger("papermill").setLevel(logging.ERROR)  # it takes Annotated parameters for unknown
logging.getLogger("traitlets").setLevel(logging.CRITICAL)  # what it says is in our record
