"""Record in a step's state what it depended on and wrote, once it has ended."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pipeline.definition.tasks import Task
from pipeline.runs.digests import json_digest
from pipeline.runs.formatting import join_limited
from pipeline.runs.results import PublishedResults
from pipeline.runs.status import StepStatus
from pipeline.staleness import access_log, dependencies, fingerprint, plan, reasons, shared_files
from pipeline.staleness.access_log import FileAccesses
from pipeline.staleness.file_signature import (
    FileSignature,
    file_change,
    file_signature,
    signature_when_read,
)
from pipeline.staleness.folder_listing import FolderSignature, folder_signature
from pipeline.staleness.state_store import StateStore
from pipeline.staleness.step_state import Fingerprint, StepState

Inputs = dict[str, FileSignature | None]
Outputs = dict[str, FileSignature]
Folders = dict[str, FolderSignature | None]


def record_success(
    task: Task,
    run_id: str,
    access_log_path: Path,
    results: PublishedResults,
    start_fingerprint: Fingerprint,
    state_store: StateStore,
) -> list[str]:
    """Record that the step has succeeded, with all that it depended on.

    access_log_path: the log of the files its kernel opened. results: what the notebook published,
    which may name files and results that are no files. start_fingerprint: taken before the step
    ran, as the code may have changed since. Returns warnings about files of other steps that the
    step has written.
    """
    accesses = access_log.read_access_log(access_log_path, task.step, state_store.workspace)
    states = state_store.load_all()
    appended = {path for path in accesses.appended if shared_files.last_writer(str(path), states)}
    inputs, outputs = _data_signatures(accesses, appended, results)
    listed_folders = access_log.listed_folders(accesses, state_store.workspace)
    folders = _folder_signatures(task, listed_folders, outputs, state_store)
    previous_writers = shared_files.earlier_writers(task.label, outputs, states)
    in_place_paths = {str(path) for path in (*accesses.updated, *appended, *results.input_files)}
    previous_state = states.get(task.label)
    overwritten = (previous_state.overwritten if previous_state else {}) | {
        path: writer
        for path, writer in previous_writers.items()
        if not shared_files.is_same_step(writer, task.label)
    }
    state = StepState(
        task.label,
        run_id,
        StepStatus.DONE,
        code=start_fingerprint.code,
        parameters=start_fingerprint.parameters,
        modules=start_fingerprint.modules,
        runtime_modules={
            str(path): fingerprint.module_hash(path)
            for path in sorted(accesses.modules)
            if str(path) not in start_fingerprint.modules
        },
        packages=dependencies.environment_versions(start_fingerprint.installed_modules),
        inputs=inputs,
        outputs=outputs,
        earlier_outputs=state_store.existing_outputs(task.label),
        folders=folders,
        overwritten={path: writer for path, writer in overwritten.items() if path in outputs},
        changed_in_place=sorted(in_place_paths & overwritten.keys() & outputs.keys()),
        upstream=state_store.upstream_digests(task.needs),
        external_state=dependencies.read_external_state(task.step),
    )
    state.output_digest = _output_digest(state, results, state_store)
    _transfer_ownership(task.label, outputs, states, state_store)
    state_store.save(state)
    return shared_files.overwrite_warnings(
        task.label, previous_writers, in_place_paths, {**states, task.label: state}
    )


def accept(task: Task, state_store: StateStore) -> str:
    """Declare an edited step up to date without running it; return the accepted changes.

    Raises ValueError if the step has never finished, or its outputs have changed.
    """
    state = state_store.load(task.label)
    if state is None or state.status is not StepStatus.DONE:
        raise ValueError(f"step {task.label} cannot be accepted: it has not finished yet")
    changed_outputs = reasons.changed_files("output", state.outputs)
    if changed_outputs:
        raise ValueError(f"step {task.label} cannot be accepted: {join_limited(changed_outputs)}")
    changes = plan.stale_reasons(task, state_store)
    current = dependencies.take_fingerprint(task.step, task.values)
    accepted_state = replace(
        state,
        code=current.code,
        parameters=current.parameters,
        modules=current.modules,
        runtime_modules=dependencies.module_hashes(state.runtime_modules),
        packages=dependencies.current_versions(state.packages),
        inputs={path: file_signature(Path(path)) for path in state.inputs},
        folders=_folder_signatures(task, map(Path, state.folders), {}, state_store),
        upstream=state_store.upstream_digests(task.needs),
        external_state=dependencies.read_external_state(task.step),
    )
    state_store.save(accepted_state)
    return join_limited(changes) or "nothing had changed"


def modified_foreign_files(task: Task, access_log_path: Path, state_store: StateStore) -> list[str]:
    """Return the files of other steps that an unfinished step has changed."""
    accesses = access_log.read_access_log(access_log_path, task.step, state_store.workspace)
    states = state_store.load_all()
    changed_paths = {str(path) for path in (*accesses.updated, *accesses.appended)}
    modified_paths = []
    for path in sorted(changed_paths):
        writer = shared_files.last_writer(path, states)
        if writer and file_change(Path(path), states[writer].outputs[path]):
            modified_paths.append(path)
    return modified_paths


def _data_signatures(
    accesses: FileAccesses, appended_paths: set[Path], results: PublishedResults
) -> tuple[Inputs, Outputs]:
    """Return the signatures of the inputs, and those of the outputs.

    appended_paths: files appended to that count as outputs, because a step wrote them.
    """
    # a log that steps only append to grows with every run: neither input nor output
    logs = set(accesses.appended) - set(accesses.written) - appended_paths
    published_paths = map(Path, results.output_files)
    written_paths = {*accesses.written, *appended_paths, *published_paths} - logs
    signatures = {
        str(path): file_signature(path) for path in sorted(written_paths) if path.is_file()
    }
    outputs = {path: signature for path, signature in signatures.items() if signature}
    inputs = {
        str(path): signature_when_read(path, recorded_stat)
        for path, recorded_stat in sorted(accesses.read.items())
        if path not in written_paths | logs and not path.is_dir()
    }
    published_inputs = {path: file_signature(Path(path)) for path in results.input_files}
    return inputs | published_inputs, outputs


def _folder_signatures(
    task: Task, folder_paths: Iterable[Path], outputs: Outputs, state_store: StateStore
) -> Folders:
    expected_paths = state_store.expected_paths(task) | outputs.keys()
    return {
        str(path): folder_signature(path, task.step.ignore, expected_paths) for path in folder_paths
    }


def _output_digest(state: StepState, results: PublishedResults, state_store: StateStore) -> str:
    """Return a digest of all results that later steps may find new.

    A step without visible results may write what the runner cannot see: its code and inputs stand
    for them.
    """
    to_portable = state_store.workspace.to_portable
    visible_results = {
        "files": {to_portable(path): file.sha256 for path, file in state.outputs.items()},
        "outputs": results.outputs,
        "headline": results.headline,
    }
    if state.outputs or results.outputs:
        return json_digest(visible_results)
    inputs = {path: file and file.sha256 for path, file in state.inputs.items()}
    folders = {path: folder and sorted(folder.names) for path, folder in state.folders.items()}
    modules = {to_portable(path): digest for path, digest in state.modules.items()}
    return json_digest(
        visible_results
        | {"code": state.code, "parameters": state.parameters, "modules": modules}
        | {"read": {to_portable(path): content for path, content in (inputs | folders).items()}}
    )


def _transfer_ownership(
    label: str, outputs: Outputs, states: dict[str, StepState], state_store: StateStore
) -> None:
    """Make the step the owner of all its outputs.

    No other step then misses its own version of a file. A step that had changed the file after
    this one must do so again, which its state notes as reverted.
    """
    step_name = label.partition("[")[0]
    for other_label, state in states.items():
        if other_label == label or (label != step_name and other_label == step_name):
            continue  # a sweep's variant overwrites the plain step's output, which must run
        reverted_paths = shared_files.reverted_paths(other_label, label, outputs, states)
        if reverted_paths or state.outputs.keys() & outputs.keys():
            remaining_outputs = {
                path: signature for path, signature in state.outputs.items() if path not in outputs
            }
            reverted = {**state.reverted, **dict.fromkeys(reverted_paths, label)}
            state_store.save(replace(state, outputs=remaining_outputs, reverted=reverted))
