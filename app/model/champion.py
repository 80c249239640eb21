"""The champion as a worker holds it: its graph and metadata, loaded from the local copy."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from flask import current_app

from app.model import local_copy
from app.model.local_copy import ModelInfo, RegistryStatus
from housing.inference import served_files, served_model, shapley, training_domain
from housing.inference.training_domain import TrainingDomain
from housing.schema import USD_PER_UNIT

if TYPE_CHECKING:
    from app.metrics.metrics import Metrics

RELOAD_INTERVAL_SECONDS = 0.25  # between two looks at the pointer file
LOAD_RETRY_SECONDS = 10.0  # after which a champion that could not be loaded is tried again
MAX_LOADED_VERSIONS = 3  # that stay in memory, so that a rollback takes no time

logger = logging.getLogger(__name__)


class Champion(NamedTuple):
    """A model that answers requests."""

    model: served_model.ServedModel
    model_info: ModelInfo
    training_domain: TrainingDomain | None  # None for a version that was registered without one

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return (n, 1) house values in $100,000 for (n, 8) rows, or (n, 3) with low and high."""
        return served_files.predict_all(self.model, rows)

    def warnings(self, rows: np.ndarray) -> list[list[str]]:
        """Return for each row how it is unlike the training rows."""
        if self.training_domain is None:
            return [[] for _ in rows]
        return training_domain.out_of_domain_warnings(self.training_domain, rows)

    def contributions(self, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """Return (n, 7) dollars that each of `shapley.FEATURE_GROUPS` adds, and the base value.

        Raises ValueError for a version that was registered without a training domain.
        """
        if self.training_domain is None:
            raise ValueError(f"version {self.model_info.version} has no training domain")
        predict = partial(served_model.predict, self.model)
        values, base = shapley.shapley_values(
            predict, rows, self.training_domain.reference_row[None]
        )
        return values * USD_PER_UNIT, base * USD_PER_UNIT


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

    @property
    def problem(self) -> str:
        """Why a new champion does not answer; empty if there is no such champion."""
        reason = self._load_error or self.registry_status().refusal
        return f"a new champion could not be loaded: {reason}" if reason else ""

    def reload_if_changed(self) -> None:
        """Load the version that the pointer names, if that has changed, and verify it first."""
        with self._lock:
            self._next_check_at = time.monotonic() + RELOAD_INTERVAL_SECONDS
            try:
                stat = self._pointer_file.stat()
                signature = stat.st_mtime_ns, stat.st_ino
                retry_is_due = self._load_error and time.monotonic() > self._retry_at
                if signature != self._pointer_signature or retry_is_due:
                    self._pointer_signature = signature
                    self._retry_at = time.monotonic() + LOAD_RETRY_SECONDS
                    self._activate(json.loads(self._pointer_file.read_text())["folder"])
            except FileNotFoundError:
                self.champion, self._pointer_signature, self._load_error = None, None, ""
                self._update_metrics()
            except (OSError, ValueError, KeyError, MemoryError) as error:
                # without the path that an OSError names: the reason is shown to clients
                reason = error.strerror if isinstance(error, OSError) else error
                self._load_error = str(reason)
                logger.warning("a new champion could not be loaded: %s", error)
                self._update_metrics()

    def _activate(self, folder_name: str) -> None:
        started_at = time.perf_counter()
        files = served_files.read_files(self.serving_folder / folder_name)
        # not by the files' times: `registry_sync` writes them anew when it returns to a version
        digest = hashlib.sha256(b"".join(files.values())).digest()
        loaded_digest, champion = self._loaded_versions.pop(folder_name, (None, None))
        if champion is None or loaded_digest != digest:
            champion = _load_champion(folder_name, files)
        self._loaded_versions[folder_name] = digest, champion
        for oldest in list(self._loaded_versions)[:-MAX_LOADED_VERSIONS]:
            del self._loaded_versions[oldest]
        self.champion, self._load_error = champion, ""
        self.metrics.count("housing_model_swaps")
        self.metrics.set("housing_model_load_seconds", time.perf_counter() - started_at)
        self.metrics.set("housing_model_swap_timestamp_seconds", time.time())
        self._update_metrics()

    def _update_metrics(self) -> None:
        self.metrics.set("housing_model_refused", float(bool(self.problem)))
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
                self.metrics.set("housing_model_refused", float(bool(self.problem)))
            except Exception:  # whatever the error, the champion in memory goes on answering
                logger.exception("the local copy of the champion cannot be read")
            time.sleep(RELOAD_INTERVAL_SECONDS)


def _load_champion(folder_name: str, files: dict[str, bytes]) -> Champion:
    """Load the graph and verify it on its recorded examples. Raises ValueError if either fails."""
    model_info = local_copy.parse_model_info(files[local_copy.MODEL_INFO_FILE_NAME])
    model, domain = served_files.load(folder_name, files)
    return Champion(model, model_info, domain)


def champion_loader() -> ChampionLoader:
    """Return the loader of the current app."""
    return current_app.extensions["champion"]
