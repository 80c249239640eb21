"""Register a candidate: its version, its model card and its alias, so that none is left half-done.

What can fail comes before the version. Until its alias is recorded, a version has the tag
`registration`; if that fails the version is deleted, and if the process is killed, by the next
registration.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from housing.registry import alias_history, artifacts, versions
from housing.registry.artifacts import ModelVersion
from housing.registry.versions import CHALLENGER, CHAMPION, MODEL_NAMES
from housing.tracking import store
from housing.tracking import tags as run_tags
from housing.tracking.mlflow_env import suppress_errors
from housing.tracking.store import raises_unreachable
from housing.tracking.tags import NO_ORIGIN

if TYPE_CHECKING:
    import numpy as np

    from housing.data.splitting import TrainTestSplit
    from housing.evaluation.calibration import IntervalPrediction
    from housing.tracking.experiments import Candidate

CardWriter = Callable[[ModelVersion], object]  # stores the model card of a version
IN_PROGRESS_TAG = "registration"  # of a version without an alias so far: host and process
MAX_DURATION = timedelta(hours=1)  # of a registration on another host


@raises_unreachable
def register(
    candidate: Candidate,
    split: TrainTestSplit,
    onnx_model: bytes,
    example_predictions: np.ndarray | IntervalPrediction,
    promoted: bool,
    reason: str,
    checks: Sequence[Mapping[str, Any]] = (),
    compared_champion: ModelVersion | None = None,
    origin: Mapping[str, str] = NO_ORIGIN,
    write_card: CardWriter | None = None,
    reference: bytes | None = None,
) -> ModelVersion:
    """Register a candidate under the model name of its data source, with its serving files.

    example_predictions: (n,) the model's predictions for the first n test rows, or these with the
    ends of their intervals; kept beside the graph. If promoted, the alias champion moves to the new
    version; else the version becomes the challenger, with the reason. It also becomes the
    challenger if compared_champion, the champion it was compared with, is not champion any more.
    checks: the results of the gate, kept as gate.json in the candidate's run and as a tag of the
    version. origin: as in `tags.lineage_tags`. reference: the file of what the monitoring compares
    the traffic with, kept with the version. If a process was killed after it had recorded the alias
    of this very candidate, returns that version.
    """
    client, name = store.client(), MODEL_NAMES[split.manifest["source"]]
    serving_tags = artifacts.add_serving_files(candidate, split, onnx_model, example_predictions)
    if reference is not None:
        serving_tags |= artifacts.add_reference(candidate, reference)
    client.log_dict(candidate.run_id, {"promoted": promoted, "checks": list(checks)}, "gate.json")
    with suppress_errors("RESOURCE_ALREADY_EXISTS"):
        client.create_registered_model(name)
    for alias in (CHAMPION, CHALLENGER):
        alias_history.reconcile(name, alias)
    finished_version = _finish_stopped_registrations(name, candidate, serving_tags["served"])
    if finished_version:
        return finished_version
    tags = run_tags.lineage_tags(split.manifest, origin) | {
        "family": candidate.family,
        "training": candidate.training_id,
        "cv_rmse": f"{candidate.cv_rmse:.6f}",
        "test_rmse": f"{candidate.test_rmse:.6f}",
        "verdict": "promoted" if promoted else "refused",
        "reason": reason,
        "gate": json.dumps(list(checks)),
        **serving_tags,
    }
    mlflow_version = client.create_model_version(
        name,
        f"models:/{candidate.model_id}",
        candidate.run_id,
        tags=tags | {IN_PROGRESS_TAG: f"{socket.gethostname()} {os.getpid()}"},
        model_id=candidate.model_id,
    )
    version = versions.from_mlflow(mlflow_version)._replace(tags=tags)
    return _complete(version, compared_champion, write_card or (lambda _version: None))


def _complete(
    version: ModelVersion, compared_champion: ModelVersion | None, write_card: CardWriter
) -> ModelVersion:
    """Give a new version its card and its alias; delete it if that fails."""
    try:
        write_card(version)
        version = _assign_alias(version, compared_champion, write_card)
    except BaseException:
        with suppress(Exception):  # the first error counts; the next registration cleans up
            if version.version not in _recorded_versions(version.name):
                store.client().delete_model_version(version.name, version.version)
        raise
    _mark_finished(version)
    return version


def _assign_alias(
    version: ModelVersion, compared_champion: ModelVersion | None, write_card: CardWriter
) -> ModelVersion:
    """Move the alias that the verdict gives the version; return the version as it is then."""
    verdict, reason = version.tags["verdict"], version.tags["reason"]
    if verdict == "promoted":
        expected_version = compared_champion.version if compared_champion else ""
        try:
            alias_history.set_alias(
                version.name, CHAMPION, version.version, verdict, reason, expected_version
            )
            return version
        except alias_history.ConcurrentUpdateError as error:
            verdict, reason = "refused", f"{error}; run the pipeline again"
            for name, value in (("verdict", verdict), ("reason", reason)):
                store.client().set_model_version_tag(version.name, version.version, name, value)
            version = version._replace(tags=version.tags | {"verdict": verdict, "reason": reason})
            write_card(version)
    alias_history.set_alias(version.name, CHALLENGER, version.version, verdict, reason)
    return version


def _recorded_versions(name: str) -> set[str]:
    """Return the versions that ever had an alias, by the history."""
    return {change.new_version for change in alias_history.read(name).changes}


def _mark_finished(version: ModelVersion) -> None:
    with suppress_errors(*artifacts.MISSING_VERSION_CODES):
        store.client().delete_model_version_tag(version.name, version.version, IN_PROGRESS_TAG)


def _finish_stopped_registrations(
    name: str, candidate: Candidate, serving_path: str
) -> ModelVersion | None:
    """Finish or delete the versions whose registration was killed.

    Returns the finished version of this very candidate, if there is one.
    """
    finished_version = None
    recorded_versions = _recorded_versions(name)
    for version in versions.list_versions(name):
        if IN_PROGRESS_TAG not in version.tags or _is_in_progress(version):
            continue
        if version.version not in recorded_versions:
            with suppress_errors(*artifacts.MISSING_VERSION_CODES):
                store.client().delete_model_version(name, version.version)
            continue
        _mark_finished(version)
        if (version.run_id, version.tags.get("served")) == (candidate.run_id, serving_path):
            tags = {key: tag for key, tag in version.tags.items() if key != IN_PROGRESS_TAG}
            finished_version = version._replace(tags=tags)
    return finished_version


def _is_in_progress(version: ModelVersion) -> bool:
    """Return whether the process that registers the version may still be at it."""
    host, _, process_id = version.tags[IN_PROGRESS_TAG].rpartition(" ")
    if host != socket.gethostname() or not process_id.isdecimal():
        age = datetime.now(UTC) - datetime.fromisoformat(version.created_at)
        return age < MAX_DURATION
    if int(process_id) == os.getpid():
        return False  # in this process, one registration follows the other
    try:
        os.kill(int(process_id), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is of another user
        pass
    return True
