"""papermill's engine: each cell's end told truthfully, limits kept, outputs saved early."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from nbclient.exceptions import CellExecutionError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.translators import PythonTranslator, papermill_translators

from pipeline.provisioner import Manager, manager
from pipeline.saver import Saver
from pipeline.streams import Tee

GRACE = 5.0  # seconds that an interrupted kernel has before it is killed
FLOOD = 2_000  # letters of the last output that the record keeps
RAN, FAILED, KILLED, TIMED_OUT, NOT_RUN = "ran", "failed", "killed", "timed out", "not run"
PAPERMILL = {RAN: "completed"}  # what papermill calls it in the notebook's metadata


@dataclass
class Job:
    """A notebook to run, and what became of it."""

    executed: Path
    folder: Path
    environment: dict[str, str]
    sockets: Path  # a short folder: of the nursery's socket and the kernels'
    time_limit: float | None
    memory_limit: float | None  # GB
    secrets: list[str]  # values to mask
    tell: Callable[..., None]  # gets each cell's start and end
    listen: Callable[[Callable[[str, str], None]], contextlib.AbstractContextManager]
    status: str = "done"
    failure: str = ""
    traceback: str = ""
    output: str = ""  # the last of the cell that did not end well
    cells: list[str] = field(default_factory=list)  # how each ended
    peak_mb: int = 0
    may_pass: bool = False  # whether trying again may help

    def ends(self, status: str, failure: str, may_pass: bool = False) -> None:
        """The first reason counts."""
        if self.status == "done":
            self.status, self.failure, self.may_pass = status, failure, may_pass


class Engine(NBClientEngine):
    """papermill.execute_notebook(..., engine_name="pipeline", job=Job(...))."""

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
        self.heading = ""
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
        helpers = [asyncio.ensure_future(self._keep_saving()), asyncio.ensure_future(self._watch())]
        try:
            self.work = asyncio.ensure_future(self._run_cells())
            with job.listen(self.stop):
                await self.work
        except asyncio.CancelledError:
            pass  # stopped before there was a kernel to interrupt
        except Exception as failed:
            job.ends(FAILED, f"{type(failed).__name__}: {failed}".splitlines()[0])
        finally:
            for one in (*helpers, self.stopping):
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
            self.client, self.tee = _Client(self), Tee(job.sockets)
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

    async def _run_cell(self, number: int) -> None:
        job, cell = self.job, self.notebook.cells[number]
        state, started = cell.metadata.papermill, _now()
        state.update(status="running", start_time=started.isoformat())
        self.saver.touch(number)
        if cell.cell_type == "markdown":
            titles = [one for one in cell.source.splitlines() if one.startswith("#")]
            self.heading = titles[-1].lstrip("# ") if titles else self.heading
        job.tell(
            "cell", number=number, status="running", of=len(self.notebook.cells),
            heading=self.heading,
        )  # fmt: skip
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

    async def _watch(self) -> None:
        """Keeps the limits."""
        loop = asyncio.get_running_loop()
        await self.ready.wait()
        end = loop.time() + (self.job.time_limit or float("inf"))
        while self.stopping is None:
            await asyncio.sleep(
                0.2 if self.job.memory_limit else min(0.2, self.job.time_limit or 9)
            )
            if loop.time() >= end:
                why = f"took longer than its limit of {self.job.time_limit:g} s"
                self.job.ends(TIMED_OUT, why, may_pass=True)
                self.stop(TIMED_OUT, why)
            used = self._memory() if self.job.memory_limit else 0
            if used > (self.job.memory_limit or 0):
                limit = f"its limit is {self.job.memory_limit:g} GB"
                self.job.ends(KILLED, f"used {used:.2f} GB of memory, {limit}")
                await self.manager.kill()

    def _memory(self) -> float:
        """GB in use by the kernel and its children."""
        total = 0
        with contextlib.suppress(psutil.Error, AttributeError):
            kernel = psutil.Process(self.manager.provisioner.pid)
            for one in (kernel, *kernel.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += getattr(one.memory_full_info(), "pss", one.memory_info().rss)
        return total / 1e9

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


class _Client(PapermillNotebookClient):
    """papermill's client, run in one event loop from start to end."""

    def __init__(self, execution: _Execution) -> None:
        self.execution, self.saver = execution, execution.saver
        super().__init__(self, km=execution.manager, timeout=None)

    @property
    def nb(self) -> Any:
        return self.execution.notebook

    @nb.setter
    def nb(self, _same: Any) -> None:
        pass

    def autosave_cell(self) -> None:
        """papermill's hook after each message; the saver has its own clock."""

    async def start(self, **options: Any) -> None:
        """The kernel, ready; raises what keeps it from starting."""
        self.reset_execution_trackers()
        await self.async_start_new_kernel(**options)
        await self.execution.manager.bound()
        await self.async_start_new_kernel_client()
        info = await self.async_wait_for_reply(self.kc.kernel_info())
        self.nb.metadata.language_info = info["content"]["language_info"]

    async def end(self, patience: float) -> None:
        """The kernel and its children gone, its sockets closed."""
        manager = self.execution.manager
        self.set_widgets_metadata()
        if self.kc is not None:
            await manager.stop(self.kc, patience)
            self.kc.stop_channels()
        await manager.kill()
        await manager._async_cleanup_resources()

    async def drain(self, cell: Any, number: int) -> None:
        """Takes the outputs that a dead kernel sent before its end."""
        from queue import Empty

        with contextlib.suppress(Empty):
            while True:
                message = await self.kc.get_iopub_msg(timeout=0.1)
                with contextlib.suppress(Exception):
                    self.process_message(message, cell, number)

    def process_message(self, message: Any, cell: Any, number: int) -> Any:
        self.saver.touch(number)
        return super().process_message(message, cell, number)

    def _update_display_id(self, display_id: str, message: Any) -> None:
        super()._update_display_id(display_id, message)
        for number in self._display_id_map.get(display_id, ()):
            self.saver.touch(number)


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


class Code(str):
    """Python for the injected cell, where papermill would write a text."""


class _Translator(PythonTranslator):
    """papermill's Python literals, and code."""

    @classmethod
    def translate(cls, val: Any) -> str:
        return str(val) if isinstance(val, Code) else super().translate(val)


papermill_engines.register("pipeline", Engine)
papermill_translators.register("python", _Translator)
logging.getLogger("papermill").setLevel(logging.ERROR)  # it takes Annotated parameters for unknown
logging.getLogger("traitlets").setLevel(logging.CRITICAL)  # what it says is in our record
