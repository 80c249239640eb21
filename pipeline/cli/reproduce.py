"""Build the command that reproduces a run from a checkout of the same commit."""

import json
import shlex
from typing import Any

from pipeline.definition.parameters import read_parameters
from pipeline.definition.project import Project
from pipeline.definition.steps import Step, split_on_demand
from pipeline.definition.tasks import Task
from pipeline.staleness.dependencies import to_json_value
from pipeline.staleness.state_store import StateStore

MAX_COMMAND_LENGTH = 30_000  # characters; a longer one may not fit into an environment variable
# parameter -> its values as the user would type them; several in a sweep
OverrideTexts = dict[str, list[str]]


def reproduction_commands(
    project: Project, pipeline: list[Step], tasks: list[Task]
) -> dict[str, str]:
    """Return label -> command with all values that differ from the notebooks' defaults.

    A step without a task counts with the values of its last run, a variant of a sweep with its own.
    An on-demand step has a command of its own. The command is empty if no environment variable
    could hold it.
    """
    state_store = StateStore(project.workspace)
    on_demand_steps = [task.step for task in tasks if task.step.on_demand]
    pipeline = on_demand_steps or split_on_demand(pipeline)[0]
    overrides_by_step = {step.name: _step_overrides(step, tasks, state_store) for step in pipeline}
    return {
        task.label: _command_line(
            project,
            {**overrides_by_step, task.step.name: _override_texts(task.step, task.written_values)},
            [step for step in pipeline if step.kernel],
            [step.name for step in on_demand_steps],
        )
        for task in tasks
    }


def _step_overrides(step: Step, tasks: list[Task], state_store: StateStore) -> OverrideTexts:
    """Return the overrides of all variants of a step; of its last run if it has no task."""
    step_tasks = [task for task in tasks if task.step.name == step.name]
    variants = [_override_texts(step, task.written_values) for task in step_tasks]
    if not variants:
        state = state_store.load(step.name)
        return _override_texts(step, state.fingerprint.parameters if state else {})
    texts_by_name = {
        name: [text for variant in variants for text in variant.get(name, [format_value(default)])]
        for name, default in _default_values(step).items()
        if any(name in variant for variant in variants)
    }
    return {name: list(dict.fromkeys(texts)) for name, texts in texts_by_name.items()}


def _override_texts(step: Step, values: dict[str, Any]) -> OverrideTexts:
    """Return the values that differ from the notebook's defaults, in the notebook's order."""
    return {
        name: [format_value(values[name])]
        for name, default in _default_values(step).items()
        if name in values and repr(to_json_value(values[name])) != repr(to_json_value(default))
    }


def _default_values(step: Step) -> dict[str, Any]:
    return {parameter.name: parameter.default for parameter in read_parameters(step.notebook)}


def format_value(value: Any) -> str:
    """Format a parameter's value as one types it after -p; a secret stays env:NAME."""
    return json.dumps(to_json_value(value)) if isinstance(value, list) else str(value)


def _command_line(
    project: Project,
    overrides_by_step: dict[str, OverrideTexts],
    kernels: list[Step],
    subcommand: list[str],
) -> str:
    words = [*subcommand]
    words += [word for step in kernels for word in ("--kernel", f"{step.name}={step.kernel}")]
    for step_name, overrides in overrides_by_step.items():
        for name, texts in overrides.items():
            option = "--sweep" if len(texts) > 1 else "-p"
            words += [option, f"{step_name}.{name}={','.join(texts)}"]
    command = project.command(*map(shlex.quote, words))
    return command if len(command) <= MAX_COMMAND_LENGTH and "\0" not in command else ""
