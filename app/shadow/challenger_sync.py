"""Keep a local copy of the challenger, as `registry_sync` does of the champion.

Runs in the parent process of the service, which has imported MLflow for the champion. It verifies
the files by their hashes and loads nothing: a challenger may be anything that the gate has refused.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.model import local_copy
from app.model.local_copy import POINTER_FILE_NAME, STATUS_FILE_NAME, RegistryStatus
from app.model.states import ModelState, public_reason
from app.shadow.status import ShadowState
from housing import paths
from housing.tracking.errors import StoreUnreachableError

if TYPE_CHECKING:
    from housing.registry.artifacts import ModelVersion

SYNC_INTERVAL_SECONDS = 5.0  # between two looks at the alias
REFUSAL_RETRY_SECONDS = 60.0  # after which a challenger that cannot be copied is tried again
FOLDER_NAME = "challenger"  # beside the copies of champions

logger = logging.getLogger(__name__)


def challenger_folder(settings: Mapping[str, Any]) -> Path:
    """Return the folder of the local copy of the challenger."""
    return Path(settings["SERVING"]) / FOLDER_NAME


def sync_forever(serving_folder: Path) -> None:
    """Bring the copy up to date every few seconds; leave it while the registry is down.

    serving_folder: of the champion, to whose model the challenger belongs.
    """
    sync = ChallengerSync(serving_folder)
    while True:
        # first of all: the champion's thread is to import MLflow, not both at once
        time.sleep(SYNC_INTERVAL_SECONDS)
        if local_copy.read_status(serving_folder).state != ModelState.LOADING:
            sync.sync_once()


class ChallengerSync:
    """Copies the challenger of the model that is served."""

    def __init__(self, serving_folder: Path) -> None:
        self.serving_folder, self.folder = serving_folder, serving_folder / FOLDER_NAME
        self._refused: tuple[ModelVersion, str, float] | None = None  # why, and when to try again
        self._signature: tuple[Any, ...] = ()  # of the files that were verified last

    def sync_once(self) -> RegistryStatus:
        """Bring the copy up to date; return what was written of it for the challenger's process."""
        try:
            status = self._sync()
        except Exception as error:  # whatever the error, the copy goes on answering
            previous_state = local_copy.read_status(self.folder).state
            has_copy = (self.folder / POINTER_FILE_NAME).exists()
            if not has_copy or not previous_state:
                previous_state = ShadowState.UNREACHABLE
            status = RegistryStatus(state=previous_state, reason=public_reason(error))
        self._write_status(status)
        return status

    def _sync(self) -> RegistryStatus:
        from housing.registry import versions

        served_folder = local_copy.read_served_folder(self.serving_folder)
        if served_folder is None:
            return self._remove_copy(ShadowState.NO_CHAMPION)
        details = local_copy.read_json(
            self.serving_folder / served_folder / local_copy.MODEL_INFO_FILE_NAME
        )
        model_name = str(details.get("name", ""))
        challenger = versions.find_by_alias(model_name, versions.CHALLENGER)
        if challenger is None:
            return self._remove_copy(ShadowState.NO_CHALLENGER)
        if challenger.version == details.get("version"):
            return self._remove_copy(ShadowState.IS_CHAMPION)
        reason = self._recent_refusal(challenger) or self._copy(challenger)
        if reason:
            return self._remove_copy(ShadowState.REFUSED, reason)
        return RegistryStatus(time.time(), state=ShadowState.ANSWERING)

    def _recent_refusal(self, challenger: ModelVersion) -> str:
        version, reason, retry_at = self._refused or (None, "", 0.0)
        return reason if version == challenger and time.monotonic() < retry_at else ""

    def _copy(self, challenger: ModelVersion) -> str:
        """Copy the challenger's files unless they are there; return why they cannot be copied.

        Raises StoreUnreachableError if the registry does not answer.
        """
        from housing.registry import serving_copy, versions

        name = f"{challenger.name}-{challenger.version}-{challenger.run_id[:8]}"
        folder, pointer = self.folder / name, self.folder / POINTER_FILE_NAME
        signature = local_copy.files_signature(folder)
        is_served = local_copy.read_served_folder(self.folder) == name
        if is_served and signature and signature == self._signature:
            return ""
        try:
            if not (is_served and serving_copy.is_intact(challenger, folder)):
                versions.export_for_serving(challenger, folder)
                paths.atomic_write(pointer, local_copy.encode_pointer(name).encode())
        except StoreUnreachableError:
            raise
        except Exception as error:  # also of a version that was made or changed in MLflow itself
            reason = public_reason(error)
            logger.warning("the challenger, version %s, is refused: %s", challenger.version, reason)
            self._refused = challenger, reason, time.monotonic() + REFUSAL_RETRY_SECONDS
            return reason
        self._signature = local_copy.files_signature(folder)
        for other in self.folder.iterdir():
            if other.is_dir() and other != folder:
                shutil.rmtree(other, ignore_errors=True)
        return ""

    def _remove_copy(self, state: ShadowState, reason: str = "") -> RegistryStatus:
        (self.folder / POINTER_FILE_NAME).unlink(missing_ok=True)
        self._signature = ()
        return RegistryStatus(time.time(), state=state, reason=reason)

    def _write_status(self, status: RegistryStatus) -> None:
        with suppress(OSError):  # a full disk is no reason to stop following the registry
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary_file = self.folder / f"{STATUS_FILE_NAME}.new"
            temporary_file.write_text(local_copy.encode_status(status))
            temporary_file.replace(self.folder / STATUS_FILE_NAME)
