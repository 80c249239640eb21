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
from housing.inference.training_domain import Domain
from housing.schema import USD

if TYPE_CHECKING:
    from app.metrics.metrics import Metrics

LOOK_EVERY = 0.25  # seconds between two looks at the pointer
TRY_AGAIN = 10.0  # seconds after which a champion that could not be loaded is tried again
WARM = 3  # versions that stay loaded, so that a rollback takes no time

logger = logging.getLogger(__name__)


class Champion(NamedTuple):
    """A model that answers."""

    served: served_model.Served
    about: dict[str, Any]  # as `registry.export` writes it
    domain: Domain | None  # None for a version that was registered without

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """(n, 1) house values in $100,000 for (n, 8) rows, or (n, 3) with low and high ends."""
        made = served_model.answers(self.served, rows)
        return self.served.bound(made) if self.served.bound else made

    def warnings(self, rows: np.ndarray) -> list[list[str]]:
        """For each row, in what it is unlike the training rows."""
        return training_domain.warnings(self.domain, rows) if self.domain else [[] for _ in rows]

    def contributions(self, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """(n, 7) dollars that each of `explain.PLAYERS` adds, and what they are added to."""
        predict = partial(served_model.predict, self.served)
        values, base = shapley.shapley(predict, rows, self.domain.typical[None])
        return values * USD, base * USD


class Copy:
    """The local copy. It is looked at and loaded beside the requests; the old model stays on a bad
    one, and the last ones stay warm."""

    def __init__(self, serving: Path, metrics: Metrics) -> None:
        self.pointer, self.metrics = serving / "current.json", metrics
        self.champion: Champion | None = None
        self._bad = ""  # why what the pointer names could not be loaded
        self._seen: tuple[int, int] | None = None
        self._warm: dict[str, tuple[bytes, Champion]] = {}  # by folder, with its files' digest
        self._next_look = self._try_at = 0.0
        self._lock = threading.Lock()
        self._watched = False

    def current(self) -> Champion | None:
        """The champion to answer with; None if there is none yet. Without one it looks at once, as
        another worker may have found the first one and said that the service is ready."""
        due = not self._watched and time.monotonic() >= self._next_look
        if due or self.champion is None:
            self.look()
        return self.champion

    def watch(self) -> None:
        """From now on a thread looks, so that no request waits for a model to be loaded."""
        self._watched = True
        threading.Thread(target=self._forever, daemon=True, name="champion").start()

    def about(self, name: str, version: str, run_id: str | None) -> dict[str, Any] | None:
        """What is known of a version that serves or has served; None if its copy is gone."""
        try:
            folder = self.pointer.parent / f"{name}-{version}-{(run_id or '')[:8]}"
            return json.loads((folder / "about.json").read_text())
        except (OSError, ValueError):
            return None

    def registry(self) -> dict[str, Any]:
        """What the follower last said of the registry; empty before it has looked."""
        try:
            return json.loads(self.pointer.with_name("registry.json").read_text())
        except (OSError, ValueError):
            return {}

    @property
    def problem(self) -> str:
        """Why a new champion does not answer; empty if there is none that should."""
        why = self._bad or self.registry().get("refused", "")
        return f"a new champion could not be loaded: {why}" if why else ""

    def look(self) -> None:
        """Takes over what the pointer names now, once it has been proved."""
        with self._lock:
            self._next_look = time.monotonic() + LOOK_EVERY
            try:
                found = self.pointer.stat()
                seen = found.st_mtime_ns, found.st_ino
                if seen != self._seen or (self._bad and time.monotonic() > self._try_at):
                    self._seen, self._try_at = seen, time.monotonic() + TRY_AGAIN
                    self._take(json.loads(self.pointer.read_text())["folder"])
            except FileNotFoundError:
                self.champion, self._seen, self._bad = None, None, ""
                self._told()
            except (OSError, ValueError, KeyError, MemoryError) as bad:
                why = bad.strerror if isinstance(bad, OSError) else bad  # no paths in an answer
                self._bad = str(why)
                logger.warning("a new champion could not be loaded: %s", bad)
                self._told()

    def _take(self, name: str) -> None:
        started = time.perf_counter()
        files = _read(self.pointer.parent / name)
        # not by the files' times: the follower writes them anew when it goes back to a version
        digest = hashlib.sha256(b"".join(files.values())).digest()
        known = self._warm.pop(name, None)
        loaded = known[1] if known and known[0] == digest else _load(name, files)
        self._warm[name] = digest, loaded
        for oldest in list(self._warm)[:-WARM]:
            del self._warm[oldest]
        self.champion, self._bad = loaded, ""
        self.metrics.count("housing_model_swaps")
        self.metrics.set("housing_model_load_seconds", time.perf_counter() - started)
        self.metrics.set("housing_model_swap_timestamp_seconds", time.time())
        self._told()

    def _told(self) -> None:
        self.metrics.set("housing_model_refused", float(bool(self.problem)))
        self.metrics.clear("housing_model_info")
        if self.champion:
            about = self.champion.about
            labels = about["name"], about["version"], about["source"]
            self.metrics.set("housing_model_info", 1, *labels)

    def _forever(self) -> None:
        while True:
            try:
                self.look()
                told = self.registry()
                if not told.get("baked"):  # nobody misses a registry that nobody follows
                    at = told.get("reached_at", 0)
                    self.metrics.set("housing_registry_reached_timestamp_seconds", at)
                self.metrics.set("housing_model_refused", float(bool(self.problem)))
            except Exception:  # whatever it is, the model that serves goes on
                logger.exception("the local copy cannot be looked at")
            time.sleep(LOOK_EVERY)


def _read(folder: Path) -> dict[str, bytes]:
    """The files of a version, by name; not those that are just being written."""
    files = sorted(one for one in folder.iterdir() if not one.name.startswith("."))
    return {one.name: one.read_bytes() for one in files}


def _load(name: str, files: dict[str, bytes]) -> Champion:
    """Loads the graph and proves it on its recorded examples; ValueError if it fails either."""
    about, recorded = (json.loads(files[one]) for one in ("about.json", "examples.json"))
    try:
        seen = training_domain.read(files["domain.json"]) if "domain.json" in files else None
        found = Champion(served_model.session(files["model.onnx"]), about, seen)
        answers = found.predict(np.array(recorded["rows"]))
    except ImportError as missing:
        raise ValueError(f"{name} cannot be answered: {missing}") from missing
    except Exception as bad:  # onnxruntime's errors have no base of their own
        raise ValueError(f"{name} holds no graph that can be read") from bad
    names = [one for one in ("predictions", "lows", "highs") if one in recorded]
    expected = np.stack([recorded[one] for one in names], 1)
    if not np.allclose(answers[:, : len(names)], expected, rtol=1e-9, atol=1e-9):
        raise ValueError(f"{name} does not answer its recorded examples as recorded")
    return found


def init_app(app: Flask) -> None:
    """Gives the app its copy, and loads it now if it is there."""
    app.extensions["champion"] = Copy(Path(app.config["SERVING"]), app.extensions["metrics"])
    app.extensions["champion"].look()


def copy() -> Copy:
    """The current app's."""
    return current_app.extensions["champion"]
