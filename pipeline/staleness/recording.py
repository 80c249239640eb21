"""Record what a step depended on and wrote, once it has ended."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pipeline.definition.tasks import Task
from pipeline.runs.digests import json_digest
from pipeline.runs.results import PublishedResults
from pipeline.runs.status import StepStatus
from pipeline.staleness import access_log, dependencies
from pipeline.staleness.access_log import FileAccesses
from pipeline.staleness.file_signature import (
    FileSignature,
    describe_file_change,
    file_signature,
    signature_when_read,
)
from pipeline.staleness.fingerprint import Fingerprint
from pipeline.staleness.folder_listing import folder_signature
from pipeline.staleness.reasons import display_path
from pipeline.staleness.state_store import StateStore
from pipeline.staleness.static_analysis import module_code
from pipeline.staleness.step_state import StepState


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
    # a log that steps only append to grows with every run: neither input nor output
    changed_paths = accesses.written.keys() | accesses.appended.keys()
    inputs = {
        str(path): signature_when_read(path, recorded_stat)
        for path, recorded_stat in sorted(accesses.read.items())
        if path not in changed_paths and not path.is_dir()
    }
    # a file of another step that was written with equal content
    inputs |= {path: file for path, file in signatures.items() if path in owners}
    inputs |= {path: file_signature(Path(path)) for path in results.input_files}
    expected_paths = state_store.expected_paths(task) | outputs.keys()
    recorded = replace(
        fingerprint,
        runtime_modules=module_code.full_hashes(
            path for path in map(str, sorted(accesses.module)) if path not in fingerprint.modules
        ),
        inputs=inputs,
        outputs=outputs,
        folders={
            str(path): folder_signature(path, task.step.ignore, lambda: expected_paths)
            for path in access_log.listed_folders(accesses, state_store.workspace)
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
        )
    )


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
    if fingerprint.outputs or results.outputs:
        return json_digest(visible_results)
    modules = {to_portable(path): digest for path, digest in fingerprint.modules.items()}
    code = {"code": fingerprint.code, "parameters": fingerprint.parameters, "modules": modules}
    contents = {path: file and file.sha256 for path, file in fingerprint.inputs.items()}
    names = {path: folder and sorted(folder.names) for path, folder in fingerprint.folders.items()}
    read = {to_portable(path): content for path, content in (contents | names).items()}
    return json_digest(visible_results | code | {"read": read})
