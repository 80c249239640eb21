"""What whoever is on call types: `run_pipeline.py champions`, `promote`, `rollback`, `trace`.

Like commands.py it prints.
"""

import argparse
import sys
from functools import wraps
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from housing.registry.alias_history import AliasChange
    from housing.registry.provenance import NotebookHasher
    from housing.registry.versions import ModelVersion

    Command = Callable[[list[str]], int]


def _print_errors(command: "Command") -> "Command":
    """The command; what is refused, overtaken or out of reach is a sentence, and exit code 1."""

    @wraps(command)
    def wrapper(arguments: list[str]) -> int:
        try:
            return command(arguments)
        except RuntimeError as refused:
            print(refused, file=sys.stderr)
            return 1

    return wrapper


@_print_errors
def show_champions(arguments: list[str]) -> int:
    """Who was champion when, and why."""
    parser = _make_parser("champions", show_champions)
    parser.add_argument("--all", action="store_true", help="the moves of the challenger too")
    asked = parser.parse_args(arguments)
    from housing.registry import alias_history, versions

    name = _resolve_model_name(asked.model)
    if not versions.list_versions(name):
        print(f"{name} has no version yet: `run_pipeline.py` makes one")
        return 0
    serves = alias_history.reconcile(name, versions.CHAMPION)
    print(f"{name}: {f'version {serves} is champion' if serves else 'there is no champion'}")
    for one in alias_history.list_changes(name, None if asked.all else versions.CHAMPION):
        print("\n".join(["", *_format_change(one)]))
    return 0


def _format_change(change: "AliasChange") -> list[str]:
    """A move in some lines: when and what; why; what stands behind the version."""
    which = "" if change.alias == "champion" else f"{change.alias}: "
    to = f"version {change.after}" if change.after else "none"
    before = f"version {change.before}" if change.before else "none"
    at = change.at[:16].replace("T", " ")
    lines = [f"{at} UTC  {which}{before} -> {to}, {change.action} by {change.who}"]
    lines += [f"  why: {change.reason}"] if change.reason else []
    lines += [f"  the gate: {change.verdict}"] if change.verdict else []
    lines += [f"  MLflow run: {change.run_id}"] if change.run_id else []
    return lines + ([f"  report: {change.report}"] if change.report else [])


@_print_errors
def rollback(arguments: list[str]) -> int:
    """The champion goes back to one that was, once that has answered as it did then."""
    parser = _make_parser("rollback", rollback)
    parser.add_argument("version", nargs="?", metavar="VERSION", help="by default the one before")
    parser.add_argument("--reason", required=True, metavar="WHY", help="kept in the history")
    asked = parser.parse_args(arguments)
    from housing.registry import promotion

    return _apply_and_print(
        lambda: promotion.rollback(_resolve_model_name(asked.model), asked.version, asked.reason)
    )


@_print_errors
def promote(arguments: list[str]) -> int:
    """A version becomes champion because a person says so, if it still answers as recorded."""
    parser = _make_parser("promote", promote)
    parser.add_argument("version", metavar="VERSION", help="its number, as MLflow has it")
    parser.add_argument("--reason", required=True, metavar="WHY", help="kept in the history")
    parser.add_argument("--against-the-gate", action="store_true",
                        help="even if the gate has refused it")  # fmt: skip
    asked = parser.parse_args(arguments)
    from housing.registry import promotion

    name, to = _resolve_model_name(asked.model), asked.version
    return _apply_and_print(
        lambda: promotion.promote(name, to, asked.reason, asked.against_the_gate)
    )


def make_trace_command(hash_notebook: "NotebookHasher | None" = None) -> "Command":
    """The command `trace`. code_of: tells whether a notebook is still the one that ran."""

    @_print_errors
    def trace(arguments: list[str]) -> int:
        """What stands behind a prediction, version, MLflow run or report, and what is missing."""
        parser = _make_parser("trace", trace)
        parser.epilog = "Exit code 1 if something is missing."
        parser.add_argument("what", metavar="X", help="a prediction's id, a version (3, NAME/3, or "
                            "champion), an MLflow run's id, or a report: path or id")  # fmt: skip
        asked = parser.parse_args(arguments)
        from housing.registry.lineage import trace as chain

        links = chain(asked.what, _resolve_model_name(asked.model), hash_notebook)
        width = max(len(one.label) for one in links)
        for one in links:
            print(f"{one.label:{width}}  {'MISSING: ' if one.missing else ''}{one.text}")
        return int(any(one.missing for one in links))

    return trace


def _apply_and_print(change_champion: "Callable[[], AliasChange]") -> int:
    made = change_champion()
    print("\n".join(_format_change(made)))
    print("the service follows within seconds; `champions` prints the history")
    return 0


def _resolve_model_name(model_name: str | None) -> str:
    """The registered model that is meant: the one that serves, unless one is named."""
    from housing.registry import versions

    found: ModelVersion | None = None if model_name else versions.current_champion()
    return model_name or (found.name if found else versions.MODEL_NAMES["california"])


def _make_parser(command_name: str, command: "Callable") -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"run_pipeline.py {command_name}", description=command.__doc__)
    parser.add_argument("--model", metavar="NAME", help="the registered model; by default the one "
                        "that serves")  # fmt: skip
    return parser
