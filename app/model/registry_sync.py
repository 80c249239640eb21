"""Keeps a local copy of the champion, so that serving needs no registry.

Runs beside the workers, never in them: MLflow takes 170 MB and seconds to import.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from housing import paths
from housing.tracking import probe

SYNC_INTERVAL_SECONDS = 2.0  # seconds between two looks at the alias

logger = logging.getLogger(__name__)


def sync_forever(serving_folder: str, model_name: str | None) -> None:
    """Looks at the alias again and again; a registry that is down leaves the copy as it is."""
    while True:
        try:
            sync_once(Path(serving_folder), model_name)
        except Exception as down:  # whatever it is, the service goes on with its copy
            logger.warning("the registry cannot be read, the copy stays: %s", down)
            _write_status(Path(serving_folder), str(down))
        time.sleep(SYNC_INTERVAL_SECONDS)


def sync_once(serving_folder: Path, model_name: str | None = None) -> str | None:
    """Brings the copy up to date; gives the folder that is served now, None without a champion.

    name: the registered model; by default the real one, else the one trained on the sample. Raises
    LookupError if there is a copy, and the store that it came from is gone.
    """
    from housing.registry import versions  # seconds; a service that has a copy answers before

    pointer, there = serving_folder / "current.json", _store_exists()
    found = versions.current_champion(model_name)
    if found is None and pointer.exists() and not (there and _store_exists()):
        raise LookupError(f"{probe.database_path().name} is gone, and the champion's copy is here")
    if found is None:
        pointer.unlink(missing_ok=True)
        _write_status(serving_folder)
        return None
    served = _read_json(pointer).get("folder")
    folder = f"{found.name}-{found.version}-{found.run_id[:8]}"
    if served != folder:
        try:
            versions.export_for_serving(found, serving_folder / folder)
        except ValueError as changed:
            _write_status(serving_folder, refusal=str(changed))
            return served
        paths.atomic_write(pointer, json.dumps({"folder": folder}).encode())
    _write_status(serving_folder)
    return folder


def bake(folder: Path, model_name: str | None = None) -> str | None:
    """Makes the folder a copy for a service that follows no registry, and nothing besides; gives
    what `refresh` gives."""
    for old in folder.glob("*-*-*"):
        shutil.rmtree(old)
    for one in ("current.json", "registry.json"):  # if it fails now, nothing says that it is one
        (folder / one).unlink(missing_ok=True)
    made = sync_once(folder, model_name)
    if made:
        (folder / "registry.json").write_text(json.dumps({"baked": True}))
    return made


def refusal_reason(folder: Path) -> str:
    """Why the champion was not copied when the registry was last asked; empty if it was."""
    return _read_json(folder / "registry.json").get("refused", "")


def is_baked(folder: Path) -> bool:
    """Whether it is such a copy."""
    return bool(_read_json(folder / "registry.json").get("baked"))


def _store_exists() -> bool:
    file = probe.database_path()
    return file is None or file.exists()


def _write_status(serving_folder: Path, problem: str = "", refusal: str = "") -> None:
    """Leaves word for the workers: when the registry last answered, why it does not now, and why
    its champion is not copied."""
    file, told = serving_folder / "registry.json", _read_json(serving_folder / "registry.json")
    now = time.time()
    if problem:
        since = told.get("since") or datetime.now(UTC).isoformat(timespec="seconds")
        told |= {"problem": problem, "since": since}
    else:
        told = {"reached_at": now} | ({"refused": refusal} if refusal else {})
    with suppress(OSError):  # a full disk is no reason to stop following
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_suffix(".new")  # not written through: it is told anew in two seconds
        aside.write_text(json.dumps(told))
        aside.replace(file)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
