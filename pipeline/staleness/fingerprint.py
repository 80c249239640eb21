"""The state of all that a step depends on, and the difference between two such states."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipeline.staleness.file_signature import FileSignature, describe_file_change
from pipeline.staleness.folder_listing import FolderSignature, describe_folder_change
from pipeline.staleness.reasons import Reason, ReasonKind

ABSENT = "none"  # the value of a parameter, package or external state on one side only


@dataclass(frozen=True)
class Fingerprint:
    """What a step depends on, and the files it has written: as recorded then, or as they are now.

    Paths are absolute texts.
    """

    code: dict[str, str] = field(default_factory=dict)  # location of a cell -> hash
    parameters: dict[str, Any] = field(default_factory=dict)  # name -> value, as JSON holds it
    modules: dict[str, str] = field(default_factory=dict)  # path of a module of ours -> hash
    runtime_modules: dict[str, str] = field(default_factory=dict)  # found at run time only
    packages: dict[str, str] = field(default_factory=dict)  # distribution -> version
    inputs: dict[str, FileSignature | None] = field(default_factory=dict)  # path -> signature
    outputs: dict[str, FileSignature | None] = field(default_factory=dict)
    folders: dict[str, FolderSignature | None] = field(default_factory=dict)  # that it has listed
    upstream: dict[str, str] = field(default_factory=dict)  # needed step -> digest of its results
    external_state: dict[str, str] = field(default_factory=dict)

    def diff(self, recorded: "Fingerprint") -> list[Reason]:
        """Return how this fingerprint differs from an earlier one; empty if it does not."""
        old_modules = recorded.modules | recorded.runtime_modules
        modules = self.modules | self.runtime_modules
        return [
            *_changed_cells(recorded.code, self.code),
            *_changed_values(ReasonKind.PARAMETER, recorded.parameters, self.parameters),
            *_changes(ReasonKind.MODULE, old_modules, modules, _describe_module_change),
            *_changed_values(ReasonKind.PACKAGE, recorded.packages, self.packages),
            *_changes(ReasonKind.INPUT, recorded.inputs, self.inputs, describe_file_change),
            *_changes(ReasonKind.OUTPUT, recorded.outputs, self.outputs, describe_file_change),
            *_changes(ReasonKind.FOLDER, recorded.folders, self.folders, describe_folder_change),
            *_changes(ReasonKind.UPSTREAM, recorded.upstream, self.upstream, _describe_new_results),
            *_changed_values(
                ReasonKind.EXTERNAL_STATE, recorded.external_state, self.external_state
            ),
        ]


def _changes(
    kind: ReasonKind,
    recorded: dict[str, Any],
    current: dict[str, Any],
    describe: Callable[[Any, Any], str],
    absent: Any = None,
) -> list[Reason]:
    """Return a reason for each name whose entries differ.

    describe: returns how the recorded entry differs from the current one; empty if it does not.
    """
    changes = (
        (name, describe(recorded.get(name, absent), current.get(name, absent)))
        for name in current | recorded
    )
    return [Reason(kind, name, change) for name, change in changes if change]


def _changed_values(
    kind: ReasonKind, recorded: dict[str, Any], current: dict[str, Any]
) -> list[Reason]:
    return _changes(kind, recorded, current, _describe_value_change, ABSENT)


def _describe_value_change(recorded: Any, current: Any) -> str:
    # repr: NaN must equal NaN here, and 1 must differ from True
    return f"{recorded} -> {current}" if repr(recorded) != repr(current) else ""


def _describe_module_change(recorded: str | None, current: str | None) -> str:
    if recorded is None or current is None:
        return "is gone" if current is None else "is new"
    return "was edited" if recorded != current else ""


def _describe_new_results(recorded: str | None, current: str | None) -> str:
    return "wrote new results" if recorded != current else ""


def _changed_cells(recorded: dict[str, str], current: dict[str, str]) -> list[Reason]:
    """Return which cells were edited, added, removed or reordered: location -> hash."""
    old_hashes, new_hashes = list(recorded.values()), list(current.values())
    if old_hashes == new_hashes:
        return []
    if len(recorded) == len(current):
        pairs = zip(current, old_hashes, new_hashes, strict=True)
        changes = [(location, "was edited") for location, old, new in pairs if old != new]
    else:
        changes = [
            (location, "is new") for location, code in current.items() if code not in old_hashes
        ]
        changes += [
            (location, "was removed")
            for location, code in recorded.items()
            if code not in new_hashes
        ]
    changes = changes or [("its cells", "are in another order")]
    return [Reason(ReasonKind.CELL, location, change) for location, change in changes]
