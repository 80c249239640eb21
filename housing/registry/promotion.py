"""Changing the champion by hand: back to an earlier one, or on to a version that a person chooses.

The alias is moved only after the version has been verified: the service can load it, and it
predicts as it did when it was registered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd

from housing.inference import served_files
from housing.registry import alias_history, artifacts, gate_checks, versions
from housing.registry.alias_changes import (
    AliasChange,
    History,
    champion_stack,
    past_champions,
    rolled_back_versions,
)
from housing.registry.graph_verification import RELATIVE_TOLERANCE, relative_differences
from housing.registry.versions import CHAMPION, ModelVersion
from housing.schema import FEATURE_NAMES
from housing.tracking.errors import StoreUnreachableError


class PromotionError(RuntimeError):
    """Raised if a version may not become champion; nothing was changed."""


def rollback(
    name: str,
    target_version: str | None,
    reason: str,
    on_skip: Callable[[str], None] = lambda _text: None,
) -> AliasChange:
    """Move the alias champion back to an earlier champion.

    By default that is the last one that can still be served and that the gate or a person had
    promoted; on_skip is called with a sentence for each later one. Raises LookupError if there is
    none, PromotionError if none of them or not the version predicts as recorded,
    alias_history.ConcurrentUpdateError if the champion was changed in the meantime.
    """
    reason, history = _require_reason(reason), alias_history.reconcile(name, CHAMPION)
    if target_version is None:
        version = _find_rollback_target(name, history, on_skip)
    else:
        version = _find_past_champion(name, history, target_version)
        _require_change(version, history)
        verify_version(version)
    return _set_champion(version, history, "rolled back", reason)


def _find_past_champion(name: str, history: History, number: str) -> ModelVersion:
    """Return a version that was champion. Raises LookupError if it was not, or is gone."""
    champions = past_champions(history.of_alias(CHAMPION))
    numbers = sorted(champions, key=int)
    if number not in champions:
        past = f"past champions: {', '.join(numbers)}" if numbers else "there never was one"
        raise LookupError(
            f"version {number} of {name} was never champion ({past}); "
            f"`promote {number}` makes it champion"
        )
    version = _registered_version(name, number, champions)
    if version is None:
        others = [other for other in numbers if _registered_version(name, other, champions)]
        raise LookupError(
            f"version {number} of {name} was champion, and was deleted in MLflow since; past "
            f"champions that are there: {', '.join(others) or 'none'}"
        )
    return version


def _registered_version(
    name: str, number: str, run_ids: Mapping[str, set[str]]
) -> ModelVersion | None:
    """Return a past champion; None if it is gone, also if another one has its number now."""
    version = alias_history.find_version(name, number)
    recorded_run_ids = run_ids.get(number)
    if version is None or (recorded_run_ids and (version.run_id or "") not in recorded_run_ids):
        return None
    return versions.from_mlflow(version)


def _find_rollback_target(
    name: str, history: History, on_skip: Callable[[str], None]
) -> ModelVersion:
    """Return the last champion before the present one that can be served."""
    current, changes = history.version(CHAMPION), history.of_alias(CHAMPION)
    numbers = dict.fromkeys(reversed(champion_stack(changes)))  # each once, in order
    problems = []
    for number in numbers:
        if number == current:
            continue
        actions = {change.action for change in changes if change.new_version == number}
        is_external = actions == {alias_history.EXTERNAL_CHANGE_ACTION}
        try:
            version = _find_past_champion(name, history, number)
            verify_version(version)
            if is_external and version.tags.get("verdict") != "promoted":
                raise PromotionError(
                    f"it was made champion in MLflow itself, and the gate never passed it; "
                    f"`rollback {number}` returns to it nevertheless"
                )
        except (LookupError, PromotionError) as error:
            problems.append(f"version {number} is skipped: {error}")
            continue
        for problem in problems:
            on_skip(problem)
        return version
    if problems:
        raise PromotionError(
            f"no earlier champion of {name} can serve: {'; '.join(problems)}. `promote VERSION` "
            "makes another version champion, and `run_pipeline.py` trains one"
        )
    raise LookupError(
        f"{name} had no champion before version {current or 'none'}: there is nothing to roll back "
        "to"
    )


def promote(
    name: str, target_version: str, reason: str, override_gate: bool = False, evidence: str = ""
) -> AliasChange:
    """Make a version champion by a person's decision.

    evidence: that it is better in use, in a sentence; it stands in for a gain on the test rows, and
    for no other check of the gate. Raises PromotionError if the version does not predict as
    recorded, or if the gate refused it and override_gate is False; LookupError if there is no such
    version; alias_history.ConcurrentUpdateError if the champion was changed in the meantime.
    """
    reason, history = _require_reason(reason), alias_history.reconcile(name, CHAMPION)
    version = versions.get_version(name, target_version)
    is_accepted = version.tags.get("verdict") == "promoted"
    if evidence:
        is_accepted = is_accepted or gate_checks.lacks_only_gain(version.tags.get("gate", ""))
        reason = f"{reason}; {evidence}"
    if not (is_accepted or override_gate):
        gate_reason = version.tags.get("reason", "the gate never checked it")
        raise PromotionError(
            f"version {target_version} of {name} was refused by the gate: {gate_reason}. "
            "--against-the-gate makes it champion nevertheless, and the history says so"
        )
    _require_change(version, history)
    verify_version(version)
    return _set_champion(version, history, "promoted by hand", reason)


def _require_change(version: ModelVersion, history: History) -> None:
    if version.version == history.version(CHAMPION):
        raise PromotionError(
            f"version {version.version} is the champion of {version.name} already: nothing was "
            "changed"
        )


def _set_champion(version: ModelVersion, history: History, action: str, reason: str) -> AliasChange:
    current_version = history.version(CHAMPION)
    return alias_history.set_alias(
        version.name, CHAMPION, version.version, action, reason, current_version, history
    )


def _require_reason(reason: str) -> str:
    if not reason.strip():
        raise ValueError("the reason is empty, expected one that the person on call can read later")
    return reason.strip()


def verify_version(version: ModelVersion) -> None:
    """Verify that the service can load a version, and that it predicts as it did when registered.

    Its files are exported and loaded as the service does; graph and model must predict the recorded
    example rows as recorded, to one in 1e9. Raises PromotionError otherwise.
    """
    subject = f"version {version.version} of {version.name} may not become champion"
    try:
        with TemporaryDirectory() as folder:
            versions.export_for_serving(version, Path(folder))
            files = served_files.read_files(Path(folder))
        served_files.load(version.label, files)
        examples = json.loads(files[served_files.EXAMPLES_FILE_NAME])
        rows = pd.DataFrame(examples["rows"], columns=FEATURE_NAMES)
        predictions = versions.load_model(version).predict(rows)
    except StoreUnreachableError:
        raise
    except Exception as error:  # whatever a version made by hand holds
        text = str(error) if isinstance(error, (ValueError, OSError)) else repr(error)
        raise PromotionError(f"{subject}: {text}") from error
    _check_predictions(subject, predictions, np.array(examples["predictions"]))


def _check_predictions(subject: str, predictions: np.ndarray, expected: np.ndarray) -> None:
    differences = relative_differences(predictions, expected)
    wrong_rows = np.flatnonzero(~(differences <= RELATIVE_TOLERANCE))  # NaN is wrong too
    if len(wrong_rows):
        row = wrong_rows[0]
        raise PromotionError(
            f"{subject}: its model predicts {predictions[row]:.9f} for example row {row + 1}, "
            f"expected {expected[row]:.9f} as recorded at its registration ({len(wrong_rows)} of "
            f"{len(expected)} rows differ)"
        )


class PastRollbacks(NamedTuple):
    """The rollbacks that concern a candidate, each as a text."""

    same_model: list[str]  # of versions with its very graph
    unknown: list[str]  # of versions that are gone, and whose graph was never recorded

    def describe(self) -> str:
        """Say which rollbacks count, and which cannot be told."""
        sentences = [
            f"This very model was rolled back: {'; '.join(self.same_model)}."
            if self.same_model
            else "This model was never rolled back."
        ]
        if self.unknown:
            sentences.append(
                "Whether these were this model cannot be told, as they were deleted in MLflow: "
                f"{'; '.join(self.unknown)}."
            )
        return " ".join(sentences)


def previous_rollbacks(name: str, onnx_model: bytes) -> PastRollbacks:
    """Return the versions with this very graph that were rolled back, each with the reason.

    They may become champion again only if a person promotes them. A version that was deleted since
    counts too, by the graph that the history recorded.
    """
    changes = alias_history.read(name).of_alias(CHAMPION)
    run_ids = past_champions(changes)
    digest, rollbacks = artifacts.sha256_hex(onnx_model), PastRollbacks([], [])
    for number, change in rolled_back_versions(changes).items():
        version = None if change.old_graph else _registered_version(name, number, run_ids)
        graph = change.old_graph or (artifacts.graph_sha256(version.tags) if version else "")
        if graph == digest:
            rollbacks.same_model.append(f"version {number}: {change.reason}")
        elif not graph:
            rollbacks.unknown.append(f"version {number}: {change.reason}")
    return rollbacks
