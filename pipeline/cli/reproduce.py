"""The command that makes a run again, from a checkout of the same commit."""

import json
import shlex
from typing import Any

from pipeline.definition import parameters
from pipeline.definition.steps import Step, Task
from pipeline.staleness.dependencies import to_json_value
from pipeline.staleness.state_store import StateStore

MAX_COMMAND_LENGTH = 30_000  # letters: more fit into no environment variable
OverrideTexts = dict[
    str, list[str]
]  # parameter -> its values as one would type them; several in a sweep


def reproduction_commands(
    pipeline: list[Step], tasks: list[Task], state_store: StateStore
) -> dict[str, str]:
    """Label -> the command: all values that differ from the notebooks' defaults.

    A step that is none of the tasks counts with the values it was last done with; a sweep's
    variant with its own. Empty where no environment could hold it.
    """
    known = {one.name: _step_overrides(one, tasks, state_store) for one in pipeline}
    return {
        one.label: _command_line({**known, one.step.name: _task_overrides(one)}) for one in tasks
    }


def _step_overrides(step: Step, tasks: list[Task], state_store: StateStore) -> OverrideTexts:
    variants = [_task_overrides(one) for one in tasks if one.step.name == step.name]
    if not variants:
        return _override_texts(step, state_store.load(step.name).get("parameters", {}))
    found = {
        name: [it for one in variants for it in one.get(name, [format_value(default)])]
        for name, default in _default_values(step).items()
        if any(name in one for one in variants)
    }
    return {name: list(dict.fromkeys(texts)) for name, texts in found.items()}


def _task_overrides(task: Task) -> OverrideTexts:
    return _override_texts(task.step, task.values)


def _override_texts(step: Step, values: dict[str, Any]) -> OverrideTexts:
    """Those that differ from the notebook, in its order."""
    return {
        name: [format_value(values[name])]
        for name, default in _default_values(step).items()
        if name in values and repr(to_json_value(values[name])) != repr(to_json_value(default))
    }


def _default_values(step: Step) -> dict[str, Any]:
    return {one.name: one.default for one in parameters.read(step.notebook)}


def format_value(value: Any) -> str:
    """A parameter's value as one types it behind -p; a secret stays env:NAME."""
    return json.dumps(to_json_value(value)) if isinstance(value, list) else str(value)


def _command_line(overrides_by_step: dict[str, OverrideTexts]) -> str:
    words = ["python", "run_pipeline.py"]
    for step, values in overrides_by_step.items():
        for name, texts in values.items():
            option = "--sweep" if len(texts) > 1 else "-p"
            words += [option, f"{step}.{name}={','.join(texts)}"]
    made = shlex.join(words)
    return made if len(made) <= MAX_COMMAND_LENGTH and "\0" not in made else ""
