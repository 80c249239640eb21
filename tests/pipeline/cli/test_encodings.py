"""Text files are UTF-8, whatever the locale; test_surroundings.py runs commands in an ASCII one."""

import ast
from pathlib import Path

import pipeline

BINARY_MODES = {"rb", "wb", "ab"}
# the modules whose open() takes flags or bytes, or finds the encoding itself
BINARY_OPENERS = {"os", "tokenize", "Image"}


def _lacks_encoding(call):
    """Return whether a call reads or writes text in the encoding of the locale."""
    function, keywords = call.func, {keyword.arg for keyword in call.keywords}
    if not isinstance(function, ast.Attribute) or "encoding" in keywords:
        return False
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    if function.attr in ("read_text", "write_text"):
        return owner != "distribution"  # importlib.metadata reads UTF-8
    modes = {argument.value for argument in call.args if isinstance(argument, ast.Constant)}
    is_text = function.attr in ("open", "fdopen") and not modes & BINARY_MODES
    if owner == "os" and function.attr == "fdopen":
        return is_text and "closefd" not in keywords  # the standard streams
    return (is_text and owner not in BINARY_OPENERS) or "text" in keywords


def test_each_text_file_is_read_and_written_as_utf8():
    folder = Path(pipeline.__file__).parent
    offenders = [
        f"{path.relative_to(folder)}:{node.lineno}"
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _lacks_encoding(node)
    ]
    assert offenders == []
