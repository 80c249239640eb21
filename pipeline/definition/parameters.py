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
ANNOTATION_NAMESPACE = {
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
    def lookup_code(self) -> str:
        """The Python that looks it up."""
        return f"__import__('os').environ[{self.variable!r}]"


def encode_value(value: Any) -> dict[str, Any]:
    """A value as JSON can carry it: {"value": ...}, or {"code": the Python that makes it}."""
    if isinstance(value, Secret):
        return {"code": value.lookup_code}
    if isinstance(value, Path):
        return {"code": f"__import__('pathlib').Path({str(value)!r})"}
    if isinstance(value, date):
        return {"code": f"__import__('datetime').date({value.year}, {value.month}, {value.day})"}
    if isinstance(value, list):
        parts = [encode_value(one) for one in value]
        if any("code" in one for one in parts):
            code = ", ".join(one.get("code") or repr(one["value"]) for one in parts)
            return {"code": f"[{code}]"}
    return {"value": value}


def kernel_name(notebook: Path) -> str:
    """The name of the kernel it wants."""
    return (
        _load_notebook(notebook).get("metadata", {}).get("kernelspec", {}).get("name") or "python3"
    )


def read_cells(notebook: Path) -> list[dict[str, Any]]:
    """The notebook's cells, their sources whole; ValueError if it is no notebook of format 4."""
    return [{**one, "source": "".join(one["source"])} for one in _load_notebook(notebook)["cells"]]


def _load_notebook(notebook: Path) -> dict[str, Any]:
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
        one
        for one in read_cells(notebook)
        if "parameters" in one.get("metadata", {}).get("tags", [])
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
    comments = _comments_by_line(source)
    lines = [one for one in body if not isinstance(one, ast.ImportFrom | ast.Import)]
    return [_parse_parameter(line, comments.get(line.end_lineno, ""), notebook) for line in lines]


def _comments_by_line(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("# ")
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _parse_parameter(statement: ast.stmt, comment: str, notebook: Path) -> Parameter:
    where = f"{notebook.name}, parameters cell, line {statement.lineno}: {ast.unparse(statement)!r}"
    if not (
        isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and statement.value
    ):
        raise ValueError(f"{where}: expected NAME: TYPE = VALUE  # what it is for")
    annotation = ast.unparse(statement.annotation)
    unknown = [
        one.id
        for one in ast.walk(statement.annotation)
        if isinstance(one, ast.Name) and one.id not in ANNOTATION_NAMESPACE
    ]
    if unknown:
        raise ValueError(
            f"{where}: {unknown[0]} is no type the runner knows ({', '.join(ANNOTATION_NAMESPACE)})"
        )
    try:
        default = _evaluate_literal(statement.value)
    except ValueError:
        raise ValueError(f"{where}: the default must be a literal") from None
    return Parameter(statement.target.id, annotation, default, comment)


def _evaluate_literal(expression: ast.expr) -> Any:
    """A literal's value; date(2026, 11, 23) and Path("a") count as literals."""
    if (
        isinstance(expression, ast.Call)
        and isinstance(expression.func, ast.Name)
        and not expression.keywords
    ):
        made = {"date": date, "Path": Path}.get(expression.func.id)
        if made:
            return made(*(ast.literal_eval(one) for one in expression.args))
    return ast.literal_eval(expression)


def validate(
    parameters: list[Parameter], texts: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The given values as their annotations say, and a sentence for each that is wrong.

    given: name -> text, as typed, or a list of texts. The annotations become a pydantic model,
    which the notebook's own defaults must satisfy too.
    """
    from pydantic import ConfigDict, ValidationError, create_model

    known = {one.name: one for one in parameters}
    fields = {
        one.name: (eval(one.annotation, {"__builtins__": {}}, ANNOTATION_NAMESPACE), one.default)
        for one in parameters
    }
    model = create_model("Parameters", __config__=ConfigDict(validate_default=True), **fields)
    problems, secrets, taken = [], {}, {}
    for name, text in texts.items():
        if isinstance(text, str) and text.startswith("env:"):
            secrets[name] = Secret(text)
            problems += _secret_problems(known[name], secrets[name])
        else:
            taken[name] = _parse_text(text, known[name].annotation)
    try:
        values = model.model_validate(taken).model_dump(include=set(taken))
    except ValidationError as wrong:
        values = {}
        problems += [_error_message(known, texts, one) for one in wrong.errors()]
    return values | secrets, problems


def _parse_text(text: Any, annotation: str) -> Any:
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


def _secret_problems(parameter: Parameter, secret: Secret) -> list[str]:
    if "str" not in parameter.annotation:
        return [f"{parameter.name} is {str(secret)!r}, a secret, expected {parameter.annotation}"]
    if not os.environ.get(secret.variable):
        return [
            f"{parameter.name} is {str(secret)!r}, but {secret.variable} is not set in the "
            "environment"
        ]
    return []


def _error_message(
    parameters_by_name: Mapping[str, Parameter], texts: Mapping[str, Any], error: Any
) -> str:
    name = error["loc"][0]
    value = texts.get(name, parameters_by_name[name].default)
    reason = error["msg"].removeprefix("Input ")
    default = "" if name in texts else "'s default"
    return (
        f"{name}{default} is {value!r}, expected {parameters_by_name[name].annotation} ({reason})"
    )
