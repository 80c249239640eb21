"""The champion as a worker holds it: its graph and what is known of it, from the local copy."""

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
from flask import Flask, current_app

from housing.inference import served_model, shapley, training_domain
from housing.inference.training_domain import TrainingDomain
from housing.schema import USD_PER_UNIT

if TYPE_CHECKING:
    from app.metrics.metrics import Metrics

RELOAD_INTERVAL_SECONDS = 0.25  # seconds between two looks at the pointer
LOAD_RETRY_SECONDS = 10.0  # seconds after which a champion that could not be loaded is tried again
MAX_LOADED_VERSIONS = 3  # versions that stay loaded, so that a rollback takes no time

logger = logging.getLogger(__name__)


class Champion(NamedTuple):
    """A model that answers."""

    model: served_model.ServedModel
    model_info: dict[str, Any]  # as `registry.export` writes it
    training_domain: TrainingDomain | None  # None for a version that was registered without

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """(n, 1) house values in $100,000 for (n, 8) rows, or (n, 3) with low and high ends."""
        made = served_model.raw_outputs(self.model, rows)
        return self.model.compute_intervals(made) if self.model.compute_intervals else made

    def warnings(self, rows: np.ndarray) -> list[list[str]]:
        """For each row, in what it is unlike the training rows."""
        return (
            training_domain.out_of_domain_warnings(self.training_domain, rows)
            if self.training_domain
            else [[] for _ in rows]
        )

    def contributions(self, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """(n, 7) dollars that each of `explain.PLAYERS` adds, and what they are added to."""
        predict = partial(served_model.predict, self.model)
        values, base = shapley.shapley_values(
            predict, rows, self.training_domain.reference_row[None]
        )
        return values * USD_PER_UNIT, base * USD_PER_UNIT


class ChampionLoader:
    """The local copy. It is looked at and loaded beside the requests; the old model stays on a bad
    one, and the last ones stay warm."""

    def __init__(self, serving_folder: Path, metrics: Metrics) -> None:
        self.pointer_file, self.metrics = serving_folder / "current.json", metrics
        self.champion: Champion | None = None
        self._load_error = ""  # why what the pointer names could not be loaded
        self._pointer_signature: tuple[int, int] | None = None
        self._loaded_versions: dict[
            str, tuple[bytes, Champion]
        ] = {}  # by folder, with its files' digest
        self._next_check_at = self._retry_at = 0.0
        self._lock = threading.Lock()
        self._is_watching = False

    def current(self) -> Champion | None:
        """The champion to answer with; None if there is none yet. Without one it looks at once, as
        another worker may have found the first one and said that the service is ready."""
        due = not self._is_watching and time.monotonic() >= self._next_check_at
        if due or self.champion is None:
            self.reload_if_changed()
        return self.champion

    def start_watching(self) -> None:
        """From now on a thread looks, so that no request waits for a model to be loaded."""
        self._is_watching = True
        threading.Thread(target=self._watch_forever, daemon=True, name="champion").start()

    def model_info(self, name: str, version: str, run_id: str | None) -> dict[str, Any] | None:
        """What is known of a version that serves or has served; None if its copy is gone."""
        try:
            folder = self.pointer_file.parent / f"{name}-{version}-{(run_id or '')[:8]}"
            return json.loads((folder / "about.json").read_text())
        except (OSError, ValueError):
            return None

    def registry_status(self) -> dict[str, Any]:
        """What the follower last said of the registry; empty before it has looked."""
        try:
            return json.loads(self.pointer_file.with_name("registry.json").read_text())
        except (OSError, ValueError):
            return {}

    @property
    def problem(self) -> str:
        """Why a new champion does not answer; empty if there is none that should."""
        why = self._load_error or self.registry_status().get("refused", "")
        return f"a new champion could not be loaded: {why}" if why else ""

    def reload_if_changed(self) -> None:
        """Takes over what the pointer names now, once it has been proved."""
        with self._lock:
            self._next_check_at = time.monotonic() + RELOAD_INTERVAL_SECONDS
            try:
                found = self.pointer_file.stat()
                seen = found.st_mtime_ns, found.st_ino
                if seen != self._pointer_signature or (
                    self._load_error and time.monotonic() > self._retry_at
                ):
                    self._pointer_signature, self._retry_at = (
                        seen,
                        time.monotonic() + LOAD_RETRY_SECONDS,
                    )
                    self._activate(json.loads(self.pointer_file.read_text())["folder"])
            except FileNotFoundError:
                self.champion, self._pointer_signature, self._load_error = None, None, ""
                self._update_metrics()
            except (OSError, ValueError, KeyError, MemoryError) as bad:
                why = bad.strerror if isinstance(bad, OSError) else bad  # no paths in an answer
                self._load_error = str(why)
                logger.warning("a new champion could not be loaded: %s", bad)
                self._update_metrics()

    def _activate(self, folder_name: str) -> None:
        started = time.perf_counter()
        files = _read_files(self.pointer_file.parent / folder_name)
        # not by the files' times: the follower writes them anew when it goes back to a version
        digest = hashlib.sha256(b"".join(files.values())).digest()
        known = self._loaded_versions.pop(folder_name, None)
        loaded = known[1] if known and known[0] == digest else _load_champion(folder_name, files)
        self._loaded_versions[folder_name] = digest, loaded
        for oldest in list(self._loaded_versions)[:-MAX_LOADED_VERSIONS]:
            del self._loaded_versions[oldest]
        self.champion, self._load_error = loaded, ""
        self.metrics.count("housing_model_swaps")
        self.metrics.set("housing_model_load_seconds", time.perf_counter() - started)
        self.metrics.set("housing_model_swap_timestamp_seconds", time.time())
        self._update_metrics()

    def _update_metrics(self) -> None:
        self.metrics.set("housing_model_refused", float(bool(self.problem)))
        self.metrics.clear("housing_model_info")
        if self.champion:
            about = self.champion.model_info
            labels = about["name"], about["version"], about["source"]
            self.metrics.set("housing_model_info", 1, *labels)

    def _watch_forever(self) -> None:
        while True:
            try:
                self.reload_if_changed()
                told = self.registry_status()
                if not told.get("baked"):  # nobody misses a registry that nobody follows
                    at = told.get("reached_at", 0)
                    self.metrics.set("housing_registry_reached_timestamp_seconds", at)
                self.metrics.set("housing_model_refused", float(bool(self.problem)))
            except Exception:  # whatever it is, the model that serves goes on
                logger.exception("the local copy cannot be looked at")
            time.sleep(RELOAD_INTERVAL_SECONDS)


def _read_files(folder: Path) -> dict[str, bytes]:
    """The files of a version, by name; not those that are just being written."""
    files = sorted(one for one in folder.iterdir() if not one.name.startswith("."))
    return {one.name: one.read_bytes() for one in files}


def _load_champion(folder_name: str, files: dict[str, bytes]) -> Champion:
    """Loads the graph and proves it on its recorded examples; ValueError if it fails either."""
    about, recorded = (json.loads(files[one]) for one in ("about.json", "examples.json"))
    try:
        seen = training_domain.from_json(files["domain.json"]) if "domain.json" in files else None
        found = Champion(served_model.load(files["model.onnx"]), about, seen)
        answers = found.predict(np.array(recorded["rows"]))
    except ImportError as missing:
        raise ValueError(f"{folder_name} cannot be answered: {missing}") from missing
    except Exception as bad:  # onnxruntime's errors have no base of their own
        raise ValueError(f"{folder_name} holds no graph that can be read") from bad
    names = [one for one in ("predictions", "lows", "highs") if one in recorded]
    expected = np.stack([recorded[one] for one in names], 1)
    if not np.allclose(answers[:, : len(names)], expected, rtol=1e-9, atol=1e-9):
        raise ValueError(f"{folder_name} does not answer its recorded examples as recorded")
    return found


def init_app(app: Flask) -> None:
    """Gives the app its copy, and loads it now if it is there."""
    app.extensions["champion"] = ChampionLoader(
        Path(app.config["SERVING"]), app.extensions["metrics"]
    )
    app.extensions["champion"].reload_if_changed()


def champion_loader() -> ChampionLoader:
    """The current app's."""
    return current_app.extensions["champion"]
