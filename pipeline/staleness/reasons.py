"""What has changed since a step last ran, in sentences."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.definition.steps import Step
from pipeline.runs.atomic_write import file_change
from pipeline.staleness.folder_listing import folder_change as changed_folder


def changed_cells(old_hashes: dict[str, str], new_hashes: dict[str, str]) -> list[str]:
    """Which cells are not what they were; each is told by where it stands, with a hash."""
    if list(old_hashes.values()) == list(new_hashes.values()):
        return []
    if len(old_hashes) == len(new_hashes):
        pairs = zip(new_hashes, old_hashes.values(), new_hashes.values(), strict=True)
        return [f"{where} was edited" for where, before, after in pairs if before != after]
    added = [where for where, one in new_hashes.items() if one not in old_hashes.values()]
    removed = [where for where, one in old_hashes.items() if one not in new_hashes.values()]
    said = [f"{where} is new" for where in added] + [f"{where} has gone" for where in removed]
    return said or ["its cells are in another order"]


def changed_values(
    kind: str, old_values: dict[str, Any], new_values: dict[str, Any], description: str = ""
) -> list[str]:
    """What has another value now; said: what that means, where the values say nothing."""
    found = []
    for name in [*new_values, *(one for one in old_values if one not in new_values)]:
        before, after = old_values.get(name, "none"), new_values.get(name, "none")
        if repr(before) != repr(after):  # NaN is no other NaN
            found.append(f"{kind} {name}: {description or f'{before} -> {after}'}")
    return found


def changed_modules(old_hashes: dict[str, str], new_hashes: dict[str, str]) -> list[str]:
    """Which of our modules are not what they were: path -> hash."""
    found = []
    for path in [*new_hashes, *(one for one in old_hashes if one not in new_hashes)]:
        if old_hashes.get(path) != new_hashes.get(path):
            how = (
                "is new"
                if path not in old_hashes
                else "is gone"
                if path not in new_hashes
                else "was edited"
            )
            found.append(f"module {display_path(path)} {how}")
    return found


def changed_files(kind: str, signatures: dict[str, Any]) -> list[str]:
    """Which files are not as they were: path -> facts."""
    found = ((one, file_change(Path(one), facts)) for one, facts in signatures.items())
    return [f"{kind} {display_path(path)} is {how}" for path, how in found if how]


def changed_folders(
    step: Step, signatures: dict[str, Any], get_expected_paths: Callable[[], set[str]]
) -> list[str]:
    """What has come into folders or gone: path -> facts; made: the files that are no news."""
    found = (
        (one, changed_folder(Path(one), it, step.ignore, get_expected_paths))
        for one, it in signatures.items()
    )
    return [f"folder {display_path(path)} {how}" for path, how in found if how]


def reverted_files(writers: dict[str, str]) -> list[str]:
    """Which files that it had changed are not changed any more: path -> who wrote them again."""
    return [
        f"{who} has written {display_path(path)} again, which it changes"
        for path, who in writers.items()
    ]


def display_path(path: str) -> str:
    """Relative to where the user stands, if that is shorter."""
    near = os.path.relpath(path)
    return near if len(near) < len(path) else path
