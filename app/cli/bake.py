"""Copy the champion for an image without a registry: `python -m app.cli.bake FOLDER`."""

import os
import sys
from pathlib import Path

from app import limit_openmp_threads
from app.model import registry_sync
from app.prediction_service import NO_CHAMPION_MESSAGE


def main(folder: Path) -> int:
    """Copy the champion; return exit code 1 if there is none, or the registry cannot be read."""
    limit_openmp_threads()
    try:
        summary = registry_sync.bake(folder, os.environ.get("HOUSING_MODEL") or None)
    except (ValueError, LookupError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    if summary:
        print(summary)
        return 0
    print(registry_sync.refusal_reason(folder) or NO_CHAMPION_MESSAGE, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
