"""`python -m app.bake FOLDER`: a copy of the champion, for an image that needs no registry."""

import os
import sys
from pathlib import Path

from app import follow


def main(folder: Path) -> int:
    """Exit code 1 if there is no champion, or no registry answers."""
    try:
        made = follow.bake(folder, os.environ.get("HOUSING_MODEL") or None)
    except (ValueError, LookupError, RuntimeError) as refused:
        print(refused, file=sys.stderr)
        return 1
    refused = follow.refused(folder)
    if made or not refused:
        print(made or "there is no champion yet: `make run` trains and registers one")
    else:
        print(f"the champion may not serve: {refused}", file=sys.stderr)
    return 0 if made else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
