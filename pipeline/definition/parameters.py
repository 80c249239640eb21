"""Read a notebook's parameters, and check values against their annotations."""

import ast
import json
import os
import re
from collections.abc import Collection, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

from pipeline.definition import notebook_file, parameters_cell
from pipeline.definition.parameters_cell import (
    CONSTRAINT_NAMES,
    STANDARD_ANNOTATIONS,
    Expression,
    Parameter,
)
from pipeline.runs.secret_strength import describe_weakness

# a secret, or, after backslashes of which one is taken away, a text that looks like one
REFERENCE_PATTERN = re.compile(r"\\*env:.*", re.DOTALL)

# the source of an object, by the name of its class: Decimal("1"), pd.Timestamp(0), Mode.FAST
CONSTRUCTOR = re.compile(r"(\w+\.)*([A-Z]\w*(\(|\.)|(datetime|time|timedelta)\()")
MAX_VALUE_CHARS = 200  # of a value in a message
FLOAT_TEXTS = {".nan": "nan", ".inf": "inf", "+.inf": "inf", "-.inf": "-inf"}  # YAML's names
PLAIN_COLLECTIONS = ("list", "dict", "List", "Dict", "tuple", "set")


class Secret(str):
    """`env:NAME`: a value that only the kernel looks up, so that it is never written to disk."""

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return self.removeprefix("env:")


class QuotedText(str):
    """A text that is meant as one, such as "null" in quotes in a file of parameters."""


def read_parameters(notebook: Path) -> list[Parameter]:
    """Return the parameters in the order of the cell; an empty list if no cell is tagged.

    Those of a notebook in another language than Python are unknown: an empty list. Raises
    ValueError, naming notebook and line, for a second tagged cell, a syntax error, or an
    annotation that is not supported.
    """
    cells = list(filter(notebook_file.is_parameters_cell, notebook_file.read_cells(notebook)))
    if len(cells) > 1:
        raise ValueError(f"{notebook.name} has {len(cells)} cells tagged parameters, expected one")
    if not cells or not notebook_file.is_python(notebook):
        return []
    return parameters_cell.parse(cells[0]["source"], notebook.name).parameters


def is_reference(value: Any) -> bool:
    """Return whether a value as written is a secret, env:NAME, or the text \\env:NAME."""
    return isinstance(value, str) and bool(REFERENCE_PATTERN.fullmatch(value))


def escape_reference(value: Any) -> Any:
    """Return a value as one writes it: a text env:NAME, which is no secret, as \\env:NAME."""
    is_text = not isinstance(value, Secret) and is_reference(value)
    return f"\\{value}" if is_text else value


def validate(
    parameters: list[Parameter], texts: Mapping[str, Any], step_names: Collection[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """Convert texts to the types of their annotations; return the values and all error messages.

    texts: name -> text as typed, or a list of texts. The annotations become a pydantic model, whose
    defaults are validated too. step_names: which no secret may equal, as reports show them.
    """
    import annotated_types
    from pydantic import BeforeValidator, ConfigDict, ValidationError, create_model

    constraints = {name: getattr(annotated_types, name) for name in CONSTRAINT_NAMES}
    # pydantic would take 20260301 and 0 for the seconds since 1970
    dates = {"date": Annotated[date, BeforeValidator(_parse_date)]}
    namespace = STANDARD_ANNOTATIONS | constraints | dates
    parameters_by_name = {parameter.name: parameter for parameter in parameters}
    fields: dict[str, Any] = {
        parameter.name: (
            eval(parameter.annotation, {"__builtins__": {}}, namespace),
            parameter.default,
        )
        for parameter in parameters
        if parameter.name in texts or not isinstance(parameter.default, Expression)
    }
    model = create_model("Parameters", __config__=ConfigDict(validate_default=True), **fields)
    problems: list[str] = []
    secrets: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    for name, text in texts.items():
        if isinstance(text, str) and text.startswith("env:"):
            secrets[name] = Secret(text)
            reserved_names = {*step_names, *parameters_by_name, secrets[name].variable}
            problems += _secret_problems(parameters_by_name[name], secrets[name], reserved_names)
        else:
            if is_reference(text):  # \\env:NAME is the text env:NAME
                text = text[1:]
            inputs[name] = _parse_text(text, parameters_by_name[name].annotation)
            problems += _type_problems(parameters_by_name[name], inputs[name])
            problems += _duplicate_key_problems(name, text, inputs[name])
    try:
        values = model.model_validate(inputs).model_dump(include=set(inputs))
    except ValidationError as error:
        values = {}
        problems += [
            _error_message(parameters_by_name, texts, details) for details in error.errors()
        ]
    return values | secrets, problems


def _parse_text(text: Any, annotation: str) -> Any:
    """Parse what pydantic would not: None, lists, dictionaries, and the numbers of a Literal."""
    if annotation in ("Any", *PLAIN_COLLECTIONS):
        is_text = isinstance(text, QuotedText) and annotation == "Any"
        return str(text) if is_text else _parse_literal(text)
    if not isinstance(text, str):
        return text
    if isinstance(text, QuotedText):
        return str(text)
    if "float" in annotation:
        text = FLOAT_TEXTS.get(text.lower(), text)
    is_optional = "None" in annotation or "Optional" in annotation
    if is_optional and text in ("None", "null"):
        return None
    is_collection = "list[" in annotation.lower() or "dict[" in annotation.lower()
    if is_collection and text.startswith(("[", "{")):
        return _parse_literal(text)
    if "Literal[" in annotation and repr(text) not in annotation:
        return _parse_literal(text)
    return text


def _type_problems(parameter: Parameter, value: Any) -> list[str]:
    """Return an error if a text would replace a default of a type that no text can give."""
    default = parameter.default
    is_object = isinstance(default, tuple | set | frozenset | complex | bytes)
    if isinstance(default, Expression):
        is_object = CONSTRUCTOR.match(default) is not None
    if parameter.annotation != "Any" or not is_object or not isinstance(value, str):
        return []
    return [
        f"{parameter.name} is {_shorten(value)}, expected a value like its default {default!r}, "
        "whose type the runner cannot make from a text; annotate the parameter with the type that "
        "you want to pass, such as str, and convert it in a later cell"
    ]


def _duplicate_key_problems(name: str, text: Any, value: Any) -> list[str]:
    """Return an error if the text of a dictionary has a key twice, of which one would be lost."""
    if not isinstance(text, str) or not isinstance(value, list | dict):
        return []
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # JSON that is no Python
        return []
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    keys = [[key.value for key in node.keys if isinstance(key, ast.Constant)] for node in nodes]
    duplicates = [key for names in keys for key in names if names.count(key) > 1]
    subject = f"{name} is {_shorten(value)}"
    return [
        f"{subject}, but its text has the key {key!r} twice; delete one"
        for key in dict.fromkeys(duplicates)
    ]


def _shorten(value: Any) -> str:
    """Return the value as a message shows it."""
    text = repr(value)
    half = MAX_VALUE_CHARS // 2
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:half]}…{text[-half:]}"


def _parse_date(value: Any) -> Any:
    """Return the date of a text in ISO 8601; a value of another type as it is.

    Raises ValueError for another text or a number, which pydantic would take for seconds.
    """
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    text = str(value).strip() if isinstance(value, str | int) else ""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("write it as 2026-03-01 or 20260301") from None


def _parse_literal(content: Any) -> Any:
    """Return the value of a literal of Python or JSON, such as 3 or [1, 2]; else the text itself.

    content: a text, or a list or a dictionary of texts.
    """
    if isinstance(content, list):
        return [_parse_literal(item) for item in content]
    if isinstance(content, dict):
        return {key: _parse_literal(item) for key, item in content.items()}
    if content is None:
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(content)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        if isinstance(value, bool | int | float | str | list | dict | None):
            return value
    return content


def _secret_problems(
    parameter: Parameter, secret: Secret, reserved_names: Collection[str]
) -> list[str]:
    """Return why a secret cannot be used, in no or one sentence."""
    subject = f"{parameter.name} is {str(secret)!r}"
    if "str" not in parameter.annotation:
        return [f"{subject}, a secret, expected {parameter.annotation}"]
    value = os.environ.get(secret.variable)
    if not value:
        name = secret.variable or "a variable without a name"
        return [f"{subject}, but {name} is not set in the environment"]
    weakness = describe_weakness(value, reserved_names)
    if weakness:
        return [
            f"{subject}, a secret, but the value of {secret.variable} {weakness}: it could not be "
            f"masked; choose a longer one, or if it is no secret, set it as a plain value: "
            f'-p {parameter.name}="${secret.variable}"'
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
    reason = error_details["msg"].removeprefix("Input ").removeprefix("Value error, ")
    subject = name if name in texts else f"{name}'s default"
    expected = parameters_by_name[name].annotation
    if value is None and name in texts:
        return f'{subject} is null, expected {expected}; an empty text is written ""'
    return f"{subject} is {_shorten(value)}, expected {expected} ({reason})"
