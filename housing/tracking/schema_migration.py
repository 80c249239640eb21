"""The database of the store: created completely, migrated with a backup, or refused with a way out.

Several processes that let MLflow create one sqlite store at once leave it broken for good, and one
that is killed meanwhile leaves an incomplete store. So the file is created under another name,
under a lock, and moved into place.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeVar

from filelock import FileLock

from housing.tracking import errors, probe
from housing.tracking.mlflow_env import load_mlflow, load_submodule

if TYPE_CHECKING:
    from sqlalchemy import Engine

ADVISORY_LOCK_KEY = 1990_08081  # of PostgreSQL's advisory lock: any number nothing else uses
CONNECT_RETRY_DELAYS_SECONDS = (2, 4, 6)  # a restart of the server takes no longer
T = TypeVar("T")


class SchemaState(NamedTuple):
    """The schema that a database has."""

    revision: str | None  # of MLflow's schema
    tables: frozenset[str]


NO_SCHEMA = SchemaState(None, frozenset())


def prepare_sqlite_file(path: Path) -> bool:
    """Create or migrate the sqlite file; return whether the file at this path was replaced.

    Raises ValueError, with the way out, if the file cannot be used.
    """
    if _is_up_to_date(_inspect_schema(path)):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        for leftover in path.parent.glob(f".{path.name}.making-*"):  # of a killed process
            leftover.unlink()
        schema_state = _inspect_schema(path)  # another process may have prepared it meanwhile
        if _is_up_to_date(schema_state):
            return False
        temporary_path = path.with_name(f".{path.name}.making-{os.getpid()}")
        if schema_state.tables:
            _migrate(path, temporary_path, schema_state)
        else:
            _create_database(temporary_path)
            temporary_path.replace(path)
    return True


def _inspect_schema(path: Path) -> SchemaState:
    if not path.exists() or not path.stat().st_size:
        return NO_SCHEMA
    try:
        with contextlib.closing(_connect(path)) as database:
            names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in names}
            row = None
            if "alembic_version" in tables:
                row = database.execute("SELECT version_num FROM alembic_version").fetchone()
            revision = row[0] if row else None
    except sqlite3.OperationalError as error:  # locked, or no right to read
        raise errors.unreachable_error(f"sqlite:///{path}", error) from None
    except sqlite3.DatabaseError as error:
        _raise_unusable(path, NO_SCHEMA, str(error))
    return SchemaState(revision, frozenset(tables - {"alembic_version", "sqlite_sequence"}))


def _connect(path: Path) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=20, isolation_level=None)


def _is_up_to_date(schema_state: SchemaState) -> bool:
    if schema_state.revision is None or schema_state.revision != _latest_revision():
        return False
    return _expected_tables() <= schema_state.tables


def _expected_tables() -> set[str]:
    """Return the tables of the installed MLflow."""
    return set(load_submodule("store.db.utils").Base.metadata.tables)


def _latest_revision() -> str:
    """Return the revision that the installed MLflow works with."""
    return load_submodule("store.db.utils")._get_latest_schema_revision()


def _create_database(temporary_path: Path) -> None:
    """Create a database with MLflow's tables and our experiment."""
    store_class = load_submodule("store.tracking.sqlalchemy_store").SqlAlchemyStore
    uri = f"sqlite:///{temporary_path}"
    with _remove_on_failure(temporary_path):
        location = probe.artifact_location()
        mlflow_store = store_class(uri, location)
        mlflow_store.create_experiment(probe.EXPERIMENT_NAME, artifact_location=location)
        mlflow_store.engine.dispose()
        del store_class._engine_map[uri]


@contextlib.contextmanager
def _remove_on_failure(temporary_path: Path) -> Iterator[None]:
    """Suppress warnings, and remove the temporary database if the block fails."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except BaseException:
        for ending in ("", "-journal"):
            temporary_path.with_name(temporary_path.name + ending).unlink(missing_ok=True)
        raise


def _require_migratable(path: Path, schema_state: SchemaState) -> str:
    """Return the revision of a database that MLflow can migrate. Raises ValueError for others."""
    revision = schema_state.revision
    if revision is None:
        _raise_unusable(path, schema_state, "it was left half-made, or is no store of MLflow's")
    if revision == _latest_revision():
        table = min(_expected_tables() - schema_state.tables)
        problem = f"it lacks the table {table}, so it was left half-made"
        _raise_unusable(path, schema_state, problem)
    if revision not in _supported_revisions():
        problem = (
            f"it was made by a newer MLflow than the {load_mlflow().__version__} installed here"
        )
        _raise_unusable(path, schema_state, problem)
    return revision


def _supported_revisions() -> set[str]:
    """Return every revision that the installed MLflow knows."""
    from alembic.script import ScriptDirectory

    config = load_submodule("store.db.utils")._get_alembic_config("")
    scripts = ScriptDirectory.from_config(config)
    return {script.revision for script in scripts.walk_revisions()}


def _migrate(path: Path, temporary_path: Path, schema_state: SchemaState) -> None:
    """Migrate a copy and replace the file by it; the file itself stays as a backup."""
    from sqlalchemy.exc import StatementError

    revision = _require_migratable(path, schema_state)
    utils = load_submodule("store.db.utils")
    with contextlib.closing(_connect(path)) as locked_database:
        locked_database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        # no other process may write now: it would not be in the copy
        locked_database.execute("BEGIN IMMEDIATE")
        try:
            with _remove_on_failure(temporary_path):
                _copy_database(path, temporary_path)
                engine = utils.create_sqlalchemy_engine(f"sqlite:///{temporary_path}")
                utils._upgrade_db(engine)
                engine.dispose()
                if not _is_up_to_date(_inspect_schema(temporary_path)):
                    raise ValueError("tables are missing after it")
                _create_backup(path, revision)
                temporary_path.replace(path)
        except Exception as error:  # a migration may fail in any way; the file is unchanged then
            cause = error.orig if isinstance(error, StatementError) else error
            problem = f"its migration failed ({str(cause) or type(cause).__name__})"
            _raise_unusable(path, schema_state, problem)


def _copy_database(path: Path, temporary_path: Path) -> None:
    """Copy a database through a new connection: SQLite copies nothing for one that may write."""
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(contextlib.closing(_connect(path)))
        source.backup(stack.enter_context(contextlib.closing(sqlite3.connect(temporary_path))))


def _create_backup(path: Path, revision: str) -> None:
    """Give the file a second name, which stays when another file takes the first."""
    name, number = f"{path.name}.before-{revision}", 1
    backup = path.with_name(name)
    while backup.exists():
        number += 1
        backup = path.with_name(f"{name}-{number}")
    try:
        backup.hardlink_to(path)
    except OSError:  # a file system without links
        shutil.copy2(path, backup)


def _raise_unusable(path: Path, schema_state: SchemaState, problem: str) -> NoReturn:
    backups = sorted(file.name for file in path.parent.glob(f"{path.name}.before-*"))
    backup_list = f" ({', '.join(backups)} beside it)" if backups else ""
    raise ValueError(
        f"{path} cannot be the tracking store: {problem}; it has revision "
        f"{schema_state.revision or 'none'} of MLflow's tables, expected {_latest_revision()}. "
        "Nothing was changed. Move it away to start anew, without its runs and versions, or put a "
        f"backup in its place{backup_list}"
    ) from None


def prepare_database_server(uri: str) -> None:
    """Create MLflow's tables on a database server, on PostgreSQL under a lock.

    Raises ValueError if its tables are those of another MLflow, StoreUnreachableError if it does
    not answer.
    """
    from sqlalchemy import create_engine, pool, text

    is_postgresql = uri.startswith("postgresql")
    options = {"connect_timeout": probe.STORE_TIMEOUT_SECONDS} if is_postgresql else {}
    engine = create_engine(
        uri, poolclass=pool.NullPool, isolation_level="AUTOCOMMIT", connect_args=options
    )
    with _connect_with_retries(uri, engine.connect) as connection:
        if engine.dialect.name == "postgresql":
            # held until the connection is closed
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK_KEY})
        _prepare_tables(uri, engine)


def _connect_with_retries(uri: str, connect: Callable[[], T]) -> T:
    from sqlalchemy.exc import OperationalError

    for delay in (*CONNECT_RETRY_DELAYS_SECONDS, None):
        try:
            return connect()
        except OperationalError as error:
            is_permanent = "authentication" in str(error) or "does not exist" in str(error)
            if delay is None or is_permanent:
                raise errors.unreachable_error(uri, error) from None
        time.sleep(delay)
    raise AssertionError("the last attempt returns or raises")


def _prepare_tables(uri: str, engine: Engine) -> None:
    from sqlalchemy import inspect

    utils = load_submodule("store.db.utils")
    revision = utils._get_schema_version(engine)
    tables = set(inspect(engine).get_table_names())
    initial_tables = set(utils.InitialBase.metadata.tables)
    if revision is None and tables - {"alembic_version"} <= initial_tables:
        # empty, or left incomplete by a killed process: this continues where that one stopped
        with warnings.catch_warnings(action="ignore"):
            utils._initialize_tables(utils.create_sqlalchemy_engine(uri))
    elif revision != _latest_revision() or not _expected_tables() <= tables:
        raise ValueError(
            f"the tracking store {errors.redacted_uri(uri)} has revision {revision or 'none'} of "
            f"MLflow's tables, expected {_latest_revision()} of MLflow "
            f"{load_mlflow().__version__}. Take a backup, then bring it up to date: mlflow db "
            "upgrade URI (a newer revision needs a newer MLflow, a half-made database a new one)"
        )
