"""A notebook's signature: the cell tagged `parameters`, read without running it."""

import ast
import io
import json
import os
import tokenize
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Optional

from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen, MinLen, MultipleOf

# the names an annotation may use
KNOWN = {
    one.__name__: one
    for one in (bool, int, float, str, list, date, Path, Ge, Gt, Le, Len, Lt, MaxLen, MinLen)
} | {"MultipleOf": MultipleOf, "Annotated": Annotated, "Literal": Literal, "Optional": Optional}


class Parameter(NamedTuple):
    """One line of the parameters cell."""

    name: str
    annotation: str  # as written
    default: Any
    help: str  # the trailing comment


class Secret(str):
    """`env:NAME`: a value that only the kernel looks up, so that it is written down nowhere."""

    @property
    def variable(self) -> str:
        """The environment variable's name."""
        return self.removeprefix("env:")

    @property
    def code(self) -> str:
        """The Python that looks it up."""
        return f"__import__('os').environ[{self.variable!r}]"


def literal(value: Any) -> dict[str, Any]:
    """A value as JSON can carry it: {"value": ...}, or {"code": the Python that makes it}."""
    if isinstance(value, Secret):
        return {"code": value.code}
    if isinstance(value, Path):
        return {"code": f"__import__('pathlib').Path({str(value)!r})"}
    if isinstance(value, date):
        return {"code": f"__import__('datetime').date({value.year}, {value.month}, {value.day})"}
    if isinstance(value, list):
        parts = [literal(one) for one in value]
        if any("code" in one for one in parts):
            code = ", ".join(one.get("code") or repr(one["value"]) for one in parts)
            return {"code": f"[{code}]"}
    return {"value": value}


def kernel(notebook: Path) -> str:
    """The name of the kernel it wants."""
    return _content(notebook).get("metadata", {}).get("kernelspec", {}).get("name") or "python3"


def cells(notebook: Path) -> list[dict[str, Any]]:
    """The notebook's cells, their sources whole; ValueError if it is no notebook of format 4."""
    return [{**one, "source": "".join(one["source"])} for one in _content(notebook)["cells"]]


def _content(notebook: Path) -> dict[str, Any]:
    try:
        content = json.loads(notebook.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"there is no notebook {notebook}") from None
    except ValueError as wrong:
        raise ValueError(f"{notebook.name} is no notebook: it is not JSON ({wrong})") from None
    if not isinstance(content, dict) or content.get("nbformat") != 4 or "cells" not in content:
        found = content.get("nbformat") if isinstance(content, dict) else None
        raise ValueError(
            f"{notebook.name} has notebook format {found}, expected 4; to bring it up to date: "
            f"jupyter nbconvert --to notebook --inplace {notebook.name}"
        )
    return content


def read(notebook: Path) -> list[Parameter]:
    """The parameters in the order of the cell; none if no cell is tagged.

    Raises ValueError, naming notebook and line, for a second tagged cell, a syntax error, an
    annotation that is not known here, or a default that is no literal.
    """
    tagged = [
        one for one in cells(notebook) if "parameters" in one.get("metadata", {}).get("tags", [])
    ]
    if len(tagged) > 1:
        raise ValueError(f"{notebook.name} has {len(tagged)} cells tagged parameters, expected one")
    if not tagged:
        return []
    source = tagged[0]["source"]
    try:
        body = ast.parse(source).body
    except SyntaxError as wrong:
        line = (wrong.text or "").strip()
        raise ValueError(
            f"{notebook.name}, parameters cell, line {wrong.lineno}: {line!r}: {wrong.msg}"
        ) from None
    comments = _comments(source)
    lines = [one for one in body if not isinstance(one, ast.ImportFrom | ast.Import)]
    return [_parameter(line, comments.get(line.end_lineno, ""), notebook) for line in lines]


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
        default = _literal(line.value)
    except ValueError:
        raise ValueError(f"{where}: the default must be a literal") from None
    return Parameter(line.target.id, annotation, default, comment)


def _literal(value: ast.expr) -> Any:
    """A literal's value; date(2026, 11, 23) and Path("a") count as literals."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and not value.keywords:
        made = {"date": date, "Path": Path}.get(value.func.id)
        if made:
            return made(*(ast.literal_eval(one) for one in value.args))
    return ast.literal_eval(value)


def check(declared: list[Parameter], given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The given values as their annotations say, and a sentence for each that is wrong.

    given: name -> text, as typed, or a list of texts. The annotations become a pydantic model,
    which the notebook's own defaults must satisfy too.
    """
    from pydantic import ConfigDict, ValidationError, create_model

    known = {one.name: one for one in declared}
    fields = {
        one.name: (eval(one.annotation, {"__builtins__": {}}, KNOWN), one.default)
        for one in declared
    }
    model = create_model("Parameters", __config__=ConfigDict(validate_default=True), **fields)
    problems, secrets, taken = [], {}, {}
    for name, text in given.items():
        if isinstance(text, str) and text.startswith("env:"):
            secrets[name] = Secret(text)
            problems += _unusable(known[name], secrets[name])
        else:
            taken[name] = _unpacked(text, known[name].annotation)
    try:
        values = model.model_validate(taken).model_dump(include=set(taken))
    except ValidationError as wrong:
        values = {}
        problems += [_sentence(known, given, one) for one in wrong.errors()]
    return values | secrets, problems


def _unpacked(text: Any, annotation: str) -> Any:
    """A list from JSON, a number where only a Literal's number can be meant, None from its name."""
    if not isinstance(text, str):
        return text
    optional = "None" in annotation or "Optional" in annotation
    if optional and text in ("None", "null"):
        return None
    listed = "list[" in annotation and text.startswith("[")
    if listed or ("Literal[" in annotation and repr(text) not in annotation):
        try:
            return json.loads(text)
        except ValueError:
            pass
    return text


def _unusable(parameter: Parameter, secret: Secret) -> list[str]:
    if "str" not in parameter.annotation:
        return [f"{parameter.name} is {str(secret)!r}, a secret, expected {parameter.annotation}"]
    if not os.environ.get(secret.variable):
        return [
            f"{parameter.name} is {str(secret)!r}, but {secret.variable} is not set in the "
            "environment"
        ]
    return []


def _sentence(known: Mapping[str, Parameter], given: Mapping[str, Any], error: Any) -> str:
    name = error["loc"][0]
    value = given.get(name, known[name].default)
    reason = error["msg"].removeprefix("Input ")
    default = "" if name in given else "'s default"
    return f"{name}{default} is {value!r}, expected {known[name].annotation} ({reason})"
