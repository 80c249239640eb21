"""`python -m app.cli.bake FOLDER`: a copy of the champion, for an image that needs no registry."""

import os
import sys
from pathlib import Path

from app.model import registry_sync
from app.prediction_service import NO_CHAMPION_MESSAGE


def main(folder: Path) -> int:
    """Exit code 1 if there is no champion, or no registry answers."""
    try:
        made = registry_sync.bake(folder, os.environ.get("HOUSING_MODEL") or None)
    except (ValueError, LookupError, RuntimeError) as failed:
        print(failed, file=sys.stderr)
        return 1
    if made:
        print(made)
        return 0
    print(registry_sync.refusal_reason(folder) or NO_CHAMPION_MESSAGE, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
