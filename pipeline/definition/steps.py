"""The steps of a pipeline: what each is, in which order they run, and which are selected."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.runs.status import StepStatus


class StepResult(NamedTuple):
    """How a step of a run has ended; `Step.on_finish` is called with it."""

    step: str  # its name
    run_id: str
    status: StepStatus
    report: Path  # the HTML file
    verdict: str  # empty if the step failed, or has none
    headline: Mapping[str, str]  # the results that it published, as texts
    failure: str  # one sentence; empty if it succeeded


class FollowUp(NamedTuple):
    """A run of the pipeline after an on-demand step, if the user asks for it by an option.

    The option takes a verdict; the run is started if the step's is as bad, or worse.
    """

    option: str  # such as "--retrain-on"
    parameters: Mapping[str, str]  # of the run: [STEP.]NAME -> its value, as typed after -p
    help: str


class Step(NamedTuple):
    """One notebook of the pipeline."""

    name: str
    notebook: Path
    needs: tuple[str, ...] | None = None  # steps that must finish first; None: the one before it
    time_limit: float | None = None  # seconds
    memory_limit: float | None = None  # GB, for the kernel and its child processes together
    retries: int = 0  # after a dead kernel or a timeout, which may be transient
    backoff: float = 5.0  # seconds before the first retry, doubled for each later one
    external_state: Callable[[], Mapping[str, str]] | None = None  # dependencies that are no files
    # the state of data that is in no file of its own, such as rows of a database; gets the step's
    # parameters, name -> value. What it returns before the step runs is what the step has read
    source_state: Callable[[Mapping[str, Any]], Mapping[str, str]] | None = None
    # patterns of files that are neither input nor output; a folder's name stands for all in it.
    # An imported module counts in any case
    ignore: tuple[str, ...] = ()
    kernel: str = ""  # in place of the kernel that the notebook names
    # no part of the pipeline: run by a command of its name, whether or not something has changed
    on_demand: bool = False
    verdicts: tuple[str, ...] = ()  # of which the notebook publishes one, from good to bad
    # called when the step has been run, with or without success, and its report is written
    on_finish: Callable[[StepResult], object] | None = None
    follow_up: FollowUp | None = None  # of an on-demand step with verdicts


def resolve_dependencies(steps: list[Step]) -> list[Step]:
    """Return the steps with every `needs` filled in and every notebook path absolute.

    Each stands after those that it needs, and otherwise where it stood. On-demand steps come last
    and need nothing. Raises ValueError for two steps of one name, a step that needs an unknown one
    or one that is run on demand, or steps that need each other.
    """
    names = [step.name for step in steps]
    pipeline, on_demand_steps = split_on_demand(steps)
    pipeline_names = [step.name for step in pipeline]
    resolved_steps = {
        step.name: step._replace(
            needs=tuple(pipeline_names[:index][-1:] if step.needs is None else step.needs),
            notebook=_resolve_notebook(step.notebook),
        )
        for index, step in enumerate(pipeline)
    }
    for step in on_demand_steps:
        if step.needs:
            raise ValueError(f"step {step.name!r} is run on demand, so it cannot need another step")
        notebook = _resolve_notebook(step.notebook)
        resolved_steps[step.name] = step._replace(needs=(), notebook=notebook)
    graph = {name: step.needs or () for name, step in resolved_steps.items()}
    duplicates = [name for name in names if names.count(name) > 1]
    if duplicates:
        raise ValueError(f"there are two steps {duplicates[0]!r}")
    for name, need in ((name, need) for name, needs in graph.items() for need in needs):
        if need not in names:
            raise ValueError(
                f"step {name!r} needs {need!r}, which is no step{suggest_name(need, names)}"
            )
        if need not in pipeline_names:
            raise ValueError(f"step {name!r} needs {need!r}, which is run on demand")
    return [resolved_steps[name] for name in _sort_topologically(graph)]


def split_on_demand(steps: Iterable[Step]) -> tuple[list[Step], list[Step]]:
    """Return the steps of the pipeline, and those that are run on demand."""
    steps = list(steps)
    pipeline = [step for step in steps if not step.on_demand]
    return pipeline, [step for step in steps if step.on_demand]


def _resolve_notebook(notebook: Path) -> Path:
    """Return the absolute path; a link that leads nowhere stays, as its error names both ends."""
    try:
        return notebook.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: a loop of links, before Python 3.13
        return notebook.absolute()


def _sort_topologically(graph: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Yield each name after those that it needs, the first of the graph first where possible."""
    names, ready_names = list(graph), set[str]()
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        cycle = " needs ".join(map(repr, reversed(error.args[1])))
        raise ValueError(f"no step can run first: {cycle}") from None
    while sorter.is_active():
        ready_names.update(sorter.get_ready())
        name = min(ready_names, key=names.index)
        ready_names.remove(name)
        sorter.done(name)
        yield name


def select_steps(
    steps: list[Step],
    from_step: str | None = None,
    until_step: str | None = None,
    only_step: str | None = None,
) -> list[Step]:
    """Return the steps from `from_step` to `until_step`, or `only_step` alone; none on demand.

    Raises ValueError that lists all unknown names, or says that the selection is empty.
    """
    steps, on_demand_steps = split_on_demand(steps)
    names = [step.name for step in steps]
    unknown_names = [
        name
        for name in (from_step, until_step, only_step)
        if name is not None and name not in names
    ]
    if unknown_names:
        on_demand_names = [step.name for step in on_demand_steps]
        messages = [
            f"{name} is run on demand, by a command of its own: {name} [-p NAME=VALUE]"
            if name in on_demand_names
            else _unknown_step_message(name, names)
            for name in unknown_names
        ]
        raise ValueError("\n".join(messages))
    first_step, last_step = only_step or from_step, only_step or until_step
    start = names.index(first_step) if first_step else 0
    stop = names.index(last_step) if last_step else len(names) - 1
    if start > stop:
        raise ValueError(f"step {from_step!r} comes after step {until_step!r}: nothing to run")
    return steps[start : stop + 1]


def require_step(name: str, step_names: Iterable[str]) -> str:
    """Return the name if a step has it. Raises ValueError that suggests the nearest name."""
    if name not in step_names:
        raise ValueError(_unknown_step_message(name, list(step_names)))
    return name


def _unknown_step_message(name: str, step_names: list[str]) -> str:
    return f"there is no step {name!r}{suggest_name(name, step_names)}"


def suggest_name(name: str, candidates: list[str]) -> str:
    """Return the end of a sentence that suggests the nearest candidate, or lists all of them."""
    if not candidates:
        return "; there are none"
    matches = get_close_matches(name, candidates, 1, 0.5)
    if matches:
        return f"; did you mean {matches[0]!r}?"
    return f"; expected one of {', '.join(candidates)}"
