"""The commands `champions`, `promote`, `rollback` and `trace` of `run_pipeline.py`. They print."""

import argparse
import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from housing.registry.alias_changes import AliasChange
    from housing.registry.provenance import NotebookHasher

Command = Callable[[list[str]], int]


def _print_errors(command: Command) -> Command:
    """Wrap a command: print errors that a user can act on as one sentence and return 1."""

    @wraps(command)
    def wrapper(arguments: list[str]) -> int:
        try:
            return command(arguments)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1

    return wrapper


@_print_errors
def show_champions(arguments: list[str]) -> int:
    """Print which version was champion when, and why."""
    parser = _make_parser("champions", show_champions)
    parser.add_argument(
        "--all", action="store_true", help="print the changes of the challenger too"
    )
    options = parser.parse_args(arguments)
    from housing.registry import alias_history, versions

    name = _resolve_model_name(options.model)
    if not versions.list_versions(name):
        print(f"{name} has no version yet: `run_pipeline.py` makes one")
        return 0
    history = alias_history.reconcile(name, versions.CHAMPION)
    champion = history.version(versions.CHAMPION)
    print(f"{name}: {f'version {champion} is champion' if champion else 'there is no champion'}")
    for change in history.changes if options.all else history.of_alias(versions.CHAMPION):
        print("\n".join(["", *_format_change(change)]))
    return 0


def _format_change(change: "AliasChange") -> list[str]:
    """Format an alias change as lines: when and what, the reason, and where the version is from."""
    alias = "" if change.alias == "champion" else f"{change.alias}: "
    old_version = f"version {change.old_version}" if change.old_version else "none"
    new_version = f"version {change.new_version}" if change.new_version else "none"
    time = change.changed_at[:16].replace("T", " ")
    author = f"{change.action} by {change.changed_by}"
    details = {
        "why": change.reason,
        "the gate": change.verdict,
        "MLflow run": change.run_id,
        "report": change.report,
    }
    return [
        f"{time} UTC  {alias}{old_version} -> {new_version}, {author}",
        *(f"  {label}: {text}" for label, text in details.items() if text),
    ]


@_print_errors
def rollback(arguments: list[str]) -> int:
    """Make an earlier champion the champion again, if it still answers as recorded."""
    parser = _make_parser("rollback", rollback)
    parser.add_argument(
        "version", nargs="?", metavar="VERSION", help="by default the previous champion"
    )
    parser.add_argument("--reason", required=True, metavar="WHY", help="kept in the history")
    options = parser.parse_args(arguments)
    from housing.registry import promotion

    name = _resolve_model_name(options.model)
    return _print_change(promotion.rollback(name, options.version, options.reason))


@_print_errors
def promote(arguments: list[str]) -> int:
    """Make a version champion by your own decision, if it still answers as recorded."""
    parser = _make_parser("promote", promote)
    parser.add_argument("version", metavar="VERSION", help="its number in MLflow")
    parser.add_argument("--reason", required=True, metavar="WHY", help="kept in the history")
    parser.add_argument(
        "--against-the-gate", action="store_true", help="even if the gate has refused it"
    )
    options = parser.parse_args(arguments)
    from housing.registry import promotion

    change = promotion.promote(
        _resolve_model_name(options.model),
        options.version,
        options.reason,
        options.against_the_gate,
    )
    return _print_change(change)


def make_trace_command(hash_notebook: "NotebookHasher | None" = None) -> Command:
    """Return the command `trace`.

    hash_notebook: computes the hash of a notebook's code, to say whether it is still the one that
    ran.
    """

    @_print_errors
    def trace(arguments: list[str]) -> int:
        """Trace a prediction, version, MLflow run or report to its data; mark what is missing."""
        parser = _make_parser("trace", trace)
        parser.epilog = "Exit code 1 if something is missing."
        parser.add_argument(
            "identifier",
            metavar="X",
            help="a prediction's id, a version (3, NAME/3, or champion), an MLflow run's id, or a "
            "report: path or id",
        )
        options = parser.parse_args(arguments)
        from housing.registry import lineage

        name = _resolve_model_name(options.model)
        entries = lineage.trace(options.identifier, name, hash_notebook)
        width = max(len(entry.label) for entry in entries)
        for entry in entries:
            print(f"{entry.label:{width}}  {'MISSING: ' if entry.missing else ''}{entry.text}")
        return int(any(entry.missing for entry in entries))

    return trace


def _print_change(change: "AliasChange") -> int:
    print("\n".join(_format_change(change)))
    print("the service follows within seconds; `champions` prints the history")
    return 0


def _resolve_model_name(model_name: str | None) -> str:
    """Return the given registered model, by default the one that serves."""
    from housing.registry import versions

    if model_name:
        return model_name
    champion = versions.current_champion()
    return champion.name if champion else versions.MODEL_NAMES["california"]


def _make_parser(command_name: str, command: Command) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"run_pipeline.py {command_name}", description=command.__doc__)
    parser.add_argument(
        "--model", metavar="NAME", help="the registered model; by default the one that serves"
    )
    return parser
