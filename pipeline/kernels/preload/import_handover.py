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
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from pipeline.kernels.preload.import_conditions import ImportConditions
from pipeline.kernels.preload.import_observers import ImportObservers
from pipeline.kernels.preload.module_stash import ModuleStash
from pipeline.kernels.preload.search_path import SearchPath

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
        self.conditions: ImportConditions | None = None  # since before user code runs

    def install(self) -> None:
        """Find modules from now on."""
        sys.meta_path.insert(0, self)

    def start_checks(self) -> None:
        """Compare the process with its present state from now on; call before user code runs."""
        self.stash.guard.attach_kernel()
        random.random()  # after the first number of a seed, the state stays for some hundred
        observers = ImportObservers(self._check_observers)
        self.conditions = ImportConditions(
            self.stash, self.search_path, self.preload_values, observers
        )
        self.conditions.note_handover(list(self.stash.taken_names))

    def _check_observers(self, name: str) -> None:
        """End the kernel if the notebook sees or changes the import of a preloaded module."""
        if self.conditions and name in self.stash.modules and name not in self.stash.taken_names:
            for change in self.conditions.observers.describe_changes():
                self._end_kernel(f"it {change} before it imports {name}")

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the specification of a preloaded module that the notebook has not imported yet.

        It looks like that of an ordinary import.
        """
        module = self.stash.modules.get(name)
        if module is None or name in self.stash.taken_names:
            return None
        spec = copy.copy(getattr(module, "__spec__", None)) or ModuleSpec(name, None)
        if "." not in name:
            spec = self.search_path.shadowing_spec(name, module) or spec
        spec.name = name  # an alias may be imported
        spec.loader = self._handover_loader(spec.loader, name, module)
        return spec

    def _handover_loader(self, loader: Any, name: str, module: ModuleType) -> Any:
        """Return a loader like a module's own, whose execution of the module takes it over."""
        has_attributes = hasattr(loader, "__dict__") and not isinstance(loader, type)
        loader = copy.copy(loader) if has_attributes else _Loader()
        originals: dict[str, Any] = {
            attribute: vars(module)[attribute]
            for attribute in ("__spec__", "__loader__")
            if attribute in vars(module)
        }

        def execute(_module: ModuleType) -> None:
            vars(module).update(originals)  # undo what the import system has set
            self.take_over(name)

        loader.create_module, loader.exec_module = lambda _spec: module, execute
        return loader

    def take_over(self, name: str) -> None:
        """Make a preloaded module and all that it needs visible; end the kernel if it must not."""
        closure = self.stash.closure(name)
        new_names = {
            module_name: None
            for module_name in closure
            if module_name not in self.stash.taken_names
            and (module_name == name or not self._is_imported_alias(module_name))
        }
        reason = self.conditions and self.conditions.reason_to_refuse(
            name, closure, list(new_names)
        )
        if reason:
            self._end_kernel(f"it {reason} before it imports {name}")
        self.stash.put_back(list(new_names))
        self.stash.taken_names.update(new_names)
        for executed_name in self.stash.recorder.records:  # in the order of their ends
            if executed_name in new_names:
                self._repeat_effects(executed_name)
        if self.conditions:
            self.conditions.note_handover(list(new_names))

    def _is_imported_alias(self, name: str) -> bool:
        return name in sys.modules and name in self.stash.recorder.alias_names

    def _repeat_effects(self, name: str) -> None:
        """Do to the process and to the module what its import in this kernel would do."""
        record, conditions = self.stash.record(name), self.conditions
        for variable, value in record.set_variables.items():
            if conditions:
                conditions.set_variable(variable, value)
            if value is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value
        entries = [(entry, False) for entry in reversed(record.added_filters)]
        for entry, is_appended in entries + [(entry, True) for entry in record.appended_filters]:
            _add_filter(*entry, append=is_appended)
            if conditions:
                conditions.reference.filters.append(warnings.filters[-1 if is_appended else 0])
        folder_recorder = self.stash.recorder.folder_recorder
        folder_recorder.move_paths(self.stash.modules[name], record.folder_names)
        for change in record.attribute_changes:
            change.repeat()
            if conditions:
                conditions.note_change(change)
        for registration in record.registrations:
            registration.repeat()

    def _end_kernel(self, reason: str) -> None:
        """End the kernel, and with it this process, which may be a child of it."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self.reason_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.write(descriptor, reason.encode())
        os.kill(self.kernel_pid, signal.SIGKILL)
        os._exit(1)


class _Loader:
    """A loader of modules that have none with attributes of its own."""


def _add_filter(
    action: Any, message: Any, category: Any, module: Any, line: int, *, append: bool = False
) -> None:
    """Add a filter of warnings as a package did. message, module: patterns, None or texts."""
    patterns = [getattr(pattern, "pattern", pattern) or "" for pattern in (message, module)]
    warnings.filterwarnings(action, patterns[0], category, patterns[1], line, append=append)
