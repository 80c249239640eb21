"""What a package adds to others when it is imported: functions in modules, methods of classes."""

import itertools
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

from pipeline.kernels.preload.process_state import CONSTANT_TYPES, is_standard

MISSING = object()


class AttributeChange(NamedTuple):
    """An attribute of a module or class that the code of another module has set."""

    owner: Any
    name: str
    earlier_value: Any  # MISSING if there was none
    value: Any

    def repeat(self) -> None:
        """Set the attribute."""
        setattr(self.owner, self.name, self.value)

    def undo(self) -> None:
        """Set the attribute to what it was, unless it has been changed again."""
        if vars(self.owner).get(self.name) is not self.value:
            return
        if self.earlier_value is MISSING:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self.earlier_value)


class AttributeRecorder:
    """Finds the changes that a module's code makes in the modules that it imports.

    They are functions and classes that it sets in other modules, settings of the standard
    library, and what it adds to the classes of other packages.
    """

    def __init__(self) -> None:
        self.values: dict[str, dict[str, Any]] = {}  # of modules, when they were looked at last
        self.classes: dict[str, list[type]] = {}  # that the package of a module defines
        self.n_attributes: dict[type, int] = {}  # of the classes, when they were looked at last

    def note_module(self, name: str) -> None:
        """Take the present attributes of a module for its own."""
        module = sys.modules.get(name)
        if isinstance(module, ModuleType):
            self.values[name] = dict(vars(module))
            self.classes[name] = list(_own_classes(module))
            for class_ in self.classes[name]:
                self.n_attributes.setdefault(class_, len(vars(class_)))

    def find_changes(self, name: str, imported_names: Iterable[str]) -> list[AttributeChange]:
        """Return what the code of a module has changed in others; call when it has run."""
        changes: list[AttributeChange] = []
        for imported_name in imported_names:
            module = sys.modules.get(imported_name)
            if (
                isinstance(module, ModuleType)
                and imported_name in self.values
                and not _is_related(name, imported_name)
            ):
                changes += self._class_changes(imported_name, name.partition(".")[0])
                if not _are_equal(vars(module), self.values[imported_name]):
                    changes += self._module_changes(module, self.values[imported_name])
                    self.note_module(imported_name)
        return changes

    def _module_changes(
        self, module: ModuleType, earlier_values: dict[str, Any]
    ) -> Iterator[AttributeChange]:
        for name, value in list(vars(module).items()):
            earlier_value = earlier_values.get(name, MISSING)
            if earlier_value is value or name.startswith("__"):
                continue
            is_function = callable(value) and (earlier_value is MISSING or callable(earlier_value))
            if is_function or _is_setting(module, name, value):
                yield AttributeChange(module, name, earlier_value, value)

    def _class_changes(self, module_name: str, package: str) -> Iterator[AttributeChange]:
        for class_ in self.classes[module_name]:
            n_earlier, n_attributes = self.n_attributes[class_], len(vars(class_))
            self.n_attributes[class_] = n_attributes
            if n_attributes > n_earlier and package != class_.__module__.partition(".")[0]:
                for name in list(itertools.islice(vars(class_), n_earlier, None)):
                    if not name.startswith("_"):
                        yield AttributeChange(class_, name, MISSING, vars(class_)[name])


def _is_setting(module: ModuleType, name: str, value: Any) -> bool:
    """Return whether it is public data of the standard library, as tempfile.tempdir is."""
    return is_standard(module.__name__) and type(value) in CONSTANT_TYPES and name[:1] != "_"


def _are_equal(values: dict[str, Any], other_values: dict[str, Any]) -> bool:
    try:
        return values == other_values
    except Exception:  # arrays cannot be compared so
        return False


def _own_classes(module: ModuleType) -> Iterator[type]:
    """Yield the classes in a module that its package defines."""
    package = module.__name__.partition(".")[0]
    for value in list(vars(module).values()):
        if isinstance(value, type) and str(value.__module__).partition(".")[0] == package:
            yield value


def _is_related(name: str, other_name: str) -> bool:
    """Return whether one of two modules is a part of the other."""
    return f"{name}.".startswith(f"{other_name}.") or f"{other_name}.".startswith(f"{name}.")
