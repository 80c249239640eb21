"""A run: starts the tasks that must run, in parallel where possible; keeps records and reports."""

import itertools
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from pipeline.definition.project import Project
from pipeline.definition.tasks import Task
from pipeline.execution import notebook_job, step_events, stop_signals, task_queue, worker_pool
from pipeline.execution.messages import ColdStart, Event, JobResult, StopRequest
from pipeline.execution.task_queue import TaskQueue
from pipeline.execution.worker_pool import Worker, WorkerPool
from pipeline.kernels.cold_starts import ColdStarts
from pipeline.report.live import ReportWriter
from pipeline.runs import git, records
from pipeline.runs.events import Listener, RunEvent
from pipeline.runs.os_errors import describe_error
from pipeline.runs.records import RunRecord, RunRecordWriter, StepRecord
from pipeline.runs.status import StepStatus
from pipeline.staleness import dependencies, plan
from pipeline.staleness.plan import PlannedTask
from pipeline.staleness.recording import OtherTasks
from pipeline.staleness.state_store import StateStore

TICK_SECONDS = 0.25  # the longest wait for an event


class RunOptions(NamedTuple):
    """How to run."""

    forced_steps: Collection[str]  # names of steps that run in any case
    step_names: tuple[str, ...]  # of the whole pipeline, in order
    max_workers: int  # kernels in parallel; 0: as many as there are cores
    cold_start: bool  # start each kernel as a new process, without the fork server
    environment: Mapping[str, str]  # of the kernels
    single_file: bool  # pages that contain their style and script
    reproduction_commands: Mapping[str, str]  # task label -> command line


class Scheduler:
    """One run that follows a plan. Call `create_folders`, then `run`.

    state_store: read under the run lock, as the plan was made from it.
    """

    def __init__(
        self,
        run_id: str,
        planned_tasks: list[PlannedTask],
        project: Project,
        state_store: StateStore,
        options: RunOptions,
        listener: Listener,
    ) -> None:
        self.tasks = tasks = [planned.task for planned in planned_tasks]
        self.plan = {planned.task.label: planned for planned in planned_tasks}
        self.options, self.listener = options, listener
        self.workspace, self.state_store = project.workspace, state_store
        self.record = RunRecord(
            run_id,
            records.utc_now(),
            [StepRecord(task.label, task.report, parameters=task.written_values) for task in tasks],
            invocation=project.invocation,
            on_demand_step=next((task.step.name for task in tasks if task.step.on_demand), ""),
        )
        self.step_records = {step.name: step for step in self.record.steps}
        self.run_folder = self.workspace.run_folder(run_id)
        self.report_writer = ReportWriter(project, self.record, options.single_file)
        self.queue = TaskQueue(tasks, self.step_records)
        self.cold_starts = ColdStarts(self.workspace)
        self.ended_labels: list[str] = []  # of the tasks that have run, in the order of their ends
        self.n_ended_before: dict[str, int] = {}  # label -> how many had ended when it started
        self.stop_signal: int | None = None

    def create_folders(self) -> None:
        """Create the run's folders. Raises OSError if that fails."""
        self.report_writer.create_report_dir()
        self.run_folder.mkdir(parents=True)
        self.record_writer = RunRecordWriter(self.record, self.run_folder)

    def run(self, lock_descriptor: int) -> int:
        """Run every task that must run; return the exit code.

        lock_descriptor: of the run lock, which the watchdog holds too.
        """
        max_workers = min(
            self.options.max_workers or worker_pool.available_cores(),
            task_queue.max_parallel_tasks(self.tasks),
        )
        self._notify(RunEvent.RUN_STARTED)
        self.worker_pool = WorkerPool(
            self.record.id,
            self.workspace.runner_log(self.record.id),
            lock_descriptor,
            {**self.options.environment, **worker_pool.thread_limits(max_workers)},
        )
        try:
            with stop_signals.receive_signals() as signal_receiver:
                self.worker_pool.idle_worker()  # its imports take a while: meanwhile, plan
                if not self.options.cold_start:
                    self.worker_pool.start_fork_server(self.tasks)
                self._write_initial_record()
                self._run_event_loop(max_workers, signal_receiver)
        finally:
            self.worker_pool.close()
            self._finish_run()
        if self.stop_signal:
            return 128 + self.stop_signal
        return 0 if self.record.status is StepStatus.DONE and not self.record.problems else 1

    def _write_initial_record(self) -> None:
        """Record the notebooks' commit, and write pages to look at from the first second."""
        notebook_folder = self.tasks[0].step.notebook.parent
        self.record.commit, self.record.commit_link = git.commit_and_url(
            notebook_folder, self._source_files()
        )
        refusal = "" if self.record.commit else git.explain_refusal(notebook_folder)
        self.record.notes += [refusal] if refusal else []
        self._write_record(self.record_writer.save)
        self._add_problem("a report", self.report_writer.write_initial_pages())

    def _source_files(self) -> list[Path]:
        """Return the notebooks of the run, and our modules that they import."""
        modules = [path for planned in self.plan.values() for path in planned.fingerprint.modules]
        notebooks = [task.step.notebook for task in self.tasks]
        return [*dict.fromkeys([*notebooks, *map(Path, modules)])]

    def _run_event_loop(self, max_workers: int, signal_receiver: Connection) -> None:
        while True:
            # before tasks are started: recording a step's end may have taken a while
            while signal_receiver.poll():
                self._handle_signal(signal_receiver.recv())
            self._start_ready_tasks(max_workers)
            self._add_problem("a report", self.report_writer.write_next())
            if not self.busy_workers and not self.queue:
                return
            workers = self.worker_pool.connected_workers()
            connections = [signal_receiver, *(worker.connection for worker in workers)]
            if not connection.wait(connections, TICK_SECONDS):
                self.report_writer.preload()
            for worker in workers:
                for event in worker.read_events():
                    self._handle_event(worker, event)
            self.worker_pool.ensure_watchdog()
            self._notify(RunEvent.TICK)

    def _notify(self, event: RunEvent, step: StepRecord | None = None) -> None:
        """Call the listener."""
        self.listener(event, self.record, step)

    @property
    def busy_workers(self) -> list[Worker]:
        """The workers that have a task."""
        return [worker for worker in self.worker_pool.workers if worker.task]

    def _start_ready_tasks(self, max_workers: int) -> None:
        for task in self.queue.take_ready(
            lambda: len(self.busy_workers) < max_workers, bool(self.stop_signal)
        ):
            step = self.step_records[task.label]
            try:
                reasons = self._reasons_to_run(task, step)
                if reasons and not step.attempts:
                    self._save_start(task)
            except (OSError, ValueError) as error:
                step.status = StepStatus.FAILED
                step.failure = f"it could not start: {describe_error(error)}"
                self._end_step(step)
                continue
            if reasons:
                self._start_task(task, step, reasons)
            else:
                plan.refresh_state(self.plan[task.label], self.state_store)
                last_run_folder = self.workspace.run_folder(self.plan[task.label].last_run)
                step_events.copy_reused_record(step, last_run_folder, self.record)
                self._end_step(step)

    def _reasons_to_run(self, task: Task, step: StepRecord) -> list[str]:
        """Return why the task must run; empty if it is up to date."""
        if step.attempts:
            return [f"attempt {len(step.attempts) + 1}"]
        if self.n_ended_before:  # a task that has started may change what the others depend on
            self.plan[task.label] = plan.plan_task(
                task, self.state_store, self.options.forced_steps
            )
        return [str(reason) for reason in self.plan[task.label].reasons]

    def _save_start(self, task: Task) -> None:
        """Save that the task runs, and complete the fingerprint of what it depends on."""
        planned = self.plan[task.label]
        packages = dependencies.environment_versions(task.step.notebook)
        fingerprint = replace(planned.fingerprint, packages=packages)
        self.plan[task.label] = planned._replace(fingerprint=fingerprint)
        self.state_store.mark_unfinished(task, self.record.id, StepStatus.RUNNING)

    def _end_step(self, step: StepRecord) -> None:
        """Have the page of a step written whose record is complete, and notify the listener."""
        self.report_writer.enqueue(step)
        self._notify(RunEvent.STEP_ENDED, step)

    def _start_task(self, task: Task, step: StepRecord, reasons: list[str]) -> None:
        """Record that the task starts, and send it to a worker."""
        self.n_ended_before[task.label] = len(self.ended_labels)
        step.status, step.started = StepStatus.RUNNING, records.utc_now()
        step.why = step.why or reasons  # of another attempt they are those of the first
        step.cells_done, step.cell_status, step.cell_seconds = 0, [], []
        if not self.options.cold_start:
            step.cold_start = self.cold_starts.find_reason(task, self.plan[task.label].fingerprint)
        self._write_record(self.record_writer.save)
        worker = self.worker_pool.idle_worker()
        worker.task = task
        job_request = notebook_job.build_job_request(
            task,
            self.workspace,
            self.worker_pool,
            self.options.reproduction_commands[task.label],
            self.plan[task.label].fingerprint.code,
            step.cold_start,
        )
        worker.send(job_request)
        self._notify(RunEvent.STEP_STARTED, step)

    def _handle_event(self, worker: Worker, event: Event) -> None:
        if worker.task is None:
            return
        step = self.step_records[worker.task.label]
        if isinstance(event, JobResult):
            task, worker.task = worker.task, None
            self._finish_task(task, step, event)
        elif isinstance(event, ColdStart):
            step_events.record_cold_start(step, event.reason)
            fingerprint = self.plan[worker.task.label].fingerprint
            self.cold_starts.remember(worker.task, fingerprint, event.reason)
            self._notify(RunEvent.COLD_START, step)
        else:
            step_events.record_cell(step, event)
            self._notify(RunEvent.CELL, step)

    def _finish_task(self, task: Task, step: StepRecord, result: JobResult) -> None:
        """Complete the record, or schedule another attempt if that may succeed."""
        files = self.workspace.task_files(self.record.id, task.file_stem)
        step_events.finish_step(step, result, files)
        step_events.save_step_state(
            step,
            task,
            self.state_store,
            self.record,
            files,
            self.plan[task.label].fingerprint,
            self._other_tasks(task),
        )
        has_failed_alone = result.retryable and step.status is result.status
        if has_failed_alone and not self.stop_signal and len(step.attempts) < task.step.retries:
            delay_seconds = task.step.backoff * 2 ** len(step.attempts)
            step_events.archive_attempt(step, files)
            self.queue.schedule_retry(task, delay_seconds)
            self._write_record(self.record_writer.save)
            self._notify(RunEvent.ATTEMPT_ENDED, step)
            return
        self.ended_labels.append(task.label)
        self._write_record(self.record_writer.save)
        self._end_step(step)

    def _other_tasks(self, task: Task) -> OtherTasks:
        """Return the tasks whose files this one must not change.

        They are those of this run that are done, and the earlier steps that have no task in it. A
        task that is still to be run is compared with this one when it has run.
        """
        selected_names = {other.step.name for other in self.tasks}
        earlier_names = itertools.takewhile(task.step.name.__ne__, self.options.step_names)
        labels = [label for label, step in self.step_records.items() if step.status.is_success]
        labels += [name for name in earlier_names if name not in selected_names]
        return OtherTasks(
            tuple(label for label in labels if label != task.label),
            frozenset(self.ended_labels[self.n_ended_before[task.label] :]),
        )

    def _write_record(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            self._add_problem("the run's record", error)

    def _add_problem(self, what: str, error: Exception | None) -> None:
        """Record what could not be written, which is no reason to stop the run."""
        message = f"{what} could not be written: {describe_error(error)}" if error else ""
        if message and message not in self.record.problems:
            self.record.problems.append(message)

    def _handle_signal(self, number: int) -> None:
        """Interrupt the kernels at the first stop signal, kill them at the second."""
        if self.stop_signal:
            self.worker_pool.kill_workers()
            return
        self.stop_signal = number
        failure = f"stopped by {stop_signals.STOP_SIGNALS[number]}"
        for task in self.queue.cancel_retries():
            step = self.step_records[task.label]
            step.status, step.failure = StepStatus.STOPPED, failure
            self.report_writer.enqueue(step)
        for worker in self.busy_workers:
            worker.send(StopRequest(StepStatus.STOPPED, failure))
        self._notify(RunEvent.STOPPING)

    def _finish_run(self) -> None:
        """Complete the run's record and write its final pages, however the run ended."""
        for step in self.record.steps:
            if step.status is StepStatus.SKIPPED:
                step.status = StepStatus.NOT_RUN
            if step.status is StepStatus.RUNNING:  # an error in the runner itself
                step.status = StepStatus.KILLED
                step.failure = "the runner ended before the step did"
        self._write_record(self.record_writer.close)
        self._add_problem("a report", self.report_writer.write_final_pages())
        self._notify(RunEvent.RUN_ENDED)
