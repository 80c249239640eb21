"""The tasks that a command line selects: steps, and the values of their parameters."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.definition import overrides, steps, tasks
from pipeline.definition.steps import Step
from pipeline.definition.tasks import Task


class Selection(NamedTuple):
    """The tasks of a command line, and the steps that run even if nothing has changed."""

    tasks: list[Task]
    forced_steps: frozenset[str]


def select_tasks(
    pipeline: list[Step],
    parameters: list[str],
    params: list[Path],
    sweep: list[str],
    first: str | None = None,
    last: str | None = None,
    only: str | None = None,
    force: str | None = None,
    jobs: int | None = None,
    on_demand_step: Step | None = None,
) -> Selection:
    """Return what the options of the same names select.

    force: empty for all steps. on_demand_step: run this one alone; without it, none on demand.
    Raises ValueError that lists all that is wrong at once.
    """
    problems: list[str] = []
    selected_steps, selected_tasks = steps.split_on_demand(pipeline)[0], []
    forced_steps: frozenset[str] = frozenset()
    if jobs is not None and jobs < 1:
        problems.append(f"--jobs is {jobs}, expected at least 1")
    with _collect_errors(problems):
        selected_steps = (
            [on_demand_step] if on_demand_step else steps.select_steps(pipeline, first, last, only)
        )
    names = [step.name for step in selected_steps]
    with _collect_errors(problems):
        forced_steps = frozenset([steps.require_step(force, names)] if force else [])
    given_overrides = overrides.load_overrides(pipeline, selected_steps, params, problems)
    given_overrides += overrides.parse_overrides(parameters, "-p", problems)
    sweeps = overrides.parse_overrides(sweep, "--sweep", problems)
    with _collect_errors(problems):
        selected_tasks = tasks.build_tasks(selected_steps, given_overrides, sweeps)
    if problems:
        raise ValueError("\n".join(dict.fromkeys(problems)))
    return Selection(selected_tasks, frozenset(names) if force == "" else forced_steps)


@contextlib.contextmanager
def _collect_errors(problems: list[str]) -> Iterator[None]:
    """Append the message of a ValueError to `problems`, so that later checks run too."""
    try:
        yield
    except ValueError as error:
        problems.append(str(error))
