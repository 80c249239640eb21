"""Let the challenger answer beside the service: `python -m app.shadow`, started by `app`."""

from __future__ import annotations

import logging
import os
import sys

from app import startup

try:
    from app.settings import LOG_FORMAT, load_settings
    from app.shadow import process_limits
    from app.shadow.process import ShadowProcess
except Exception as error:  # a missing package, or the syntax of a newer Python
    startup.explain_import_error(error, "app.shadow", "serve")


def main(arguments: list[str]) -> int:
    """Answer until the parent process ends; return exit code 1 for an invalid setting.

    arguments: the parent's process id, by default that of the process that has started this one.
    """
    parent_pid = int(arguments[0]) if arguments else os.getppid()
    process_limits.limit_process(parent_pid)
    logging.basicConfig(format=LOG_FORMAT)
    try:
        settings = load_settings()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    process = ShadowProcess(settings)
    process.step()  # loads the challenger, if there is one, before it yields the processor
    process_limits.yield_processor()
    process.run_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
