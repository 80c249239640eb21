"""The state of all that a step depends on, and the difference between two such states."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.staleness.file_signature import FileSignature, describe_file_change
from pipeline.staleness.folder_listing import FolderSignature, describe_folder_change
from pipeline.staleness.reasons import Reason, ReasonKind
from pipeline.staleness.secret_hash import describe_secret_change
from pipeline.staleness.source_code import EXECUTION_TAGS, NO_CODE_HASH

UNKNOWN_CODE = ""  # equals no hash: a module was edited after it had been loaded
ABSENT = "none"  # the value of a parameter, package or external state on one side only


class CellCode(NamedTuple):
    """What a cell does and shows."""

    hash: str
    details: str


@dataclass(frozen=True)
class Fingerprint:
    """What a step depends on, and the files it has written: as recorded then, or as they are now.

    Paths are absolute texts.
    """

    code: dict[str, str] = field(default_factory=dict)  # location of a cell -> hash
    # as `source_code.cell_details` returns them; empty in a state of an earlier version
    cell_details: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)  # name -> value, as JSON holds it
    # name -> the name of the value's type, as JSON has few; empty in a state of an earlier version
    parameter_types: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)  # variable -> keyed hash of its value
    modules: dict[str, str] = field(default_factory=dict)  # path of a module of ours -> hash
    # path -> hash without docstrings; empty if these count, or in a state of an earlier version
    bare_modules: dict[str, str] = field(default_factory=dict)
    runtime_modules: dict[str, str] = field(default_factory=dict)  # found at run time only
    packages: dict[str, str] = field(default_factory=dict)  # distribution -> version
    # of what these need and the step has loaded; empty in a state of an earlier version
    required_packages: dict[str, str] = field(default_factory=dict)
    kernel_spec: dict[str, str] = field(default_factory=dict)  # name of the kernel -> hash
    inputs: dict[str, FileSignature | None] = field(default_factory=dict)  # path -> signature
    outputs: dict[str, FileSignature | None] = field(default_factory=dict)
    folders: dict[str, FolderSignature | None] = field(default_factory=dict)  # that it has listed
    existence: dict[str, bool] = field(default_factory=dict)  # path it looked for -> whether it is
    upstream: dict[str, str] = field(default_factory=dict)  # needed step -> digest of its results
    external_state: dict[str, str] = field(default_factory=dict)
    # of before the step ran; empty in a state of an earlier version
    source_state: dict[str, str] = field(default_factory=dict)

    def diff(self, recorded: "Fingerprint") -> list[Reason]:
        """Return how this fingerprint differs from an earlier one; empty if it does not."""
        has_details = bool(recorded.cell_details)
        return [
            *_changed_cells(recorded.cells(has_details), self.cells(has_details)),
            *_changed_values(ReasonKind.PARAMETER, recorded.parameters, self.parameters),
            *_changed_secrets(recorded, self),
            *self._changed_types(recorded),
            *self._changed_modules(recorded),
            *_changed_values(ReasonKind.PACKAGE, recorded.packages, self.packages),
            *_changed_kernels(recorded.kernel_spec, self.kernel_spec),
            *_changed_requirements(recorded.required_packages, self.required_packages),
            *_changes(ReasonKind.INPUT, recorded.inputs, self.inputs, describe_file_change),
            *_changes(
                ReasonKind.INPUT, recorded.existence, self.existence, _describe_existence_change
            ),
            *_changes(ReasonKind.OUTPUT, recorded.outputs, self.outputs, describe_file_change),
            *_changes(ReasonKind.FOLDER, recorded.folders, self.folders, describe_folder_change),
            *_changes(ReasonKind.UPSTREAM, recorded.upstream, self.upstream, _describe_new_results),
            *_changed_values(
                ReasonKind.EXTERNAL_STATE, recorded.external_state, self.external_state
            ),
            *_changed_values(ReasonKind.EXTERNAL_STATE, recorded.source_state, self.source_state),
        ]

    def cells(self, with_details: bool) -> dict[str, CellCode]:
        """Return location -> code of the cells that are more than comments."""
        details = self.cell_details if with_details else dict.fromkeys(self.code, "")
        cells = {
            location: CellCode(self.code.get(location, NO_CODE_HASH), details.get(location, ""))
            for location in details | self.code
        }
        return {
            location: cell for location, cell in cells.items() if cell != CellCode(NO_CODE_HASH, "")
        }

    def _changed_types(self, recorded: "Fingerprint") -> list[Reason]:
        """Return the parameters whose value has another type but the same text."""
        return [
            Reason(ReasonKind.PARAMETER, name, f"{old_type} {value} -> {new_type} {value}")
            for name, value in self.parameters.items()
            if repr(recorded.parameters.get(name)) == repr(value)
            and (old_type := recorded.parameter_types.get(name))
            and (new_type := self.parameter_types.get(name, ABSENT)) != old_type
        ]

    def _changed_modules(self, recorded: "Fingerprint") -> list[Reason]:
        """Return the modules that have changed in more than docstrings."""
        old_modules = recorded.modules | recorded.runtime_modules
        modules = self.modules | self.runtime_modules
        changes = _changes(ReasonKind.MODULE, old_modules, modules, _describe_module_change)
        old_code, code = recorded.bare_modules, self.bare_modules
        return [
            reason
            for reason in changes
            if reason.name not in code or code[reason.name] != old_code.get(reason.name)
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


def _changed_secrets(recorded: Fingerprint, current: Fingerprint) -> list[Reason]:
    """Return the parameters env:NAME whose variable has another value.

    Only those that were recorded: earlier versions had no hashes.
    """
    references = {name: str(value) for name, value in current.parameters.items()}
    changes = [
        (name, variable, recorded.secrets[variable], current.secrets[variable])
        for name, reference in references.items()
        for variable in recorded.secrets.keys() & current.secrets.keys()
        if reference == f"env:{variable}"
    ]
    return [
        Reason(ReasonKind.PARAMETER, name, change)
        for name, variable, old_hash, new_hash in changes
        if (change := describe_secret_change(variable, old_hash, new_hash))
    ]


def _changed_kernels(recorded: dict[str, str], current: dict[str, str]) -> list[Reason]:
    """Return whether the same kernel is started in another way; another one is a changed cell."""
    return [
        Reason(ReasonKind.CELL, f"the kernel {name}", "has another specification")
        for name, spec_hash in recorded.items()
        if current.get(name, spec_hash) != spec_hash
    ]


def _changed_requirements(recorded: dict[str, str], current: dict[str, str]) -> list[Reason]:
    return [
        reason._replace(change=f"{reason.change} (needed by another package)")
        for reason in _changed_values(ReasonKind.PACKAGE, recorded, current)
    ]


def _describe_value_change(recorded: Any, current: Any) -> str:
    # repr: NaN must equal NaN here, and 1 must differ from True
    if repr(recorded) == repr(current):
        return ""
    if str(recorded) == str(current):
        return f"{recorded!r} -> {current!r}"
    return f"{recorded} -> {current}"


def _describe_module_change(recorded: str | None, current: str | None) -> str:
    if recorded is None or current is None:
        return "is gone" if current is None else "is new"
    if recorded == UNKNOWN_CODE:
        return "was edited while the step ran"
    return "was edited" if recorded != current else ""


def _describe_existence_change(recorded: bool | None, current: bool | None) -> str:
    if recorded == current:
        return ""
    return "has appeared" if current else "is gone"


def _describe_new_results(recorded: str | None, current: str | None) -> str:
    return "wrote new results" if recorded != current else ""


def _changed_cells(recorded: dict[str, CellCode], current: dict[str, CellCode]) -> list[Reason]:
    """Return which cells were edited, added, removed or reordered."""
    old_cells, new_cells = list(recorded.values()), list(current.values())
    if old_cells == new_cells:
        return []
    if len(recorded) == len(current):
        pairs = zip(current, old_cells, new_cells, strict=True)
        changes = [
            (location, _describe_cell_change(old, new))
            for location, old, new in pairs
            if old != new
        ]
    else:
        changes = [
            (location, "is new") for location, cell in current.items() if cell not in old_cells
        ]
        changes += [
            (location, "was removed")
            for location, cell in recorded.items()
            if cell not in new_cells
        ]
    changes = changes or [("its cells", "are in another order")]
    return [Reason(ReasonKind.CELL, location, change) for location, change in changes]


def _describe_cell_change(old: CellCode, new: CellCode) -> str:
    changed_words = set(old.details.split()) ^ set(new.details.split())
    if old.hash == new.hash and changed_words <= EXECUTION_TAGS:
        return "has other tags"
    return "was edited"
