"""How cells fail: errors in a valid form and as one sentence, and exits, which may be good ends."""

import signal
from collections.abc import Mapping
from typing import Any

from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_output

MAX_ERROR_CHARS = 500  # of the sentence; the traceback has it all
# what a cell raises that calls exit(), sys.exit(0), sys.exit(None) or sys.exit(False)
SUCCESSFUL_EXIT_VALUES = ("", "0", "None", "False")


def is_successful_exit(name: str, value: str) -> bool:
    """Return whether an exception ends the notebook early and well, as papermill has it."""
    return name == "SystemExit" and value in SUCCESSFUL_EXIT_VALUES


def describe_error(name: str, value: str) -> str:
    """Return an exception as one line: its name, and the first line of its text that has any."""
    lines = [line.strip() for line in value.splitlines() if line.strip()]
    text = ": ".join([name.strip() or "an error without a name", *lines[:1]])
    return text if len(text) <= MAX_ERROR_CHARS else f"{text[:MAX_ERROR_CHARS]}…"


def describe_kernel_exit(exit_code: int | None) -> str:
    """Return how the kernel ended, as a sentence. exit_code: negative for a signal."""
    if exit_code is None or exit_code >= 0:
        return f"the kernel exited with code {exit_code}"
    name = signal.Signals(-exit_code).name
    hint = "; often the machine has run out of memory" if -exit_code == signal.SIGKILL else ""
    return f"the kernel was killed by {name}{hint}"


def normalize_error(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return an error's name, text and traceback as the notebook format wants them.

    An exception may render its own traceback, which IPython sends as it is.
    """
    traceback = content.get("traceback")
    if isinstance(traceback, str):
        traceback = traceback.splitlines()
    return {
        "ename": _to_text(content.get("ename")),
        "evalue": _to_text(content.get("evalue")),
        "traceback": [_to_text(line) for line in traceback or []]
        if isinstance(traceback, list | tuple | None)
        else [_to_text(traceback)],
    }


def _to_text(value: Any) -> str:
    """Return a value as text that can be written as UTF-8: a lone surrogate becomes its escape."""
    text = "" if value is None else str(value)
    return text.encode(errors="backslashreplace").decode()


def last_error(cell: Any) -> Any:
    """Return the last output of a cell that is an error; None without one."""
    errors = [output for output in cell.outputs if output.output_type == "error"]
    return errors[-1] if errors else None


def add_reply_error(execute_reply: dict[str, Any], cell: Any, **_options: Any) -> None:
    """Normalize the error in a kernel's reply; add it to the outputs if there is none.

    IPython sends none if it fails to report an exception itself.
    """
    content = execute_reply["content"]
    error = normalize_error(content)
    content.update(error)
    if last_error(cell) is None:
        cell.outputs.append(new_output("error", **error))


def raise_exit(execute_reply: Mapping[str, Any], **_cell: Any) -> None:
    """End a cell that called exit() as sys.exit() does. Raises CellExecutionError.

    A kernel of another interpreter only asks its client to stop it, and runs the cell to its end.
    What exit() was called with is then in the entry keepkernel.
    """
    for payload in execute_reply["content"].get("payload") or []:
        if payload.get("source") == "ask_exit":
            code = payload.get("keepkernel") or ""
            raise CellExecutionError("", "SystemExit", str(code))
