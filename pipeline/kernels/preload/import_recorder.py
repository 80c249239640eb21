"""Record what the import of each module depends on and does, while packages are preloaded."""

import builtins
import contextlib
import importlib.util
import itertools
import logging
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from pipeline.kernels.preload.attribute_recorder import AttributeChange, AttributeRecorder
from pipeline.kernels.preload.callback_recorder import CallbackRecorder, Registration
from pipeline.kernels.preload.folder_recorder import FolderRecorder
from pipeline.kernels.preload.preload_guard import NOT_PRELOADED_MODULES, PreloadRefused

WORKING_FOLDER, LOGGING, RANDOM = "working folder", "logging", "random"  # entries of `reads`
WARNINGS, IMPORTER_WARNING, REFUSED = "warnings", "importer's warning", "refused"
ALL_VARIABLES = "*"
# of warnings that Python does not show unless a notebook's own line causes them
HIDDEN_CATEGORIES = (
    DeprecationWarning,
    PendingDeprecationWarning,
    ImportWarning,
    ResourceWarning,
)


@dataclass
class ImportRecord:
    """What the import of a module, without those that it imports, depended on and did."""

    imported: set[str] = field(default_factory=set)  # modules
    missing: set[str] = field(default_factory=set)  # top-level modules that were not found
    read_variables: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)  # what else it depended on
    set_variables: dict[str, str | None] = field(default_factory=dict)  # None: deleted
    added_filters: list[tuple] = field(default_factory=list)  # of warnings, in order
    appended_filters: list[tuple] = field(default_factory=list)  # those after all others
    relative_paths: set[str] = field(default_factory=set)  # looked for in the working folder
    folder_names: list[str] = field(default_factory=list)  # of values with the folder's path
    attribute_changes: list[AttributeChange] = field(default_factory=list)  # in other modules
    registrations: list[Registration] = field(default_factory=list)  # of callbacks, in order


class ImportRecorder:
    """The records of all modules that were imported within `record`, by name."""

    def __init__(self) -> None:
        self.records: dict[str, ImportRecord] = {}
        self.running_names: list[str] = []  # of the modules whose code is running, outermost first
        self.alias_names: set[str] = set()  # of modules that no finder found
        self.folder_recorder = FolderRecorder(lambda: self.current_record.relative_paths)
        self.attribute_recorder = AttributeRecorder()
        self.callback_recorder = CallbackRecorder(self._save_registration, self._forget_callback)

    @property
    def current_record(self) -> ImportRecord:
        """The record of the module whose code is running; a new one if there is none."""
        if not self.running_names:
            return ImportRecord()
        return self.records[self.running_names[-1]]

    @contextlib.contextmanager
    def record(self) -> Iterator[None]:
        """Record the imports within the context."""
        sys.meta_path.insert(0, self)
        with contextlib.ExitStack() as replacements, warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = self._record_warning

            def replace(owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
                original = getattr(owner, name)
                setattr(owner, name, wrap(original))
                replacements.callback(setattr, owner, name, original)

            replacements.enter_context(self.callback_recorder.record())
            replacements.enter_context(self.folder_recorder.record())
            replace(builtins, "__import__", self._recording_import)
            replace(os, "getcwd", lambda getcwd: self._noting(WORKING_FOLDER, getcwd))
            replace(
                logging.Logger,
                "isEnabledFor",
                lambda is_enabled: self._noting(LOGGING, is_enabled),
            )
            variables = type(os.environ)
            replace(variables, "__getitem__", self._recording_get)
            replace(variables, "__iter__", self._recording_iter)
            replace(variables, "__setitem__", self._recording_set)
            replace(variables, "__delitem__", self._recording_delete)
            try:
                yield
            finally:
                sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find a module with the other finders, and have its import recorded."""
        if name in NOT_PRELOADED_MODULES:
            raise PreloadRefused(name)
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec:
                loader: Any = spec.loader
                if hasattr(loader, "exec_module") and not isinstance(loader, type):
                    self._watch(name, loader)
                return spec
        if "." not in name:
            self.current_record.missing.add(name)
        return None

    def _watch(self, name: str, loader: Any) -> None:
        """Have the loader record what the module does when its code runs."""
        execute, n_modules = loader.exec_module, len(sys.modules)

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            if not self.running_names:  # `record` and others have replaced functions
                for base_name in sys.modules.keys() - self.records.keys():
                    self.attribute_recorder.note_module(base_name)
            record = self.records[name] = ImportRecord()
            filters, random_state = list(warnings.filters), random.getstate()
            self.running_names.append(name)
            try:
                execute(module)
            finally:
                self.running_names.pop()
                self.attribute_recorder.note_module(name)
                changes = self.attribute_recorder.find_changes(name, record.imported)
                record.attribute_changes = changes
            self.records[name] = self.records.pop(name)  # in the order of their ends
            self._record_aliases(record, len(sys.modules) - n_modules)
            record.added_filters, record.appended_filters = _new_filters(filters)
            if WORKING_FOLDER in record.reads:
                record.folder_names = self.folder_recorder.names_of_paths(module)
            if random.getstate() != random_state:
                record.reads.add(RANDOM)
            self.current_record.imported.add(name)

        loader.exec_module = exec_module

    def _record_aliases(self, record: ImportRecord, n_new_modules: int) -> None:
        """Record the newest modules that were put into sys.modules without being imported."""
        for name in itertools.islice(reversed(sys.modules), max(0, n_new_modules)):
            if name not in self.records and name not in self.alias_names:
                self.alias_names.add(name)
                record.imported.add(name)

    def refuse(self, what: str) -> None:
        """Give up the import that is running. Raises PreloadRefused."""
        for name in self.running_names:  # one of them may catch the exception and go on
            self.records[name].reads.add(REFUSED)
        raise PreloadRefused(what)

    def _save_registration(self, registration: Registration) -> bool:
        """Save what a preloaded module registers; return False for a module of every kernel.

        Such a one may register once for all that use it, as weakref.finalize does.
        """
        name = registration.module_name
        is_native_code = name.startswith("importlib.")  # which has no frame of its own
        if not self.running_names or not (name in self.records or is_native_code):
            return False
        self.records.get(name, self.current_record).registrations.append(registration)
        return True

    def _forget_callback(self, function: Any) -> None:
        for record in self.records.values():
            record.registrations = [
                registration
                for registration in record.registrations
                if function not in registration.arguments[:1]
            ]

    def _recording_import(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def import_module(
            name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
        ) -> Any:
            module = original(name, globals, locals, fromlist, level)
            if self.running_names:
                imported, base = self.current_record.imported, name
                if level:
                    package = globals.get("__package__") or globals["__name__"].rpartition(".")[0]
                    base = importlib.util.resolve_name("." * level + name, package)
                imported.add(base)
                submodules = (f"{base}.{item}" for item in fromlist or ())
                imported.update(name for name in submodules if name in sys.modules)
            return module

        return import_module

    def _noting(self, what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def note_and_call(*args: Any) -> Any:
            self.current_record.reads.add(what)
            return function(*args)

        return note_and_call

    def _recording_get(self, original: Callable[..., str]) -> Callable[..., str]:
        def get_item(variables: Any, name: Any) -> str:
            self.current_record.read_variables.add(os.fsdecode(name))
            return original(variables, name)

        return get_item

    def _recording_iter(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def iterate(variables: Any) -> Any:
            self.current_record.read_variables.add(ALL_VARIABLES)
            return original(variables)

        return iterate

    def _recording_set(self, original: Callable[..., None]) -> Callable[..., None]:
        def set_item(variables: Any, name: Any, value: Any) -> None:
            original(variables, name, value)
            self.current_record.set_variables[os.fsdecode(name)] = os.fsdecode(value)

        return set_item

    def _recording_delete(self, original: Callable[..., None]) -> Callable[..., None]:
        def delete_item(variables: Any, name: Any) -> None:
            original(variables, name)
            self.current_record.set_variables[os.fsdecode(name)] = None

        return delete_item

    def _record_warning(
        self, message: Any, category: Any, filename: str, *_details: Any, **_options: Any
    ) -> None:
        """Record a warning that Python hides; give up an import whose warning a notebook shows."""
        if not issubclass(category, HIDDEN_CATEGORIES):
            self.refuse(str(message))
        record = self.current_record
        record.reads.add(WARNINGS)
        module = sys.modules.get(self.running_names[-1]) if self.running_names else None
        if filename != getattr(module, "__file__", None):
            record.reads.add(IMPORTER_WARNING)


def _new_filters(earlier_filters: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return the filters of warnings that were inserted since, and those that were appended."""
    filters = list(warnings.filters)
    kept_indexes = [index for index, item in enumerate(filters) if item in earlier_filters]
    end = max(kept_indexes, default=len(filters))
    return [item for item in filters[:end] if item not in earlier_filters], filters[end + 1 :]
