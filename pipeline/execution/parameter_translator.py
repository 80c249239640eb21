"""papermill's Python literals for the injected cell; and code, where a value is none."""

from typing import Any

from papermill.translators import PythonTranslator, papermill_translators


class PythonExpression(str):
    """Python for the injected cell, where papermill would write a text."""


class ParameterTranslator(PythonTranslator):
    """papermill's own, but for `Code`."""

    @classmethod
    def translate(cls, val: Any) -> str:
        return str(val) if isinstance(val, PythonExpression) else super().translate(val)


papermill_translators.register("python", ParameterTranslator)
