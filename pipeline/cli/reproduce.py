"""The command that makes a run again, from a checkout of the same commit."""

import json
import shlex
from typing import Any

from pipeline.definition import parameters
from pipeline.definition.steps import Step, Task
from pipeline.staleness.dependencies import plain
from pipeline.staleness.state_store import States

LONGEST = 30_000  # letters: more fit into no environment variable
Values = dict[str, list[str]]  # parameter -> its values as one would type them; several in a sweep


def commands(pipeline: list[Step], tasks: list[Task], states: States) -> dict[str, str]:
    """Label -> the command: all values that differ from the notebooks' defaults.

    A step that is none of the tasks counts with the values it was last done with; a sweep's
    variant with its own. Empty where no environment could hold it.
    """
    known = {one.name: _known(one, tasks, states) for one in pipeline}
    return {one.label: _command({**known, one.step.name: _own(one)}) for one in tasks}


def _known(step: Step, tasks: list[Task], states: States) -> Values:
    variants = [_own(one) for one in tasks if one.step.name == step.name]
    if not variants:
        return _told(step, states.load(step.name).get("parameters", {}))
    found = {
        name: [it for one in variants for it in one.get(name, [text(default)])]
        for name, default in _defaults(step).items()
        if any(name in one for one in variants)
    }
    return {name: list(dict.fromkeys(texts)) for name, texts in found.items()}


def _own(task: Task) -> Values:
    return _told(task.step, task.values)


def _told(step: Step, values: dict[str, Any]) -> Values:
    """Those that differ from the notebook, in its order."""
    return {
        name: [text(values[name])]
        for name, default in _defaults(step).items()
        if name in values and repr(plain(values[name])) != repr(plain(default))
    }


def _defaults(step: Step) -> dict[str, Any]:
    return {one.name: one.default for one in parameters.read(step.notebook)}


def text(value: Any) -> str:
    """A parameter's value as one types it behind -p; a secret stays env:NAME."""
    return json.dumps(plain(value)) if isinstance(value, list) else str(value)


def _command(known: dict[str, Values]) -> str:
    words = ["python", "run_pipeline.py"]
    for step, values in known.items():
        for name, texts in values.items():
            option = "--sweep" if len(texts) > 1 else "-p"
            words += [option, f"{step}.{name}={','.join(texts)}"]
    made = shlex.join(words)
    return made if len(made) <= LONGEST and "\0" not in made else ""
