"""Take the present state of what a step depends on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.definition.parameters import read_parameters
from pipeline.definition.steps import Step
from pipeline.definition.tasks import Task
from pipeline.staleness import source_code
from pipeline.staleness.file_signature import FileSignature, file_signature
from pipeline.staleness.fingerprint import Fingerprint
from pipeline.staleness.folder_listing import folder_signature
from pipeline.staleness.state_store import StateStore


def source_fingerprint(task: Task, state_store: StateStore) -> Fingerprint:
    """Return what is known of a task before it runs: code, parameters, modules and what it needs.

    Parameters that are not overridden count with their defaults.
    """
    notebook = task.step.notebook
    defaults = {parameter.name: parameter.default for parameter in read_parameters(notebook)}
    return Fingerprint(
        code=source_code.cell_hashes(notebook, task.step.kernel),
        parameters={name: to_json_value(value) for name, value in (defaults | task.values).items()},
        modules=source_code.resolve_imports(notebook)[0],
        upstream=state_store.upstream_digests(task.needs),
    )


def take_fingerprint(task: Task, recorded: Fingerprint, state_store: StateStore) -> Fingerprint:
    """Return the present state of all that `recorded`, of the last run, names.

    A file or a folder is read only if its time or size differs from that in `recorded`.
    """
    return replace(
        source_fingerprint(task, state_store),
        runtime_modules=source_code.module_hashes(recorded.runtime_modules),
        packages={name: source_code.installed_version(name) for name in recorded.packages},
        inputs=_sign_again(recorded.inputs),
        outputs=_sign_again(recorded.outputs),
        folders={
            path: folder_signature(
                Path(path), task.step.ignore, lambda: state_store.expected_paths(task), signature
            )
            for path, signature in recorded.folders.items()
        },
        external_state=read_external_state(task.step),
    )


def _sign_again(recorded: dict[str, FileSignature | None]) -> dict[str, FileSignature | None]:
    return {path: file_signature(Path(path), signature) for path, signature in recorded.items()}


def to_json_value(value: Any) -> Any:
    """Return a parameter's value in a form that JSON can hold."""
    if isinstance(value, list):
        return [to_json_value(element) for element in value]
    return value if isinstance(value, bool | int | float | None) else str(value)


def read_external_state(step: Step) -> dict[str, str]:
    """Return the present state of the step's dependencies that are not files.

    A state that cannot be read is a state of its own, so that the step runs and reports the error.
    """
    try:
        return dict(step.external_state()) if step.external_state else {}
    except OSError as error:
        return {"error": f"cannot be read ({error})"}


def environment_versions(notebook: Path) -> dict[str, str]:
    """Return the version of Python and of each distribution that the notebook's modules import."""
    modules = source_code.resolve_imports(notebook)[1]
    names = ["python", *source_code.providing_distributions(modules)]
    return {name: source_code.installed_version(name) for name in names}
