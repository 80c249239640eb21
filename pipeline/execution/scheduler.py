"""A run: the tasks that must run, side by side where they may, each with its record and report."""

import selectors
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pipeline.definition.steps import Task
from pipeline.execution import messages, step_events, stop_signals, task_queue, worker_pool
from pipeline.execution.task_queue import TaskQueue
from pipeline.execution.worker_pool import Worker, WorkerPool
from pipeline.report.live import PinnedRuns, ReportWriter, no_pinned_runs
from pipeline.runs import git, records
from pipeline.runs.records import RunRecord, RunRecordWriter, StepRecord
from pipeline.staleness import dependencies, fingerprint
from pipeline.staleness.state_store import StateStore

# told of what happens: the event's name, the run, the step it is about
Listener = Callable[[str, RunRecord, StepRecord | None], None]
TICK_SECONDS = 0.25  # seconds


class RunOptions(NamedTuple):
    """How to run."""

    forced_reasons: Mapping[str, str] = MappingProxyType({})  # label -> why it runs in any case
    max_workers: int = 0  # kernels side by side; 0: as many as there are cores
    cold_start: bool = False  # start each kernel from nothing
    environment: Mapping[str, str] = MappingProxyType({})  # of the kernels
    pinned_runs: PinnedRuns = no_pinned_runs  # run -> why it matters
    single_file: bool = False  # pages that stand alone
    reproduction_commands: Mapping[str, str] = MappingProxyType({})  # label -> what makes it again


class Scheduler:
    """One run. `go` makes it."""

    def __init__(
        self, run_id: str, tasks: list[Task], home: Path, options: RunOptions, listener: Listener
    ) -> None:
        self.tasks, self.home, self.options, self.listener = tasks, home, options, listener
        self.state_store = StateStore(home)
        self.record = RunRecord(
            run_id,
            records.utc_now(),
            [StepRecord(one.label, one.report, parameters=one.values) for one in tasks],
        )
        self.step_records = {one.name: one for one in self.record.steps}
        self.run_folder = home / "var" / "runs" / run_id
        self.report_writer = ReportWriter(
            home, self.record, options.pinned_runs, options.single_file
        )
        self.queue = TaskQueue(tasks, self.step_records)
        self.start_fingerprints: dict[str, Any] = {}
        self.stop_signal: int | None = None
        self.has_write_errors = False  # something could not be written

    def create_folders(self) -> None:
        """Makes the run's folders; OSError if it cannot."""
        self.report_writer.create_report_dir()
        self.run_folder.mkdir(parents=True)
        self.record_writer = RunRecordWriter(self.record, self.run_folder)

    def run(self, lock_descriptor: int) -> int:
        """Runs what must run; gives the exit code."""
        width = min(
            self.options.max_workers or worker_pool.available_cores(),
            task_queue.max_parallel_tasks(self.tasks),
        )
        shared = {"PIPELINE_STARTED_IN": str(Path.cwd()), **worker_pool.thread_limits(width)}
        shared["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # else each kernel warns on stderr
        environment = {**self.options.environment, **shared}
        self._notify("run started", self.record, None)
        self.worker_pool = WorkerPool(
            self.record.id, self.run_folder / "runner.log", lock_descriptor, environment
        )
        self.selector = selectors.DefaultSelector()
        try:
            with stop_signals.wakeup_socket() as self.wakeup_socket:
                self.selector.register(self.wakeup_socket, selectors.EVENT_READ)
                self.worker_pool.idle_worker()  # its imports take a while: meanwhile, plan
                if not self.options.cold_start:
                    self.worker_pool.start_fork_server(self.tasks)
                self._write_initial_record()
                self._run_event_loop(width)
        finally:
            self.worker_pool.close()
            self.selector.close()
            self._finish_run()
        if self.stop_signal:
            return 128 + self.stop_signal
        return 0 if self.record.status == "done" and not self.has_write_errors else 1

    def _write_initial_record(self) -> None:
        """Where its code comes from, and pages to look at from the first second."""
        folder = self.tasks[0].step.notebook.parent
        self.record.commit, self.record.commit_link = git.commit_and_url(folder)
        self._save_record()
        self._add_report_error(self.report_writer.write_initial_pages())

    def _run_event_loop(self, max_workers: int) -> None:
        for one in self.worker_pool.workers:
            self.selector.register(one.event_stream, selectors.EVENT_READ, one)
        while True:
            self._handle_signals(
                stop_signals.received_signals(self.wakeup_socket)
            )  # a step's end may have taken a while
            self._start_ready_tasks(max_workers)
            self._add_report_error(self.report_writer.write_next())
            if not self.busy_workers and not self.queue:
                return
            events = self.selector.select(TICK_SECONDS)
            for key, _ in events:
                for event in key.data.read_events() if key.data else []:  # the bell has no data
                    self._handle_event(key.data, event)
            if not events:
                self.report_writer.preload()
            self.worker_pool.ensure_watchdog()
            self._notify("tick", self.record, None)

    def _notify(self, event: str, run: RunRecord, step: StepRecord | None) -> None:
        """A terminal or a pipe that has gone is no reason to stop."""
        try:
            self.listener(event, run, step)
        except OSError:
            self.listener = lambda *_: None

    @property
    def busy_workers(self) -> list[Worker]:
        """The workers that have a task."""
        return [one for one in self.worker_pool.workers if one.task]

    def _start_ready_tasks(self, max_workers: int) -> None:
        for task in self.queue.take_ready(
            lambda: len(self.busy_workers) < max_workers, bool(self.stop_signal)
        ):
            why = self._reasons_to_run(task)
            if why:
                self._start_task(task, why)
            else:
                self._reuse_previous_results(task)

    def _reasons_to_run(self, task: Task) -> list[str]:
        if self.step_records[task.label].attempts:
            return [f"attempt {len(self.step_records[task.label].attempts) + 1}"]
        forced = [it for one, it in self.options.forced_reasons.items() if one == task.label]
        return [*forced, *self.state_store.stale_reasons(task)]

    def _reuse_previous_results(self, task: Task) -> None:
        """It is up to date: another run's results are this one's."""
        step = self.step_records[task.label]
        step_events.copy_reused_record(
            step, self.run_folder.parent / self.state_store.load(task.label)["run"], self.record
        )
        self.report_writer.enqueue(step)
        self._notify("step ended", self.record, step)

    def _start_task(self, task: Task, reasons: list[str]) -> None:
        step = self.step_records[task.label]
        try:
            if not step.attempts:
                fingerprint.clear_cache()  # a module may have been edited since the run began
                self.start_fingerprints[task.label] = dependencies.take_fingerprint(
                    task.step, task.values
                )
                self.state_store.mark_running(task, self.record.id)
        except (OSError, ValueError) as failed:
            step.status, step.failure = "failed", f"it could not start: {failed}"
            self._notify("step ended", self.record, step)
            return
        step.status, step.why, step.started = "running", reasons, records.utc_now()
        step.cells_done, step.cell_status, step.cell_seconds = 0, [], []
        self._save_record()
        worker = self.worker_pool.idle_worker()
        if worker.event_stream not in {key.fileobj for key in self.selector.get_map().values()}:
            self.selector.register(worker.event_stream, selectors.EVENT_READ, worker)
        worker.task = task
        command, code = (
            self.options.reproduction_commands.get(task.label, ""),
            self.start_fingerprints[task.label]["code"],
        )
        worker.send(
            messages.build_job_request(
                task, self.run_folder / task.file_stem, self.worker_pool, command, code
            )
        )
        self._notify("step started", self.record, step)

    def _handle_event(self, worker: Worker, event: dict[str, Any]) -> None:
        if not event:  # the process has gone
            self.selector.unregister(worker.event_stream)
            if worker.task is None:
                return
            event = {
                "event": "end", "status": "killed", "failure": "the process that ran it was killed",
                "retryable": True,
            }  # fmt: skip
        if worker.task is None:
            return
        step = self.step_records[worker.task.label]
        if event["event"] == "cell":
            step_events.record_cell_event(step, event)
            self._notify("cell", self.record, step)
            return
        task, worker.task = worker.task, None
        self._finish_task(task, step, event)

    def _finish_task(self, task: Task, step: StepRecord, event: dict[str, Any]) -> None:
        """Completes the record; tries again what may pass."""
        place = self.run_folder / task.file_stem
        step_events.finish_step(step, event, place)
        may_pass = event.get("retryable") and not self.stop_signal
        if may_pass and step_events.can_retry(step, task, self.state_store, place):
            wait = task.step.backoff * 2 ** len(step.attempts)
            step_events.archive_attempt(step, place)
            self.queue.schedule_retry(task, wait)
            self._save_record()
            self._notify("attempt ended", self.record, step)
            return
        began = self.start_fingerprints[task.label]
        for one in step_events.save_step_state(
            step, task, self.state_store, self.record, place, began
        ):
            self._add_problem(one)
        self._save_record()
        self.report_writer.enqueue(step)
        self._notify("step ended", self.record, step)

    def _save_record(self) -> None:
        try:
            self.record_writer.save()
        except OSError as failed:
            self._add_write_error(f"the run's record could not be written: {failed}")

    def _add_report_error(self, error: Exception | None) -> None:
        if error:
            self._add_write_error(f"a report could not be written: {error}")

    def _add_write_error(self, message: str) -> None:
        self.has_write_errors = True
        self._add_problem(message)

    def _add_problem(self, message: str) -> None:
        if message not in self.record.problems:
            self.record.problems.append(message)

    def _handle_signals(self, signal_numbers: bytes) -> None:
        """The first signal stops the kernels politely, a second kills them."""
        for number in signal_numbers:
            if number not in stop_signals.STOP_SIGNALS:
                continue
            if self.stop_signal:
                self.worker_pool.kill_workers()
                continue
            self.stop_signal = number
            for task in self.queue.cancel_retries():
                step = self.step_records[task.label]
                step.status, step.failure = (
                    "stopped",
                    f"stopped by {stop_signals.STOP_SIGNALS[number]}",
                )
                self.report_writer.enqueue(step)
            for worker in self.busy_workers:
                worker.send(
                    {"stop": "stopped", "why": f"stopped by {stop_signals.STOP_SIGNALS[number]}"}
                )
            self._notify("stopping", self.record, None)

    def _finish_run(self) -> None:
        for step in self.record.steps:
            if step.status == "skipped":
                step.status = "not run"
            if step.status == "running":  # the runner itself has failed
                step.status, step.failure = "killed", "the runner left before its end"
        try:
            self.record_writer.close()
        except OSError as failed:
            self._add_write_error(f"the run's record could not be written: {failed}")
        self._add_report_error(self.report_writer.write_final_pages())
        self._notify("run ended", self.record, None)
