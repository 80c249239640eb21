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

from app.model import local_copy
from app.model.local_copy import POINTER_FILE_NAME, STATUS_FILE_NAME, RegistryStatus
from housing import paths
from housing.tracking import probe

SYNC_INTERVAL_SECONDS = 2.0  # between two looks at the alias

logger = logging.getLogger(__name__)


def sync_forever(serving_folder: Path, model_name: str | None) -> None:
    """Bring the copy up to date every two seconds; leave it as it is while the registry is down."""
    while True:
        try:
            sync_once(serving_folder, model_name)
        except Exception as error:  # whatever the error, the service goes on with its copy
            logger.warning("the registry cannot be read, the copy stays: %s", error)
            _write_status(serving_folder, str(error))
        time.sleep(SYNC_INTERVAL_SECONDS)


def sync_once(serving_folder: Path, model_name: str | None = None) -> str | None:
    """Bring the copy up to date; return the name of the folder to serve, None without a champion.

    model_name: the registered model; by default the one trained on real data, else the one trained
    on the sample. Raises LookupError if there is a copy, and the store it came from is gone.
    """
    from housing.registry import versions  # takes seconds; a service with a copy answers before

    pointer, store_file = serving_folder / POINTER_FILE_NAME, probe.database_path()
    store_existed = store_file is not None and store_file.exists()
    champion = versions.current_champion(model_name)
    if champion is None:
        # looked for before and after, as reading the registry may create an empty store
        if store_file and pointer.exists() and not (store_existed and store_file.exists()):
            raise LookupError(f"{store_file.name} is gone, and the champion's copy is here")
        pointer.unlink(missing_ok=True)
        _write_status(serving_folder)
        return None
    served_folder = local_copy.read_served_folder(serving_folder)
    champion_folder = f"{champion.name}-{champion.version}-{champion.run_id[:8]}"
    if served_folder != champion_folder:
        try:
            versions.export_for_serving(champion, serving_folder / champion_folder)
        except ValueError as error:
            _write_status(serving_folder, refusal=str(error))
            return served_folder
        paths.atomic_write(pointer, local_copy.encode_pointer(champion_folder).encode())
    _write_status(serving_folder)
    return champion_folder


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


def _write_status(serving_folder: Path, problem: str = "", refusal: str = "") -> None:
    """Write for the workers when the registry last answered, and what is wrong with it now.

    problem: why the registry does not answer. refusal: why its champion is not copied.
    """
    file = serving_folder / STATUS_FILE_NAME
    if problem:
        previous_status = local_copy.read_status(serving_folder)
        since = previous_status.since or datetime.now(UTC).isoformat(timespec="seconds")
        status = previous_status._replace(problem=problem, since=since)
    else:
        status = RegistryStatus(reached_at=time.time(), refusal=refusal)
    with suppress(OSError):  # a full disk is no reason to stop following the registry
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary_file = file.with_suffix(".new")  # not synced: it is written every two seconds
        temporary_file.write_text(local_copy.encode_status(status))
        temporary_file.replace(file)
