"""The steps of a pipeline, which values their parameters get, and the tasks that come of it."""

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
    needs: tuple[str, ...] | None = None  # steps that must be done before; None: the one before it
    time_limit: float | None = None  # seconds
    memory_limit: float | None = None  # GB, the kernel's and its children's together
    retries: int = 0  # after a dead kernel or a time-out, which may pass
    backoff: float = 5.0  # seconds before the first retry, doubled for each later one
    external_state: Callable[[], Mapping[str, str]] | None = None  # what it depends on beside files
    ignore: tuple[str, ...] = ()  # patterns of files that are neither input nor output


class Task(NamedTuple):
    """A step with its values: what is run once, and has one report."""

    step: Step
    label: str  # the step's name, or train[seed=1] in a sweep
    values: dict[str, Any]  # those that differ from the notebook, typed
    needs: tuple[str, ...]  # the labels of the tasks it waits for
    file_stem: str  # what its files are called, without an ending

    @property
    def report(self) -> str:
        """The name of its page."""
        return f"{self.file_stem}.html"


class ParameterOverride(NamedTuple):
    """A value for a parameter, as somebody wrote it."""

    name: str  # NAME or STEP.NAME
    value: Any  # a text, or a list of texts
    origin: str  # "-p", a file's name, "the environment"


def resolve_dependencies(steps: list[Step]) -> list[Step]:
    """The steps with every `needs` spelt out; ValueError if one needs what does not come before."""
    arranged: list[Step] = []
    for step in steps:
        before = [one.name for one in arranged]
        if step.name in before:
            raise ValueError(f"there are two steps {step.name!r}")
        needs = tuple(before[-1:]) if step.needs is None else tuple(step.needs)
        missing = [one for one in needs if one not in before]
        if missing:
            raise ValueError(f"step {step.name!r} needs {missing[0]!r}, which is no step before it")
        arranged.append(step._replace(needs=needs, notebook=step.notebook.resolve()))
    return arranged


def select_steps(
    steps: list[Step],
    from_step: str | None = None,
    until_step: str | None = None,
    only_step: str | None = None,
) -> list[Step]:
    """The steps from `first` to `last`, or the `only` one. ValueError that lists unknown names."""
    names = [one.name for one in steps]
    unknown = [
        one for one in (from_step, until_step, only_step) if one is not None and one not in names
    ]
    if unknown:
        raise ValueError("\n".join(_unknown_step_message(one, names) for one in unknown))
    start = names.index(only_step or from_step) if only_step or from_step else 0
    stop = names.index(only_step or until_step) if only_step or until_step else len(names) - 1
    if start > stop:
        raise ValueError(f"step {from_step!r} comes after step {until_step!r}: nothing to run")
    return steps[start : stop + 1]


def require_step(name: str, step_names: Iterable[str]) -> str:
    """The name, if it is one of the steps'; else ValueError with the nearest."""
    if name not in step_names:
        raise ValueError(_unknown_step_message(name, list(step_names)))
    return name


def _unknown_step_message(name: str, step_names: list[str]) -> str:
    return f"there is no step {name!r}{suggestion(name, step_names)}"


def build_tasks(
    steps: list[Step], overrides: list[ParameterOverride], sweeps: list[ParameterOverride]
) -> list[Task]:
    """What to run, in the order of the steps, the variants of a swept step one after the other.

    given: the later of two for one parameter wins, and STEP.NAME over NAME. Raises ValueError
    that lists all problems: an unknown name (with the nearest one), a wrong value.
    """
    declared = {one.name: parameters.read(one.notebook) for one in steps}
    problems: list[str] = []
    ordered = sorted(overrides, key=lambda one: "." in one.name)  # stable: a later origin wins
    plain = _texts_by_step(declared, ordered, problems)
    swept: dict[str, dict[str, list[str]]] = {one.name: {} for one in steps}
    for sweep in sweeps:
        for taker, name in _matching_parameters(declared, sweep, problems):
            swept[taker][name] = _split_sweep_values(sweep.value)
    made: dict[str, list[Task]] = {}
    stems = [one.notebook.stem for one in steps]
    for step in steps:
        labels = [one.label for need in step.needs for one in made.get(need, [])]
        waits = (*labels, *(one for one in step.needs if one not in made))
        made[step.name] = []
        for choice in product(*swept[step.name].values()):
            variant = dict(zip(swept[step.name], choice, strict=True))
            texts = _secret_defaults(declared[step.name]) | plain[step.name] | variant
            values, wrong = parameters.validate(declared[step.name], texts) if texts else ({}, [])
            problems += wrong
            tail = ",".join(f"{name}={text}" for name, text in variant.items())
            label = f"{step.name}[{tail}]" if tail else step.name
            stem = step.notebook.stem if stems.count(step.notebook.stem) == 1 else step.name
            file = f"{stem}-{atomic_write.slug(tail)}" if tail else stem
            made[step.name].append(Task(step, label, values, waits, file))
    if problems:
        raise ValueError("\n".join(dict.fromkeys(problems)))
    return [one for variants in made.values() for one in variants]


def _secret_defaults(step_parameters: list[parameters.Parameter]) -> dict[str, str]:
    """The defaults that name a secret: the notebook itself would take them for a text."""
    defaults = {one.name: one.default for one in step_parameters}
    return {
        name: it for name, it in defaults.items() if isinstance(it, str) and it.startswith("env:")
    }


def _texts_by_step(
    parameters_by_step: dict[str, list[parameters.Parameter]],
    overrides: list[ParameterOverride],
    problems: list[str],
) -> dict[str, dict[str, Any]]:
    texts: dict[str, dict[str, Any]] = {one: {} for one in parameters_by_step}
    for one in overrides:
        for taker, name in _matching_parameters(parameters_by_step, one, problems):
            texts[taker][name] = one.value
    return texts


def _matching_parameters(
    parameters_by_step: dict[str, list[parameters.Parameter]],
    override: ParameterOverride,
    problems: list[str],
) -> list[tuple[str, str]]:
    """The steps that declare the parameter, and its name; a problem if there is none."""
    step, _, parameter = override.name.rpartition(".")
    found = [
        (one, parameter)
        for one, own in parameters_by_step.items()
        if step in ("", one) and parameter in [p.name for p in own]
    ]
    if not found:
        names = {p.name for own in parameters_by_step.values() for p in own}
        names |= {f"{one}.{p.name}" for one, own in parameters_by_step.items() for p in own}
        origin = "" if override.origin == "-p" else f" ({override.origin})"
        problems.append(
            f"there is no parameter {override.name!r}{origin}{suggestion(override.name, sorted(names))}"
        )
    return found


def _split_sweep_values(text: str) -> list[str]:
    """The parts between commas, but for those inside brackets or quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        quote = "" if letter == quote else quote or (letter if letter in "\"'" else "")
        depth += (letter in "[(") - (letter in "])") if not quote else 0
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return list(dict.fromkeys(one.strip() for one in parts))


def suggestion(name: str, candidates: list[str]) -> str:
    """What was probably meant, as the end of a sentence; else all there is."""
    if not candidates:
        return "; there are none"
    near = get_close_matches(name, candidates, 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(candidates)}"
