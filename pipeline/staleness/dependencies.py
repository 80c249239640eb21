"""Take the present state of what a step depends on."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.definition import notebook_file
from pipeline.definition.parameters import read_parameters
from pipeline.definition.steps import Step
from pipeline.definition.tasks import Task
from pipeline.runs.strict_json import to_json_content
from pipeline.staleness import source_code
from pipeline.staleness.access_kinds import loaded_modules_path, missing_modules_path
from pipeline.staleness.file_signature import FileSignature, file_signature
from pipeline.staleness.fingerprint import Fingerprint
from pipeline.staleness.folder_listing import folder_signature
from pipeline.staleness.kernel_spec import kernel_spec_hash
from pipeline.staleness.secret_hash import hash_secrets
from pipeline.staleness.state_store import StateStore
from pipeline.staleness.static_analysis import imports, installed_packages, module_code


def source_fingerprint(task: Task, state_store: StateStore) -> Fingerprint:
    """Return what is known of a task before it runs: code, parameters, modules and what it needs.

    Parameters that are not overridden count with their defaults.
    """
    notebook = task.step.notebook
    defaults = {parameter.name: parameter.default for parameter in read_parameters(notebook)}
    values = defaults | task.values
    notebook_imports = imports.resolve_imports(notebook)
    kernel = task.step.kernel or notebook_file.kernel_name(notebook)
    return Fingerprint(
        code=source_code.cell_hashes(notebook, task.step.kernel),
        kernel_spec={kernel: kernel_spec_hash(kernel, state_store.workspace.to_portable)},
        cell_details=source_code.cell_details(notebook),
        parameters={
            name: to_json_value(value) for name, value in (defaults | task.written_values).items()
        },
        parameter_types={name: type_name(value) for name, value in values.items()},
        secrets=hash_secrets(task.secret_variables, state_store.workspace.secret_key_file),
        modules=notebook_imports.full_hashes,
        bare_modules=notebook_imports.hashes_without_docstrings,
        upstream=state_store.upstream_digests(task.needs),
        source_state=_read_source_state(task.step, values),
    )


def take_fingerprint(task: Task, recorded: Fingerprint, state_store: StateStore) -> Fingerprint:
    """Return the present state of all that `recorded`, of the last run, names.

    A file or a folder is read only if its time or size differs from that in `recorded`.
    """
    present = source_fingerprint(task, state_store)
    shared_logs = state_store.shared_logs(task.label)
    return replace(
        present,
        bare_modules={} if _may_read_docstrings(recorded) else present.bare_modules,
        runtime_modules=module_code.full_hashes(recorded.runtime_modules),
        packages=_present_versions(recorded.packages, task.step.notebook.parent),
        required_packages=_present_versions(recorded.required_packages, task.step.notebook.parent),
        inputs=_sign_again(recorded.inputs)
        | {path: recorded.inputs[path] for path in shared_logs & recorded.inputs.keys()},
        outputs=_sign_again(recorded.outputs),
        folders={
            path: folder_signature(
                Path(path), task.step.ignore, lambda: state_store.expected_paths(task), signature
            )
            for path, signature in recorded.folders.items()
        },
        existence=_look_again(recorded.existence, task, state_store),
        external_state=read_external_state(task.step),
    )


def _may_read_docstrings(recorded: Fingerprint) -> bool:
    """Return whether code that only a run found may read the docstrings of our modules."""
    paths = map(Path, (*recorded.runtime_modules, *recorded.inputs))
    return any(
        module_code.scan(path).reads_docstrings
        for path in paths
        if path.suffix == module_code.SOURCE_SUFFIX and path.exists()
    )


def _present_versions(recorded: dict[str, str], notebook_folder: Path) -> dict[str, str]:
    listed_versions = installed_packages.listed_versions()
    return {
        name: version
        if version in listed_versions.get(installed_packages.normalize_name(name), ())
        else installed_packages.package_version(name, notebook_folder)
        for name, version in recorded.items()
    }


def _look_again(recorded: dict[str, bool], task: Task, state_store: StateStore) -> dict[str, bool]:
    """Return which of the paths exist; files that steps wrote are no news, as in a folder."""
    existence = {path: Path(path).exists() for path in recorded}
    if any(existence[path] and not recorded[path] for path in recorded):
        expected_paths = state_store.expected_paths(task)
        for path in recorded:
            existence[path] = existence[path] and (recorded[path] or path not in expected_paths)
    return existence


def _sign_again(recorded: dict[str, FileSignature | None]) -> dict[str, FileSignature | None]:
    return {path: file_signature(Path(path), signature) for path, signature in recorded.items()}


def to_json_value(value: Any) -> Any:
    """Return a parameter's value in a form that JSON can hold."""
    if isinstance(value, list):
        return [to_json_value(element) for element in value]
    return to_json_content(value if isinstance(value, bool | int | float | None) else str(value))


def type_name(value: Any) -> str:
    """Return the name of a value's type, with those of its elements."""
    name = type(value).__name__
    match value:
        case dict():
            elements = [f"{type_name(key)}: {type_name(item)}" for key, item in value.items()]
        case list() | tuple():
            elements = [*map(type_name, value)]
        case set() | frozenset():
            elements = sorted(map(type_name, value))
        case _:
            return name
    unique_elements = set(elements)
    return f"{name}[{', '.join(unique_elements if len(unique_elements) == 1 else elements)}]"


def read_external_state(step: Step) -> dict[str, str]:
    """Return the present state of the step's dependencies that are not files.

    A state that cannot be read is a state of its own, so that the step runs and reports the error.
    """
    return _read_state(step.external_state) if step.external_state else {}


def _read_source_state(step: Step, values: Mapping[str, Any]) -> dict[str, str]:
    return _read_state(partial(step.source_state, values)) if step.source_state else {}


def _read_state(read: Callable[[], Mapping[str, str]]) -> dict[str, str]:
    try:
        return dict(read())
    except OSError as error:
        return {"error": f"cannot be read ({error})"}


def environment_versions(notebook: Path) -> dict[str, str]:
    """Return the version of Python, and of each package that the notebook's modules import.

    Those that are not installed are among them, as code may do without.
    """
    notebook_imports = imports.resolve_imports(notebook)
    names = [
        "python",
        *installed_packages.providing_distributions(notebook_imports.installed_modules),
        *notebook_imports.distributions,
        *notebook_imports.missing_modules,
    ]
    return {name: installed_packages.package_version(name, notebook.parent) for name in names}


def add_traced_imports(
    fingerprint: Fingerprint, access_log: Path, notebook_folder: Path, started: str
) -> Fingerprint:
    """Return the fingerprint with the packages that only the kernel's end tells of.

    These are the modules that it did not find, and the packages that the imported ones need and
    that it has loaded. access_log: a kernel that is not traced leaves no files beside it. started:
    when the step did, in ISO 8601: what was installed or upgraded later counts as missing.
    """
    names_path, loaded_path = missing_modules_path(access_log), loaded_modules_path(access_log)
    if not names_path.exists() or not loaded_path.exists():
        return fingerprint
    started_ns = int(datetime.fromisoformat(started).timestamp() * 1e9)
    versions = {
        name: installed_packages.package_version(name, notebook_folder)
        if installed_packages.was_found(name, notebook_folder, started_ns)
        else installed_packages.ABSENT
        for name in names_path.read_text(encoding="utf-8").split()
    }
    packages = versions | fingerprint.packages
    kernel_modules, _, other_modules = loaded_path.read_text(encoding="utf-8").partition("\n")
    kernel_packages, other_packages = (
        installed_packages.providing_distributions(modules.split())
        for modules in (kernel_modules, other_modules)
    )
    requirements = installed_packages.find_requirements(packages)
    required = other_packages + [
        name for name in kernel_packages if installed_packages.normalize_name(name) in requirements
    ]
    upgraded_names = installed_packages.installed_since(started_ns)
    required_packages = {
        name: installed_packages.ABSENT
        if installed_packages.normalize_name(name) in upgraded_names
        else installed_packages.package_version(name, notebook_folder)
        for name in sorted({*required} - packages.keys())
    }
    return replace(fingerprint, packages=packages, required_packages=required_packages)
