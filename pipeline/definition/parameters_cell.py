"""Parse the source of the cell tagged `parameters`, without running it."""

import ast
import contextlib
import io
import re
import tokenize
import typing
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

BUILT_IN_TYPES = (bool, int, float, str, list, dict, date, Path)
TYPING_NAMES = ("Annotated", "Any", "Dict", "List", "Literal", "Optional", "Union")
STANDARD_ANNOTATIONS = {annotation.__name__: annotation for annotation in BUILT_IN_TYPES} | {
    name: getattr(typing, name) for name in TYPING_NAMES
}
# of annotated_types, which is imported only to check values
CONSTRAINT_NAMES = ("Ge", "Gt", "Le", "Len", "Lt", "MaxLen", "MinLen", "MultipleOf")
ANNOTATION_NAMES = (*STANDARD_ANNOTATIONS, *CONSTRAINT_NAMES)  # what an annotation may use
# papermill's way to annotate: x = 3  # type: int  what it is for
TYPE_COMMENT = re.compile(r"type:\s*(?P<annotation>\S+)\s*(?P<help>.*)")
# modules whose import in the parameters cell only serves the annotations
ANNOTATION_MODULES = ("annotated_types", "datetime", "pathlib", "typing")


class Parameter(NamedTuple):
    """One assignment of the parameters cell."""

    name: str
    annotation: str  # as written; of a plain assignment, the type of its literal, or Any
    default: Any
    help: str  # the trailing comment


class Expression(str):
    """The source of a default that is no literal, which only the kernel evaluates."""

    __repr__ = str.__str__


class ParametersCell(NamedTuple):
    """What the cell tagged `parameters` holds."""

    parameters: list[Parameter]
    other_code: str  # its other statements, such as imports, in an order-keeping, unformatted form


def parse(source: str, notebook_name: str = "the notebook") -> ParametersCell:
    """Return the parameters of a cell, NAME: TYPE = VALUE or NAME = VALUE, and its other code.

    Of two assignments of one name the last is the parameter. Raises ValueError that names the line.
    """
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        line = (error.text or "").strip()
        raise ValueError(
            f"{notebook_name}, parameters cell, line {error.lineno}: {line!r}: {error.msg}"
        ) from None
    comments = _comments_by_line(source)
    assignments = {name: node for node in body if (name := _assigned_name(node))}
    parameters = []
    for name, node in assignments.items():
        location = f"{notebook_name}, parameters cell, line {node.lineno}: {ast.unparse(node)!r}"
        comment = comments.get(node.end_lineno or 0, "")
        if isinstance(node, ast.AnnAssign):
            parameters.append(_parse_annotated(name, node, comment, location, set(assignments)))
        else:
            parameters.append(_parse_plain(name, node.value, comment))  # type: ignore[attr-defined]
    statements = [
        ast.dump(node)
        for node in body
        if node not in assignments.values() and not _imports_annotations(node)
    ]
    return ParametersCell(parameters, "\n".join(statements))


def _comments_by_line(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("# ")
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _assigned_name(statement: ast.stmt) -> str:
    """Return the name that a statement assigns a value to; empty if it is no such assignment."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
            return name
    return ""


def _imports_annotations(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module in ANNOTATION_MODULES


def _parse_annotated(
    name: str, statement: ast.AnnAssign, comment: str, location: str, parameter_names: set[str]
) -> Parameter:
    annotation = statement.annotation
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):  # "List[int]"
        annotation = ast.parse(annotation.value, mode="eval").body
    unknown_name = _unknown_name(annotation)
    if unknown_name:
        known_names = ", ".join(ANNOTATION_NAMES)
        raise ValueError(
            f"{location}: {unknown_name} is not a type the runner knows ({known_names})"
        )
    assert statement.value is not None
    default = _evaluate(statement.value)
    used_names = {node.id for node in ast.walk(statement.value) if isinstance(node, ast.Name)}
    if isinstance(default, Expression) and used_names & parameter_names:
        raise ValueError(
            f"{location}: the default must be a literal, as it would not follow another value of "
            f"{min(used_names & parameter_names)}; compute it in a later cell"
        )
    return Parameter(name, ast.unparse(annotation), default, comment)


def _unknown_name(annotation: ast.expr) -> str:
    """Return the first name in an annotation that the runner does not know; empty without one."""
    names = (node.id for node in ast.walk(annotation) if isinstance(node, ast.Name))
    return next((name for name in names if name not in ANNOTATION_NAMES), "")


def _parse_plain(name: str, value: ast.expr, comment: str) -> Parameter:
    """Return the parameter of a plain assignment, whose type is that of its literal.

    A type comment of papermill's wins, if the runner knows the type.
    """
    default = _evaluate(value)
    type_comment = TYPE_COMMENT.fullmatch(comment)
    if type_comment:
        comment = type_comment["help"]
        with contextlib.suppress(SyntaxError):
            annotation = ast.parse(type_comment["annotation"].strip("\"'"), mode="eval").body
            if not _unknown_name(annotation):
                return Parameter(name, ast.unparse(annotation), default, comment)
    types = (kind.__name__ for kind in BUILT_IN_TYPES if isinstance(default, kind))
    type_name = "Any" if isinstance(default, Expression) else next(types, "Any")
    return Parameter(name, type_name, default, comment)


def _evaluate(expression: ast.expr) -> Any:
    """Return a literal's value, date(2026, 11, 23) and Path("a") among them; else an Expression."""
    try:
        match expression:
            case ast.Call(func=ast.Name(id="date"), args=args, keywords=[]):
                return date(*map(ast.literal_eval, args))
            case ast.Call(func=ast.Name(id="Path"), args=args, keywords=[]):
                return Path(*map(ast.literal_eval, args))
        return ast.literal_eval(expression)
    except (ValueError, TypeError):
        return Expression(ast.unparse(expression))
