"""The database of the store: created completely, upgraded with a backup, or refused with a way out.

MLflow creates and upgrades it. But several processes that let it create one sqlite store at once
leave it broken for good, and one that is killed meanwhile leaves an incomplete store. So it works
on a file of another name, under a lock, which is moved into place.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from filelock import FileLock

from housing.tracking import errors, probe
from housing.tracking.mlflow_env import load_mlflow, load_submodule

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection, Engine

ADVISORY_LOCK_KEY = 1990_08081  # of PostgreSQL's advisory lock: any number nothing else uses
CONNECT_RETRY_DELAYS_SECONDS = (2, 4, 6)  # a restart of the server takes no longer


class SchemaState(NamedTuple):
    """The schema that a database has."""

    revision: str | None  # of MLflow's schema
    tables: frozenset[str]


def prepare_sqlite_file(path: Path) -> None:
    """Create or upgrade the sqlite file, unless it is up to date.

    Raises ValueError, with the way out, if the file cannot be used.
    """
    if _is_up_to_date(_read_file_schema(path)):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        temporary_path = path.with_name(f".{path.name}.making-{os.getpid()}")
        _remove_unfinished(path)  # a process that was killed has left it
        try:
            schema = _read_file_schema(path)  # another process may have prepared it meanwhile
            if _is_up_to_date(schema):
                return
            if schema.tables:
                _upgrade(path, temporary_path, schema)
            else:
                _create_tables(f"sqlite:///{temporary_path}")
                temporary_path.replace(path)
        finally:
            _remove_unfinished(path)


def _remove_unfinished(path: Path) -> None:
    for file in path.parent.glob(f".{path.name}.making-*"):
        file.unlink()


def _read_file_schema(path: Path) -> SchemaState:
    from sqlalchemy import create_engine, exc, pool

    if not path.exists() or not path.stat().st_size:
        return SchemaState(None, frozenset())
    engine = create_engine("sqlite://", creator=lambda: _connect(path), poolclass=pool.NullPool)
    try:
        return _read_schema(engine)
    except exc.OperationalError as error:  # locked, or no right to read
        raise errors.unreachable_error(f"sqlite:///{path}", error) from None
    except exc.DatabaseError as error:
        _raise_unusable(path, None, str(error.orig))


def _connect(path: Path) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=20, isolation_level=None)


def _read_schema(engine: Engine) -> SchemaState:
    from alembic.migration import MigrationContext
    from sqlalchemy import inspect

    with engine.connect() as connection:
        tables = frozenset(inspect(connection).get_table_names())
        revision = MigrationContext.configure(connection).get_current_revision()
    return SchemaState(revision, tables - {"alembic_version"})


def _is_up_to_date(schema: SchemaState) -> bool:
    return schema.revision == _migrations().get_current_head() and not _missing_tables(schema)


def _missing_tables(schema: SchemaState) -> set[str]:
    """Return the tables that the installed MLflow uses and the database lacks."""
    return set(load_submodule("store.db.utils").Base.metadata.tables) - schema.tables


def _migrations() -> ScriptDirectory:
    """Return the migrations that the installed MLflow knows."""
    from alembic.script import ScriptDirectory

    [folder] = load_submodule("store.db_migrations").__path__
    return ScriptDirectory(folder)


def _create_tables(uri: str) -> None:
    """Let MLflow create its tables, and our experiment."""
    location = probe.artifact_location()
    with warnings.catch_warnings(action="ignore"):
        store = load_submodule("store.tracking.sqlalchemy_store").SqlAlchemyStore(uri, location)
        store.create_experiment(probe.EXPERIMENT_NAME, artifact_location=location)
        store.engine.dispose()


def _upgrade(path: Path, temporary_path: Path, schema: SchemaState) -> None:
    """Upgrade a copy and replace the file by it; the file itself stays as a backup."""
    problem = _find_problem(schema)
    if problem:
        _raise_unusable(path, schema.revision, problem)
    with contextlib.closing(_connect(path)) as locked_database:
        locked_database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        # no other process may write now: it would not be in the copy
        locked_database.execute("BEGIN IMMEDIATE")
        # through a new connection: SQLite copies nothing for one that may write
        with (
            contextlib.closing(_connect(path)) as source,
            contextlib.closing(sqlite3.connect(temporary_path)) as target,
        ):
            source.backup(target)
        command = [sys.executable, "-m", "mlflow", "db", "upgrade", f"sqlite:///{temporary_path}"]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode or not _is_up_to_date(_read_file_schema(temporary_path)):
            reasons = re.findall(r"(?m)^\S*Error: (?:\(\S+\) )?(.+)", result.stderr)
            reason = reasons[-1] if reasons else "tables are missing after it"
            _raise_unusable(path, schema.revision, f"its migration failed ({reason})")
        _create_backup(path, f"{path.name}.before-{schema.revision}")
        temporary_path.replace(path)


def _find_problem(schema: SchemaState) -> str:
    """Return why MLflow cannot upgrade a database; empty if it can."""
    if schema.revision is None:
        return "it was left half-made, or is no store of MLflow's"
    if schema.revision == _migrations().get_current_head():
        return f"it lacks the table {min(_missing_tables(schema))}, so it was left half-made"
    if schema.revision not in {script.revision for script in _migrations().walk_revisions()}:
        return f"it was made by a newer MLflow than the {load_mlflow().__version__} installed here"
    return ""


def _create_backup(path: Path, name: str) -> None:
    """Give the file a second name, which stays when another file takes the first."""
    backup, number = path.with_name(name), 1
    while backup.exists():
        number += 1
        backup = path.with_name(f"{name}-{number}")
    try:
        backup.hardlink_to(path)
    except OSError:  # a file system without links
        shutil.copy2(path, backup)


def _raise_unusable(path: Path, revision: str | None, problem: str) -> NoReturn:
    backups = sorted(file.name for file in path.parent.glob(f"{path.name}.before-*"))
    backup_list = f" ({', '.join(backups)} beside it)" if backups else ""
    raise ValueError(
        f"{path} cannot be the tracking store: {problem}; it has revision {revision or 'none'} of "
        f"MLflow's tables, expected {_migrations().get_current_head()}. Nothing was changed. Move "
        "it away to start anew, without its runs and versions, or put a backup in its "
        f"place{backup_list}"
    ) from None


def prepare_database_server(uri: str) -> None:
    """Create MLflow's tables on a database server, on PostgreSQL under a lock.

    Raises ValueError if its tables are those of another MLflow, StoreUnreachableError if it does
    not answer.
    """
    from sqlalchemy import create_engine, pool, text

    options = {"connect_timeout": probe.STORE_TIMEOUT_SECONDS}
    engine = create_engine(
        uri,
        poolclass=pool.NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args=options if uri.startswith("postgresql") else {},
    )
    with _connect_with_retries(uri, engine) as connection:
        if engine.dialect.name == "postgresql":
            # held until the connection is closed
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK_KEY})
        schema = _read_schema(engine)
        initial_tables = set(load_submodule("store.db.utils").InitialBase.metadata.tables)
        if schema.revision is None and schema.tables <= initial_tables:
            # empty, or left incomplete by a killed process: MLflow continues where that one stopped
            _create_tables(uri)
        elif not _is_up_to_date(schema):
            raise ValueError(
                f"the tracking store {errors.redacted_uri(uri)} has revision "
                f"{schema.revision or 'none'} of MLflow's tables, expected "
                f"{_migrations().get_current_head()} of MLflow {load_mlflow().__version__}. Take a "
                "backup, then bring it up to date: mlflow db upgrade URI (a newer revision needs a "
                "newer MLflow, a half-made database a new one)"
            )


def _connect_with_retries(uri: str, engine: Engine) -> Connection:
    from sqlalchemy.exc import OperationalError

    delays = iter(CONNECT_RETRY_DELAYS_SECONDS)
    while True:
        try:
            return engine.connect()
        except OperationalError as error:
            is_permanent = "authentication" in str(error) or "does not exist" in str(error)
            delay = next(delays, None)
            if delay is None or is_permanent:
                raise errors.unreachable_error(uri, error) from None
        time.sleep(delay)
