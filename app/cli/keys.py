"""`python -m app.cli.keys`: makes, lists and revokes API keys. A service that runs follows at once."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from pathlib import Path

from app.auth import api_keys
from app.auth.api_keys import Key
from app.prediction_log.file_lock import Alone
from app.settings import DEFAULTS
from housing import paths


def main(arguments: list[str]) -> int:
    """Exit code 1 if what was asked for cannot be done."""
    parser = argparse.ArgumentParser("python -m app.cli.keys", description=__doc__)
    what = parser.add_subparsers(dest="what", required=True)
    adding = what.add_parser("add", help="makes a key and prints it: it is shown this once")
    adding.add_argument("name", help="whose it is; each answer's row in the log names it")
    adding.add_argument("--per-minute", type=int, default=0, metavar="N", help="how many "
                        "requests it may make a minute (default: any number)")  # fmt: skip
    what.add_parser("revoke", help="the key is refused from now on").add_argument("name")
    what.add_parser("list", help="the names, never the keys")
    asked = parser.parse_args(arguments)
    file = Path(os.environ.get("HOUSING_KEYS") or DEFAULTS["KEYS"].value())
    try:
        with Alone(file.with_suffix(".lock"), 10)():
            said = {"add": _add, "revoke": _revoke, "list": _list}[asked.what](file, asked)
    except ValueError as refused:
        print(refused, file=sys.stderr)
        return 1
    print(said)
    return 0


def _add(file: Path, asked: argparse.Namespace) -> str:
    keys = api_keys.read(file)
    if not api_keys.is_name(asked.name):
        raise ValueError(f"the name is {asked.name!r}, expected 1 to 100 characters on one line")
    if any(one.name == asked.name for one in keys):
        raise ValueError(f"there is a key {asked.name} already: revoke it first, or add another")
    if not 0 <= asked.per_minute <= api_keys.MOST_A_MINUTE:
        most = f"{api_keys.MOST_A_MINUTE:,}"
        raise ValueError(f"--per-minute is {asked.per_minute}, expected a number from 0 to {most}")
    made = secrets.token_urlsafe(32)
    _write(file, [*keys, Key(asked.name, api_keys.digest(made), asked.per_minute)])
    return made


def _revoke(file: Path, asked: argparse.Namespace) -> str:
    keys = api_keys.read(file)
    left = [one for one in keys if one.name != asked.name]
    if len(left) == len(keys):
        names = ", ".join(one.name for one in keys) or "none"
        raise ValueError(f"there is no key {asked.name!r}; there are: {names}")
    _write(file, left)
    return f"revoked {asked.name}; {len(left)} left"


def _list(file: Path, _asked: argparse.Namespace) -> str:
    keys = api_keys.read(file)
    if not keys:
        return "no keys" + (", so nobody is let in" if file.exists() else ": everybody is let in")
    return "\n".join(
        f"{one.name}\t{one.per_minute or 'any number'} a minute\tsha256 {one.sha256[:12]}"
        for one in keys
    )


def _write(file: Path, keys: list[Key]) -> None:
    text = json.dumps([one._asdict() for one in keys], indent=2)
    paths.write_whole(file, text.encode())
    file.chmod(0o600)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
