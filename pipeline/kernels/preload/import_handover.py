"""Hand preloaded modules over to the notebook that imports them, if it gets what it would cold.

A kernel whose notebook has changed what the import depends on ends, and leaves the reason: the
step is then started cold. Its process cannot import the package anew, as its C code is loaded.
"""

import contextlib
import copy
import os
import random
import signal
import sys
import warnings
from collections.abc import Iterator
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.kernels.preload import process_state
from pipeline.kernels.preload.import_recorder import (
    ALL_VARIABLES,
    IMPORTER_WARNING,
    LOGGING,
    RANDOM,
    REFUSED,
    WARNINGS,
    WORKING_FOLDER,
)
from pipeline.kernels.preload.module_stash import ModuleStash
from pipeline.kernels.preload.process_state import ProcessState
from pipeline.kernels.preload.search_path import SearchPath

# in the notebook's folder; read when the package is imported
CONFIGURATION_FILES = {
    "matplotlib": ("matplotlibrc",),
    "numba": (".numba_config.yaml",),
    "luigi": ("luigi.cfg", "client.cfg"),
}
KERNEL_VARIABLE_PREFIXES = ("PIPELINE_", "JPY_")  # differ from kernel to kernel


class HandoverFinder:
    """A finder of sys.meta_path, which finds the preloaded modules.

    Create it before the kernel changes its environment. preload_path: sys.path when they were
    imported. variables: what the environment of the fork server was at its start. reason_path:
    gets the reason why this kernel must be started cold.
    """

    def __init__(
        self,
        stash: ModuleStash,
        preload_path: list[str],
        variables: dict[str, str],
        reason_path: str,
    ) -> None:
        self.stash, self.search_path = stash, SearchPath(preload_path)
        self.preload_values = {  # of the variables that differ in this kernel
            name: variables.get(name)
            for name in variables.keys() | os.environ.keys()
            if variables.get(name) != os.environ.get(name)
            and not name.startswith(KERNEL_VARIABLE_PREFIXES)
        }
        self.reason_path = reason_path
        self.kernel_pid = os.getpid()
        self.reference: ProcessState | None = None  # the state before user code runs
        self.functions: list[tuple[ModuleType, str, Any]] = []  # that a notebook may replace

    def install(self) -> None:
        """Find modules from now on."""
        sys.meta_path.insert(0, self)

    def start_checks(self) -> None:
        """Compare the process with its present state from now on; call before user code runs."""
        self.stash.guard.attach_kernel()
        random.random()  # after the first number of a seed, the state stays for some hundred
        self.reference = ProcessState.take()
        self.functions += process_state.public_functions(process_state.standard_modules())
        for name, value in self.preload_values.items():
            self._set_reference(name, value)

    def _set_reference(self, name: str, value: str | None) -> None:
        reference = self.reference
        for variables in (reference.variables, reference.c_variables) if reference else ():
            if value is None:
                variables.pop(name, None)
            else:
                variables[name] = value

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the specification of a preloaded module that the notebook has not imported yet."""
        module = self.stash.modules.get(name)
        if module is None or name in self.stash.taken_names:
            return None
        spec = copy.copy(getattr(module, "__spec__", None)) or ModuleSpec(name, None)
        if "." not in name:
            spec = self.search_path.shadowing_spec(name, self.stash.modules.get(name)) or spec
        spec.loader = _HandoverLoader(self, module)
        return spec

    def take_over(self, name: str) -> None:
        """Make a preloaded module and all that it needs visible; end the kernel if it must not."""
        closure = self.stash.closure(name)
        new_names = {
            module_name: None
            for module_name in closure
            if module_name not in self.stash.taken_names
            and not (module_name in sys.modules and module_name in self.stash.recorder.alias_names)
        }
        if self.reference:
            reason = self._reason_to_refuse(name, closure, list(new_names), self.reference)
            if reason:
                self._end_kernel(f"it {reason} before it imports {name}")
        self.stash.put_back(list(new_names))
        self.stash.taken_names.update(new_names)
        for executed_name in self.stash.recorder.records:  # in the order of their ends
            if executed_name in new_names:
                self._repeat_effects(executed_name)
        if self.reference and "." not in name:
            self.functions += process_state.public_functions([self.stash.modules[name]])

    def _repeat_effects(self, name: str) -> None:
        """Change the environment and the filters of warnings as the import did."""
        record = self.stash.record(name)
        for variable, value in record.set_variables.items():
            self._set_reference(variable, value)
            if value is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value
        entries = [(entry, False) for entry in reversed(record.added_filters)]
        for entry, is_appended in entries + [(entry, True) for entry in record.appended_filters]:
            _add_filter(*entry, append=is_appended)
            if self.reference:
                self.reference.filters.append(warnings.filters[-1 if is_appended else 0])

    def _reason_to_refuse(
        self, name: str, closure: list[str], new_names: list[str], reference: ProcessState
    ) -> str:
        """Return what the notebook did that the import depends on; empty if nothing."""
        reasons = [*self._changed_modules(closure), *self._other_modules(new_names)]
        if reasons or all(map(_is_standard, new_names)):
            return next(iter(reasons), "")
        return self._changed_state(name, new_names, reference)

    def _changed_modules(self, closure: list[str]) -> Iterator[str]:
        """Yield which modules the notebook has replaced or removed."""
        # C code makes the aliases when they are not there
        for name in closure:
            if name in self.stash.recorder.alias_names:
                continue
            if name in sys.modules and sys.modules[name] is not self.stash.modules[name]:
                yield f"replaces the module {name}"
            if name in self.stash.taken_names and name not in sys.modules:
                yield f"removes the module {name}"

    def _other_modules(self, new_names: list[str]) -> Iterator[str]:
        """Yield which modules the import would find now and did not find in advance."""
        for name in dict.fromkeys(name.partition(".")[0] for name in new_names):
            if self.search_path.shadowing_spec(name, self.stash.modules.get(name)):
                yield f"has another module {name} on its path"
            if self.search_path.lacks(name):
                yield f"removes the folder of {name} from its path"
        missing_names = {
            missing for name in new_names for missing in self.stash.record(name).missing
        }
        for name in sorted(missing_names):
            if name in sys.modules or self.search_path.added_spec(name):
                yield f"has a module {name}"

    def _changed_state(self, name: str, new_names: list[str], reference: ProcessState) -> str:
        """Return what differs from the start of the kernel and matters to the modules."""
        state = ProcessState.take()
        for variable in state.changed_variables(reference):
            if self._depends_on(variable, new_names):
                return f"sets {variable}"
        reads = {read for new_name in new_names for read in self.stash.record(new_name).reads}
        changes = [
            (REFUSED, "needs more than a warm kernel can give it", True),
            (
                WORKING_FOLDER,
                "changes the folder",
                state.working_folder != reference.working_folder,
            ),
            (LOGGING, "configures logging", state.logging != reference.logging),
            (RANDOM, "seeds the module random", state.random != reference.random),
            (WARNINGS, "changes warnings' filters", state.may_show_more_warnings(reference)),
        ]
        descriptions = [change for read, change, differs in changes if read in reads and differs]
        if IMPORTER_WARNING in self.stash.record(name).reads:
            descriptions.append("must show a warning")
        descriptions += self._changed_files(new_names)
        descriptions += [
            f"replaces {module.__name__}.{function_name}"
            for module, function_name, function in self.functions
            if vars(module).get(function_name) is not function
        ]
        descriptions += state.changed_settings(reference)
        return next(iter(descriptions), "")

    def _changed_files(self, new_names: list[str]) -> Iterator[str]:
        for package, filenames in CONFIGURATION_FILES.items():
            for filename in filenames:
                if package in new_names and Path(filename).exists():
                    yield f"has {filename} in its folder"

    def _depends_on(self, variable: str, names: list[str]) -> bool:
        """Return whether the import of the modules read an environment variable."""
        read_variables = {read for name in names for read in self.stash.record(name).read_variables}
        if not read_variables.isdisjoint({variable, ALL_VARIABLES}):
            return True
        has_native_code = any(
            isinstance(getattr(self.stash.modules[name], "__loader__", None), ExtensionFileLoader)
            for name in names
        )
        return has_native_code and process_state.libraries_mention(variable)

    def _end_kernel(self, reason: str) -> None:
        """End the kernel, and with it this process, which may be a child of it."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self.reason_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.write(descriptor, reason.encode())
        os.kill(self.kernel_pid, signal.SIGKILL)
        os._exit(1)


def _is_standard(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


class _HandoverLoader:
    """The loader of a preloaded module."""

    def __init__(self, finder: HandoverFinder, module: ModuleType) -> None:
        self.finder, self.module = finder, module
        self.original_spec = getattr(module, "__spec__", None)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the preloaded module."""
        self.finder.take_over(spec.name)
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        """Undo what the import system has set in the module."""
        module.__spec__ = self.original_spec


def _add_filter(
    action: Any, message: Any, category: Any, module: Any, line: int, *, append: bool = False
) -> None:
    """Add a filter of warnings as a package did. message, module: patterns, None or texts."""
    patterns = [getattr(pattern, "pattern", pattern) or "" for pattern in (message, module)]
    warnings.filterwarnings(action, patterns[0], category, patterns[1], line, append=append)
