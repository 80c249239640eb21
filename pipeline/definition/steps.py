"""Define steps, assign parameter values to them and build the tasks to run."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.definition import parameters
from pipeline.runs import atomic_write


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
    ignore: tuple[str, ...] = ()  # patterns of files that are neither input nor output


class Task(NamedTuple):
    """A step with its parameter values: executed once, with one report."""

    step: Step
    label: str  # the step's name, or train[seed=1] in a sweep
    values: dict[str, Any]  # typed values of the overridden parameters
    needs: tuple[str, ...]  # labels of the tasks it waits for
    file_stem: str  # name of its files, without a suffix

    @property
    def report(self) -> str:
        """The file name of its report."""
        return f"{self.file_stem}.html"


class ParameterOverride(NamedTuple):
    """A value for a parameter, as the user wrote it."""

    name: str  # NAME or STEP.NAME
    value: Any  # a text, or a list of texts
    origin: str  # an option such as "-p", a file's path, or an environment variable's name


def resolve_dependencies(steps: list[Step]) -> list[Step]:
    """Return the steps with every `needs` filled in and every notebook path absolute.

    Raises ValueError for two steps of one name, or a step that needs one that does not precede it.
    """
    resolved_steps: list[Step] = []
    for step in steps:
        earlier_names = [earlier.name for earlier in resolved_steps]
        if step.name in earlier_names:
            raise ValueError(f"there are two steps {step.name!r}")
        needs = tuple(earlier_names[-1:]) if step.needs is None else tuple(step.needs)
        for need in needs:
            if need not in earlier_names:
                raise ValueError(f"step {step.name!r} needs {need!r}, which is not an earlier step")
        resolved_steps.append(step._replace(needs=needs, notebook=step.notebook.resolve()))
    return resolved_steps


def select_steps(
    steps: list[Step],
    from_step: str | None = None,
    until_step: str | None = None,
    only_step: str | None = None,
) -> list[Step]:
    """Return the steps from `from_step` to `until_step`, or `only_step` alone.

    Raises ValueError that lists all unknown names, or says that the selection is empty.
    """
    names = [step.name for step in steps]
    unknown_names = [
        name
        for name in (from_step, until_step, only_step)
        if name is not None and name not in names
    ]
    if unknown_names:
        raise ValueError("\n".join(_unknown_step_message(name, names) for name in unknown_names))
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
    return f"there is no step {name!r}{suggestion(name, step_names)}"


def build_tasks(
    steps: list[Step], overrides: list[ParameterOverride], sweeps: list[ParameterOverride]
) -> list[Task]:
    """Return the tasks in the order of the steps, with the variants of a swept step in a row.

    Of two overrides of one parameter the later wins, and STEP.NAME wins over NAME. Raises
    ValueError that lists all unknown names (each with the nearest known one) and invalid values.
    """
    parameters_by_step = {step.name: parameters.read(step.notebook) for step in steps}
    problems: list[str] = []
    # the sort is stable: the order of the origins remains
    ordered_overrides = sorted(overrides, key=lambda override: "." in override.name)
    texts_by_step = _texts_by_step(parameters_by_step, ordered_overrides, problems)
    sweep_values: dict[str, dict[str, list[str]]] = {step.name: {} for step in steps}
    for sweep in sweeps:
        for step_name, name in _matching_parameters(parameters_by_step, sweep, problems):
            sweep_values[step_name][name] = _split_sweep_values(sweep.value)
    tasks_by_step: dict[str, list[Task]] = {}
    stems = [step.notebook.stem for step in steps]
    for step in steps:
        step_parameters = parameters_by_step[step.name]
        step_texts = _secret_defaults(step_parameters) | texts_by_step[step.name]
        needs = _task_needs(step, tasks_by_step)
        stem = step.notebook.stem if stems.count(step.notebook.stem) == 1 else step.name
        tasks_by_step[step.name] = []
        for combination in product(*sweep_values[step.name].values()):
            variant = dict(zip(sweep_values[step.name], combination, strict=True))
            texts = step_texts | variant
            values, value_problems = (
                parameters.validate(step_parameters, texts) if texts else ({}, [])
            )
            problems += value_problems
            tasks_by_step[step.name].append(_build_task(step, variant, values, needs, stem))
    if problems:
        raise ValueError("\n".join(dict.fromkeys(problems)))
    return [task for tasks in tasks_by_step.values() for task in tasks]


def _build_task(
    step: Step, variant: dict[str, str], values: dict[str, Any], needs: tuple[str, ...], stem: str
) -> Task:
    """Return the task of one variant of a step; `variant` is empty unless the step is swept."""
    if not variant:
        return Task(step, step.name, values, needs, stem)
    settings = ",".join(f"{name}={text}" for name, text in variant.items())
    file_stem = f"{stem}-{atomic_write.slug(settings)}"
    return Task(step, f"{step.name}[{settings}]", values, needs, file_stem)


def _task_needs(step: Step, tasks_by_step: dict[str, list[Task]]) -> tuple[str, ...]:
    """Return the labels of the tasks a step waits for, then the needed steps without a task."""
    needs = step.needs or ()
    labels = [task.label for need in needs for task in tasks_by_step.get(need, [])]
    return (*labels, *(need for need in needs if need not in tasks_by_step))


def _secret_defaults(step_parameters: list[parameters.Parameter]) -> dict[str, str]:
    """Return the defaults that name a secret: the notebook itself would take them as plain text."""
    return {
        parameter.name: parameter.default
        for parameter in step_parameters
        if isinstance(parameter.default, str) and parameter.default.startswith("env:")
    }


def _texts_by_step(
    parameters_by_step: dict[str, list[parameters.Parameter]],
    overrides: list[ParameterOverride],
    problems: list[str],
) -> dict[str, dict[str, Any]]:
    texts: dict[str, dict[str, Any]] = {step_name: {} for step_name in parameters_by_step}
    for override in overrides:
        for step_name, name in _matching_parameters(parameters_by_step, override, problems):
            texts[step_name][name] = override.value
    return texts


def _matching_parameters(
    parameters_by_step: dict[str, list[parameters.Parameter]],
    override: ParameterOverride,
    problems: list[str],
) -> list[tuple[str, str]]:
    """Return (step, parameter) for each step that declares the parameter.

    Appends an error message to `problems` if there is none.
    """
    target_step, _, parameter_name = override.name.rpartition(".")
    names_by_step = {
        step_name: [parameter.name for parameter in step_parameters]
        for step_name, step_parameters in parameters_by_step.items()
    }
    matches = [
        (step_name, parameter_name)
        for step_name, names in names_by_step.items()
        if target_step in ("", step_name) and parameter_name in names
    ]
    if not matches:
        candidates = {name for names in names_by_step.values() for name in names}
        candidates |= {f"{step}.{name}" for step, names in names_by_step.items() for name in names}
        origin = "" if override.origin == "-p" else f" ({override.origin})"
        problems.append(
            f"there is no parameter {override.name!r}{origin}"
            f"{suggestion(override.name, sorted(candidates))}"
        )
    return matches


def _split_sweep_values(text: str) -> list[str]:
    """Split a text at its commas, except at those inside brackets or quotes."""
    values, depth, quote = [""], 0, ""
    for letter in text:
        quote = "" if letter == quote else quote or (letter if letter in "\"'" else "")
        depth += (letter in "[(") - (letter in "])") if not quote else 0
        if letter == "," and not depth and not quote:
            values.append("")
        else:
            values[-1] += letter
    return list(dict.fromkeys(value.strip() for value in values))


def suggestion(name: str, candidates: list[str]) -> str:
    """Return the end of a sentence that suggests the nearest candidate, or lists all of them."""
    if not candidates:
        return "; there are none"
    matches = get_close_matches(name, candidates, 1, 0.5)
    if matches:
        return f"; did you mean {matches[0]!r}?"
    return f"; expected one of {', '.join(candidates)}"
