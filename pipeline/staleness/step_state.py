"""What a step last did and depended on, and its form on disk."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, NamedTuple

from pipeline.runs.status import StepStatus
from pipeline.staleness.file_signature import FileSignature
from pipeline.staleness.folder_listing import FolderSignature
from pipeline.workspace import Workspace

# name of an entry -> its name in files of earlier versions
FORMER_NAMES = {
    "runtime_modules": "dynamic",
    "earlier_outputs": "left",
    "overwritten": "over",
    "changed_in_place": "in_place",
    "reverted": "undone",
    "external_state": "watched",
    "output_digest": "wrote",
}
# the entries with paths: their values, or their keys, are stored relative to the project
PATH_KEYED_ENTRIES = ("modules", "runtime_modules", "overwritten", "reverted")
REQUIRED_ENTRIES = ("code", "parameters", "modules", "packages", "inputs", "outputs", "upstream")
PATH_LIST_ENTRIES = ("earlier_outputs", "changed_in_place")


class Fingerprint(NamedTuple):
    """The state of what a step depends on, apart from the files it opens."""

    code: dict[str, str]  # location of a cell -> hash
    parameters: dict[str, Any]  # name -> value, as JSON holds it
    modules: dict[str, str]  # path of a module of ours -> hash
    installed_modules: tuple[str, ...] = ()  # names; only their packages' versions are recorded


@dataclass
class StepState:
    """What a step last did and depended on. Paths are absolute texts."""

    label: str
    run: str  # the id of the run that executed it last
    status: StepStatus
    code: dict[str, str] = field(default_factory=dict)  # as in Fingerprint, when it started
    parameters: dict[str, Any] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    runtime_modules: dict[str, str] = field(default_factory=dict)  # found at run time only
    packages: dict[str, str] = field(default_factory=dict)  # distribution -> version
    inputs: dict[str, FileSignature | None] = field(default_factory=dict)  # path -> signature
    outputs: dict[str, FileSignature] = field(default_factory=dict)
    earlier_outputs: list[str] = field(default_factory=list)  # of earlier runs, that still exist
    folders: dict[str, FolderSignature | None] = field(default_factory=dict)  # that it has listed
    overwritten: dict[str, str] = field(default_factory=dict)  # path -> the step that wrote it
    changed_in_place: list[str] = field(default_factory=list)  # those that it has read before
    reverted: dict[str, str] = field(default_factory=dict)  # path -> the step that undid a change
    upstream: dict[str, str] = field(default_factory=dict)  # needed step -> digest of its results
    external_state: dict[str, str] = field(default_factory=dict)
    output_digest: str = "nothing"  # of its own results

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], workspace: Workspace) -> "StepState":
        """Return the state that a file's JSON describes, of this version or an earlier one.

        Unknown entries are dropped, missing ones are empty; but a step that is done must have the
        REQUIRED_ENTRIES, as it must not be skipped because they are unknown. Raises KeyError,
        TypeError, ValueError or AttributeError if it is no state.
        """
        entries = {
            name: content.get(name, content.get(FORMER_NAMES.get(name, name)))
            for name in cls.__dataclass_fields__
        }
        entries = {name: value for name, value in entries.items() if value is not None}
        entries["status"] = StepStatus(content["status"])
        if entries["status"] is StepStatus.DONE:
            _require_entries(entries)
        _check_types(cls, entries)
        decode = workspace.from_portable
        entries["inputs"] = _convert(content.get("inputs", {}), decode, FileSignature.from_dict)
        entries["outputs"] = _convert(content.get("outputs", {}), decode, FileSignature.from_dict)
        entries["folders"] = _convert(content.get("folders", {}), decode, FolderSignature.from_dict)
        _convert_paths(entries, decode)
        return cls(**entries)

    def to_dict(self, workspace: Workspace) -> dict[str, Any]:
        """Return the state as `from_dict` takes it."""
        encode = workspace.to_portable
        entries: dict[str, Any] = dict(vars(self))
        entries["inputs"] = _convert(self.inputs, encode, FileSignature.to_dict)
        entries["outputs"] = _convert(self.outputs, encode, FileSignature.to_dict)
        entries["folders"] = _convert(self.folders, encode, FolderSignature.to_dict)
        _convert_paths(entries, encode)
        return entries


def _require_entries(entries: Mapping[str, Any]) -> None:
    missing_names = [name for name in REQUIRED_ENTRIES if name not in entries]
    if missing_names:
        raise KeyError(f"a finished step has no {', '.join(missing_names)}")


def _check_types(state_class: type[StepState], entries: Mapping[str, Any]) -> None:
    for state_field in fields(state_class):
        default = state_field.default_factory
        if default is not MISSING and state_field.name in entries:
            value = entries[state_field.name]
            if not isinstance(value, type(default())):
                raise TypeError(f"{state_field.name} is {type(value).__name__}")


StepStates = Mapping[str, StepState]  # label -> state


def _convert(
    signatures: Mapping[str, Any],
    convert_path: Callable[[str], str],
    convert_signature: Callable[[Any], Any],
) -> dict[str, Any]:
    return {
        convert_path(path): None if signature is None else convert_signature(signature)
        for path, signature in signatures.items()
    }


def _convert_paths(entries: dict[str, Any], convert_path: Callable[[str], str]) -> None:
    """Convert the paths of the entries that hold no signatures, in place."""
    for name in PATH_KEYED_ENTRIES:
        values: Mapping[str, Any] = entries.get(name, {})
        entries[name] = {convert_path(path): value for path, value in values.items()}
    for name in PATH_LIST_ENTRIES:
        paths: Iterable[str] = entries.get(name, [])
        entries[name] = [convert_path(path) for path in paths]
