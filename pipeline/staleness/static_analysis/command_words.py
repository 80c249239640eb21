"""Split shell commands into the words that may name files."""

import re
import shlex

WILDCARDS = frozenset("*?[")
QUOTATION_MARKS = frozenset("'\"")
SHELL_PATTERN = re.compile(r"(?:.*/)?(?:ba|da|k|z)?sh")  # a program


def split_command(command: str) -> list[str]:
    """Return the words of a command, and the values of its options: `--config=FILE`."""
    try:
        words = list(shlex.shlex(command, posix=True, punctuation_chars=True))
        words += shlex.split(command)
    except ValueError:  # an open quotation mark
        words = command.split()
    words += [word.partition("=")[2] for word in words if "=" in word]
    return [word for word in words if WILDCARDS.isdisjoint(word)]


def find_patterns(command: str) -> list[str]:
    """Return the words that a shell replaces by the names of the files that match them."""
    try:
        words = list(shlex.shlex(command, posix=False, punctuation_chars=True))
    except ValueError:
        words = command.split()
    return [
        word for word in words if WILDCARDS.intersection(word) and QUOTATION_MARKS.isdisjoint(word)
    ]


def shell_command(arguments: list[str]) -> str:
    """Return the command that the arguments give to a shell; empty if they start none."""
    match arguments:
        case [command]:
            return command
        case [program, option, command, *_] if SHELL_PATTERN.fullmatch(program):
            return command if option.startswith("-") and option.endswith("c") else ""
    return ""
