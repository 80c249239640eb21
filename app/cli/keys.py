"""`python -m app.cli.keys`: makes, lists and revokes API keys. A service that runs follows at once."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from pathlib import Path

from app.auth import api_keys
from app.auth.api_keys import ApiKey
from app.settings import SETTINGS
from housing import paths
from housing.prediction_log.lock import FileLock


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
    file = Path(os.environ.get("HOUSING_KEYS") or SETTINGS["KEYS"].default_factory())
    try:
        with FileLock(file.with_suffix(".lock"), 10):
            said = {"add": _add_key, "revoke": _revoke_key, "list": _list_keys}[asked.what](
                file, asked
            )
    except ValueError as refused:
        print(refused, file=sys.stderr)
        return 1
    print(said)
    return 0


def _add_key(keys_file: Path, options: argparse.Namespace) -> str:
    keys = api_keys.read_keys(keys_file)
    if not api_keys.is_valid_name(options.name):
        raise ValueError(f"the name is {options.name!r}, expected 1 to 100 characters on one line")
    if any(one.name == options.name for one in keys):
        raise ValueError(f"there is a key {options.name} already: revoke it first, or add another")
    if not 0 <= options.per_minute <= api_keys.MAX_REQUESTS_PER_MINUTE:
        most = f"{api_keys.MAX_REQUESTS_PER_MINUTE:,}"
        raise ValueError(
            f"--per-minute is {options.per_minute}, expected a number from 0 to {most}"
        )
    made = secrets.token_urlsafe(32)
    _write_keys(
        keys_file, [*keys, ApiKey(options.name, api_keys.hash_key(made), options.per_minute)]
    )
    return made


def _revoke_key(keys_file: Path, options: argparse.Namespace) -> str:
    keys = api_keys.read_keys(keys_file)
    left = [one for one in keys if one.name != options.name]
    if len(left) == len(keys):
        names = ", ".join(one.name for one in keys) or "none"
        raise ValueError(f"there is no key {options.name!r}; there are: {names}")
    _write_keys(keys_file, left)
    return f"revoked {options.name}; {len(left)} left"


def _list_keys(keys_file: Path, _options: argparse.Namespace) -> str:
    keys = api_keys.read_keys(keys_file)
    if not keys:
        return "no keys" + (
            ", so nobody is let in" if keys_file.exists() else ": everybody is let in"
        )
    return "\n".join(
        f"{one.name}\t{one.per_minute or 'any number'} a minute\tsha256 {one.sha256[:12]}"
        for one in keys
    )


def _write_keys(keys_file: Path, keys: list[ApiKey]) -> None:
    text = json.dumps([one._asdict() for one in keys], indent=2)
    paths.atomic_write(keys_file, text.encode())
    keys_file.chmod(0o600)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
