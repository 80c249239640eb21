"""Modules that were imported in advance and are not visible until a notebook imports them."""

import contextlib
import importlib
import sys
from importlib.machinery import ExtensionFileLoader
from types import ModuleType
from typing import Any

from pipeline.kernels.preload.attribute_recorder import AttributeChange
from pipeline.kernels.preload.callback_recorder import Registration
from pipeline.kernels.preload.import_recorder import REFUSED, ImportRecord, ImportRecorder
from pipeline.kernels.preload.preload_guard import PreloadGuard


class ModuleStash:
    """The modules that were preloaded, by name, and the records of their imports.

    Create it when all is imported that belongs to every kernel.
    """

    def __init__(self) -> None:
        self.base_names = frozenset(sys.modules)
        self.recorder = ImportRecorder()
        self.guard = PreloadGuard(self.recorder.refuse)
        self.modules: dict[str, ModuleType] = {}
        self.attribute_names: set[str] = set()  # modules that are attributes of their packages
        self.taken_names: set[str] = set()  # of the modules that a kernel has taken over

    def preload(self, module_name: str) -> None:
        """Import a module, and put it aside with all that it has imported.

        An error will occur in the notebook again and be reported there.
        """
        self.put_back(list(self.modules))
        for change in self._attribute_changes():
            change.repeat()
        with (
            contextlib.suppress(BaseException),
            self.recorder.record(),
            self.guard.activate(),
        ):
            # as if a cell did it, which sees deprecations that other importers do not
            exec(f"import {module_name}", {"__name__": "__main__"})
        importlib.invalidate_caches()
        for change in reversed(self._attribute_changes()):
            change.undo()
        self._drop_refused()
        self._put_aside()

    def _drop_refused(self) -> None:
        """Drop the modules whose import was given up or failed, and those that refer to them.

        An extension module cannot be imported anew in this process: it stays, and is refused.
        """
        records, names = self.recorder.records, set(sys.modules) - self.base_names
        dropped_names = {
            name
            for name, record in records.items()
            if REFUSED in record.reads or name not in sys.modules
        }
        n_dropped = -1
        while n_dropped != len(dropped_names):
            n_dropped = len(dropped_names)
            dropped_names |= {
                name
                for name in names - dropped_names
                if name.rpartition(".")[0] in dropped_names
                or not dropped_names.isdisjoint(records.get(name, ImportRecord()).imported)
            }
        for name in dropped_names & names:
            if isinstance(getattr(sys.modules[name], "__loader__", None), ExtensionFileLoader):
                records.setdefault(name, ImportRecord()).reads.add(REFUSED)
            else:
                self._detach(name, sys.modules.pop(name))
                self.modules.pop(name, None)
        for name in dropped_names - set(sys.modules):
            records.pop(name, None)

    def _put_aside(self) -> None:
        """Move the modules that not every kernel has out of sys.modules."""
        for name in [name for name in sys.modules if name not in self.base_names]:
            self.modules.setdefault(name, sys.modules[name])
        for name in reversed(self.modules):
            if sys.modules.pop(name, None) and self._detach(name, self.modules[name]):
                self.attribute_names.add(name)

    def _detach(self, name: str, module: Any) -> bool:
        """Delete the attribute of the package that the module is; return whether it was one."""
        package, child_name = self._package_namespace(name)
        is_attribute = package.get(child_name) is module
        if is_attribute:
            del package[child_name]
        return is_attribute

    def _package_namespace(self, name: str) -> tuple[dict[str, Any], str]:
        package_name, _, child_name = name.rpartition(".")
        package = sys.modules.get(package_name) or self.modules.get(package_name)
        return getattr(package, "__dict__", {}), child_name

    def put_back(self, names: list[str]) -> None:
        """Make modules visible again, as after their import."""
        for name in names:
            sys.modules[name] = self.modules[name]
        for name in names:
            if name in self.attribute_names:
                package, child_name = self._package_namespace(name)
                package[child_name] = self.modules[name]

    def _attribute_changes(self) -> list[AttributeChange]:
        records = self.recorder.records.values()
        return [change for record in records for change in record.attribute_changes]

    @property
    def registrations(self) -> list[Registration]:
        """The callbacks that the modules have registered, in the order of their imports."""
        records = self.recorder.records.values()
        return [registration for record in records for registration in record.registrations]

    def closure(self, name: str) -> list[str]:
        """Return a module, and all modules that its import needs, in the order of their imports."""
        names: set[str] = set()
        pending_names = [name]
        while pending_names:
            pending_name = pending_names.pop()
            if pending_name in self.modules and pending_name not in names:
                names.add(pending_name)
                pending_names.append(pending_name.rpartition(".")[0])
                pending_names += self.record(pending_name).imported
            elif pending_name not in names and "." in pending_name:
                pending_names.append(pending_name.rpartition(".")[0])
        return [name for name in self.modules if name in names]

    def record(self, name: str) -> ImportRecord:
        """Return what the import of a module depended on and did."""
        return self.recorder.records.get(name, ImportRecord())
