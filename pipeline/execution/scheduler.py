"""A run: the tasks that must run, side by side where they may, each with its record and report."""

import selectors
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pipeline.definition.steps import Task
from pipeline.execution import messages, step_events, stop_signals, task_queue, worker_pool
from pipeline.execution.task_queue import Queue
from pipeline.execution.worker_pool import Processes, Worker
from pipeline.report.live import Keeps, Pages, nothing
from pipeline.runs import git, records
from pipeline.runs.records import Keeper, RunRecord, StepRecord
from pipeline.staleness import dependencies, fingerprint
from pipeline.staleness.state_store import States

# told of what happens: the event's name, the run, the step it is about
Listener = Callable[[str, RunRecord, StepRecord | None], None]
TICK = 0.25  # seconds


class Options(NamedTuple):
    """How to run."""

    forced: Mapping[str, str] = MappingProxyType({})  # label -> why it runs in any case
    jobs: int = 0  # kernels side by side; 0: as many as there are cores
    cold: bool = False  # start each kernel from nothing
    environment: Mapping[str, str] = MappingProxyType({})  # of the kernels
    keeps: Keeps = nothing  # run -> why it matters
    single_file: bool = False  # pages that stand alone
    commands: Mapping[str, str] = MappingProxyType({})  # label -> what makes it again


class Run:
    """One run. `go` makes it."""

    def __init__(
        self, run_id: str, tasks: list[Task], home: Path, options: Options, listener: Listener
    ) -> None:
        self.tasks, self.home, self.options, self.listener = tasks, home, options, listener
        self.states = States(home)
        self.record = RunRecord(
            run_id,
            records.now(),
            [StepRecord(one.label, one.report, parameters=one.values) for one in tasks],
        )
        self.steps = {one.name: one for one in self.record.steps}
        self.folder = home / "var" / "runs" / run_id
        self.pages = Pages(home, self.record, options.keeps, options.single_file)
        self.queue = Queue(tasks, self.steps)
        self.began: dict[str, Any] = {}
        self.stopped_by: int | None = None
        self.is_flawed = False  # something could not be written

    def prepare(self) -> None:
        """Makes the run's folders; OSError if it cannot."""
        self.pages.prepare()
        self.folder.mkdir(parents=True)
        self.keeper = Keeper(self.record, self.folder)

    def go(self, lock: int) -> int:
        """Runs what must run; gives the exit code."""
        width = min(self.options.jobs or worker_pool.cores(), task_queue.width(self.tasks))
        shared = {"PIPELINE_STARTED_IN": str(Path.cwd()), **worker_pool.threads(width)}
        shared["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # else each kernel warns on stderr
        environment = {**self.options.environment, **shared}
        self._tell("run started", self.record, None)
        self.processes = Processes(self.record.id, self.folder / "runner.log", lock, environment)
        self.selector = selectors.DefaultSelector()
        try:
            with stop_signals.bell() as self.bell:
                self.selector.register(self.bell, selectors.EVENT_READ)
                self.processes.worker()  # its imports take a while: meanwhile, plan
                if not self.options.cold:
                    self.processes.start_nursery(self.tasks)
                self._tell_of_itself()
                self._loop(width)
        finally:
            self.processes.close()
            self.selector.close()
            self._end()
        if self.stopped_by:
            return 128 + self.stopped_by
        return 0 if self.record.status == "done" and not self.is_flawed else 1

    def _tell_of_itself(self) -> None:
        """Where its code comes from, and pages to look at from the first second."""
        folder = self.tasks[0].step.notebook.parent
        self.record.commit, self.record.commit_link = git.commit(folder)
        self._save()
        self._written(self.pages.begin())

    def _loop(self, width: int) -> None:
        for one in self.processes.workers:
            self.selector.register(one.events, selectors.EVENT_READ, one)
        while True:
            self._signalled(stop_signals.rung(self.bell))  # a step's end may have taken a while
            self._start_what_can(width)
            self._written(self.pages.write_due())
            if not self.busy and not self.queue:
                return
            events = self.selector.select(TICK)
            for key, _ in events:
                for event in key.data.read() if key.data else []:  # the bell has no data
                    self._heard(key.data, event)
            if not events:
                self.pages.warm_up()
            self.processes.revive()
            self._tell("tick", self.record, None)

    def _tell(self, event: str, run: RunRecord, step: StepRecord | None) -> None:
        """A terminal or a pipe that has gone is no reason to stop."""
        try:
            self.listener(event, run, step)
        except OSError:
            self.listener = lambda *_: None

    @property
    def busy(self) -> list[Worker]:
        """The workers that have a task."""
        return [one for one in self.processes.workers if one.task]

    def _start_what_can(self, width: int) -> None:
        for task in self.queue.ready(lambda: len(self.busy) < width, bool(self.stopped_by)):
            why = self._why(task)
            if why:
                self._start(task, why)
            else:
                self._reuse(task)

    def _why(self, task: Task) -> list[str]:
        if self.steps[task.label].attempts:
            return [f"attempt {len(self.steps[task.label].attempts) + 1}"]
        forced = [it for one, it in self.options.forced.items() if one == task.label]
        return [*forced, *self.states.reasons(task)]

    def _reuse(self, task: Task) -> None:
        """It is up to date: another run's results are this one's."""
        step = self.steps[task.label]
        step_events.reuse(
            step, self.folder.parent / self.states.load(task.label)["run"], self.record
        )
        self.pages.due(step)
        self._tell("step ended", self.record, step)

    def _start(self, task: Task, why: list[str]) -> None:
        step = self.steps[task.label]
        try:
            if not step.attempts:
                fingerprint.forget()  # a module may have been edited since the run began
                self.began[task.label] = dependencies.found(task.step, task.values)
                self.states.start(task, self.record.id)
        except (OSError, ValueError) as failed:
            step.status, step.failure = "failed", f"it could not start: {failed}"
            self._tell("step ended", self.record, step)
            return
        step.status, step.why, step.started = "running", why, records.now()
        step.cells_done, step.cell_status, step.cell_seconds = 0, [], []
        self._save()
        worker = self.processes.worker()
        if worker.events not in {key.fileobj for key in self.selector.get_map().values()}:
            self.selector.register(worker.events, selectors.EVENT_READ, worker)
        worker.task = task
        command, code = self.options.commands.get(task.label, ""), self.began[task.label]["code"]
        worker.send(messages.told(task, self.folder / task.file, self.processes, command, code))
        self._tell("step started", self.record, step)

    def _heard(self, worker: Worker, event: dict[str, Any]) -> None:
        if not event:  # the process has gone
            self.selector.unregister(worker.events)
            if worker.task is None:
                return
            event = {
                "event": "end", "status": "killed", "failure": "the process that ran it was killed",
                "may_pass": True,
            }  # fmt: skip
        if worker.task is None:
            return
        step = self.steps[worker.task.label]
        if event["event"] == "cell":
            step_events.count(step, event)
            self._tell("cell", self.record, step)
            return
        task, worker.task = worker.task, None
        self._ended(task, step, event)

    def _ended(self, task: Task, step: StepRecord, event: dict[str, Any]) -> None:
        """Completes the record; tries again what may pass."""
        place = self.folder / task.file
        step_events.end(step, event, place)
        may_pass = event.get("may_pass") and not self.stopped_by
        if may_pass and step_events.can_try_again(step, task, self.states, place):
            wait = task.step.backoff * 2 ** len(step.attempts)
            step_events.put_aside(step, place)
            self.queue.put_off(task, wait)
            self._save()
            self._tell("attempt ended", self.record, step)
            return
        began = self.began[task.label]
        for one in step_events.remember(step, task, self.states, self.record, place, began):
            self._note(one)
        self._save()
        self.pages.due(step)
        self._tell("step ended", self.record, step)

    def _save(self) -> None:
        try:
            self.keeper.save()
        except OSError as failed:
            self._problem(f"the run's record could not be written: {failed}")

    def _written(self, failed: Exception | None) -> None:
        if failed:
            self._problem(f"a report could not be written: {failed}")

    def _problem(self, sentence: str) -> None:
        self.is_flawed = True
        self._note(sentence)

    def _note(self, sentence: str) -> None:
        if sentence not in self.record.problems:
            self.record.problems.append(sentence)

    def _signalled(self, numbers: bytes) -> None:
        """The first signal stops the kernels politely, a second kills them."""
        for number in numbers:
            if number not in stop_signals.STOPS:
                continue
            if self.stopped_by:
                self.processes.kill()
                continue
            self.stopped_by = number
            for task in self.queue.clear_later():
                step = self.steps[task.label]
                step.status, step.failure = "stopped", f"stopped by {stop_signals.STOPS[number]}"
                self.pages.due(step)
            for worker in self.busy:
                worker.send({"stop": "stopped", "why": f"stopped by {stop_signals.STOPS[number]}"})
            self._tell("stopping", self.record, None)

    def _end(self) -> None:
        for step in self.record.steps:
            if step.status == "skipped":
                step.status = "not run"
            if step.status == "running":  # the runner itself has failed
                step.status, step.failure = "killed", "the runner left before its end"
        try:
            self.keeper.close()
        except OSError as failed:
            self._problem(f"the run's record could not be written: {failed}")
        self._written(self.pages.finish())
        self._tell("run ended", self.record, None)
