"""How a user started a run, and the command line that resumes it."""

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

FORCE_OPTION = "--force"


@dataclass(frozen=True)
class Invocation:
    """The command line of a run, as words that a shell would pass on."""

    # the interpreter, its options and the script; empty if `main` was called, as in a notebook
    command: list[str]
    arguments: list[str] = field(default_factory=list)  # of the script
    # environment variables that the user has set and that matter for the run
    variables: dict[str, str] = field(default_factory=dict)
    folder: str = ""  # in which it was started, as a portable path; empty: the project's folder
    note: str = ""  # what users must know to start it in the same way

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Invocation":
        """Return the invocation that JSON describes; unknown entries are dropped."""
        return cls(**{name: content[name] for name in cls.__annotations__ if name in content})

    def command_line(self, *arguments: str) -> str:
        """Return what a user types to start the script in the same way with other arguments.

        It is a call of `main`, in Python, if the run was started by one.
        """
        if not self.command:
            return f"main(steps, home, {list(arguments)!r})"
        settings = [f"{name}={shlex.quote(value)}" for name, value in self.variables.items()]
        return " ".join([*settings, *map(shlex.quote, [*self.command, *arguments])])

    def resume_line(self, done_labels: Collection[str]) -> str:
        """Return what a user types so that the run goes on where it ended.

        done_labels: of the tasks that succeeded. The option --force is left out if it would run one
        of them again; a step that did not succeed runs without it.
        """
        forced_step, other_arguments = _split_force(self.arguments)
        done_names = {label.partition("[")[0] for label in done_labels}
        forced_names = {forced_step} if forced_step else done_names
        is_kept = forced_step is None or forced_names.isdisjoint(done_names)
        line = self.command_line(*(self.arguments if is_kept else other_arguments))
        return f"{line}  # {self.note}" if self.note else line


def _split_force(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Return the value of --force, and the other arguments.

    The value is empty for all steps, None without the option.
    """
    value, others = None, []
    words = iter(range(len(arguments)))
    for index in words:
        name, separator, text = arguments[index].partition("=")
        if name != FORCE_OPTION:
            others.append(arguments[index])
        elif separator:
            value = text
        elif index + 1 < len(arguments) and not arguments[index + 1].startswith("-"):
            value = arguments[next(words)]
        else:
            value = ""
    return value, others
