"""Describe in sentences what has changed since a step last ran."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.definition.steps import Step
from pipeline.staleness.file_signature import FileSignature, file_change
from pipeline.staleness.folder_listing import FolderSignature, folder_change


def changed_cells(old_hashes: dict[str, str], new_hashes: dict[str, str]) -> list[str]:
    """Return which cells were edited, added, removed or reordered: location -> hash."""
    if list(old_hashes.values()) == list(new_hashes.values()):
        return []
    if len(old_hashes) == len(new_hashes):
        pairs = zip(new_hashes, old_hashes.values(), new_hashes.values(), strict=True)
        return [
            f"{location} was edited"
            for location, old_hash, new_hash in pairs
            if old_hash != new_hash
        ]
    added = [
        f"{location} is new"
        for location, cell_hash in new_hashes.items()
        if cell_hash not in old_hashes.values()
    ]
    removed = [
        f"{location} was removed"
        for location, cell_hash in old_hashes.items()
        if cell_hash not in new_hashes.values()
    ]
    return added + removed or ["its cells are in another order"]


def changed_values(
    kind: str, old_values: dict[str, Any], new_values: dict[str, Any], description: str = ""
) -> list[str]:
    """Return which named values changed, with the old and the new one.

    description: what to say instead of the two values, where they are mere hashes.
    """
    changes = []
    for name in [*new_values, *(name for name in old_values if name not in new_values)]:
        old_value, new_value = old_values.get(name, "none"), new_values.get(name, "none")
        if repr(old_value) != repr(new_value):  # repr: NaN must equal NaN here
            changes.append(f"{kind} {name}: {description or f'{old_value} -> {new_value}'}")
    return changes


def changed_modules(old_hashes: dict[str, str], new_hashes: dict[str, str]) -> list[str]:
    """Return which of our modules are new, gone or edited: path -> hash."""
    changes = []
    for path in [*new_hashes, *(path for path in old_hashes if path not in new_hashes)]:
        if path not in old_hashes:
            changes.append(f"module {display_path(path)} is new")
        elif path not in new_hashes:
            changes.append(f"module {display_path(path)} is gone")
        elif old_hashes[path] != new_hashes[path]:
            changes.append(f"module {display_path(path)} was edited")
    return changes


def changed_files(kind: str, signatures: Mapping[str, FileSignature | None]) -> list[str]:
    """Return which files differ from their signatures: path -> signature."""
    changes = ((path, file_change(Path(path), signature)) for path, signature in signatures.items())
    return [f"{kind} {display_path(path)} is {change}" for path, change in changes if change]


def changed_folders(
    step: Step,
    signatures: Mapping[str, FolderSignature | None],
    get_expected_paths: Callable[[], set[str]],
) -> list[str]:
    """Return what was added to folders or removed: path -> signature.

    get_expected_paths: returns the files that are no news, as steps wrote them.
    """
    changes = (
        (path, folder_change(Path(path), signature, step.ignore, get_expected_paths))
        for path, signature in signatures.items()
    )
    return [f"folder {display_path(path)} {change}" for path, change in changes if change]


def reverted_files(writers: dict[str, str]) -> list[str]:
    """Return which of a step's changes another step has undone: path -> that other step."""
    return [
        f"{writer} has written {display_path(path)} again, which it changes"
        for path, writer in writers.items()
    ]


def display_path(path: str) -> str:
    """Return the path relative to the current folder, if that is shorter."""
    relative_path = os.path.relpath(path)
    return relative_path if len(relative_path) < len(path) else path
