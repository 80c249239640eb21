"""Create, list and revoke API keys: `python -m app.cli.keys`. A running service follows at once."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from dataclasses import asdict
from pathlib import Path

from app import startup

try:
    from app.auth import api_keys
    from app.auth.api_keys import ApiKey
    from app.settings import SETTINGS
    from housing import paths
    from housing.cli.standalone import CommandParser, run_command
    from housing.prediction_log.lock import FileLock
except Exception as error:  # a missing package, or the syntax of a newer Python
    startup.explain_import_error(error, "app.cli.keys")

LOCK_TIMEOUT_SECONDS = 10


def main(arguments: list[str]) -> int:
    """Run the command; return exit code 1 if it cannot be done."""
    options = _create_parser().parse_args(arguments)
    return run_command(lambda: _print_result(options), wrong_value_code=1)


def _print_result(options: argparse.Namespace) -> int:
    keys_file = Path(os.environ.get("HOUSING_KEYS") or SETTINGS["KEYS"].default_factory())
    with FileLock(keys_file.with_suffix(".lock"), LOCK_TIMEOUT_SECONDS):
        print(options.run(keys_file, options))
    return 0


def _create_parser() -> argparse.ArgumentParser:
    parser = CommandParser("python -m app.cli.keys", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add = commands.add_parser(
        "add", help="create a key and print it; it is shown only this once", allow_abbrev=False
    )
    add.add_argument("name", help="the key's owner; each of its rows in the log has this name")
    add.add_argument(
        "--per-minute",
        type=int,
        default=0,
        metavar="N",
        help="most requests a minute (default: no limit)",
    )
    add.set_defaults(run=_add_key)
    revoke = commands.add_parser("revoke", help="refuse the key from now on")
    revoke.add_argument("name")
    revoke.set_defaults(run=_revoke_key)
    list_keys = commands.add_parser("list", help="list the names of the keys, never the keys")
    list_keys.set_defaults(run=_list_keys)
    return parser


def _add_key(keys_file: Path, options: argparse.Namespace) -> str:
    """Add a key to the file and return it. Raises ValueError for an invalid name or limit."""
    keys = api_keys.read_keys(keys_file)
    if any(key.name == options.name for key in keys):
        raise ValueError(
            f"there is a key {options.name} already: revoke it first, or choose another name"
        )
    new_key = secrets.token_urlsafe(32)
    record = ApiKey(options.name, api_keys.hash_key(new_key), options.per_minute)
    _write_keys(keys_file, [*keys, record])
    return new_key


def _revoke_key(keys_file: Path, options: argparse.Namespace) -> str:
    """Remove a key from the file. Raises ValueError if there is none of that name."""
    keys = api_keys.read_keys(keys_file)
    remaining = [key for key in keys if key.name != options.name]
    if len(remaining) == len(keys):
        names = ", ".join(key.name for key in keys) or "none"
        raise ValueError(f"there is no key {options.name!r}; there are: {names}")
    _write_keys(keys_file, remaining)
    return f"revoked {options.name}; {len(remaining)} left"


def _list_keys(keys_file: Path, _options: argparse.Namespace) -> str:
    """Return one line per key: its name, its limit and the start of its hash."""
    keys = api_keys.read_keys(keys_file)
    if not keys and keys_file.exists():
        return "no keys, so every request is refused"
    if not keys:
        return "no keys: every client may send requests without one"
    return "\n".join(
        f"{key.name}\t{key.per_minute or 'any number'} a minute\tsha256 {key.sha256[:12]}"
        for key in keys
    )


def _write_keys(keys_file: Path, keys: list[ApiKey]) -> None:
    text = json.dumps([asdict(key) for key in keys], indent=2)
    paths.atomic_write(keys_file, text.encode())
    keys_file.chmod(0o600)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
