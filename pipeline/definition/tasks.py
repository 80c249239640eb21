"""Build the tasks to run: each step with its parameter values, once for each variant of a sweep."""

from itertools import product
from typing import Any, NamedTuple

from pipeline.definition import notebook_file, parameters
from pipeline.definition.parameters import Secret, is_reference, read_parameters
from pipeline.definition.steps import Step, suggest_name
from pipeline.runs.digests import slug


class Task(NamedTuple):
    """A step with its parameter values: executed once, with one report."""

    step: Step
    label: str  # the step's name, or train[seed=1] in a sweep
    values: dict[str, Any]  # typed values of the overridden parameters
    needs: tuple[str, ...]  # labels of the tasks it waits for
    file_stem: str  # name of its files, without a suffix

    @property
    def secret_variables(self) -> list[str]:
        """The environment variables whose values are its secrets."""
        secrets = [value for value in self.values.values() if isinstance(value, Secret)]
        return sorted({secret.variable for secret in secrets})

    @property
    def written_values(self) -> dict[str, Any]:
        """The values, with a text that looks like a secret as one writes it."""
        return {name: parameters.escape_reference(value) for name, value in self.values.items()}

    @property
    def report(self) -> str:
        """The file name of its report."""
        return f"{self.file_stem}.html"


class ParameterOverride(NamedTuple):
    """A value for a parameter, as the user wrote it."""

    name: str  # NAME or STEP.NAME
    value: Any  # a text, or a list of texts
    origin: str  # an option such as "-p", a file's path, or an environment variable's name


def build_tasks(
    steps: list[Step], overrides: list[ParameterOverride], sweeps: list[ParameterOverride]
) -> list[Task]:
    """Return the tasks in the order of the steps, with the variants of a swept step in a row.

    Of two overrides of one parameter the later wins, and STEP.NAME wins over NAME. Raises
    ValueError that lists all unknown names (each with the nearest known one) and invalid values.
    """
    parameters_by_step = {step.name: read_parameters(step.notebook) for step in steps}
    for name in (override.name for override in (*overrides, *sweeps)):
        _declare_unknown_parameter(name, steps, parameters_by_step)
    problems: list[str] = []
    # the sort is stable: the order of the origins remains
    ordered_overrides = sorted(overrides, key=lambda override: "." in override.name)
    texts_by_step = _texts_by_step(parameters_by_step, ordered_overrides, problems)
    sweeps_by_step = _texts_by_step(parameters_by_step, sweeps, problems)
    tasks_by_step: dict[str, list[Task]] = {}
    step_names = [step.name for step in steps]
    stems = [step.notebook.stem for step in steps]
    for step in steps:
        step_parameters = parameters_by_step[step.name]
        step_texts = _secret_defaults(step_parameters) | texts_by_step[step.name]
        needs = _task_needs(step, tasks_by_step)
        stem = step.notebook.stem if stems.count(step.notebook.stem) == 1 else step.name
        tasks_by_step[step.name] = []
        swept_texts = sweeps_by_step[step.name]
        for combination in product(*map(_split_sweep_values, swept_texts.values())):
            variant = dict(zip(swept_texts, combination, strict=True))
            texts = step_texts | variant
            values, value_problems = (
                parameters.validate(step_parameters, texts, step_names) if texts else ({}, [])
            )
            problems += value_problems
            tasks_by_step[step.name].append(_build_task(step, variant, values, needs, stem))
    if problems:
        raise ValueError("\n".join(dict.fromkeys(problems)))
    return [task for tasks in tasks_by_step.values() for task in tasks]


def _declare_unknown_parameter(
    name: str, steps: list[Step], parameters_by_step: dict[str, list[parameters.Parameter]]
) -> None:
    """Declare STEP.NAME of a step that is not in Python, whose parameters only papermill knows."""
    step_name, _, parameter_name = name.rpartition(".")
    for step in steps:
        if step.name == step_name and not notebook_file.is_python(step.notebook):
            unknown = parameters.Parameter(parameter_name, "Any", parameters.Expression("?"), "")
            if unknown not in parameters_by_step[step_name]:
                parameters_by_step[step_name].append(unknown)


def _build_task(
    step: Step, variant: dict[str, str], values: dict[str, Any], needs: tuple[str, ...], stem: str
) -> Task:
    """Return the task of one variant of a step; `variant` is empty unless the step is swept."""
    if not variant:
        return Task(step, step.name, values, needs, stem)
    settings = ",".join(f"{name}={text}" for name, text in variant.items())
    file_stem = f"{stem}-{slug(settings)}"
    return Task(step, f"{step.name}[{settings}]", values, needs, file_stem)


def _task_needs(step: Step, tasks_by_step: dict[str, list[Task]]) -> tuple[str, ...]:
    """Return the labels of the tasks a step waits for, then the needed steps without a task."""
    needs = step.needs or ()
    labels = [task.label for need in needs for task in tasks_by_step.get(need, [])]
    return (*labels, *(need for need in needs if need not in tasks_by_step))


def _secret_defaults(step_parameters: list[parameters.Parameter]) -> dict[str, str]:
    """Return the defaults that name a secret, or a text that looks so.

    The notebook itself would take them as they stand.
    """
    return {
        parameter.name: parameter.default
        for parameter in step_parameters
        if is_reference(parameter.default)
    }


def _texts_by_step(
    parameters_by_step: dict[str, list[parameters.Parameter]],
    overrides: list[ParameterOverride],
    problems: list[str],
) -> dict[str, dict[str, Any]]:
    """Return step -> parameter -> text, for each step that declares an overridden parameter.

    Appends an error message to `problems` for each override whose parameter no step declares.
    """
    names_by_step = {
        step_name: [parameter.name for parameter in step_parameters]
        for step_name, step_parameters in parameters_by_step.items()
    }
    texts: dict[str, dict[str, Any]] = {step_name: {} for step_name in parameters_by_step}
    for override in overrides:
        target_step, _, name = override.name.rpartition(".")
        declaring_steps = [step for step, names in names_by_step.items() if name in names]
        target_steps = [step for step in declaring_steps if target_step in ("", step)]
        for step_name in target_steps:
            texts[step_name][name] = override.value
        if not target_steps:
            problems.append(_unknown_parameter_message(override, names_by_step))
    return texts


def _unknown_parameter_message(
    override: ParameterOverride, names_by_step: dict[str, list[str]]
) -> str:
    candidates = {name for names in names_by_step.values() for name in names}
    candidates |= {f"{step}.{name}" for step, names in names_by_step.items() for name in names}
    origin = "" if override.origin == "-p" else f" ({override.origin})"
    suggestion = suggest_name(override.name, sorted(candidates))
    return f"there is no parameter {override.name!r}{origin}{suggestion}"


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
