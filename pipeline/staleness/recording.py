"""Record what a step depended on and wrote, once it has ended."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pipeline.definition.tasks import Task
from pipeline.runs.digests import json_digest
from pipeline.runs.results import PublishedResults
from pipeline.runs.secret_mask import SECRET_MASK
from pipeline.runs.status import StepStatus
from pipeline.staleness import access_log, dependencies
from pipeline.staleness.access_log import FileAccesses
from pipeline.staleness.file_signature import (
    FileSignature,
    describe_file_change,
    file_signature,
    format_stat,
    signature_when_read,
)
from pipeline.staleness.fingerprint import UNKNOWN_CODE, Fingerprint
from pipeline.staleness.folder_listing import folder_signature
from pipeline.staleness.reasons import display_path
from pipeline.staleness.state_store import StateStore
from pipeline.staleness.static_analysis import installed_packages, module_code
from pipeline.staleness.static_analysis.module_code import ModuleCode
from pipeline.staleness.step_state import StepState

UNKNOWN_MODULE = ModuleCode(UNKNOWN_CODE, UNKNOWN_CODE)  # edited after it had been loaded
MAX_LISTED_FILES = 1_000  # of those that a state names but does not compare


class OtherTasks(NamedTuple):
    """The tasks whose files a task must not change."""

    labels: tuple[str, ...]
    concurrent: frozenset[str]  # those that ended while the task ran


def record_success(
    task: Task,
    run_id: str,
    accesses: FileAccesses,
    results: PublishedResults,
    fingerprint: Fingerprint,
    other_tasks: OtherTasks,
    state_store: StateStore,
) -> None:
    """Record that the step has succeeded, with all that it depended on.

    accesses: of its kernel. results: what the notebook published, which may name input files and
    results that are no files. fingerprint: of before the step ran, as the code may have changed
    since.
    """
    owners = _file_owners(other_tasks, state_store)
    signatures = {
        str(path): file_signature(path) for path in sorted(accesses.written) if path.is_file()
    }
    outputs = {path: file for path, file in signatures.items() if path not in owners}
    inputs = _input_signatures(accesses, state_store.scratch_files())
    # a file of another step that was written with equal content
    inputs |= {path: file for path, file in signatures.items() if path in owners}
    inputs |= {path: file_signature(Path(path)) for path in results.input_files}
    expected_paths = state_store.expected_paths(task) | outputs.keys()
    workspace = state_store.workspace
    recorded = replace(
        _with_made_modules(
            _with_executed_modules(fingerprint, accesses), accesses, task.step.notebook.parent
        ),
        inputs=inputs,
        outputs=outputs,
        folders={
            str(path): folder_signature(path, task.step.ignore, lambda: expected_paths)
            for path in access_log.listed_folders(accesses, workspace)
        },
        existence={
            str(path): path.exists() for path in access_log.probed_paths(accesses, workspace)
        },
        external_state=dependencies.read_external_state(task.step),
    )
    state_store.save(
        StepState(
            task.label,
            run_id,
            StepStatus.DONE,
            recorded,
            state_store.existing_outputs(task.label),
            _output_digest(recorded, results, state_store),
            sorted(map(str, accesses.untracked))[:MAX_LISTED_FILES],
            sorted(str(path) for path in accesses.scratch if path.exists())[:MAX_LISTED_FILES],
            sorted(map(str, accesses.appended)),
            task.file_stem,
        )
    )


def _input_signatures(
    accesses: FileAccesses, scratch_files: Collection[str]
) -> dict[str, FileSignature | None]:
    """Return path -> signature of the files that a step has read and not written.

    A log that steps only append to grows with every run: it is neither input nor output, but one
    that the step reads, too, counts as the step has left it. scratch_files: which steps wrote.
    """
    inputs: dict[str, FileSignature | None] = {}
    for path, stat in sorted(accesses.read.items()):
        is_own = path in accesses.written or path in accesses.scratch or str(path) in scratch_files
        if not is_own and not path.is_dir():
            is_appended = path in accesses.appended
            signature = file_signature(path) if is_appended else signature_when_read(path, stat)
            inputs[str(path)] = signature
    for path, stat in sorted(accesses.passed.items()):
        is_changed = path in accesses.written or path in accesses.appended
        if not is_changed and str(path) not in inputs and _has_stat(path, stat):
            inputs[str(path)] = file_signature(path)
    return inputs


def _has_stat(path: Path, stat: str) -> bool:
    """Return whether a file is as it was when another program got its name."""
    return path.is_file() and format_stat(path.stat()) == stat


def _executed_modules(accesses: FileAccesses) -> dict[str, ModuleCode]:
    """Return path -> code of the modules that were loaded, as they were at that moment."""
    existing = {path: stat for path, stat in sorted(accesses.module.items()) if path.is_file()}
    return {
        str(path): module_code.scan(path) if _has_stat(path, stat) else UNKNOWN_MODULE
        for path, stat in existing.items()
    }


def _with_executed_modules(fingerprint: Fingerprint, accesses: FileAccesses) -> Fingerprint:
    """Return the fingerprint with the hashes of the modules as the kernel loaded them."""
    executed = _executed_modules(accesses)
    full_hashes = {path: code.full_hash for path, code in executed.items()}
    bare_hashes = {path: code.hash_without_docstrings for path, code in executed.items()}
    return replace(
        fingerprint,
        modules={
            path: full_hashes.get(path, digest) for path, digest in fingerprint.modules.items()
        },
        bare_modules={
            path: bare_hashes.get(path, digest) for path, digest in fingerprint.bare_modules.items()
        },
        runtime_modules={
            path: digest for path, digest in full_hashes.items() if path not in fingerprint.modules
        },
    )


def _with_made_modules(
    fingerprint: Fingerprint, accesses: FileAccesses, notebook_folder: Path
) -> Fingerprint:
    """Return the fingerprint in which modules that the step itself has made are not missing."""
    versions = {
        name: installed_packages.package_version(name, notebook_folder)
        for name, version in fingerprint.packages.items()
        if version == installed_packages.ABSENT
    }
    loaded_paths = {name: path for name, path in versions.items() if Path(path) in accesses.module}
    return replace(fingerprint, packages=fingerprint.packages | loaded_paths)


def find_changed_file(
    task: Task,
    accesses: FileAccesses,
    other_tasks: OtherTasks,
    state_store: StateStore,
) -> str:
    """Return an error that names a file of another task which this one has changed; else empty.

    Writing it with equal content is no error; but if the other task ended while this one ran, this
    one must have opened it thereafter: else the other may have recorded what this one wrote.
    """
    opened = {str(path): stat for path, stat in (accesses.appended | accesses.written).items()}
    owners = _file_owners(other_tasks, state_store)
    for path in sorted(owners.keys() & opened.keys()):
        owner, signature = owners[path]
        is_race = owner in other_tasks.concurrent and opened[path] != signature.stat
        if is_race or describe_file_change(signature, file_signature(Path(path), signature)):
            remedy = "write another file, or merge the two steps"
            if owner.partition("[")[0] == task.step.name:  # another value of a sweep
                remedy = "give each value a file of its own"
            return (
                f"step {task.label} has changed {display_path(path)}, which step {owner} wrote; "
                f"{remedy}"
            )
    return ""


def _file_owners(
    other_tasks: OtherTasks, state_store: StateStore
) -> dict[str, tuple[str, FileSignature]]:
    """Return path -> the task that wrote the file, and its content then."""
    return {
        path: (label, signature)
        for label in other_tasks.labels
        if (state := state_store.load(label))
        for path, signature in state.fingerprint.outputs.items()
        if signature
    }


def _output_digest(
    fingerprint: Fingerprint, results: PublishedResults, state_store: StateStore
) -> str:
    """Return a digest of all results that later steps may find new.

    A step without visible results may write what the runner cannot see: its code and inputs stand
    for them.
    """
    to_portable = state_store.workspace.to_portable
    files = {to_portable(path): file and file.sha256 for path, file in fingerprint.outputs.items()}
    visible_results = {"files": files, "outputs": results.outputs, "headline": results.headline}
    if SECRET_MASK in str(visible_results) or "{env:" in str(visible_results):
        visible_results["secrets"] = fingerprint.secrets  # another value may mean other results
    if fingerprint.outputs or results.outputs:
        return json_digest(visible_results)
    modules = {to_portable(path): digest for path, digest in fingerprint.modules.items()}
    code = {"code": fingerprint.code, "parameters": fingerprint.parameters, "modules": modules}
    contents = {path: file and file.sha256 for path, file in fingerprint.inputs.items()}
    names = {path: folder and sorted(folder.names) for path, folder in fingerprint.folders.items()}
    read = {to_portable(path): content for path, content in (contents | names).items()}
    return json_digest(visible_results | code | {"read": read})
