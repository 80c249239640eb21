"""The history of an alias: which version was champion when, and why.

MLflow keeps only where an alias is now. The history is a registered model of its own, NAME-history,
in the tracking store, so that every client sees it: each of its versions records one change of an
alias in its tags. MLflow numbers versions without gaps or duplicates, even for concurrent clients,
so the history has one order, and a client that appends the next number after those it has read need
not read them again. A change "from A to B" is valid only if the valid changes before it lead to A:
of two concurrent changes, the second one is not. MLflow's alias is set afterwards, to the version
the last valid change leads to; if the process that recorded a change was killed before that, the
next client completes it.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from datetime import UTC, datetime

from housing.registry.alias_changes import APPLIED, TAG_KEYS, AliasChange, History, version_text
from housing.tracking import store
from housing.tracking.mlflow_env import load_mlflow, suppress_errors
from housing.tracking.store import raises_unreachable

LOG_DESCRIPTION = "The history of {name}: each version records one alias change; none is a model."
EXTERNAL_CHANGE_ACTION = "moved outside"  # in MLflow itself, without this module
RECHECK_DELAY_SECONDS = 0.5  # a change that is being applied is finished by then
# of MLflow, where there is no such model, version or alias
MISSING_VERSION_CODES = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class ConcurrentUpdateError(RuntimeError):
    """Raised if the alias was changed by another client in the meantime; nothing was changed."""


@raises_unreachable
def read(name: str) -> History:
    """Read the history of a registered model."""
    store.client()
    entries = load_mlflow().search_model_versions(filter_string=f"name = '{_log_name(name)}'")
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
            raise ConcurrentUpdateError(_conflict_message(name, alias, expected_version, history))
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
        if changes and not changes[-1].applied:
            _sync_alias(name, alias, history)
        elif previous_state == (history, current_version):
            reason = "the alias was set in MLflow itself" if changes else "the history begins here"
            _append_change(
                name, alias, recorded_version, current_version, EXTERNAL_CHANGE_ACTION, reason
            )
        else:  # another client may be applying a change right now
            previous_state = history, current_version
            time.sleep(RECHECK_DELAY_SECONDS)


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
                is_race = not current_version and error.error_code == "BAD_REQUEST"
                if not is_race or not _current_version(name, alias):
                    raise
        has_grown = _has_entry(name, history.last_number + 1)
        if not has_grown and _current_version(name, alias) == last_change.new_version:
            entry = str(last_change.number)
            client.set_model_version_tag(_log_name(name), entry, TAG_KEYS["applied"], APPLIED)
            return
        history = read(name)


def _has_entry(name: str, number: int) -> bool:
    with suppress_errors(*MISSING_VERSION_CODES):
        store.client().get_model_version(_log_name(name), str(number))
        return True
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
        _log_name(name), source, version.run_id, tags=change.to_tags()
    )
    return change._replace(number=int(entry.version))


def _current_version(name: str, alias: str) -> str:
    """Return the version that MLflow's alias names; "" for none."""
    with suppress_errors(*MISSING_VERSION_CODES):
        return str(store.client().get_model_version_by_alias(name, alias).version)
    return ""


def _log_name(name: str) -> str:
    return f"{name}-history"


def _conflict_message(name: str, alias: str, expected_version: str | None, history: History) -> str:
    changes = history.of_alias(alias)
    author = ""
    if changes:
        last_change = changes[-1]
        author = f", {last_change.action} by {last_change.changed_by} ({last_change.reason})"
    expected, current = version_text(expected_version or ""), version_text(history.version(alias))
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
