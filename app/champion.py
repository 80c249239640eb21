"""The champion as a worker holds it: its graph and what is known of it, from the local copy."""

import json
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flask import Flask, current_app

from housing import graph

LOOK_EVERY = 1.0  # seconds between two looks at the pointer


class Champion(NamedTuple):
    """A model that answers."""

    served: graph.Served
    about: dict[str, Any]  # as `registry.export` writes it

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """(n,) house values in $100,000 for (n, 8) rows."""
        return graph.predict(self.served, rows)


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
        found = Champion(graph.session(folder / "model.onnx"), about)
        answers = found.predict(np.array(recorded["rows"]))
    except Exception as bad:  # onnxruntime's errors have no base of their own
        raise ValueError(f"{folder.name} holds no graph that can be read") from bad
    if not np.allclose(answers, recorded["predictions"], rtol=1e-9, atol=1e-9):
        raise ValueError(f"{folder.name} does not answer its recorded examples as recorded")
    return found


def init_app(app: Flask) -> None:
    """Gives the app its copy, and loads it now if it is there."""
    app.extensions["champion"] = Copy(Path(app.config["SERVING"]))
    app.extensions["champion"].current()


def copy() -> Copy:
    """The current app's."""
    return current_app.extensions["champion"]
