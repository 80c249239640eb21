"""What the imports of preloaded modules depend on, and what a notebook has changed of it."""

import sys
from collections.abc import Iterator
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from types import ModuleType

from pipeline.kernels.preload import process_state
from pipeline.kernels.preload.attribute_recorder import AttributeChange
from pipeline.kernels.preload.import_observers import ImportObservers
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
from pipeline.kernels.preload.process_state import ModuleAttributes, ProcessState
from pipeline.kernels.preload.search_path import SearchPath


class ImportConditions:
    """The state of a kernel that imports depend on, compared with what it was at the creation.

    Create it before user code runs. search_path: knows sys.path when the modules were preloaded.
    preload_values: of the environment variables that were others then.
    """

    def __init__(
        self,
        stash: ModuleStash,
        search_path: SearchPath,
        preload_values: dict[str, str | None],
        observers: ImportObservers,
    ) -> None:
        self.stash, self.search_path, self.observers = stash, search_path, observers
        self.reference = ProcessState.take()
        # of modules whose attributes a notebook may replace
        self.kernel_attributes = {
            module.__name__: ModuleAttributes.take(module) for module in self._kernel_modules()
        }
        self.attributes: dict[str, ModuleAttributes] = {}  # of those that were handed over
        for name, value in preload_values.items():
            self.set_variable(name, value)

    def _kernel_modules(self) -> list[ModuleType]:
        """Return the standard modules, and others of every kernel that packages import."""
        imported_names = {
            name for record in self.stash.recorder.records.values() for name in record.imported
        }
        others = [
            sys.modules.get(name) for name in imported_names if not process_state.is_standard(name)
        ]
        return [
            *process_state.standard_modules(),
            *(module for module in others if isinstance(module, ModuleType)),
        ]

    def set_variable(self, name: str, value: str | None) -> None:
        """Take a value of an environment variable for the unchanged one; None: it is not set."""
        for variables in (self.reference.variables, self.reference.c_variables):
            if value is None:
                variables.pop(name, None)
            else:
                variables[name] = value

    def note_handover(self, names: list[str]) -> None:
        """Take the present attributes of modules for the unchanged ones."""
        for name in names:
            module = self.stash.modules[name]
            if isinstance(module, ModuleType):
                self.attributes[name] = ModuleAttributes.take(module)

    def note_change(self, change: AttributeChange) -> None:
        """Take an attribute that a package has changed for the unchanged one."""
        for attributes_by_name in (self.kernel_attributes, self.attributes):
            attributes = attributes_by_name.get(change.owner.__name__)
            if attributes and attributes.module is change.owner:
                attributes.values[change.name] = change.value

    def reason_to_refuse(self, name: str, closure: list[str], new_names: list[str]) -> str:
        """Return what the notebook did that the import depends on, as a clause; empty if nothing.

        closure: the module and all that it needs. new_names: those not imported so far.
        """
        reasons = [
            *self.observers.describe_changes(),
            *self._changed_modules(closure),
            *self._other_modules(new_names),
        ]
        if reasons or all(map(process_state.is_standard, new_names)):
            return next(iter(reasons), "")
        return self._changed_state(name, closure, new_names)

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

    def _changed_state(self, name: str, closure: list[str], new_names: list[str]) -> str:
        """Return what differs from the start of the kernel and matters to the modules."""
        reference, state = self.reference, ProcessState.take()
        for variable in state.changed_variables(reference):
            if self._depends_on(variable, new_names):
                is_set = variable in state.variables or variable in state.c_variables
                return f"{'sets' if is_set else 'removes'} {variable}"
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
        packages = {new_name.partition(".")[0] for new_name in new_names}
        loggers = state.configured_loggers(reference, packages)
        descriptions += [f"configures the logger {logger}" for logger in loggers]
        descriptions += self._changed_files(new_names)
        descriptions += self._replaced_attributes(closure)
        descriptions += state.changed_settings(reference)
        return next(iter(descriptions), "")

    def _replaced_attributes(self, closure: list[str]) -> Iterator[str]:
        handed_over = (self.attributes[name] for name in closure if name in self.attributes)
        for attributes in (*self.kernel_attributes.values(), *handed_over):
            for name in attributes.changed_names():
                yield f"replaces {attributes.module.__name__}.{name}"

    def _changed_files(self, new_names: list[str]) -> Iterator[str]:
        """Yield which files the modules would find that they looked for in the working folder."""
        for path in {path for name in new_names for path in self.stash.record(name).relative_paths}:
            if Path(path).exists():
                yield f"has {path} in its folder"

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
