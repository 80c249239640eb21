"""Read a notebook's signature, the cell tagged `parameters`, without running it."""

import ast
import io
import json
import os
import tokenize
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Optional

from pipeline.definition.notebook_file import is_parameters_cell, read_cells

STANDARD_ANNOTATIONS = {
    annotation.__name__: annotation for annotation in (bool, int, float, str, list, date, Path)
} | {"Annotated": Annotated, "Literal": Literal, "Optional": Optional}
# of annotated_types, which is imported only to check values
CONSTRAINT_NAMES = ("Ge", "Gt", "Le", "Len", "Lt", "MaxLen", "MinLen", "MultipleOf")
ANNOTATION_NAMES = (*STANDARD_ANNOTATIONS, *CONSTRAINT_NAMES)  # what an annotation may use
LITERAL_CONSTRUCTORS: dict[str, Callable[..., Any]] = {"date": date, "Path": Path}


class Parameter(NamedTuple):
    """One line of the parameters cell."""

    name: str
    annotation: str  # as written
    default: Any
    help: str  # the trailing comment


class Secret(str):
    """`env:NAME`: a value that only the kernel looks up, so that it is never written to disk."""

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return self.removeprefix("env:")

    @property
    def lookup_code(self) -> str:
        """The Python expression that looks the value up."""
        return f"__import__('os').environ[{self.variable!r}]"


class EncodedValue(NamedTuple):
    """A parameter's value as JSON can carry it: the value itself, or a Python expression of it."""

    value: Any = None
    code: str = ""


def encode_value(value: Any) -> EncodedValue:
    """Encode a parameter's value."""
    if isinstance(value, Secret):
        return EncodedValue(code=value.lookup_code)
    if isinstance(value, Path):
        return EncodedValue(code=f"__import__('pathlib').Path({str(value)!r})")
    if isinstance(value, date):
        arguments = f"{value.year}, {value.month}, {value.day}"
        return EncodedValue(code=f"__import__('datetime').date({arguments})")
    if isinstance(value, list):
        elements = [encode_value(element) for element in value]
        if any(element.code for element in elements):
            code = ", ".join(element.code or repr(element.value) for element in elements)
            return EncodedValue(code=f"[{code}]")
    return EncodedValue(value)


def read_parameters(notebook: Path) -> list[Parameter]:
    """Return the parameters in the order of the cell; an empty list if no cell is tagged.

    Raises ValueError, naming notebook and line, for a second tagged cell, a syntax error, an
    unsupported annotation, or a default that is not a literal.
    """
    tagged_cells = [cell for cell in read_cells(notebook) if is_parameters_cell(cell)]
    if len(tagged_cells) > 1:
        raise ValueError(
            f"{notebook.name} has {len(tagged_cells)} cells tagged parameters, expected one"
        )
    if not tagged_cells:
        return []
    source = tagged_cells[0]["source"]
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        line = (error.text or "").strip()
        raise ValueError(
            f"{notebook.name}, parameters cell, line {error.lineno}: {line!r}: {error.msg}"
        ) from None
    comments = _comments_by_line(source)
    return [
        _parse_parameter(statement, comments.get(statement.end_lineno or 0, ""), notebook)
        for statement in body
        if not isinstance(statement, ast.ImportFrom | ast.Import)
    ]


def _comments_by_line(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("# ")
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _parse_parameter(statement: ast.stmt, comment: str, notebook: Path) -> Parameter:
    location = (
        f"{notebook.name}, parameters cell, line {statement.lineno}: {ast.unparse(statement)!r}"
    )
    if not (
        isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and statement.value
    ):
        raise ValueError(f"{location}: expected NAME: TYPE = VALUE  # what it is for")
    annotation = ast.unparse(statement.annotation)
    unknown_names = [
        node.id
        for node in ast.walk(statement.annotation)
        if isinstance(node, ast.Name) and node.id not in ANNOTATION_NAMES
    ]
    if unknown_names:
        raise ValueError(
            f"{location}: {unknown_names[0]} is not a type the runner knows "
            f"({', '.join(ANNOTATION_NAMES)})"
        )
    try:
        default = _evaluate_literal(statement.value)
    except ValueError:
        raise ValueError(f"{location}: the default must be a literal") from None
    return Parameter(statement.target.id, annotation, default, comment)


def _evaluate_literal(expression: ast.expr) -> Any:
    """Return a literal's value; date(2026, 11, 23) and Path("a") count as literals."""
    if (
        isinstance(expression, ast.Call)
        and isinstance(expression.func, ast.Name)
        and not expression.keywords
    ):
        constructor = LITERAL_CONSTRUCTORS.get(expression.func.id)
        if constructor:
            return constructor(*(ast.literal_eval(argument) for argument in expression.args))
    return ast.literal_eval(expression)


def validate(
    parameters: list[Parameter], texts: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Convert texts to the types of their annotations; return the values and all error messages.

    texts: name -> text as typed, or a list of texts. The annotations become a pydantic model, whose
    defaults are validated too.
    """
    import annotated_types
    from pydantic import ConfigDict, ValidationError, create_model

    constraints = {name: getattr(annotated_types, name) for name in CONSTRAINT_NAMES}
    namespace = STANDARD_ANNOTATIONS | constraints
    parameters_by_name = {parameter.name: parameter for parameter in parameters}
    fields: dict[str, Any] = {
        parameter.name: (
            eval(parameter.annotation, {"__builtins__": {}}, namespace),
            parameter.default,
        )
        for parameter in parameters
    }
    model = create_model("Parameters", __config__=ConfigDict(validate_default=True), **fields)
    problems: list[str] = []
    secrets: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    for name, text in texts.items():
        if isinstance(text, str) and text.startswith("env:"):
            secrets[name] = Secret(text)
            problems += _secret_problems(parameters_by_name[name], secrets[name])
        else:
            inputs[name] = _parse_text(text, parameters_by_name[name].annotation)
    try:
        values = model.model_validate(inputs).model_dump(include=set(inputs))
    except ValidationError as error:
        values = {}
        problems += [
            _error_message(parameters_by_name, texts, details) for details in error.errors()
        ]
    return values | secrets, problems


def _parse_text(text: Any, annotation: str) -> Any:
    """Parse what pydantic would not: None, JSON lists, and the numbers of a Literal."""
    if not isinstance(text, str):
        return text
    is_optional = "None" in annotation or "Optional" in annotation
    if is_optional and text in ("None", "null"):
        return None
    is_list = "list[" in annotation and text.startswith("[")
    if is_list or ("Literal[" in annotation and repr(text) not in annotation):
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
    parameters_by_name: Mapping[str, Parameter],
    texts: Mapping[str, Any],
    error_details: Mapping[str, Any],
) -> str:
    """Return the message for one entry of pydantic's ValidationError.errors()."""
    name = error_details["loc"][0]
    value = texts.get(name, parameters_by_name[name].default)
    reason = error_details["msg"].removeprefix("Input ")
    subject = name if name in texts else f"{name}'s default"
    return f"{subject} is {value!r}, expected {parameters_by_name[name].annotation} ({reason})"
