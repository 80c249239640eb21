"""papermill's translator of parameters into Python code, extended by dates, paths and secrets."""

from datetime import date
from pathlib import Path
from typing import Any

from papermill.translators import PythonTranslator

from pipeline.definition.parameters import Secret


class ParameterTranslator(PythonTranslator):
    """Write values that have no literal as expressions that need no import."""

    @classmethod
    def translate(cls, val: Any) -> str:
        """Return the source code of a parameter's value; a secret is looked up by the kernel."""
        if isinstance(val, Secret):
            return f"__import__('os').environ[{val.variable!r}]"
        if isinstance(val, Path):
            return f"__import__('pathlib').Path({str(val)!r})"
        if isinstance(val, date):
            return f"__import__('datetime').date({val.year}, {val.month}, {val.day})"
        return super().translate(val)

    @classmethod
    def translate_dict(cls, val: dict) -> str:
        """Return the source code of a dictionary; papermill makes texts of its keys."""
        items = (f"{cls.translate(key)}: {cls.translate(item)}" for key, item in val.items())
        return f"{{{', '.join(items)}}}"
