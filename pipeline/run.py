"""A run: the tasks that must run, side by side where they may, each with its record and report."""

import contextlib
import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pipeline import fingerprint, helpers, present, record
from pipeline.helpers import Helpers, Worker
from pipeline.pages import Pages
from pipeline.parameters import Secret, literal
from pipeline.record import Keeper, RunRecord, StepRecord
from pipeline.state import States
from pipeline.steps import Task

# told of what happens: the event's name, the run, the step it is about
Listener = Callable[[str, RunRecord, StepRecord | None], None]
TICK = 0.25  # seconds
HANDOVER = {"headline": dict, "notice": str, "made": dict, "read": list, "wrote": list}
STOPS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "a closed terminal"}


class Options(NamedTuple):
    """How to run."""

    forced: frozenset[str] = frozenset()  # names of steps that run though nothing has changed
    jobs: int = 0  # kernels side by side; 0: as many as there are cores
    cold: bool = False  # start each kernel from nothing
    environment: Mapping[str, str] = MappingProxyType({})  # the kernels', if it says nothing else


class Run:
    """One run. `go` makes it."""

    def __init__(
        self, run_id: str, tasks: list[Task], home: Path, options: Options, listener: Listener
    ) -> None:
        self.tasks, self.home, self.options, self.listener = tasks, home, options, listener
        self.states = States(home)
        self.record = RunRecord(
            run_id,
            record.now(),
            [StepRecord(one.label, one.report, parameters=one.values) for one in tasks],
        )
        self.steps = {one.name: one for one in self.record.steps}
        self.folder = home / "var" / "runs" / run_id
        self.pages = Pages(home, self.record)
        self.waiting = list(tasks)
        self.later: list[tuple[float, Task]] = []  # to be tried again at that time
        self.began: dict[str, Any] = {}
        self.stopped_by: int | None = None

    def prepare(self) -> None:
        """Makes the run's folders; OSError if it cannot."""
        self.pages.prepare()
        self.folder.mkdir(parents=True)
        self.keeper = Keeper(self.record, self.folder)

    def go(self, lock: int) -> int:
        """Runs what must run; gives the exit code."""
        width = min(self.options.jobs or helpers.cores(), _width(self.tasks))
        shared = {"PIPELINE_STARTED_IN": str(Path.cwd()), **helpers.threads(width)}
        shared["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # else each kernel warns on stderr
        environment = {**self.options.environment, **os.environ, **shared}
        self._tell("run started", self.record, None)
        self.helpers = Helpers(self.record.id, self.folder / "runner.log", lock, environment)
        self.selector = selectors.DefaultSelector()
        try:
            with self._signals():
                self.helpers.worker()  # its imports take a while: meanwhile, plan
                if not self.options.cold:
                    self.helpers.start_nursery(self.tasks)
                self._loop(width)
        finally:
            self.helpers.close()
            self.selector.close()
            self._end()
        if self.stopped_by:
            return 128 + self.stopped_by
        return 0 if self.record.status == "done" and not self.record.problems else 1

    def _loop(self, width: int) -> None:
        for one in self.helpers.workers:
            self.selector.register(one.events, selectors.EVENT_READ, one)
        while True:
            self._start_what_can(width)
            self.pages.write_due(self._written)
            if not self.busy and not self.waiting and not self.later:
                return
            events = self.selector.select(TICK)
            for key, _ in events:
                if isinstance(key.data, Worker):
                    for event in key.data.read():
                        self._heard(key.data, event)
                else:
                    self._signalled(key.fileobj.recv(64))
            if not events:
                self.pages.warm_up()
            self.helpers.revive()
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
        return [one for one in self.helpers.workers if one.task]

    def _start_what_can(self, width: int) -> None:
        """Starts each task whose needs are done, in order, while there is room."""
        due = [one for when, one in self.later if when <= time.monotonic()]
        self.later = [(when, one) for when, one in self.later if one not in due]
        for task in [*due, *self.waiting]:
            if task in due and len(self.busy) >= width:
                self.later.append((0, task))
                continue
            ends = [self.steps[one].status for one in task.needs if one in self.steps]
            if self.stopped_by or any(one in (*record.ENDED_BADLY, "skipped") for one in ends):
                self._give_up(task)
            elif all(one in ("done", "up to date") for one in ends) and len(self.busy) < width:
                why = self._why(task)
                if why:
                    self._start(task, why)
                else:
                    self._reuse(task)

    def _give_up(self, task: Task) -> None:
        """It will not run: what it needs has failed."""
        if task in self.waiting:
            self.waiting.remove(task)
            self.steps[task.label].status = "skipped"

    def _why(self, task: Task) -> list[str]:
        if self.steps[task.label].attempts:
            return [f"attempt {len(self.steps[task.label].attempts) + 1}"]
        forced = ["it was forced"] if task.step.name in self.options.forced else []
        return [*forced, *self.states.reasons(task)]

    def _reuse(self, task: Task) -> None:
        """It is up to date: its record is the one of the run that made it."""
        self.waiting.remove(task)
        step = self.steps[task.label]
        made_by = self.states.load(task.label)["run"]
        with contextlib.suppress(LookupError):
            earlier = record.load(self.folder.parent / made_by)
            found = next(one for one in earlier.steps if one.name == task.label)
            step.__dict__.update({**found.__dict__, "report": step.report})
        step.status, step.reused, step.why = "up to date", made_by, []
        self.pages.due(step)
        self._tell("step ended", self.record, step)

    def _start(self, task: Task, why: list[str]) -> None:
        step = self.steps[task.label]
        try:
            if task in self.waiting:
                self.waiting.remove(task)
                fingerprint.forget()  # a module may have been edited since the run began
                self.began[task.label] = present.found(task.step, task.values)
                self.states.start(task, self.record.id)
        except (OSError, ValueError) as failed:
            step.status, step.failure = "failed", f"it could not start: {failed}"
            self._tell("step ended", self.record, step)
            return
        step.status, step.why, step.started = "running", why, record.now()
        step.cells_done, step.cell_status, step.cell_seconds = 0, [], []
        self._save()
        worker = self.helpers.worker()
        if worker.events not in {key.fileobj for key in self.selector.get_map().values()}:
            self.selector.register(worker.events, selectors.EVENT_READ, worker)
        worker.task = task
        worker.send(self._job(task))
        self._tell("step started", self.record, step)

    def _job(self, task: Task) -> dict[str, Any]:
        """What a worker needs to know."""
        place = self.folder / task.file
        for ending in ("json", "trace"):  # an earlier attempt's
            place.with_name(f"{task.file}.{ending}").unlink(missing_ok=True)
        told = {
            "PIPELINE_REPORT": f"reports/{self.record.id}/{task.report}",
            "PIPELINE_HANDOVER": f"{place}.json",
            "PIPELINE_TRACE": f"{place}.trace",
        }
        secrets = [one for one in task.values.values() if isinstance(one, Secret)]
        return {
            "notebook": str(task.step.notebook),
            "executed": f"{place}.ipynb",
            "folder": str(task.step.notebook.parent),
            "environment": {**self.helpers.environment, **told},
            "sockets": str(self.helpers.sockets),
            "time_limit": task.step.time_limit,
            "memory_limit": task.step.memory_limit,
            "secrets": [one.variable for one in secrets],
            "values": {name: literal(one) for name, one in task.values.items()},
        }

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
            _count(step, event)
            self._tell("cell", self.record, step)
            return
        task, worker.task = worker.task, None
        self._ended(task, step, event)

    def _ended(self, task: Task, step: StepRecord, event: dict[str, Any]) -> None:
        """Completes the record; tries again what may pass."""
        for name in ("status", "failure", "traceback", "output", "peak_mb"):
            setattr(step, name, event.get(name, getattr(step, name)))
        step.cell_status = event.get("cells") or [
            "killed" if one == "running" else one for one in step.cell_status
        ]
        step.seconds = round(record.since(step.started), 3)
        place = self.folder / task.file
        errors = place.with_name(f"{task.file}.stderr")
        step.stderr = _tail(errors)
        again = event.get("may_pass") and len(step.attempts) < task.step.retries
        if again and not self.stopped_by:
            self._retry(task, step, place)
            return
        try:
            if step.status == "done":
                told = self._handed_over(step, place.with_name(f"{task.file}.json"))
                trace = place.with_name(f"{task.file}.trace")
                began = {**self.began[task.label], "cell_seconds": step.cell_seconds}
                self.states.finish(task, self.record.id, trace, told, began)
            else:
                self.states.stop(task, self.record.id, step.status)
        except (OSError, ValueError) as failed:
            step.status = "failed"
            step.failure = f"its end could not be recorded: {failed}"
        self._save()
        self.pages.due(step)
        self._tell("step ended", self.record, step)

    def _retry(self, task: Task, step: StepRecord, place: Path) -> None:
        number = len(step.attempts) + 1
        kept = f"{task.file}.attempt-{number}.ipynb"
        with contextlib.suppress(OSError):
            place.with_name(f"{task.file}.ipynb").replace(place.with_name(kept))
        names = ("status", "failure", "started", "seconds", "cell_status", "output")
        attempt = {name: getattr(step, name) for name in names}
        step.attempts.append({**attempt, "notebook": kept})
        wait = task.step.backoff * 2 ** (number - 1)
        step.status, step.failure = "running", ""
        self.later.append((time.monotonic() + wait, task))
        self._save()
        self._tell("attempt ended", self.record, step)

    def _handed_over(self, step: StepRecord, path: Path) -> dict[str, Any]:
        """What the notebook said of itself, if it did."""
        if not path.exists():
            return {}
        told = json.loads(path.read_text())
        for name, kind in HANDOVER.items():
            if not isinstance(told, dict) or not isinstance(told.get(name, kind()), kind):
                raise ValueError(f"it handed over {name} as no {kind.__name__} ({path})")
        step.headline, step.notice = told.get("headline", {}), told.get("notice", "")
        return told

    def _save(self) -> None:
        try:
            self.keeper.save()
        except OSError as failed:
            self._problem(f"the run's record could not be written: {failed}")

    def _written(self, failed: OSError | None) -> None:
        if failed:
            self._problem(f"a report could not be written: {failed}")

    def _problem(self, sentence: str) -> None:
        if sentence not in self.record.problems:
            self.record.problems.append(sentence)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals become events of the loop."""
        bell, ring = socket.socketpair()
        ring.setblocking(False)
        # what is ignored stays so: nohup means it
        heeded = [one for one in STOPS if signal.getsignal(one) != signal.SIG_IGN]
        before = {one: signal.signal(one, lambda *_: None) for one in heeded}
        woken = signal.set_wakeup_fd(ring.fileno(), warn_on_full_buffer=False)
        self.selector.register(bell, selectors.EVENT_READ)
        try:
            yield
        finally:
            signal.set_wakeup_fd(woken)
            for one, handler in before.items():
                signal.signal(one, handler)
            bell.close()
            ring.close()

    def _signalled(self, numbers: bytes) -> None:
        """The first signal stops the kernels politely, a second kills them."""
        for number in numbers:
            if number not in STOPS:
                continue
            if self.stopped_by:
                self.helpers.kill()
                continue
            self.stopped_by = number
            for _, task in self.later:
                step = self.steps[task.label]
                step.status, step.failure = "stopped", f"stopped by {STOPS[number]}"
                self.pages.due(step)
            self.later = []
            for worker in self.busy:
                worker.send({"stop": "stopped", "why": f"stopped by {STOPS[number]}"})
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


def _count(step: StepRecord, event: dict[str, Any]) -> None:
    """A cell's start or end, into the record."""
    number = event["number"]
    if event["status"] == "running":
        step.cells = event["of"]
        step.heading = event["heading"]
        step.cell_status = (step.cell_status + ["not run"] * step.cells)[: step.cells]
        step.cell_seconds = (step.cell_seconds + [0.0] * step.cells)[: step.cells]
    else:
        step.cell_seconds[number] = event["seconds"]
    step.cell_status[number] = event["status"]
    step.cells_done = step.cell_status.count("ran")


def _width(tasks: list[Task]) -> int:
    """The most tasks that can ever run side by side."""
    level: dict[str, int] = {}
    for task in tasks:
        level[task.label] = 1 + max((level.get(one, 0) for one in task.needs), default=0)
    return max(list(level.values()).count(one) for one in level.values())


def _tail(path: Path, size: int = 4000) -> str:
    """The end of a text file; empty if there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read().decode(errors="replace")
