"""What has changed since a step last ran, in sentences."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.definition.steps import Step
from pipeline.runs.atomic_write import changed
from pipeline.staleness.folder_listing import changed as changed_folder


def code(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Which cells are not what they were; each is told by where it stands, with a hash."""
    if list(old.values()) == list(new.values()):
        return []
    if len(old) == len(new):
        pairs = zip(new, old.values(), new.values(), strict=True)
        return [f"{where} was edited" for where, before, after in pairs if before != after]
    added = [where for where, one in new.items() if one not in old.values()]
    removed = [where for where, one in old.items() if one not in new.values()]
    said = [f"{where} is new" for where in added] + [f"{where} has gone" for where in removed]
    return said or ["its cells are in another order"]


def named(kind: str, old: dict[str, Any], new: dict[str, Any], said: str = "") -> list[str]:
    """What has another value now; said: what that means, where the values say nothing."""
    found = []
    for name in [*new, *(one for one in old if one not in new)]:
        before, after = old.get(name, "none"), new.get(name, "none")
        if repr(before) != repr(after):  # NaN is no other NaN
            found.append(f"{kind} {name}: {said or f'{before} -> {after}'}")
    return found


def modules(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Which of our modules are not what they were: path -> hash."""
    found = []
    for path in [*new, *(one for one in old if one not in new)]:
        if old.get(path) != new.get(path):
            how = "is new" if path not in old else "is gone" if path not in new else "was edited"
            found.append(f"module {near(path)} {how}")
    return found


def files(kind: str, known: dict[str, Any]) -> list[str]:
    """Which files are not as they were: path -> facts."""
    found = ((one, changed(Path(one), facts)) for one, facts in known.items())
    return [f"{kind} {near(path)} is {how}" for path, how in found if how]


def folders(step: Step, known: dict[str, Any], made: Callable[[], set[str]]) -> list[str]:
    """What has come into folders or gone: path -> facts; made: the files that are no news."""
    found = ((one, changed_folder(Path(one), it, step.ignore, made)) for one, it in known.items())
    return [f"folder {near(path)} {how}" for path, how in found if how]


def undone(known: dict[str, str]) -> list[str]:
    """Which files that it had changed are not changed any more: path -> who wrote them again."""
    return [
        f"{who} has written {near(path)} again, which it changes" for path, who in known.items()
    ]


def near(path: str) -> str:
    """Relative to where the user stands, if that is shorter."""
    near = os.path.relpath(path)
    return near if len(near) < len(path) else path
