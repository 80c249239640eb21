"""The history of an alias: which version was champion when, and why.

MLflow keeps only where an alias is now. The history is a registered model of its own, NAME-history,
in the tracking store, so that every client sees it: each of its versions records one change of an
alias in its tags. MLflow numbers versions without gaps or duplicates, even for concurrent clients,
so the history has one order, and a client that appends the next number after those it has read need
not read them again. A change "from A to B" is valid only if the valid changes before it lead to A:
of two concurrent changes, the second one is not. MLflow's alias is set afterwards, to the version
the last valid change leads to; if the process that recorded a change was killed before that, the
next client completes it.

Whatever it names may be deleted or renamed in MLflow, its own entries too: what is left is read,
and what differs from it is recorded as moved outside.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from housing.registry.alias_changes import (
    APPLIED,
    TAG_KEYS,
    AliasChange,
    History,
    conflict_message,
)
from housing.registry.artifacts import MISSING_VERSION_CODES, graph_sha256
from housing.tracking import store
from housing.tracking.mlflow_env import load_mlflow, suppress_errors
from housing.tracking.store import raises_unreachable

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

LOG_DESCRIPTION = "The history of {name}: each version records one alias change; none is a model."
HISTORY_SUFFIX = "-history"
EXTERNAL_CHANGE_ACTION = "moved outside"  # in MLflow itself, without this module
NO_SOURCE_SCHEME = "alias-change"  # of the entries that name no version which is still there
RECHECK_DELAY_SECONDS = 0.5  # a change that is being applied is finished by then


class ConcurrentUpdateError(RuntimeError):
    """Raised if the alias was changed by another client in the meantime; nothing was changed."""


@raises_unreachable
def read(name: str) -> History:
    """Read the history of a registered model."""
    entries = store.search_versions(_log_name(name))
    return History.from_changes(
        AliasChange.from_tags(int(entry.version), entry.tags) for entry in entries
    )


@raises_unreachable
def set_alias(
    name: str,
    alias: str,
    new_version: str,
    action: str,
    reason: str,
    expected_version: str | None = None,
    history: History | None = None,
) -> AliasChange:
    """Move the alias to a version and record the change.

    expected_version: the version the alias must be at until now ("": none), or None if that does
    not matter. history: as `reconcile` returned it to the caller, or None to read it. Raises
    ConcurrentUpdateError if the alias is at another version, or if a concurrent change came first.
    """
    while True:
        if history is None or history.version(alias) != _current_version(name, alias):
            history = reconcile(name, alias)
        current_version = history.version(alias)
        if expected_version not in (None, current_version):
            raise ConcurrentUpdateError(conflict_message(name, alias, expected_version, history))
        change = _append_change(name, alias, current_version, new_version, action, reason)
        if change.number == history.last_number + 1:  # nothing was recorded in between
            history = History([*history.changes, change], change.number)
        else:
            history = read(name)
        _sync_alias(name, alias, history)
        if change.number in {valid_change.number for valid_change in history.changes}:
            return change._replace(applied=True)
        history = None


@raises_unreachable
def reconcile(name: str, alias: str) -> History:
    """Bring history and alias into agreement; return the history.

    A change that was recorded but not applied is applied. A change that was made in MLflow itself
    is recorded.
    """
    previous_state: tuple[History, str] | None = None
    while True:
        history, current_version = read(name), _current_version(name, alias)
        changes, recorded_version = history.of_alias(alias), history.version(alias)
        if current_version == recorded_version:
            return history
        is_pending = bool(changes) and not changes[-1].applied
        if is_pending and find_version(name, recorded_version):
            _sync_alias(name, alias, history)
        elif previous_state == (history, current_version):
            reason = _external_reason(name, recorded_version, current_version, bool(changes))
            _append_change(
                name, alias, recorded_version, current_version, EXTERNAL_CHANGE_ACTION, reason
            )
        else:  # another client may be applying a change right now
            previous_state = history, current_version
            time.sleep(RECHECK_DELAY_SECONDS)


def _external_reason(name: str, old_version: str, new_version: str, has_history: bool) -> str:
    """Say what was done in MLflow itself to move an alias."""
    if not has_history:
        return "the history begins here"
    if new_version:
        return "the alias was set in MLflow itself"
    if find_version(name, old_version):
        return "the alias was deleted in MLflow itself"
    return f"version {old_version} was deleted, or the model renamed, in MLflow itself"


def _sync_alias(name: str, alias: str, history: History) -> None:
    """Set the alias to the last recorded version, and repeat if the history grew meanwhile.

    Whichever client sets the alias last looks for a later entry after that, so the alias ends where
    the history does.
    """
    client = store.client()
    while True:
        last_change, current_version = history.of_alias(alias)[-1], _current_version(name, alias)
        if current_version != last_change.new_version:
            try:
                client.set_registered_model_alias(name, alias, last_change.new_version)
            except load_mlflow().MlflowException as error:
                # if two clients set an alias for the first time, MLflow lets one of them fail
                if error.error_code in MISSING_VERSION_CODES:
                    number = last_change.new_version
                    raise LookupError(f"version {number} of {name} was deleted just now") from None
                is_race = not current_version and error.error_code == "BAD_REQUEST"
                if not is_race or not _current_version(name, alias):
                    raise
        has_grown = _has_entry(name, history.last_number + 1)
        if not has_grown and _current_version(name, alias) == last_change.new_version:
            entry = str(last_change.number)
            with suppress_errors(*MISSING_VERSION_CODES):  # somebody has deleted the entry
                client.set_model_version_tag(_log_name(name), entry, TAG_KEYS["applied"], APPLIED)
            return
        history = read(name)


def _has_entry(name: str, number: int) -> bool:
    return find_version(_log_name(name), str(number)) is not None


@raises_unreachable
def find_version(name: str, number: str) -> ModelVersion | None:
    """Return MLflow's version of that number; None if there is none."""
    # SQLite refuses numbers of more than 19 digits
    if number.isascii() and number.isdecimal() and len(number) <= 9:
        with suppress_errors(*MISSING_VERSION_CODES):
            return store.client().get_model_version(name, number)
    return None


@raises_unreachable
def is_known(name: str) -> bool:
    """Return whether a model of that name is registered, or was and has a history."""
    if store.exists():
        for model_name in (name, _log_name(name)):
            with suppress_errors(*MISSING_VERSION_CODES):
                return bool(store.client().get_registered_model(model_name))
    return False


def _append_change(
    name: str, alias: str, previous_version: str, new_version: str, action: str, reason: str
) -> AliasChange:
    """Append a change to the history; return it with its number."""
    client = store.client()
    with suppress_errors("RESOURCE_ALREADY_EXISTS"):
        client.create_registered_model(
            _log_name(name), description=LOG_DESCRIPTION.format(name=name)
        )
    old, new = (find_version(name, number) for number in (previous_version, new_version))
    subject = new or old
    tags = subject.tags if subject else {}
    run_id = (subject.run_id or "") if subject else ""
    change = AliasChange(
        number=0,
        alias=alias,
        old_version=previous_version,
        new_version=new_version,
        action=action,
        reason=reason,
        changed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        changed_by=current_user(),
        run_id=run_id,
        report=tags.get("report", ""),
        verdict=tags.get("verdict", ""),
        old_graph=graph_sha256(old.tags) if old else "",
        applied=action == EXTERNAL_CHANGE_ACTION,
    )
    # MLflow checks that a source of its own exists
    source = f"models:/{name}/{subject.version}" if subject else f"{NO_SOURCE_SCHEME}:/{name}"
    entry = client.create_model_version(
        _log_name(name), source, run_id or None, tags=change.to_tags()
    )
    return change._replace(number=int(entry.version))


def _current_version(name: str, alias: str) -> str:
    """Return the version that MLflow's alias names; "" for none."""
    with suppress_errors(*MISSING_VERSION_CODES):
        return str(store.client().get_model_version_by_alias(name, alias).version)
    return ""


def _log_name(name: str) -> str:
    return f"{name}{HISTORY_SUFFIX}"


def is_history_name(name: str) -> bool:
    """Return whether a registered model of that name is the history of another one."""
    return name.endswith(HISTORY_SUFFIX)


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
