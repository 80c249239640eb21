"""The steps of a pipeline, and which values each one's parameters get."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import parameters


class Step(NamedTuple):
    """One notebook of the pipeline."""

    name: str
    notebook: Path


def select(
    steps: list[Step], first: str | None = None, last: str | None = None, only: str | None = None
) -> list[Step]:
    """The steps from `first` to `last`, or the `only` one. ValueError for an unknown name."""
    names = [one.name for one in steps]
    for wanted in (first, last, only):
        if wanted is not None and wanted not in names:
            raise ValueError(f"there is no step {wanted!r}{_nearest(wanted, names)}")
    start = names.index(only or first) if only or first else 0
    stop = names.index(only or last) if only or last else len(names) - 1
    if start > stop:
        raise ValueError(f"step {first!r} comes after step {last!r}: nothing to run")
    return steps[start : stop + 1]


def assign(steps: list[Step], texts: list[str]) -> dict[str, dict[str, Any]]:
    """For each step's name the parameters that differ from the notebook, checked and typed.

    texts: "seed=1" (every step that declares it) or "train.trials=20"; the latter wins. Raises
    ValueError that lists all problems: an unknown name (with the nearest one), a wrong value.
    """
    declared = {one.name: {p.name: p for p in parameters.read(one.notebook)} for one in steps}
    values: dict[str, dict[str, Any]] = {one.name: {} for one in steps}
    problems = []
    for text in sorted(texts, key=lambda one: "." in one.partition("=")[0]):
        name, equals, value = text.partition("=")
        step, _, parameter = name.rpartition(".")
        takers = [one for one in declared if parameter in declared[one] and step in ("", one)]
        if not equals:
            problems.append(f"-p {text}: expected NAME=VALUE or STEP.NAME=VALUE")
        elif not takers:
            known = {p for one in declared.values() for p in one}
            known |= {f"{one}.{p}" for one, own in declared.items() for p in own}
            problems.append(f"there is no parameter {name!r}{_nearest(name, sorted(known))}")
        for taker in takers if equals else []:
            try:
                values[taker][parameter] = declared[taker][parameter].parse(value)
            except ValueError as wrong:
                problems.append(str(wrong))
    if problems:
        raise ValueError("\n".join(dict.fromkeys(problems)))
    return values


def _nearest(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
