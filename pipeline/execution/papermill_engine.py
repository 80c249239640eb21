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
from pipeline.execution.kernel_session import Client
from pipeline.execution.messages import FAILED, KILLED, NOT_RUN, RAN, TIMED_OUT, Job
from pipeline.execution.notebook_writer import Saver
from pipeline.execution.output_capture import Tee
from pipeline.kernels.fork_provisioner import Manager, manager

NAME = "pipeline"  # papermill knows the engine by it
GRACE = 5.0  # seconds that an interrupted kernel has before it is killed
FLOOD = 2_000  # letters of the last output that the record keeps
PAPERMILL = {RAN: "completed"}  # what papermill calls it in the notebook's metadata


class Engine(NBClientEngine):
    """papermill.execute_notebook(..., engine_name=NAME, job=Job(...))."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, job: Job, **_options: Any) -> Any:
        asyncio.run(_Execution(nb, kernel_name, job).run())
        return nb


class _Execution:
    """One notebook in one kernel."""

    def __init__(self, notebook: Any, kernel_name: str, job: Job) -> None:
        self.notebook, self.job = notebook, job
        self.saver = Saver(notebook, job.executed, job.secrets)
        self.kernel_name = kernel_name
        self.manager: Manager | None = None
        self.heading, self.number = "", 0
        self.ready = asyncio.Event()
        self.work: asyncio.Task | None = None
        self.stopping: asyncio.Task | None = None

    async def run(self) -> None:
        """Runs all cells, or as many as it can; never raises for what happens in the notebook."""
        job, started = self.job, _now()
        job.cells = [NOT_RUN for _ in self.notebook.cells]
        about = self.notebook.metadata.papermill
        about.update(start_time=started.isoformat(), output_path=str(job.executed), exception=None)
        for cell in self.notebook.cells:
            cell.metadata.papermill = {"status": "pending", "exception": None}
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        keepers = [
            asyncio.ensure_future(self._keep_saving()),
            asyncio.ensure_future(self._keep_limits()),
        ]
        try:
            self.work = asyncio.ensure_future(self._run_cells())
            with job.listen(self.stop):
                await self.work
        except asyncio.CancelledError:
            pass  # stopped before there was a kernel to interrupt
        except Exception as failed:
            job.ends(FAILED, f"{type(failed).__name__}: {failed}".splitlines()[0])
        finally:
            for one in (*keepers, self.stopping):
                if one:
                    one.cancel()
            about.update(end_time=_now().isoformat(), exception=job.status != "done")
            about.update(duration=(_now() - started).total_seconds())
            self._conclude()

    def _conclude(self) -> None:
        """What is left is told and saved, without the secrets."""
        for number, cell in enumerate(self.notebook.cells):
            if self.job.cells[number] == NOT_RUN:
                cell.metadata.papermill.status = NOT_RUN
                self.saver.touch(number)
        self._save_at_last()
        for ending in (".stderr", ".json", ".trace"):
            with contextlib.suppress(OSError):
                self.saver.mask_file(self.job.executed.with_name(self.job.executed.stem + ending))
        for name in ("failure", "traceback", "output"):
            setattr(self.job, name, self.saver.mask(getattr(self.job, name)))

    async def _run_cells(self) -> None:
        job, path = self.job, self.job.executed.with_name(f"{self.job.executed.stem}.stderr")
        with path.open("ab") as errors:
            self.manager = manager(self.kernel_name, job.sockets)
            self.client = Client(self.notebook, self.manager, self.saver, self._heard)
            self.tee = Tee(job.sockets)
            try:
                environment = {**job.environment, "PIPELINE_TEE": str(self.tee.folder)}
                await self.client.start(cwd=str(job.folder), env=environment, stderr=errors)
                self.tee.opened()
                self.ready.set()
                for number in range(len(self.notebook.cells)):
                    if job.status != "done":
                        break
                    await self._run_cell(number)
            finally:
                patience = GRACE if job.status in ("done", FAILED) else 0
                await self.client.end(patience)
                self.tee.close()
                job.peak_mb = getattr(self.manager.provisioner, "peak_mb", 0)

    def _heard(self, line: str) -> None:
        """An output that changes tells how far its cell is."""
        self._begun(self.saver.mask(f"{self.heading}: {line}" if self.heading else line))

    def _begun(self, heading: str) -> None:
        cells = len(self.notebook.cells)
        self.job.tell("cell", number=self.number, status="running", of=cells, heading=heading)

    async def _run_cell(self, number: int) -> None:
        job, cell = self.job, self.notebook.cells[number]
        state, started = cell.metadata.papermill, _now()
        state.update(status="running", start_time=started.isoformat())
        self.saver.touch(number)
        if cell.cell_type == "markdown":
            titles = [one for one in cell.source.splitlines() if one.startswith("#")]
            self.heading = titles[-1].lstrip("# ") if titles else self.heading
        self.number = number
        self._begun(self.heading)
        ended = RAN
        self.tee.mark()
        try:
            await self.client.async_execute_cell(cell, number)
        except CellExecutionError as failed:
            ended = FAILED
            job.traceback = _traceback(cell)
            job.ends(FAILED, f"{failed.ename}: {failed.evalue}".strip().splitlines()[0])
        except DeadKernelError:
            ended = KILLED
            await self.client.drain(cell, number)
            cell.outputs += self.tee.missing(cell.outputs)
            job.ends(KILLED, _death(await self.manager.provisioner.poll()), may_pass=True)
        if ended != RAN:
            ended = job.status if job.status in (TIMED_OUT, KILLED) else ended
            ended = KILLED if job.status == "stopped" else ended
            job.output = _last_output(cell)
        took = (_now() - started).total_seconds()
        state.update(status=PAPERMILL.get(ended, ended), exception=ended != RAN)
        state.update(end_time=_now().isoformat(), duration=took)
        job.cells[number] = ended
        self.saver.touch(number)
        job.tell("cell", number=number, status=ended, seconds=round(took, 3))

    def stop(self, status: str, failure: str) -> None:
        """Interrupts the kernel, so that the cell can say where it was; then kills it."""
        self.job.ends(status, failure)
        if self.stopping is None:
            self.stopping = asyncio.ensure_future(self._stop())

    async def _stop(self) -> None:
        if not (self.manager and self.manager.has_kernel):
            self.work.cancel()
            return
        await self.manager.provisioner.send_signal(signal.SIGINT)
        await asyncio.sleep(GRACE)
        await self.manager.kill()

    async def _keep_saving(self) -> None:
        while True:
            self.saver.save_if_due()
            await asyncio.sleep(0.1)

    async def _keep_limits(self) -> None:
        await self.ready.wait()
        await limits.keep(self.job, self.manager, self.stop)

    def _save_at_last(self) -> None:
        try:
            self.saver.save()
        except OSError as failure:
            self.job.ends(FAILED, f"the executed notebook could not be saved: {failure}")
            self.job.failure = f"the executed notebook could not be saved: {failure}"
            self.job.status = FAILED
            self.saver.drop_outputs()
            with contextlib.suppress(OSError):
                self.saver.save()


def _death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"the kernel left with exit code {code}"
    name = signal.Signals(-code).name
    hint = "; often the machine has run out of memory" if -code == signal.SIGKILL else ""
    return f"the kernel was killed by {name}{hint}"


def _traceback(cell: Any) -> str:
    """With terminal colours."""
    errors = [one.traceback for one in cell.outputs if one.output_type == "error"]
    return "\n".join(errors[-1]) if errors else ""


def _last_output(cell: Any) -> str:
    """The end of what the cell printed."""
    said = [one.text for one in cell.get("outputs", []) if one.output_type == "stream"]
    return "".join(said)[-FLOOD:]


def _now() -> datetime:
    return datetime.now(UTC)


papermill_engines.register(NAME, Engine)
logging.getLogger("papermill").setLevel(logging.ERROR)  # it takes Annotated parameters for unknown
logging.getLogger("traitlets").setLevel(logging.CRITICAL)  # what it says is in our record
