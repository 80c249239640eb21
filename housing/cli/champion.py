"""The commands `champions`, `promote`, `rollback` and `trace` of `run_pipeline.py`. They print."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from typing import TYPE_CHECKING

from housing.cli import challenger
from housing.registry.alias_changes import AliasChange, version_text

if TYPE_CHECKING:
    from housing.registry.provenance import NotebookHasher


def add_commands(
    add: Callable[[str, Callable[..., int]], ArgumentParser],
    hash_notebook: "NotebookHasher | None" = None,
) -> None:
    """Add the commands by `add`, which takes the name and the function and returns the parser.

    hash_notebook: as in `make_trace_command`.
    """
    champions = add("champions", show_champions)
    champions.add_argument(
        "--all", action="store_true", help="print the changes of the challenger too"
    )
    promote_parser, rollback_parser = add("promote", promote), add("rollback", rollback)
    promote_parser.add_argument(
        "version", metavar="VERSION", help="its number in MLflow, or challenger"
    )
    promote_parser.add_argument(
        "--if-better",
        action="store_true",
        help="only if it was better than the champion on live rows with a true value "
        "(HOUSING_SHADOW_SHARE), which then counts in place of the gain on the test rows",
    )
    promote_parser.epilog = "With --if-better, exit code 1 if it is not better, or not yet."
    promote_parser.add_argument(
        "--against-the-gate", action="store_true", help="even if the gate has refused it"
    )
    rollback_parser.add_argument(
        "version", nargs="?", metavar="VERSION", help="by default the previous champion"
    )
    for parser in (promote_parser, rollback_parser):
        parser.add_argument("--reason", required=True, metavar="WHY", help="kept in the history")
    trace = add("trace", make_trace_command(hash_notebook))
    trace.epilog = "Exit code 1 if something is missing."
    trace.add_argument(
        "identifier",
        metavar="X",
        help="a prediction's id, a version (3, NAME/3, or champion), an MLflow run's id, or a "
        "report: path or id",
    )
    for parser in (champions, promote_parser, rollback_parser, trace):
        parser.add_argument(
            "--model",
            metavar="NAME",
            help="the registered model; by default HOUSING_MODEL, else the one that serves",
        )


def show_champions(model: str | None = None, all: bool = False) -> int:
    """Print which version was champion when, and why."""
    from housing.registry import alias_history, missing_champion, versions

    name = _resolve_model_name(model)
    if not alias_history.is_known(name):
        names = list(versions.MODEL_NAMES.values())
        if name not in names:
            raise LookupError(f"no model {name!r} is registered, expected {', '.join(names)}")
        print(f"{name} has no version yet: `run_pipeline.py` makes one")
        return 0
    history = alias_history.reconcile(name, versions.CHAMPION)
    champion = history.version(versions.CHAMPION)
    headline = f"version {champion} is champion" if champion else "there is no champion"
    _print_line(f"{name}: {headline}", "bold")
    note = "" if champion else missing_champion.describe(name, history)
    if note:
        print(note)
    comparison = challenger.compare_challenger(name)
    if comparison:
        print(f"challenger: {comparison.describe()}")
    for change in history.changes if all else history.of_alias(versions.CHAMPION):
        print()
        _print_change(change)
    return 0


def _print_change(change: AliasChange) -> None:
    """Print an alias change: when and what, the reason, and where the version is from."""
    alias = "" if change.alias == "champion" else f"{change.alias}: "
    versions = f"{version_text(change.old_version)} -> {version_text(change.new_version)}"
    time = change.changed_at[:16].replace("T", " ")
    author = f"{change.action} by {change.changed_by}"
    details = {
        "why": change.reason,
        "the gate": change.verdict,
        "MLflow run": change.run_id,
        "report": change.report,
    }
    _print_line(f"{time} UTC  {alias}{versions}, {author}", "cyan")
    for label, text in details.items():
        if text:
            print(f"  {label}: {text}")


def rollback(reason: str, version: str | None = None, model: str | None = None) -> int:
    """Make an earlier champion the champion again, if it still answers as recorded."""
    from housing.registry import promotion

    name = _resolve_model_name(model, "rollback")
    return _report_change(name, promotion.rollback(name, version, reason, on_skip=print))


def promote(
    version: str,
    reason: str,
    against_the_gate: bool = False,
    if_better: bool = False,
    model: str | None = None,
) -> int:
    """Make a version champion by your own decision, if it still answers as recorded."""
    from housing.registry import promotion

    name = _resolve_model_name(model, f"promote {version}")
    number = challenger.resolve_version(name, version)
    comparison = challenger.compare_with_champion(name, number)
    description = comparison.describe() if comparison else ""
    if description:
        print(description)
    if not if_better:
        return _report_change(name, promotion.promote(name, number, reason, against_the_gate))
    if comparison is None or not comparison.is_better:
        hint = "" if comparison else f": version {number} has not answered beside the champion yet"
        print(f"nothing was changed{hint}")
        return 1
    change = promotion.promote(name, number, reason, against_the_gate, evidence=description)
    return _report_change(name, change)


def make_trace_command(hash_notebook: "NotebookHasher | None" = None) -> Callable[..., int]:
    """Return the command `trace`.

    hash_notebook: computes the hash of a notebook's code, to say whether it is still the one that
    ran.
    """

    def trace(identifier: str, model: str | None = None) -> int:
        """Trace a prediction, version, MLflow run or report to its data; mark what is missing."""
        from housing.registry import lineage

        # what names its model itself, or belongs to any model, needs none
        is_of_model = identifier.isdecimal() or identifier in ("champion", "challenger")
        name = _resolve_model_name(model) if is_of_model or model else ""
        entries = lineage.trace(identifier, name, hash_notebook)
        width = max(len(entry.label) for entry in entries)
        for entry in entries:
            text = f"{entry.label:{width}}  {'MISSING: ' if entry.missing else ''}{entry.text}"
            _print_line(text, "red" if entry.missing else "")
        return int(any(entry.missing for entry in entries))

    return trace


def _report_change(name: str, change: AliasChange) -> int:
    from housing.registry import versions

    _print_change(change)
    served = versions.current_champion(_configured_model_name())
    if served and served.name == name:
        print("the service follows within seconds; `champions` prints the history")
    else:
        other_name = served.name if served else "another model"
        print(f"the service follows {other_name}, unless it is started with HOUSING_MODEL={name}")
    return 0


def _print_line(text: str, style: str) -> None:
    """Print a text, in colour on a terminal; never wrapped."""
    if not sys.stdout.isatty():
        print(text)  # rich would end the process if the reader, such as `head`, has enough
        return
    from rich.console import Console

    Console().out(text, style=style, highlight=False)


def _configured_model_name() -> str | None:
    """Return the model that the service is told to serve; None if it chooses."""
    return os.environ.get("HOUSING_MODEL") or None


def _resolve_model_name(model_name: str | None, change_command: str = "") -> str:
    """Return the given registered model, by default the one that serves.

    change_command: the start of a command that changes it. Raises LookupError for such a command if
    the real data's model has no champion and the sample's may be meant.
    """
    from housing.registry import alias_history, versions
    from housing.registry.missing_champion import command

    model_name = model_name or _configured_model_name()
    if model_name:
        return model_name
    real_name, sample_name = (versions.MODEL_NAMES[source] for source in ("california", "sample"))
    known_names = list(filter(alias_history.is_known, (real_name, sample_name)))
    if len(known_names) < 2 or versions.get_champion(real_name):
        return (known_names or [real_name])[0]
    if not change_command:
        message = f"{real_name} has no champion; --model {sample_name} shows that of the sample"
        print(message, file=sys.stderr)
        return real_name
    options = " or ".join(
        f"`{command(f'{change_command} --reason WHY --model {name}')}`" for name in known_names
    )
    raise LookupError(f"{real_name} has no champion; say which model is meant: {options}")
