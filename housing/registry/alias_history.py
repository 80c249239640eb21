"""The history of an alias: which version was champion when, and why.

MLflow keeps only where an alias is now. The history is a registered model of its own, NAME-history,
in the tracking store, so that every client sees it: each of its versions records one change of an
alias in its tags. MLflow numbers versions without gaps or duplicates, even for concurrent clients,
so the history has one order. A change "from A to B" is valid only if the valid changes before it
lead to A: of two concurrent changes, the second one is not. MLflow's alias is set afterwards, to
the version the last valid change leads to; if the process that recorded a change was killed before
that, the next client completes it.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from housing.tracking import store
from housing.tracking.mlflow_env import load_mlflow, suppress_errors
from housing.tracking.store import raises_unreachable

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowModelVersion

LOG_DESCRIPTION = "The history of {name}: each version records one alias change; none is a model."
EXTERNAL_CHANGE_ACTION = "moved outside"  # in MLflow itself, without this module
RECHECK_DELAY_SECONDS = 0.5  # a change that is being applied is finished by then
# of MLflow, where there is no such model, version or alias
MISSING_VERSION_CODES = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
APPLIED = "yes"  # the value of the tag `done`; empty before

# field of AliasChange -> the tag of the history entry that stores it
TAG_KEYS = {
    "alias": "alias",
    "old_version": "before",
    "new_version": "after",
    "action": "action",
    "reason": "reason",
    "changed_at": "at",
    "changed_by": "who",
    "run_id": "run_id",
    "report": "report",
    "verdict": "verdict",
    "applied": "done",
}


class AliasChange(NamedTuple):
    """The change of an alias from one version to another; the version "" is none."""

    number: int  # in the history; 0 before it is recorded
    alias: str
    old_version: str
    new_version: str
    action: str  # promoted, refused, rolled back, promoted by hand, moved outside
    reason: str
    changed_at: str  # UTC, ISO 8601
    changed_by: str
    run_id: str  # the MLflow run of the new version
    report: str  # of the new version
    verdict: str  # of the gate on the new version
    applied: bool  # MLflow's alias has been seen at the new version


class ConcurrentUpdateError(RuntimeError):
    """Raised if the alias was changed by another client in the meantime; nothing was changed."""


@raises_unreachable
def list_changes(name: str, alias: str | None = None) -> list[AliasChange]:
    """Return the valid changes of one alias, or of all; oldest first."""
    valid_changes: list[AliasChange] = []
    versions_by_alias: dict[str, str] = {}
    for change in _read_log(name):
        if versions_by_alias.get(change.alias, "") == change.old_version:
            versions_by_alias[change.alias] = change.new_version
            valid_changes.append(change)
    return [change for change in valid_changes if alias in (None, change.alias)]


@raises_unreachable
def set_alias(
    name: str,
    alias: str,
    new_version: str,
    action: str,
    reason: str,
    expected_version: str | None = None,
) -> AliasChange:
    """Move the alias to a version and record the change.

    expected_version: the version the alias must be at until now ("": none), or None if that does
    not matter. Raises ConcurrentUpdateError if the alias is at another version, or if a concurrent
    change came first.
    """
    while True:
        current_version = reconcile(name, alias)
        if expected_version is not None and current_version != expected_version:
            raise ConcurrentUpdateError(_conflict_message(name, alias, expected_version))
        number = _append_change(name, alias, current_version, new_version, action, reason)
        _sync_alias(name, alias)
        changes_by_number = {change.number: change for change in list_changes(name, alias)}
        if number in changes_by_number:
            return changes_by_number[number]


@raises_unreachable
def reconcile(name: str, alias: str) -> str:
    """Bring history and alias into agreement; return the version of the alias, "" for none.

    A change that was recorded but not applied is applied. A change that was made in MLflow itself
    is recorded.
    """
    previous_state: tuple[list[AliasChange], str] | None = None
    while True:
        changes, current_version = list_changes(name, alias), _current_version(name, alias)
        last_change = changes[-1] if changes else None
        recorded_version = last_change.new_version if last_change else ""
        if current_version == recorded_version:
            return current_version
        if last_change and not last_change.applied:
            _sync_alias(name, alias)
        elif previous_state == (changes, current_version):
            reason = (
                "the alias was set in MLflow itself" if last_change else "the history begins here"
            )
            _append_change(
                name, alias, recorded_version, current_version, EXTERNAL_CHANGE_ACTION, reason
            )
        else:  # another client may be applying a change right now
            previous_state = changes, current_version
            time.sleep(RECHECK_DELAY_SECONDS)


def champion_stack(changes: list[AliasChange]) -> list[str]:
    """Return the champions as a stack: the last one serves, the one below served before it.

    changes: those of the alias champion, oldest first. A rollback removes the versions it skips.
    """
    stack: list[str] = []
    for change in changes:
        version = change.new_version
        if change.action == "rolled back":
            stack = stack[: stack.index(version)] if version in stack else stack[:-1]
        stack.append(version)
    return stack


def rolled_back_versions(changes: list[AliasChange]) -> dict[str, AliasChange]:
    """Return the versions that were rolled back and not promoted since, with their rollback."""
    rollbacks: dict[str, AliasChange] = {}
    for change in changes:
        if change.action == "rolled back":
            rollbacks[change.old_version] = change
        rollbacks.pop(change.new_version, None)
    return rollbacks


def _sync_alias(name: str, alias: str) -> None:
    """Set the alias to the last recorded version, and repeat if the history grew meanwhile.

    Whichever client sets the alias last reads the history after that, so the alias ends where the
    history does.
    """
    client = store.client()
    while True:
        last_change, current_version = list_changes(name, alias)[-1], _current_version(name, alias)
        if current_version != last_change.new_version:
            try:
                client.set_registered_model_alias(name, alias, last_change.new_version)
            except load_mlflow().MlflowException as error:
                # if two clients set an alias for the first time, MLflow lets one of them fail
                is_race = not current_version and error.error_code == "BAD_REQUEST"
                if not is_race or not _current_version(name, alias):
                    raise
                continue
        if (
            list_changes(name, alias)[-1].number == last_change.number
            and _current_version(name, alias) == last_change.new_version
        ):
            entry = str(last_change.number)
            client.set_model_version_tag(_log_name(name), entry, TAG_KEYS["applied"], APPLIED)
            return


def _append_change(
    name: str, alias: str, previous_version: str, new_version: str, action: str, reason: str
) -> int:
    """Append a change to the history; return its number."""
    client = store.client()
    with suppress_errors("RESOURCE_ALREADY_EXISTS"):
        client.create_registered_model(
            _log_name(name), description=LOG_DESCRIPTION.format(name=name)
        )
    version = client.get_model_version(name, new_version or previous_version)
    change = AliasChange(
        number=0,
        alias=alias,
        old_version=previous_version,
        new_version=new_version,
        action=action,
        reason=reason,
        changed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        changed_by=current_user(),
        run_id=version.run_id or "",
        report=version.tags.get("report", ""),
        verdict=version.tags.get("verdict", ""),
        applied=action == EXTERNAL_CHANGE_ACTION,
    )
    source = f"models:/{name}/{version.version}"
    entry = client.create_model_version(
        _log_name(name), source, version.run_id, tags=_to_tags(change)
    )
    return int(entry.version)


def _read_log(name: str) -> Iterator[AliasChange]:
    """Yield every recorded change, valid or not, in the order of its number."""
    client = store.client()
    entries: list[MlflowModelVersion] = []
    token: str | None = None
    while True:
        page = client.search_model_versions(f"name = '{_log_name(name)}'", page_token=token)
        entries += page
        token = page.token
        if not token:
            break
    for entry in sorted(entries, key=lambda entry: int(entry.version)):
        yield _from_tags(int(entry.version), entry.tags)


def _to_tags(change: AliasChange) -> dict[str, str]:
    values = change._asdict() | {"applied": APPLIED if change.applied else ""}
    return {key: values[field] for field, key in TAG_KEYS.items()}


def _from_tags(number: int, tags: Mapping[str, str]) -> AliasChange:
    values: dict[str, Any] = {field: tags.get(key, "") for field, key in TAG_KEYS.items()}
    values["applied"] = values["applied"] == APPLIED
    return AliasChange(number, **values)


def _current_version(name: str, alias: str) -> str:
    """Return the version that MLflow's alias names; "" for none."""
    with suppress_errors(*MISSING_VERSION_CODES):
        return str(store.client().get_model_version_by_alias(name, alias).version)
    return ""


def _log_name(name: str) -> str:
    return f"{name}-history"


def _conflict_message(name: str, alias: str, expected_version: str) -> str:
    changes = list_changes(name, alias)
    current, author = "none", ""
    if changes:
        last_change = changes[-1]
        current = f"version {last_change.new_version}" if last_change.new_version else "none"
        author = f", {last_change.action} by {last_change.changed_by} ({last_change.reason})"
    expected = f"version {expected_version}" if expected_version else "none"
    return (
        f"the {alias} of {name} was {expected}, and is {current} now{author}: nothing was changed"
    )


def current_user() -> str:
    """Return the name to record: HOUSING_WHO, the tracking server's user, or user@host."""
    configured_name = os.environ.get("HOUSING_WHO") or os.environ.get("MLFLOW_TRACKING_USERNAME")
    if configured_name:
        return configured_name
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number but no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
