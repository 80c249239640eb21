"""A notebook's signature: the cell tagged `parameters`, read without running it."""

import ast
import io
import json
import tokenize
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Optional

from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen, MinLen
from pydantic import TypeAdapter, ValidationError

# the names an annotation may use
KNOWN = {
    one.__name__: one
    for one in (bool, int, float, str, list, date, Path, Ge, Gt, Le, Len, Lt, MaxLen, MinLen)
} | {"Annotated": Annotated, "Literal": Literal, "Optional": Optional, "None": None}


class Parameter(NamedTuple):
    """One line of the parameters cell."""

    name: str
    annotation: str  # as written
    default: Any
    help: str  # the trailing comment

    def parse(self, text: str) -> Any:
        """The value that a text on the command line stands for; ValueError if it is none."""
        adapter = TypeAdapter(eval(self.annotation, {"__builtins__": {}}, KNOWN))
        try:
            if self.annotation.startswith(("list", "Annotated[list")):
                return adapter.validate_json(text)
            return adapter.validate_strings(text)
        except ValidationError as wrong:
            reason = wrong.errors()[0]["msg"].removeprefix("Input ")
            raise ValueError(
                f"{self.name} is {text!r}, expected {self.annotation} ({reason})"
            ) from None


def read(notebook: Path) -> list[Parameter]:
    """The parameters in the order of the cell; none if no cell is tagged.

    Raises ValueError, naming notebook and line, for a second tagged cell, an annotation that is
    not known here, or a default that is no literal.
    """
    cells = json.loads(notebook.read_text())["cells"]
    tagged = [one for one in cells if "parameters" in one["metadata"].get("tags", [])]
    if len(tagged) > 1:
        raise ValueError(f"{notebook.name} has {len(tagged)} cells tagged parameters, expected one")
    if not tagged:
        return []
    source = "".join(tagged[0]["source"])
    comments = _comments(source)
    lines = [one for one in ast.parse(source).body if not isinstance(one, ast.ImportFrom)]
    return [_parameter(line, comments.get(line.lineno, ""), notebook) for line in lines]


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("# ")
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _parameter(line: ast.stmt, comment: str, notebook: Path) -> Parameter:
    where = f"{notebook.name}, parameters cell, line {line.lineno}: {ast.unparse(line)!r}"
    if not (isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value):
        raise ValueError(f"{where}: expected NAME: TYPE = VALUE  # what it is for")
    annotation = ast.unparse(line.annotation)
    unknown = [
        one.id
        for one in ast.walk(line.annotation)
        if isinstance(one, ast.Name) and one.id not in KNOWN
    ]
    if unknown:
        raise ValueError(f"{where}: {unknown[0]} is no type the runner knows ({', '.join(KNOWN)})")
    try:
        default = ast.literal_eval(line.value)
    except ValueError:
        raise ValueError(f"{where}: the default must be a literal") from None
    return Parameter(line.target.id, annotation, default, comment)
