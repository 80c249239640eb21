"""Keeps a local copy of the champion, so that serving needs no registry.

Runs beside the workers, never in them: MLflow takes 170 MB and seconds to import.
"""

import json
import logging
import time
from pathlib import Path

from housing import paths, registry

EVERY = 5  # seconds between two looks at the alias

logger = logging.getLogger(__name__)


def forever(serving: str, name: str | None) -> None:
    """Looks at the alias again and again; a registry that is down leaves the copy as it is."""
    while True:
        try:
            refresh(Path(serving), name)
        except Exception as down:  # whatever it is, the service goes on with its copy
            logger.warning("the registry cannot be read, the copy stays: %s", down)
        time.sleep(EVERY)


def refresh(serving: Path, name: str | None = None) -> str | None:
    """Brings the copy up to date; gives the folder that is served now, None without a champion.

    name: the registered model; by default the real one, else the one trained on the sample.
    """
    found = registry.served(name)
    pointer = serving / "current.json"
    if found is None:
        pointer.unlink(missing_ok=True)
        return None
    folder = f"{found.name}-{found.version}-{found.run_id[:8]}"
    if not pointer.exists() or json.loads(pointer.read_text())["folder"] != folder:
        registry.export(found, serving / folder)
        paths.write_whole(pointer, json.dumps({"folder": folder}).encode())
    return folder
