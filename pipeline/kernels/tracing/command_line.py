"""Find the files that the command line of another program names."""

import glob
import os
from collections.abc import Iterator
from typing import Any

from pipeline.staleness.access_kinds import AccessKind
from pipeline.staleness.static_analysis import command_words

MAX_ARGUMENTS = 1_000  # of a command line that is looked at
MAX_MATCHES = 1_000  # of a pattern


def decode_arguments(arguments: Any) -> list[str]:
    """Return the arguments of a program as texts; a single text is a shell command."""
    if isinstance(arguments, str | bytes | os.PathLike):
        return [os.fsdecode(arguments)]
    return [os.fsdecode(argument) for argument in arguments]


def named_paths(arguments: list[str], folder: str) -> Iterator[tuple[AccessKind, str]]:
    """Yield each file that the arguments name, or a shell command among them.

    Of a shell's pattern these are the files that match it, and the folder that it lists. folder:
    of the program, from which relative paths start.
    """
    for argument in arguments[:MAX_ARGUMENTS]:
        for name in dict.fromkeys((argument, *command_words.split_command(argument))):
            path = os.path.join(folder, name)  # noqa: PTH118
            if "\0" not in path and os.path.isfile(path):  # noqa: PTH113
                yield AccessKind.PASSED, path
    for pattern in command_words.find_patterns(command_words.shell_command(arguments)):
        path = os.path.join(folder, pattern)  # noqa: PTH118
        parent = os.path.dirname(path)  # noqa: PTH120
        if command_words.WILDCARDS.isdisjoint(parent) and os.path.isdir(parent):  # noqa: PTH112
            yield AccessKind.LISTED, parent
        for match in glob.glob(path)[:MAX_MATCHES]:  # noqa: PTH207
            if os.path.isfile(match):  # noqa: PTH113
                yield AccessKind.PASSED, match
