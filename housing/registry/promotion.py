"""Changing the champion by hand: back to an earlier one, or on to a version that a person chooses.

The alias is moved only after the version has been verified to predict as it did when it was
registered.
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
from housing.registry.alias_changes import (
    AliasChange,
    History,
    champion_stack,
    rolled_back_versions,
)
from housing.registry.graph_verification import RELATIVE_TOLERANCE, relative_differences
from housing.registry.versions import CHAMPION, ModelVersion
from housing.schema import FEATURE_NAMES


class PromotionError(RuntimeError):
    """Raised if a version may not become champion; nothing was changed."""


def rollback(name: str, target_version: str | None, reason: str) -> AliasChange:
    """Move the alias champion back to an earlier champion; by default to the previous one.

    Raises LookupError if there is none, PromotionError if the version does not predict as recorded,
    alias_history.ConcurrentUpdateError if the champion was changed in the meantime.
    """
    reason, history = _require_reason(reason), alias_history.reconcile(name, CHAMPION)
    changes = history.of_alias(CHAMPION)
    previous_champions = champion_stack(changes)[:-1]
    if target_version is None and not previous_champions:
        raise LookupError(
            f"{name} had no champion before version {history.version(CHAMPION) or 'none'}: there "
            "is nothing to roll back to"
        )
    target_version = target_version or previous_champions[-1]
    champions = sorted({change.new_version for change in changes if change.new_version}, key=int)
    if target_version not in champions:
        past = f"past champions: {', '.join(champions)}" if champions else "there never was one"
        raise LookupError(
            f"version {target_version} of {name} was never champion ({past}); "
            f"`promote {target_version}` makes it champion"
        )
    version = versions.get_version(name, target_version)
    return _set_champion(version, history, "rolled back", reason)


def promote(
    name: str, target_version: str, reason: str, override_gate: bool = False
) -> AliasChange:
    """Make a version champion by a person's decision.

    Raises PromotionError if the version does not predict as recorded, or if the gate refused it and
    override_gate is False; LookupError if there is no such version;
    alias_history.ConcurrentUpdateError if the champion was changed in the meantime.
    """
    reason, history = _require_reason(reason), alias_history.reconcile(name, CHAMPION)
    version = versions.get_version(name, target_version)
    if version.tags.get("verdict") != "promoted" and not override_gate:
        gate_reason = version.tags.get("reason", "the gate never checked it")
        raise PromotionError(
            f"version {target_version} of {name} was refused by the gate: {gate_reason}. "
            "--against-the-gate makes it champion nevertheless, and the history says so"
        )
    return _set_champion(version, history, "promoted by hand", reason)


def _set_champion(version: ModelVersion, history: History, action: str, reason: str) -> AliasChange:
    name, number, current_version = version.name, version.version, history.version(CHAMPION)
    if number == current_version:
        raise PromotionError(
            f"version {number} is the champion of {name} already: nothing was changed"
        )
    verify_version(version)
    return alias_history.set_alias(name, CHAMPION, number, action, reason, current_version, history)


def _require_reason(reason: str) -> str:
    if not reason.strip():
        raise ValueError("the reason is empty, expected one that the person on call can read later")
    return reason.strip()


def verify_version(version: ModelVersion) -> None:
    """Verify that files, graph and model of a version are as they were when it was registered.

    Graph and model must predict the recorded example rows as recorded, to one in 1e9. Raises
    PromotionError otherwise.
    """
    label = f"version {version.version} of {version.name}"
    try:
        versions.check_data_source(version)
        with TemporaryDirectory() as folder:
            model_folder = artifacts.download(version, Path(folder))
            serving_folder = model_folder / version.tags.get("served", "served")
            examples = json.loads((serving_folder / "examples.json").read_text())
            rows = np.array(examples["rows"])
            session = served_model.load(serving_folder / "model.onnx")
            model = persistence.load_model(model_folder)
            frame = pd.DataFrame(rows, columns=FEATURE_NAMES)
            checks = [
                ("served graph", "predictions", served_model.predict(session, rows)),
                ("model", "predictions", model.predict(frame)),
            ]
            if "lows" in examples:
                _, lows, highs = served_model.predict_intervals(session, rows).T
                checks += [("interval", "lows", lows), ("interval", "highs", highs)]
    except (ValueError, OSError, KeyError) as error:
        raise PromotionError(f"{label} may not become champion: {error}") from error
    for part, name, values in checks:
        subject = f"{label} may not become champion: its {part}"
        _check_predictions(subject, values, np.array(examples[name]))


def _check_predictions(subject: str, predictions: np.ndarray, expected: np.ndarray) -> None:
    differences = relative_differences(predictions, expected)
    wrong_rows = np.flatnonzero(~(differences <= RELATIVE_TOLERANCE))  # NaN is wrong too
    if len(wrong_rows):
        row = wrong_rows[0]
        raise PromotionError(
            f"{subject} predicts {predictions[row]:.9f} for example row {row + 1}, expected "
            f"{expected[row]:.9f} as recorded at its registration ({len(wrong_rows)} of "
            f"{len(expected)} rows differ)"
        )


def previous_rollbacks(name: str, onnx_model: bytes) -> list[str]:
    """Return the versions with this very graph that were rolled back, each with the reason.

    They may become champion again only if a person promotes them.
    """
    rollbacks = rolled_back_versions(alias_history.read(name).of_alias(CHAMPION))
    digest = artifacts.sha256_hex(onnx_model)
    return [
        f"version {number}: {change.reason}"
        for number, change in rollbacks.items()
        if digest in versions.get_version(name, number).tags.get("sha256", "")
    ]
