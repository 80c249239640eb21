"""Keep a local copy of the champion, so that serving needs no registry.

Runs beside the workers, never in them: MLflow takes 170 MB and seconds to import.
"""

from __future__ import annotations

import logging
import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from app.model import local_copy, missing_champion
from app.model.local_copy import POINTER_FILE_NAME, STATUS_FILE_NAME, RegistryStatus
from app.model.states import EXPLANATIONS, ModelState, public_reason
from housing import paths
from housing.tracking import probe
from housing.tracking.errors import LoginRefusedError, StoreUnreachableError

if TYPE_CHECKING:
    from housing.registry.artifacts import ModelVersion

SYNC_INTERVAL_SECONDS = 2.0  # between two looks at the alias
REFUSAL_RETRY_SECONDS = 10.0  # after which a champion that cannot serve is copied again

logger = logging.getLogger(__name__)

# the copies whose files this process has verified, by folder: they are read again when one changes
_verified_signatures: dict[Path, tuple[Any, ...]] = {}
# the last champion that could not be copied to a folder, why, and when to try again
_refusals: dict[Path, tuple[ModelVersion, CopyRefusal, float]] = {}


class StoreGoneError(LookupError):
    """Raised if there is a copy, and the store it came from is gone, or an empty one in its place.

    An empty store is no reason to stop answering: somebody who moves a store, or starts its server
    without its data, has deleted no champion.
    """


class CopyRefusal(NamedTuple):
    """Why the registry's champion is not copied."""

    state: ModelState
    reason: str


def sync_forever(serving_folder: Path, model_name: str | None) -> None:
    """Bring the copy up to date every two seconds; leave it as it is while the registry is down."""
    reached_at = local_copy.read_status(serving_folder).reached_at
    status = RegistryStatus(reached_at, state=ModelState.LOADING)
    _write_status(serving_folder, status)
    while True:
        previous_status = status
        try:
            status, _ = _sync(serving_folder, model_name)
        except Exception as error:  # whatever the error, the service goes on with its copy
            status = _status_after_error(error, previous_status)
            if _has_changed(status, previous_status):
                logger.warning("the registry cannot be read, the copy stays: %s", error)
        else:
            _log_change(status, previous_status)
        _write_status(serving_folder, status)
        time.sleep(SYNC_INTERVAL_SECONDS)


def sync_once(serving_folder: Path, model_name: str | None = None) -> str | None:
    """Bring the copy up to date; return the name of the folder to serve, None without a champion.

    model_name: the registered model; by default the one trained on real data, else the one trained
    on the sample. Raises StoreGoneError if there is a copy, and the store it came from is gone.
    """
    status, folder_name = _sync(serving_folder, model_name)
    _write_status(serving_folder, status)
    return folder_name


def _sync(serving_folder: Path, model_name: str | None) -> tuple[RegistryStatus, str | None]:
    """Do what `sync_once` does, but return the status of the registry instead of writing it."""
    from housing.registry import versions  # takes seconds; a service with a copy answers before

    pointer, store_file = serving_folder / POINTER_FILE_NAME, probe.database_path()
    store_existed = store_file is not None and store_file.exists()
    champion = versions.current_champion(model_name)
    if champion is None:
        # looked for before and after, as reading the registry may create an empty store; and one
        # that was created at another moment holds nothing, not even the history of an alias
        is_gone = store_file and not (store_existed and store_file.exists())
        if pointer.exists() and (is_gone or missing_champion.is_registry_empty()):
            store_name = store_file.name if store_file else "the store"
            raise StoreGoneError(f"{store_name} is gone or empty, and the champion's copy is here")
        state, reason = missing_champion.missing_champion_state(model_name)
        pointer.unlink(missing_ok=True)
        return RegistryStatus(time.time(), state=state, reason=reason), None
    served_folder = local_copy.read_served_folder(serving_folder)
    champion_folder = f"{champion.name}-{champion.version}-{champion.run_id[:8]}"
    is_served = served_folder == champion_folder
    if not (is_served and _is_intact(champion, serving_folder / champion_folder)):
        refusal = _recent_refusal(champion, serving_folder / champion_folder) or _copy_champion(
            champion, serving_folder, champion_folder, model_name
        )
        if refusal:
            _remember_refusal(champion, serving_folder / champion_folder, refusal)
            refused_version = f"{champion.name} version {champion.version}"
            status = RegistryStatus(
                time.time(),
                refusal=refusal.reason,
                state=refusal.state,
                reason=refusal.reason,
                refused_version=refused_version,
            )
            return status, served_folder
    return RegistryStatus(time.time(), state=ModelState.CURRENT), champion_folder


def _recent_refusal(champion: ModelVersion, folder: Path) -> CopyRefusal | None:
    """Return why this version could not be copied a moment ago; None to try, or try again."""
    version, refusal, retry_at = _refusals.get(folder, (None, None, 0.0))
    return refusal if version == champion and time.monotonic() < retry_at else None


def _remember_refusal(champion: ModelVersion, folder: Path, refusal: CopyRefusal) -> None:
    if not _recent_refusal(champion, folder):
        _refusals.clear()  # of the last champion only
        _refusals[folder] = champion, refusal, time.monotonic() + REFUSAL_RETRY_SECONDS


def _copy_champion(
    champion: ModelVersion, serving_folder: Path, folder_name: str, model_name: str | None
) -> CopyRefusal | None:
    """Copy the champion, verify that it can be loaded, and let the workers serve it.

    Returns why it cannot serve; None if it can. Raises StoreUnreachableError if the registry does
    not answer any more.
    """
    from app.model import loading
    from housing.inference import served_files
    from housing.registry import artifacts, versions

    folder = serving_folder / folder_name
    try:
        versions.export_for_serving(champion, folder)
        loading.load_champion(folder_name, served_files.read_files(folder))
        pointer = serving_folder / POINTER_FILE_NAME
        paths.atomic_write(pointer, local_copy.encode_pointer(folder_name).encode())
    except StoreUnreachableError as error:
        versions.current_champion(model_name)  # raises if the registry does not answer either
        reason = f"its files cannot be read from the artifact store: {public_reason(error)}"
        return CopyRefusal(ModelState.REFUSED, reason)
    except OSError as error:  # a full disk, no right to write
        return CopyRefusal(ModelState.UNWRITABLE, error.strerror or public_reason(error))
    except Exception as error:  # also of a version that was made or changed in MLflow itself
        reason = public_reason(error)
        has_remedy = artifacts.REMEDY in reason
        return CopyRefusal(
            ModelState.REFUSED, reason if has_remedy else f"{reason}; {artifacts.REMEDY}"
        )
    _verified_signatures[folder] = local_copy.files_signature(folder)
    return None


def _is_intact(champion: ModelVersion, folder: Path) -> bool:
    """Return whether the files of the copy are those of the champion, reading them if changed."""
    from housing.registry import serving_copy

    signature = local_copy.files_signature(folder)
    if not signature or _verified_signatures.get(folder) != signature:
        if not serving_copy.is_intact(champion, folder):
            return False
        _verified_signatures[folder] = signature
    return True


def _status_after_error(error: Exception, previous_status: RegistryStatus) -> RegistryStatus:
    """Return the status after the registry could not be read.

    What was last known of it stays: when it was reached, and which champion it refused.
    """
    if isinstance(error, LoginRefusedError):
        state = ModelState.LOGIN_REFUSED
    elif isinstance(error, StoreUnreachableError) and probe.database_path() is None:
        state = ModelState.UNREACHABLE
    elif isinstance(error, StoreGoneError):
        state = ModelState.STORE_GONE
    else:
        state = ModelState.UNREADABLE
    since, reason = previous_status.since, public_reason(error)
    if state != previous_status.state:
        since = datetime.now(UTC).isoformat(timespec="seconds")
    return previous_status._replace(problem=reason, since=since, state=state, reason=reason)


def _has_changed(status: RegistryStatus, previous_status: RegistryStatus) -> bool:
    """Return whether the log has to say something new; times alone are nothing new."""
    return status._replace(reached_at=0, since="") != previous_status._replace(
        reached_at=0, since=""
    )


def _log_change(status: RegistryStatus, previous_status: RegistryStatus) -> None:
    """Log once that a champion is refused or missing, and that this is over."""
    if not _has_changed(status, previous_status):
        return
    state = ModelState(status.state)
    if status.refusal:
        logger.warning("the champion %s is refused: %s", status.refused_version, status.refusal)
    elif state != ModelState.CURRENT:
        logger.warning("%s", EXPLANATIONS[state].no_model.format(reason=status.reason))
    elif previous_status.state != ModelState.LOADING:
        logger.warning("the registry answers, and its champion is served again")


def bake(folder: Path, model_name: str | None = None) -> str | None:
    """Make the folder a copy for a service that follows no registry, without older versions.

    Returns and raises what `sync_once` does.
    """
    for old_version in folder.glob("*-*-*"):
        shutil.rmtree(old_version)
    # first, so that a failure from here on leaves no folder that counts as baked
    for name in (POINTER_FILE_NAME, STATUS_FILE_NAME):
        (folder / name).unlink(missing_ok=True)
    version_folder = sync_once(folder, model_name)
    if version_folder:
        status = RegistryStatus(is_baked=True)
        (folder / STATUS_FILE_NAME).write_text(local_copy.encode_status(status))
    return version_folder


def _write_status(serving_folder: Path, status: RegistryStatus) -> None:
    """Write for the workers when the registry last answered, and what is wrong with it now."""
    file = serving_folder / STATUS_FILE_NAME
    with suppress(OSError):  # a full disk is no reason to stop following the registry
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary_file = file.with_suffix(".new")  # not synced: it is written every two seconds
        temporary_file.write_text(local_copy.encode_status(status))
        temporary_file.replace(file)
