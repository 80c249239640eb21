"""The champion as a worker holds it: its graph and what is known of it, from the local copy."""

import json
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flask import Flask, current_app

from housing import domain, explain, graph
from housing.domain import Domain
from housing.schema import USD

LOOK_EVERY = 1.0  # seconds between two looks at the pointer


class Champion(NamedTuple):
    """A model that answers."""

    served: graph.Served
    about: dict[str, Any]  # as `registry.export` writes it
    domain: Domain | None  # None for a version that was registered without

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """(n, 1) house values in $100,000 for (n, 8) rows, or (n, 3) with low and high ends."""
        if self.served.ends is None:
            return graph.answers(self.served, rows)
        return np.stack(graph.intervals(self.served, rows), 1)

    def warnings(self, rows: np.ndarray) -> list[list[str]]:
        """For each row, in what it is unlike the training rows."""
        return domain.warnings(self.domain, rows) if self.domain else [[] for _ in rows]

    def contributions(self, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """(n, 7) dollars that each of `explain.PLAYERS` adds, and what they are added to."""
        predict = partial(graph.predict, self.served)
        values, base = explain.shapley(predict, rows, self.domain.typical[None])
        return values * USD, base * USD


class Copy:
    """The local copy, looked at again at most once a second; the old model stays on a bad one."""

    def __init__(self, serving: Path) -> None:
        self.pointer = serving / "current.json"
        self.champion: Champion | None = None
        self.problem = ""
        self._seen: int | None = None
        self._next_look = 0.0
        self._lock = threading.Lock()

    def current(self) -> Champion | None:
        """The champion to answer with; None if there is none yet."""
        if time.monotonic() >= self._next_look:
            with self._lock:
                self._look()
        return self.champion

    def about(self, name: str, version: str, run_id: str | None) -> dict[str, Any] | None:
        """What is known of a version that serves or has served; None if its copy is gone."""
        try:
            folder = self.pointer.parent / f"{name}-{version}-{(run_id or '')[:8]}"
            return json.loads((folder / "about.json").read_text())
        except (OSError, ValueError):
            return None

    def _look(self) -> None:
        self._next_look = time.monotonic() + LOOK_EVERY
        try:
            seen = self.pointer.stat().st_mtime_ns
        except FileNotFoundError:
            self.champion, self._seen = None, None
            return
        if seen == self._seen:
            return
        try:
            folder = self.pointer.parent / json.loads(self.pointer.read_text())["folder"]
            self.champion = _load(folder)
            self._seen, self.problem = seen, ""
        except (OSError, ValueError, KeyError) as bad:
            self.problem = f"a new champion could not be loaded: {bad}"


def _load(folder: Path) -> Champion:
    """Loads the graph and proves it on its recorded examples; ValueError if it fails either."""
    about = json.loads((folder / "about.json").read_text())
    recorded = json.loads((folder / "examples.json").read_text())
    try:
        known = folder / "domain.json"
        seen = domain.read(known.read_bytes()) if known.exists() else None
        found = Champion(graph.session(folder / "model.onnx"), about, seen)
        answers = found.predict(np.array(recorded["rows"]))
    except Exception as bad:  # onnxruntime's errors have no base of their own
        raise ValueError(f"{folder.name} holds no graph that can be read") from bad
    names = [one for one in ("predictions", "lows", "highs") if one in recorded]
    expected = np.stack([recorded[one] for one in names], 1)
    if not np.allclose(answers[:, : len(names)], expected, rtol=1e-9, atol=1e-9):
        raise ValueError(f"{folder.name} does not answer its recorded examples as recorded")
    return found


def init_app(app: Flask) -> None:
    """Gives the app its copy, and loads it now if it is there."""
    app.extensions["champion"] = Copy(Path(app.config["SERVING"]))
    app.extensions["champion"].current()


def copy() -> Copy:
    """The current app's."""
    return current_app.extensions["champion"]
