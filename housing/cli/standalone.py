"""Commands that run without the runner's script, as `python -m ...`: their parser and errors."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

CTRL_C_EXIT_CODE = 130


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors are one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Exit with the message."""
        self.exit(2, f"{self.prog}: {message}\n")


def run_command(command: Callable[[], int], wrong_value_code: int = 2) -> int:
    """Run a command and return its exit code: 1 if it failed.

    Prints an error that a user can act on to stderr. wrong_value_code: if it raised ValueError or
    LookupError.
    """
    exit_code = 0
    try:
        exit_code = command()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, LookupError) as error:
        print(error, file=sys.stderr)
        return wrong_value_code
    except (RuntimeError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return CTRL_C_EXIT_CODE
    return exit_code
