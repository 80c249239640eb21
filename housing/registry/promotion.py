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
from housing.registry.alias_history import AliasChange
from housing.registry.versions import CHAMPION, ModelVersion
from housing.schema import FEATURE_NAMES

RELATIVE_TOLERANCE = 1e-9  # as in the gate: relative above $100,000


class PromotionError(RuntimeError):
    """Raised if a version may not become champion; nothing was changed then."""


def rollback(name: str, target_version: str | None, reason: str) -> AliasChange:
    """Takes the champion back to a version that was champion; by default the one before.

    Raises LookupError if there is none, Refused if it does not answer as recorded,
    history.Overtaken if somebody else has just moved the champion.
    """
    reason, now = _require_reason(reason), alias_history.reconcile(name, CHAMPION)
    found = alias_history.list_changes(name, CHAMPION)
    below = alias_history.champion_stack(found)[:-1]
    if target_version is None and not below:
        raise LookupError(f"{name} had no champion before version {now or 'none'}: nothing to do")
    target_version = target_version or below[-1]
    were = sorted({one.after for one in found if one.after}, key=int)
    if target_version not in were:
        was = f"those that were: {', '.join(were)}" if were else "none ever was"
        raise LookupError(
            f"version {target_version} of {name} was never champion ({was}); `promote {target_version}` makes it one"
        )
    return _set_champion(name, target_version, now, "rolled back", reason)


def promote(
    name: str, target_version: str, reason: str, override_gate: bool = False
) -> AliasChange:
    """Makes a version champion because a person says so.

    Raises Refused if it does not answer as recorded, or if the gate has refused it and that is not
    overruled; LookupError and Overtaken as `rollback` does.
    """
    reason, now = _require_reason(reason), alias_history.reconcile(name, CHAMPION)
    version = versions.get_version(name, target_version)
    if version.tags.get("verdict") != "promoted" and not override_gate:
        why = version.tags.get("reason", "it never asked the gate")
        raise PromotionError(
            f"version {target_version} of {name} was refused by the gate: {why}. "
            "--against-the-gate makes it champion nevertheless, and the history says so"
        )
    return _set_champion(name, target_version, now, "promoted by hand", reason)


def _set_champion(
    name: str, target_version: str, current_version: str, action: str, reason: str
) -> AliasChange:
    if target_version == current_version:
        raise PromotionError(
            f"version {target_version} is the champion of {name} already: nothing was changed"
        )
    verify_version(versions.get_version(name, target_version))
    return alias_history.set_alias(name, CHAMPION, target_version, action, reason, current_version)


def _require_reason(reason: str) -> str:
    if not reason.strip():
        raise ValueError("the reason is empty, expected why: whoever is on call will read it")
    return reason.strip()


def verify_version(version: ModelVersion) -> None:
    """Raises Refused unless files, graph and model are as they were when it was registered.

    Both answer the recorded example rows as recorded, to one in 1e9.
    """
    which = f"version {version.version} of {version.name}"
    try:
        versions.check_data_source(version)
        with TemporaryDirectory() as folder:
            model = artifacts.download(version, Path(folder))
            served = model / version.tags.get("served", "served")
            recorded = json.loads((served / "examples.json").read_text())
            rows = np.array(recorded["rows"])
            session = served_model.load(served / "model.onnx")
            answers = {
                "served graph": served_model.predict(session, rows),
                "model": persistence.load_model(model).predict(
                    pd.DataFrame(rows, columns=FEATURE_NAMES)
                ),
            }
            ends = served_model.predict_intervals(session, rows).T[1:] if "lows" in recorded else ()
    except (ValueError, OSError, KeyError) as broken:
        raise PromotionError(f"{which} stays as it is: {broken}") from broken
    stays = f"{which} stays as it is: its"
    for what, given in answers.items():
        _check_predictions(f"{stays} {what}", given, np.array(recorded["predictions"]))
    for name, given in zip(("lows", "highs"), ends, strict=False):
        _check_predictions(f"{stays} interval", given, np.array(recorded[name]))


def _check_predictions(subject: str, predictions: np.ndarray, expected: np.ndarray) -> None:
    off = np.abs(predictions - expected) / np.maximum(1, np.abs(expected))
    wrong = np.flatnonzero(~(off <= RELATIVE_TOLERANCE))  # NaN is wrong too
    if len(wrong):
        at = wrong[0]
        raise PromotionError(
            f"{subject} answers {predictions[at]:.9f} to example row {at + 1}, and {expected[at]:.9f} was "
            f"recorded at its registration ({len(wrong)} of {len(expected)} rows differ)"
        )


def previous_rollbacks(name: str, onnx_model: bytes) -> list[str]:
    """The versions with this very graph that were rolled back, and why: they stay back until a
    person promotes them."""
    back = alias_history.rolled_back_versions(alias_history.list_changes(name, CHAMPION))
    digest = artifacts.sha256_hex(onnx_model)
    return [
        f"version {number}: {move.reason}"
        for number, move in back.items()
        if digest in versions.get_version(name, number).tags.get("sha256", "")
    ]
