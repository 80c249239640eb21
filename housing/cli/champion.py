"""What whoever is on call types: `run_pipeline.py champions`, `promote`, `rollback`, `trace`.

Like commands.py it prints.
"""

import argparse
import sys
from functools import wraps
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from housing.registry.alias_history import Move
    from housing.registry.provenance import CodeOf
    from housing.registry.versions import Version

    Command = Callable[[list[str]], int]


def _told_if_refused(command: "Command") -> "Command":
    """The command; what is refused, overtaken or out of reach is a sentence, and exit code 1."""

    @wraps(command)
    def told(arguments: list[str]) -> int:
        try:
            return command(arguments)
        except RuntimeError as refused:
            print(refused, file=sys.stderr)
            return 1

    return told


@_told_if_refused
def champions(arguments: list[str]) -> int:
    """Who was champion when, and why."""
    parser = _parser("champions", champions)
    parser.add_argument("--all", action="store_true", help="the moves of the challenger too")
    asked = parser.parse_args(arguments)
    from housing.registry import alias_history, versions

    name = _name(asked.model)
    if not versions.versions(name):
        print(f"{name} has no version yet: `run_pipeline.py` makes one")
        return 0
    serves = alias_history.settled(name, versions.CHAMPION)
    print(f"{name}: {f'version {serves} is champion' if serves else 'there is no champion'}")
    for one in alias_history.moves(name, None if asked.all else versions.CHAMPION):
        print("\n".join(["", *_told(one)]))
    return 0


def _told(move: "Move") -> list[str]:
    """A move in some lines: when and what; why; what stands behind the version."""
    which = "" if move.alias == "champion" else f"{move.alias}: "
    to = f"version {move.after}" if move.after else "none"
    before = f"version {move.before}" if move.before else "none"
    at = move.at[:16].replace("T", " ")
    lines = [f"{at} UTC  {which}{before} -> {to}, {move.action} by {move.who}"]
    lines += [f"  why: {move.reason}"] if move.reason else []
    lines += [f"  the gate: {move.verdict}"] if move.verdict else []
    lines += [f"  MLflow run: {move.run_id}"] if move.run_id else []
    return lines + ([f"  report: {move.report}"] if move.report else [])


@_told_if_refused
def rollback(arguments: list[str]) -> int:
    """The champion goes back to one that was, once that has answered as it did then."""
    parser = _parser("rollback", rollback)
    parser.add_argument("version", nargs="?", metavar="VERSION", help="by default the one before")
    parser.add_argument("--reason", required=True, metavar="WHY", help="kept in the history")
    asked = parser.parse_args(arguments)
    from housing.registry import promotion

    return _move(lambda: promotion.rollback(_name(asked.model), asked.version, asked.reason))


@_told_if_refused
def promote(arguments: list[str]) -> int:
    """A version becomes champion because a person says so, if it still answers as recorded."""
    parser = _parser("promote", promote)
    parser.add_argument("version", metavar="VERSION", help="its number, as MLflow has it")
    parser.add_argument("--reason", required=True, metavar="WHY", help="kept in the history")
    parser.add_argument("--against-the-gate", action="store_true",
                        help="even if the gate has refused it")  # fmt: skip
    asked = parser.parse_args(arguments)
    from housing.registry import promotion

    name, to = _name(asked.model), asked.version
    return _move(lambda: promotion.promote(name, to, asked.reason, asked.against_the_gate))


def tracing(code_of: "CodeOf | None" = None) -> "Command":
    """The command `trace`. code_of: tells whether a notebook is still the one that ran."""

    @_told_if_refused
    def trace(arguments: list[str]) -> int:
        """What stands behind a prediction, version, MLflow run or report, and what is missing."""
        parser = _parser("trace", trace)
        parser.epilog = "Exit code 1 if something is missing."
        parser.add_argument("what", metavar="X", help="a prediction's id, a version (3, NAME/3, or "
                            "champion), an MLflow run's id, or a report: path or id")  # fmt: skip
        asked = parser.parse_args(arguments)
        from housing.registry.lineage import trace as chain

        links = chain(asked.what, _name(asked.model), code_of)
        width = max(len(one.what) for one in links)
        for one in links:
            print(f"{one.what:{width}}  {'MISSING: ' if one.missing else ''}{one.text}")
        return int(any(one.missing for one in links))

    return trace


def _move(how: "Callable[[], Move]") -> int:
    made = how()
    print("\n".join(_told(made)))
    print("the service follows within seconds; `champions` prints the history")
    return 0


def _name(given: str | None) -> str:
    """The registered model that is meant: the one that serves, unless one is named."""
    from housing.registry import versions

    found: Version | None = None if given else versions.served()
    return given or (found.name if found else versions.MODEL_NAMES["california"])


def _parser(name: str, command: "Callable") -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"run_pipeline.py {name}", description=command.__doc__)
    parser.add_argument("--model", metavar="NAME", help="the registered model; by default the one "
                        "that serves")  # fmt: skip
    return parser
