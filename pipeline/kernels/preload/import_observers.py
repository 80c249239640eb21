"""What a notebook may put between an import and the code of the module, to see or change it."""

import builtins
import sys
from collections.abc import Callable
from typing import Any

N_MONITORING_TOOLS = 6  # of sys.monitoring, from Python 3.12


class ImportObservers:
    """The hooks and finders of this process, compared with what they were at the creation.

    on_import: called with the name of each module before it is imported, even if the notebook has
    removed or replaced the finders.
    """

    def __init__(self, on_import: Callable[[str], None]) -> None:
        self.on_import, self.has_audit_hook = on_import, False
        self.reference = _present_observers()
        sys.addaudithook(self._on_event)

    def _on_event(self, event: str, arguments: tuple) -> None:
        if event == "import":
            self.on_import(arguments[0])
        elif event == "sys.addaudithook":
            self.has_audit_hook = True

    def describe_changes(self) -> list[str]:
        """Return what the notebook did that sees or changes imports, as clauses: "sets ..."."""
        observers = _present_observers()
        changes = [name for name, value in observers.items() if value != self.reference[name]]
        return [*changes, "adds an audit hook"] if self.has_audit_hook else changes


def _present_observers() -> dict[str, Any]:
    """Return what sees imports now: how a notebook changes it -> the present value."""
    is_tracing_memory = getattr(sys.modules.get("tracemalloc"), "is_tracing", lambda: False)
    monitoring = getattr(sys, "monitoring", None)
    return {
        "changes sys.meta_path": list(sys.meta_path),
        "changes sys.path_hooks": list(sys.path_hooks),
        "replaces builtins.__import__": builtins.__import__,
        "sets a trace function": sys.gettrace(),
        "sets a profile function": sys.getprofile(),
        "traces memory": is_tracing_memory(),
        "monitors its code": monitoring and [*map(monitoring.get_tool, range(N_MONITORING_TOOLS))],
    }
