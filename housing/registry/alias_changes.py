"""The changes of aliases: which are valid, and which versions were champion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

APPLIED = "yes"  # the value of the tag `done`; empty before

# field of AliasChange -> the tag that stores it, where their names differ
TAG_KEYS = {
    "old_version": "before",
    "new_version": "after",
    "changed_at": "at",
    "changed_by": "who",
    "applied": "done",
    "old_graph": "before_graph",
}


class AliasChange(NamedTuple):
    """The change of an alias from one version to another; the version "" is none."""

    number: int  # in the history; 0 before it is recorded
    alias: str
    old_version: str
    new_version: str
    action: str  # promoted, refused, rolled back, promoted by hand, moved outside
    reason: str
    changed_at: str  # UTC, ISO 8601
    changed_by: str
    run_id: str  # the MLflow run of the new version
    report: str  # of the new version
    verdict: str  # of the gate on the new version
    old_graph: str  # sha256 of the old version's graph; empty in histories of earlier releases
    applied: bool  # MLflow's alias has been seen at the new version

    @classmethod
    def from_tags(cls, number: int, tags: Mapping[str, str]) -> AliasChange:
        """Return the change that the tags of a history entry record."""
        texts = {field: tags.get(TAG_KEYS.get(field, field), "") for field in cls._fields[1:-1]}
        return cls(number, **texts, applied=tags.get(TAG_KEYS["applied"]) == APPLIED)

    def is_complete(self) -> bool:
        """Return whether it names an alias and versions; what somebody made by hand may not."""
        numbers = filter(None, (self.old_version, self.new_version))
        return bool(self.alias) and all(map(str.isdecimal, numbers))

    def to_tags(self) -> dict[str, str]:
        """Return the tags that record the change."""
        values = self._asdict() | {"applied": APPLIED if self.applied else ""}
        return {TAG_KEYS.get(field, field): values[field] for field in self._fields[1:]}


class History(NamedTuple):
    """The valid changes of all aliases of a model, oldest first."""

    changes: list[AliasChange]
    last_number: int  # of the last recorded change, valid or not; 0 for none

    @classmethod
    def from_changes(cls, recorded_changes: Iterable[AliasChange]) -> History:
        """Keep the valid ones of all recorded changes, in any order.

        Where entries were deleted in MLflow, an applied change goes on from an unknown version.
        """
        changes = sorted(recorded_changes)
        history = cls([], changes[-1].number if changes else 0)
        n_gaps, previous_number = 0, 0
        gaps_before: dict[str, int] = {}  # by alias: n_gaps at its last valid change
        for change in changes:
            n_gaps += change.number > previous_number + 1
            previous_number = change.number
            is_next = history.version(change.alias) == change.old_version
            is_after_gap = change.applied and n_gaps > gaps_before.get(change.alias, 0)
            if change.is_complete() and (is_next or is_after_gap):
                history.changes.append(change)
                gaps_before[change.alias] = n_gaps
        return history

    def of_alias(self, alias: str) -> list[AliasChange]:
        """Return the changes of one alias."""
        return [change for change in self.changes if change.alias == alias]

    def version(self, alias: str) -> str:
        """Return the version that the alias was last changed to; "" for none."""
        changes = self.of_alias(alias)
        return changes[-1].new_version if changes else ""


def version_text(number: str) -> str:
    """Return how a text names a version; "" is none."""
    return f"version {number}" if number else "none"


def champion_stack(changes: list[AliasChange]) -> list[str]:
    """Return the champions as a stack: the last one serves, the one below served before it.

    changes: those of the alias champion, oldest first. A rollback removes the versions it skips.
    A time without a champion leaves no trace.
    """
    stack: list[str] = []
    for change in changes:
        version = change.new_version
        if change.old_version and not stack:  # its own change was deleted in MLflow
            stack.append(change.old_version)
        if not version:
            continue
        if change.action == "rolled back":
            stack = stack[: stack.index(version)] if version in stack else stack[:-1]
        stack.append(version)
    return stack


def past_champions(changes: list[AliasChange]) -> dict[str, set[str]]:
    """Return each version that was champion, with the MLflow runs recorded of it.

    A number may stand for two models: numbers begin anew once a registered model was deleted.
    """
    run_ids: dict[str, set[str]] = {}
    for change in changes:
        if change.old_version:
            run_ids.setdefault(change.old_version, set())
        if change.new_version:
            run_ids.setdefault(change.new_version, set()).add(change.run_id)
    return run_ids


def rolled_back_versions(changes: list[AliasChange]) -> dict[str, AliasChange]:
    """Return the versions that were rolled back and not promoted since, with their rollback."""
    rollbacks: dict[str, AliasChange] = {}
    for change in changes:
        if change.action == "rolled back" and change.old_version:
            rollbacks[change.old_version] = change
        rollbacks.pop(change.new_version, None)
    return rollbacks


def conflict_message(name: str, alias: str, expected_version: str | None, history: History) -> str:
    """Say that an alias is not at the version that a change expects, and who moved it."""
    changes = history.of_alias(alias)
    author = ""
    if changes:
        last_change = changes[-1]
        author = f", {last_change.action} by {last_change.changed_by} ({last_change.reason})"
    expected, current = version_text(expected_version or ""), version_text(history.version(alias))
    return (
        f"the {alias} of {name} was {expected}, and is {current} now{author}: nothing was changed"
    )
