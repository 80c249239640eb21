"""Find the files that the command line of another program names."""

import os
import shlex
from collections.abc import Iterator
from typing import Any

MAX_ARGUMENTS = 1_000  # of a command line that is looked at


def decode_arguments(arguments: Any) -> list[str]:
    """Return the arguments of a program as texts; a single text is a shell command."""
    if isinstance(arguments, str | bytes | os.PathLike):
        return [os.fsdecode(arguments)]
    return [os.fsdecode(argument) for argument in arguments]


def named_files(arguments: list[str], folder: str) -> Iterator[str]:
    """Yield each file that the arguments name, or a shell command among them.

    folder: of the program, from which relative paths start.
    """
    for argument in arguments[:MAX_ARGUMENTS]:
        for name in dict.fromkeys((argument, *_split_command(argument))):
            path = os.path.join(folder, name)  # noqa: PTH118
            if "\0" not in path and os.path.isfile(path):  # noqa: PTH113
                yield path


def _split_command(command: str) -> list[str]:
    """Return the words of a shell command, and the values of its options: `--config=FILE`."""
    try:
        words = list(shlex.shlex(command, posix=True, punctuation_chars=True))
        words += shlex.split(command)
    except ValueError:  # an open quotation mark
        words = command.split()
    return words + [word.partition("=")[2] for word in words if "=" in word]
