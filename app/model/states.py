"""Why the service has no model, or one that is not the registry's champion: each with its way out.

Free of the registry: the sentences are also sent to clients, so they name no path and no host.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from housing import paths
from housing.tracking.errors import StoreUnreachableError

MAX_PATH_COMPONENTS = 3  # of a path outside the home, in a reason that clients may see
URL_PATTERN = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\",;()]+")
ABSOLUTE_PATH_PATTERN = re.compile(r"(?<![\w.:/])/[^\s'\",;:()]+")


class ModelState(StrEnum):
    """Whether the local copy is the registry's champion, or why it is not."""

    CURRENT = "current"
    BAKED = "baked"  # into an image: it follows no registry
    LOADING = "loading"  # or not compared with the registry yet
    REFUSED = "refused"  # the registry answers, and its champion cannot serve
    UNWRITABLE = "unwritable"  # the copy
    DAMAGED = "damaged"  # the copy
    DAMAGED_IMAGE = "damaged_image"  # the copy in an image
    NONE_YET = "none_yet"  # no version is registered
    NO_CHAMPION = "no_champion"  # there are versions
    UNKNOWN_MODEL = "unknown_model"
    STORE_GONE = "store_gone"  # which the copy came from, or an empty one is in its place
    UNREADABLE = "unreadable"  # the store: of a newer MLflow, damaged
    UNREACHABLE = "unreachable"
    LOGIN_REFUSED = "login_refused"
    NOT_FOLLOWED = "not_followed"  # there is no copy, and no process makes one


class Explanation(NamedTuple):
    """What is said in a state."""

    no_model: str  # with the way out; {reason} stands for what is known of this case
    retry_after_seconds: int = 10
    registry: str = ""  # of the registry while a copy answers; {since} is a time


NO_CHAMPION_YET = "there is no champion yet: `make run` trains and registers one"
EXPLANATIONS = {
    ModelState.LOADING: Explanation("the champion is being loaded: try again in a few seconds", 2),
    ModelState.BAKED: Explanation(
        "this image has no model: make one that has, by `python -m app.cli.bake FOLDER` with the "
        "folder in HOUSING_SERVING, or delete that folder's registry.json to follow a registry",
        30,
        "not followed: the model came with the image",
    ),
    ModelState.REFUSED: Explanation("the champion cannot serve: {reason}"),
    ModelState.UNWRITABLE: Explanation(
        "the champion cannot be copied ({reason}): give the service room, and the right to write "
        "to the folder HOUSING_SERVING, by default var/serving"
    ),
    ModelState.DAMAGED: Explanation(
        "the local copy of the champion cannot be loaded ({reason}): `make serve` copies it again "
        "from the registry as soon as that answers"
    ),
    ModelState.DAMAGED_IMAGE: Explanation(
        "the model in this image cannot be loaded ({reason}): make the image again", 30
    ),
    ModelState.NONE_YET: Explanation(NO_CHAMPION_YET, 30),
    ModelState.NO_CHAMPION: Explanation(
        "{reason}, and none of them is the champion: `run_pipeline.py promote VERSION --reason "
        "WHY` makes one the champion",
        30,
    ),
    ModelState.UNKNOWN_MODEL: Explanation(
        "no model is registered as {reason}: give it that name in MLflow, correct HOUSING_MODEL, "
        "or train one with `make run`",
        30,
    ),
    ModelState.STORE_GONE: Explanation(
        "the tracking store that the champion came from is gone, or empty: put it back in its "
        "place, or correct MLFLOW_TRACKING_URI",
        registry="not reached since {since}: it is gone or empty, and the local copy answers",
    ),
    ModelState.UNREADABLE: Explanation(
        "the tracking store cannot be used: {reason}",
        registry="not reached since {since}: it cannot be used, and the local copy answers",
    ),
    ModelState.UNREACHABLE: Explanation(
        "the tracking store does not answer, and there is no copy of the champion here yet: start "
        "its server, or correct MLFLOW_TRACKING_URI",
        registry="not reached since {since}: the local copy answers",
    ),
    ModelState.LOGIN_REFUSED: Explanation(
        "the tracking store refuses the login of the service, and there is no copy of the champion "
        "here yet: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
        "MLFLOW_TRACKING_TOKEN, to a login that it accepts, and start the service again",
        registry="not reached since {since}: it refuses the login, and the local copy answers",
    ),
    ModelState.NOT_FOLLOWED: Explanation(
        "there is no copy of a champion, and no process makes one: start the service with `make "
        "serve`, or make a copy by `python -m app.cli.bake FOLDER`",
        30,
    ),
}


def describe_registry(state: ModelState, since: str) -> str:
    """Return why the registry is not followed while a copy answers; empty if it is."""
    return EXPLANATIONS[state].registry.format(since=since) if state in EXPLANATIONS else ""


class ModelAbsence(NamedTuple):
    """Why there is no model to answer with."""

    state: ModelState
    sentence: str  # with the way out
    retry_after_seconds: int


def explain_absence(state: ModelState, reason: str = "") -> ModelAbsence:
    """Return why there is no model. reason: what is known of this case."""
    explanation = EXPLANATIONS[state]
    sentence = explanation.no_model.format(reason=reason)
    return ModelAbsence(state, sentence, explanation.retry_after_seconds)


def public_reason(error: BaseException) -> str:
    """Return an error as clients may see it: in one line, without absolute paths and addresses.

    A path below the home becomes relative to it, of another the last parts are left. Temporary
    folders are among these, so the same error has the same words every time.
    """
    text = next(iter(str(error).strip().splitlines()), "")
    text = text.replace("file://", "").replace(f"{paths.home()}/", "")
    text = ABSOLUTE_PATH_PATTERN.sub(lambda match: _shorten_path(match[0]), text)
    text = URL_PATTERN.sub("…", text)
    is_sentence = isinstance(error, ValueError | LookupError | StoreUnreachableError)
    if is_sentence and not isinstance(error, KeyError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _shorten_path(path: str) -> str:
    names = [name for name in path.split("/") if name]
    last_names = names[-MAX_PATH_COMPONENTS:] if len(names) > MAX_PATH_COMPONENTS else names[-1:]
    return "/".join(["…", *last_names])
