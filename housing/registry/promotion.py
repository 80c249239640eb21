"""Moving the champion by hand: back to a version that was, or on to one that a person has chosen.

Nothing moves before the version has shown that it still answers as it did when it was registered.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from housing.inference import served_model
from housing.models import persistence
from housing.registry import alias_history, artifacts, versions
from housing.registry.alias_history import Move
from housing.registry.versions import CHAMPION, Version
from housing.schema import NAMES

SAME = 1e-9  # as in the gate: relative above $100,000


class Refused(RuntimeError):
    """Raised if a version may not become champion; nothing was changed then."""


def rollback(name: str, to: str | None, reason: str) -> Move:
    """Takes the champion back to a version that was champion; by default the one before.

    Raises LookupError if there is none, Refused if it does not answer as recorded,
    history.Overtaken if somebody else has just moved the champion.
    """
    reason, now = _reasoned(reason), alias_history.settled(name, CHAMPION)
    found = alias_history.moves(name, CHAMPION)
    below = alias_history.standing(found)[:-1]
    if to is None and not below:
        raise LookupError(f"{name} had no champion before version {now or 'none'}: nothing to do")
    to = to or below[-1]
    were = sorted({one.after for one in found if one.after}, key=int)
    if to not in were:
        was = f"those that were: {', '.join(were)}" if were else "none ever was"
        raise LookupError(
            f"version {to} of {name} was never champion ({was}); `promote {to}` makes it one"
        )
    return _move(name, to, now, "rolled back", reason)


def promote(name: str, to: str, reason: str, against_the_gate: bool = False) -> Move:
    """Makes a version champion because a person says so.

    Raises Refused if it does not answer as recorded, or if the gate has refused it and that is not
    overruled; LookupError and Overtaken as `rollback` does.
    """
    reason, now = _reasoned(reason), alias_history.settled(name, CHAMPION)
    version = versions.version(name, to)
    if version.tags.get("verdict") != "promoted" and not against_the_gate:
        why = version.tags.get("reason", "it never asked the gate")
        raise Refused(
            f"version {to} of {name} was refused by the gate: {why}. "
            "--against-the-gate makes it champion nevertheless, and the history says so"
        )
    return _move(name, to, now, "promoted by hand", reason)


def _move(name: str, to: str, now: str, action: str, reason: str) -> Move:
    if to == now:
        raise Refused(f"version {to} is the champion of {name} already: nothing was changed")
    prove(versions.version(name, to))
    return alias_history.move(name, CHAMPION, to, action, reason, now)


def _reasoned(reason: str) -> str:
    if not reason.strip():
        raise ValueError("the reason is empty, expected why: whoever is on call will read it")
    return reason.strip()


def prove(version: Version) -> None:
    """Raises Refused unless files, graph and model are as they were when it was registered.

    Both answer the recorded example rows as recorded, to one in 1e9.
    """
    which = f"version {version.version} of {version.name}"
    try:
        versions.check_source(version)
        with TemporaryDirectory() as folder:
            model = artifacts.download(version, Path(folder))
            served = model / version.tags.get("served", "served")
            recorded = json.loads((served / "examples.json").read_text())
            rows = np.array(recorded["rows"])
            session = served_model.session(served / "model.onnx")
            answers = {
                "served graph": served_model.predict(session, rows),
                "model": persistence.load(model).predict(pd.DataFrame(rows, columns=NAMES)),
            }
            ends = served_model.intervals(session, rows).T[1:] if "lows" in recorded else ()
    except (ValueError, OSError, KeyError) as broken:
        raise Refused(f"{which} stays as it is: {broken}") from broken
    stays = f"{which} stays as it is: its"
    for what, given in answers.items():
        _compare(f"{stays} {what}", given, np.array(recorded["predictions"]))
    for name, given in zip(("lows", "highs"), ends, strict=False):
        _compare(f"{stays} interval", given, np.array(recorded[name]))


def _compare(what: str, given: np.ndarray, recorded: np.ndarray) -> None:
    off = np.abs(given - recorded) / np.maximum(1, np.abs(recorded))
    wrong = np.flatnonzero(~(off <= SAME))  # NaN is wrong too
    if len(wrong):
        at = wrong[0]
        raise Refused(
            f"{what} answers {given[at]:.9f} to example row {at + 1}, and {recorded[at]:.9f} was "
            f"recorded at its registration ({len(wrong)} of {len(recorded)} rows differ)"
        )


def taken_back(name: str, served: bytes) -> list[str]:
    """The versions with this very graph that were rolled back, and why: they stay back until a
    person promotes them."""
    back = alias_history.taken_back(alias_history.moves(name, CHAMPION))
    digest = artifacts.digest(served)
    return [
        f"version {number}: {move.reason}"
        for number, move in back.items()
        if digest in versions.version(name, number).tags.get("sha256", "")
    ]
