"""papermill's Python literals for the injected cell, or expressions where there is no literal."""

from typing import Any

from papermill.translators import PythonTranslator, papermill_translators


class PythonExpression(str):
    """Python code to inject as it is, where papermill would write a quoted text."""


class ParameterTranslator(PythonTranslator):
    """papermill's Python translator, extended by `PythonExpression`."""

    @classmethod
    def translate(cls, val: Any) -> str:
        """Return the source code of a parameter's value."""
        return str(val) if isinstance(val, PythonExpression) else super().translate(val)


papermill_translators.register("python", ParameterTranslator)
