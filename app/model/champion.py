"""The champion as a worker holds it: its graph and metadata, loaded from the local copy."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import current_app

from app.model import loading, local_copy
from app.model.loading import Champion
from app.model.local_copy import RegistryStatus
from app.model.states import ModelAbsence, ModelState, explain_absence, public_reason
from housing.inference import served_files

if TYPE_CHECKING:
    from app.metrics.metrics import Metrics

RELOAD_INTERVAL_SECONDS = 0.25  # between two looks at the pointer file
LOAD_RETRY_SECONDS = 10.0  # after which a champion that could not be loaded is tried again
MAX_LOADED_VERSIONS = 3  # that stay in memory, so that a rollback takes no time
# in which there is no champion, as opposed to one whose copy is missing
NO_CHAMPION_STATES = (ModelState.NONE_YET, ModelState.NO_CHAMPION, ModelState.UNKNOWN_MODEL)

logger = logging.getLogger(__name__)


class ChampionLoader:
    """Loads the champion from the local copy whenever the copy changes.

    A thread looks and loads beside the requests. If a new champion cannot be loaded the old one
    stays, and the last versions stay in memory.
    """

    def __init__(self, serving_folder: Path, metrics: Metrics) -> None:
        self.serving_folder, self.metrics = serving_folder, metrics
        self._pointer_file = serving_folder / local_copy.POINTER_FILE_NAME
        self.champion: Champion | None = None
        self._load_error = ""  # why the version that the pointer names could not be loaded
        self._pointer_signature: tuple[int, int] | None = None
        # by folder name, with the digest of its files
        self._loaded_versions: dict[str, tuple[bytes, Champion]] = {}
        self._next_check_at = self._retry_at = 0.0
        self._lock = threading.Lock()
        self._is_watching = False

    def current(self) -> Champion | None:
        """Return the champion to answer with, or None if there is none yet.

        Without one the pointer is read at once, as another worker may have loaded the first
        champion and reported the service as ready.
        """
        is_due = not self._is_watching and time.monotonic() >= self._next_check_at
        if is_due or self.champion is None:
            self.reload_if_changed()
        return self.champion

    def start_watching(self) -> None:
        """Start a thread that reloads the champion, so that no request waits for that."""
        self._is_watching = True
        threading.Thread(target=self._watch_forever, daemon=True, name="champion").start()

    def find_lineage(self, name: str, version: str, run_id: str | None) -> dict[str, Any] | None:
        """Return the details of a version that was or is served; None if its copy is gone."""
        folder = self.serving_folder / f"{name}-{version}-{(run_id or '')[:8]}"
        return local_copy.read_json(folder / local_copy.MODEL_INFO_FILE_NAME) or None

    def registry_status(self) -> RegistryStatus:
        """Return what `registry_sync` last wrote about the registry."""
        return local_copy.read_status(self.serving_folder)

    def absence(self) -> ModelAbsence:
        """Return why there is no champion to answer with."""
        status = self.registry_status()
        state = self.model_state(status)
        if self._load_error:
            state = ModelState.DAMAGED_IMAGE if status.is_baked else ModelState.DAMAGED
            reason = "; ".join(filter(None, (self._load_error, status.refusal)))
            return explain_absence(state, reason)
        if state == ModelState.CURRENT:  # for the registry, but not yet for this worker
            state = ModelState.LOADING
        return explain_absence(state, status.reason)

    def model_state(self, status: RegistryStatus) -> ModelState:
        """Return whether the champion in memory is the registry's, or why it is not."""
        if self._load_error and not status.refusal:
            return ModelState.DAMAGED
        if status.is_baked:
            return ModelState.BAKED
        states = [state for state in ModelState if state == status.state]
        return states[0] if states else ModelState.NOT_FOLLOWED

    @property
    def problem(self) -> str:
        """Why a new champion does not answer; empty if there is no such champion."""
        reason = self._refusal(self.registry_status())
        return f"a new champion could not be loaded: {reason}" if reason else ""

    def _refusal(self, status: RegistryStatus) -> str:
        return status.refusal or self._load_error  # what the pointer names may be older news

    def reload_if_changed(self) -> None:
        """Load the version that the pointer names, if that has changed, and verify it first."""
        with self._lock:
            self._next_check_at = time.monotonic() + RELOAD_INTERVAL_SECONDS
            try:
                if self._pointer_file.exists():
                    self._reload_if_due()
                else:
                    self._unload_if_over()
            except (OSError, ValueError, MemoryError) as error:
                self._report_load_error(error)
            refusal = self._refusal(self.registry_status())
            self.metrics.set("housing_model_refused", float(bool(refusal)))

    def _reload_if_due(self) -> None:
        stat = self._pointer_file.stat()
        signature = stat.st_mtime_ns, stat.st_ino
        retry_is_due = self._load_error and time.monotonic() > self._retry_at
        if signature != self._pointer_signature or retry_is_due:
            self._pointer_signature = signature
            self._retry_at = time.monotonic() + LOAD_RETRY_SECONDS
            self._activate(local_copy.read_served_folder(self.serving_folder))

    def _unload_if_over(self) -> None:
        """Forget the champion if the registry has none; a copy that was deleted is made again."""
        self._pointer_signature, self._load_error = None, ""
        if self.champion and self.registry_status().state in NO_CHAMPION_STATES:
            self.champion = None
            self._update_model_info()

    def _report_load_error(self, error: BaseException) -> None:
        # without the path that an OSError names: the reason is shown to clients
        strerror = error.strerror if isinstance(error, OSError) else None
        reason = strerror or public_reason(error)
        if reason != self._load_error:  # it is tried again and again
            logger.warning("a new champion could not be loaded: %s", error)
        self._load_error = reason

    def _activate(self, folder_name: str | None) -> None:
        started_at = time.perf_counter()
        if folder_name is None:
            raise ValueError(f"{local_copy.POINTER_FILE_NAME} names no folder")
        files = served_files.read_files(self.serving_folder / folder_name)
        # not by the files' times: `registry_sync` writes them anew when it returns to a version
        digest = local_copy.files_digest(files)
        loaded_digest, champion = self._loaded_versions.pop(folder_name, (None, None))
        if champion is None or loaded_digest != digest:
            champion = loading.load_champion(folder_name, files)
        self._loaded_versions[folder_name] = digest, champion
        for oldest in list(self._loaded_versions)[:-MAX_LOADED_VERSIONS]:
            del self._loaded_versions[oldest]
        self.champion, self._load_error = champion, ""
        self.metrics.count("housing_model_swaps")
        self.metrics.set("housing_model_load_seconds", time.perf_counter() - started_at)
        self.metrics.set("housing_model_swap_timestamp_seconds", time.time())
        self._update_model_info()

    def _update_model_info(self) -> None:
        self.metrics.clear("housing_model_info")
        if self.champion:
            model_info = self.champion.model_info
            labels = model_info.name, model_info.version, model_info.source
            self.metrics.set("housing_model_info", 1, *labels)

    def _watch_forever(self) -> None:
        while True:
            try:
                self.reload_if_changed()
                status = self.registry_status()
                if not status.is_baked:  # a baked copy follows no registry
                    name = "housing_registry_reached_timestamp_seconds"
                    self.metrics.set(name, status.reached_at)
            except Exception:  # whatever the error, the champion in memory goes on answering
                logger.exception("the local copy of the champion cannot be read")
            time.sleep(RELOAD_INTERVAL_SECONDS)


def champion_loader() -> ChampionLoader:
    """Return the loader of the current app."""
    return current_app.extensions["champion"]
