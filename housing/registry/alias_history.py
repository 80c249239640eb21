"""Who was champion when, and why: MLflow keeps where an alias is, not where it was.

The log is a registered model of its own, NAME-history, in the tracking store, where all see it:
each of its versions is one move of an alias, and says so in its tags. MLflow numbers versions
without a gap or a double, whoever asks, so the log has one order. A move "from A to B" holds only
if A was there after the moves before it: of two people at once, the second one's does not. Only
then is MLflow's alias set, to where the last move that holds leads; if whoever made it was cut
short in between, the next one does that.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from housing.tracking import store
from housing.tracking.store import MlflowException, raises_unreachable

LOG_DESCRIPTION = "The history of {name}: each version is one move of an alias, not a model."
EXTERNAL_CHANGE_ACTION = "moved outside"  # by hand in MLflow, past the rules of this project
RECHECK_DELAY_SECONDS = 0.5  # seconds: a move under way has ended by then


class AliasChange(NamedTuple):
    """An alias went from one version to another; "" is none."""

    number: int  # in the log
    alias: str
    before: str
    after: str
    action: str  # promoted, refused, rolled back, promoted by hand, moved outside
    reason: str
    at: str  # UTC, ISO 8601
    who: str
    run_id: str  # the MLflow run of the version it went to
    report: str
    verdict: str  # of the gate on that version
    done: str  # "yes" once the alias was seen there


class ConcurrentUpdateError(RuntimeError):
    """Raised if somebody else moved the alias in the meantime; then nothing was changed."""


@raises_unreachable
def list_changes(name: str, alias: str | None = None) -> list[AliasChange]:
    """The moves that hold, of one alias or all; oldest first."""
    held: list[AliasChange] = []
    at: dict[str, str] = {}
    for one in _read_log(name):
        if at.get(one.alias, "") == one.before:
            at[one.alias] = one.after
            held.append(one)
    return [one for one in held if alias in (None, one.alias)]


@raises_unreachable
def set_alias(
    name: str,
    alias: str,
    new_version: str,
    action: str,
    reason: str,
    expected_version: str | None = None,
) -> AliasChange:
    """Moves the alias to a version, and records it.

    before: the version that it must have been at until now ("": none), if that matters; then
    Overtaken is raised if it was not, or if somebody else was faster.
    """
    while True:
        now = reconcile(name, alias)
        if expected_version is not None and now != expected_version:
            raise ConcurrentUpdateError(_conflict_message(name, alias, expected_version))
        made = _append_change(name, alias, now, new_version, action, reason)
        _sync_alias(name, alias)
        held = {one.number: one for one in list_changes(name, alias)}
        if made in held:
            return held[made]


@raises_unreachable
def reconcile(name: str, alias: str) -> str:
    """The version that the alias names, once log and alias agree; "" for none.

    A move that was cut short is finished. One that the log does not know is recorded.
    """
    seen = None
    while True:
        found = list_changes(name, alias)
        last, now = (found[-1] if found else None), _current_version(name, alias)
        wanted = last.after if last else ""
        if now == wanted:
            return now
        if last and last.done != "yes":
            _sync_alias(name, alias)
        elif seen == (found, now):
            reason = "the alias was set in MLflow itself" if last else "the history begins here"
            _append_change(name, alias, wanted, now, EXTERNAL_CHANGE_ACTION, reason)
        else:  # perhaps just being moved
            seen = found, now
            time.sleep(RECHECK_DELAY_SECONDS)


def champion_stack(changes: list[AliasChange]) -> list[str]:
    """The champions, each on the one before it: the last serves, the one below was there before.

    found: the moves of the alias champion, oldest first. A roll back takes away what it passes.
    """
    stack: list[str] = []
    for one in changes:
        if one.action == "rolled back":
            stack = stack[: stack.index(one.after)] if one.after in stack else stack[:-1]
        stack.append(one.after)
    return stack


def rolled_back_versions(changes: list[AliasChange]) -> dict[str, AliasChange]:
    """Versions that were rolled back, and not promoted by hand since; with the move that did it."""
    back: dict[str, AliasChange] = {}
    for one in changes:
        if one.action == "rolled back":
            back[one.before] = one
        back.pop(one.after, None)
    return back


def _sync_alias(name: str, alias: str) -> None:
    """Sets the alias to where the log leads, until that has not changed meanwhile.

    Whoever sets it last has looked at the log after that, so it ends where the log does.
    """
    client = store.client()
    while True:
        last, now = list_changes(name, alias)[-1], _current_version(name, alias)
        if now != last.after:
            try:
                client.set_registered_model_alias(name, alias, last.after)
            except MlflowException as failed:  # of two that set it first, MLflow lets one fail
                if now or failed.error_code != "BAD_REQUEST" or not _current_version(name, alias):
                    raise
                continue
        if (
            list_changes(name, alias)[-1].number == last.number
            and _current_version(name, alias) == last.after
        ):
            client.set_model_version_tag(_log_name(name), str(last.number), "done", "yes")
            return


def _append_change(
    name: str, alias: str, previous_version: str, new_version: str, action: str, reason: str
) -> int:
    """Writes a move into the log; gives its number."""
    client = store.client()
    try:
        client.create_registered_model(
            _log_name(name), description=LOG_DESCRIPTION.format(name=name)
        )
    except MlflowException as known:
        if known.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.get_model_version(name, new_version or previous_version)
    tags = {
        "alias": alias,
        "before": previous_version,
        "after": new_version,
        "action": action,
        "reason": reason,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "who": current_user(),
        "run_id": version.run_id or "",
        "report": version.tags.get("report", ""),
        "verdict": version.tags.get("verdict", ""),
        "done": "yes" if action == EXTERNAL_CHANGE_ACTION else "",
    }
    source = f"models:/{name}/{version.version}"
    return int(
        client.create_model_version(_log_name(name), source, version.run_id, tags=tags).version
    )


def _read_log(name: str) -> Iterator[AliasChange]:
    """All that was written, in its order."""
    client, token, found = store.client(), None, []
    while True:
        page = client.search_model_versions(f"name = '{_log_name(name)}'", page_token=token)
        found += page
        token = page.token
        if not token:
            break
    for one in sorted(found, key=lambda it: int(it.version)):
        told = {
            field: one.tags.get(field, "") for field in AliasChange._fields if field != "number"
        }
        yield AliasChange(int(one.version), **told)


def _current_version(name: str, alias: str) -> str:
    """The version that MLflow's alias names; "" for none."""
    try:
        return str(store.client().get_model_version_by_alias(name, alias).version)
    except MlflowException as missing:
        if missing.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return ""
        raise


def _log_name(name: str) -> str:
    return f"{name}-history"


def _conflict_message(name: str, alias: str, expected_version: str) -> str:
    last = list_changes(name, alias)[-1:]
    now = f"version {last[0].after}" if last and last[0].after else "none"
    by = f", {last[0].action} by {last[0].who} ({last[0].reason})" if last else ""
    was = f"version {expected_version}" if expected_version else "none"
    return f"the {alias} of {name} was {was}, and is {now} now{by}: nothing was changed"


def current_user() -> str:
    """Who does it: HOUSING_WHO, the tracking server's user, else this machine's user and name."""
    named = os.environ.get("HOUSING_WHO") or os.environ.get("MLFLOW_TRACKING_USERNAME")
    if named:
        return named
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user has a number only
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
