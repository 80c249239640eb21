"""Copy the champion for an image without a registry: `python -m app.cli.bake FOLDER`."""

import os
import sys
from pathlib import Path

from app import limit_openmp_threads, startup

try:
    from app.model import local_copy, registry_sync
    from app.model.states import ModelState, explain_absence
    from housing.cli.standalone import CommandParser, run_command
except Exception as error:  # a missing package, or the syntax of a newer Python
    startup.explain_import_error(error, "app.cli.bake")


def main(arguments: list[str]) -> int:
    """Copy the champion; return exit code 1 if there is none, or the registry cannot be read."""
    parser = CommandParser("python -m app.cli.bake", description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the folder for the copy")
    folder = parser.parse_args(arguments).folder
    return run_command(lambda: _bake(folder), wrong_value_code=1)


def _bake(folder: Path) -> int:
    limit_openmp_threads()
    summary = registry_sync.bake(folder, os.environ.get("HOUSING_MODEL") or None)
    if not summary:
        status = local_copy.read_status(folder)
        raise LookupError(explain_absence(ModelState(status.state), status.reason).sentence)
    print(summary)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
