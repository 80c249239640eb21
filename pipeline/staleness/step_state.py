"""What a step last did and depended on, and its form on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pipeline.runs.status import StepStatus
from pipeline.staleness.file_signature import FileSignature
from pipeline.staleness.fingerprint import Fingerprint
from pipeline.staleness.folder_listing import FolderSignature
from pipeline.workspace import Workspace

# the name of an entry in files of earlier versions -> its name now
FORMER_NAMES = {
    "dynamic": "runtime_modules",
    "left": "earlier_outputs",
    "watched": "external_state",
    "wrote": "output_digest",
}
# entries of a fingerprint: their paths are stored relative to the project
PATH_ENTRIES = (
    *("modules", "bare_modules", "runtime_modules"),
    *("inputs", "outputs", "folders", "existence"),
)
SIGNATURE_TYPES: dict[str, type[FileSignature] | type[FolderSignature]] = {
    "inputs": FileSignature,
    "outputs": FileSignature,
    "folders": FolderSignature,
}
REQUIRED_ENTRIES = ("code", "parameters", "modules", "packages", "inputs", "outputs", "upstream")


@dataclass
class StepState:
    """What a step last did and depended on."""

    label: str
    run: str  # the id of the run that executed it last
    status: StepStatus
    # empty unless the step has succeeded
    fingerprint: Fingerprint = field(default_factory=Fingerprint)
    earlier_outputs: list[str] = field(default_factory=list)  # of earlier runs, that still exist
    output_digest: str = "nothing"  # of its own results
    # files that it read and that are not compared, as they are of the system or of a tool
    untracked_reads: list[str] = field(default_factory=list)
    scratch_files: list[str] = field(default_factory=list)  # temporary and hidden ones it wrote
    appended_files: list[str] = field(default_factory=list)  # to which it appended
    file_stem: str = ""  # of its files in that run; empty in a state of an earlier version

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], workspace: Workspace) -> "StepState":
        """Return the state that a file's JSON describes, of this version or an earlier one.

        Unknown entries are dropped, missing ones are empty; but a step that is done must have the
        REQUIRED_ENTRIES, as it must not be skipped because they are unknown. Raises KeyError,
        TypeError, ValueError or AttributeError if it is no state.
        """
        renamed = {FORMER_NAMES[name]: content[name] for name in FORMER_NAMES if name in content}
        content = {**renamed, **content}
        status = StepStatus(content["status"])
        missing_names = [name for name in REQUIRED_ENTRIES if name not in content]
        if status is StepStatus.DONE and missing_names:
            raise KeyError(f"a finished step has no {', '.join(missing_names)}")
        entries = {
            entry.name: _decode_entry(entry.name, content[entry.name], workspace)
            for entry in fields(Fingerprint)
            if entry.name in content
        }
        return cls(
            content["label"],
            content["run"],
            status,
            Fingerprint(**entries),
            [workspace.from_portable(path) for path in content.get("earlier_outputs", [])],
            content.get("output_digest", "nothing"),
            list(content.get("untracked_reads", [])),
            list(content.get("scratch_files", [])),
            [workspace.from_portable(path) for path in content.get("appended_files", [])],
            content.get("file_stem", ""),
        )

    def to_dict(self, workspace: Workspace) -> dict[str, Any]:
        """Return the state as `from_dict` takes it."""
        entries = dict(vars(self.fingerprint))
        for name in SIGNATURE_TYPES:
            entries[name] = {
                path: signature and signature.to_dict() for path, signature in entries[name].items()
            }
        for name in PATH_ENTRIES:
            entries[name] = {
                workspace.to_portable(path): value for path, value in entries[name].items()
            }
        return {
            "label": self.label,
            "run": self.run,
            "status": self.status,
            **entries,
            "earlier_outputs": [workspace.to_portable(path) for path in self.earlier_outputs],
            "output_digest": self.output_digest,
            "untracked_reads": self.untracked_reads,
            "scratch_files": self.scratch_files,
            "appended_files": [workspace.to_portable(path) for path in self.appended_files],
            "file_stem": self.file_stem,
        }


def _decode_entry(name: str, values: Any, workspace: Workspace) -> dict[str, Any]:
    """Return an entry of a fingerprint from its JSON. Raises TypeError if it is no dictionary."""
    if not isinstance(values, dict):
        raise TypeError(f"{name} is {type(values).__name__}")
    if name in SIGNATURE_TYPES:
        decode = SIGNATURE_TYPES[name].from_dict
        values = {path: value if value is None else decode(value) for path, value in values.items()}
    if name in PATH_ENTRIES:
        return {workspace.from_portable(path): value for path, value in values.items()}
    return values
