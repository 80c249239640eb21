"""The store's database: created whole, migrated with a backup, or refused with the way out.

Several processes that create one sqlite store at once leave it broken for good, and one that is
killed while it does leaves half a store: so it is made aside, under a lock, and moved into place.
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

from housing.tracking import errors, probe, store

if TYPE_CHECKING:
    from sqlalchemy import Engine

ADVISORY_LOCK_KEY = 1990_08081  # of PostgreSQL's advisory lock, any number that nobody else takes
CONNECT_RETRY_DELAYS_SECONDS = (
    2,
    4,
    6,
)  # seconds between the attempts to connect: a restart takes no longer
T = TypeVar("T")


class SchemaState(NamedTuple):
    """What a database holds."""

    revision: str | None  # of MLflow's schema
    tables: frozenset[str]


def prepare_sqlite_file(path: Path) -> bool:
    """The sqlite file is ready from now on; whether another file has taken its place for that.

    Raises ValueError if it cannot be used, and says the way out.
    """
    if _is_up_to_date(_inspect_schema(path)):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        for left in path.parent.glob(f".{path.name}.making-*"):  # by a process that was killed
            left.unlink()
        found = _inspect_schema(path)
        if _is_up_to_date(found):
            return False
        aside = path.with_name(f".{path.name}.making-{os.getpid()}")
        if not found.tables:
            _create_database(aside)
            aside.replace(path)
        else:
            _migrate(path, aside, _require_migratable(path, found))
    return True


def _inspect_schema(path: Path) -> SchemaState:
    if not path.exists() or not path.stat().st_size:
        return SchemaState(None, frozenset())
    try:
        with contextlib.closing(_connect(path)) as database:
            names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {one for (one,) in names}
            known = "alembic_version" in tables
            rows = database.execute("SELECT version_num FROM alembic_version") if known else []
            revision = next((one for (one,) in rows), None)
    except sqlite3.OperationalError as failed:  # locked, or no right to read
        raise errors.unreachable_error(f"sqlite:///{path}", failed) from None
    except sqlite3.DatabaseError as failed:
        _raise_unusable(path, SchemaState(None, frozenset()), str(failed))
    return SchemaState(revision, frozenset(tables - {"alembic_version", "sqlite_sequence"}))


def _connect(path: Path) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=20, isolation_level=None)


def _is_up_to_date(schema_state: SchemaState) -> bool:
    if schema_state.revision is None or schema_state.revision != _latest_revision():
        return False
    return set(store.mlflow_module("store.db.utils").Base.metadata.tables) <= schema_state.tables


def _latest_revision() -> str:
    """The revision that the installed MLflow works with."""
    return store.mlflow_module("store.db.utils")._get_latest_schema_revision()


def _create_database(temporary_path: Path) -> None:
    """MLflow's tables and our experiment."""
    from housing.tracking.store import EXPERIMENT_NAME, artifact_location

    kind = store.mlflow_module("store.tracking.sqlalchemy_store").SqlAlchemyStore
    uri = f"sqlite:///{temporary_path}"
    with _remove_on_failure(temporary_path):
        made = kind(uri, artifact_location())
        made.create_experiment(EXPERIMENT_NAME, artifact_location=artifact_location())
        made.engine.dispose()
        del kind._engine_map[uri]


@contextlib.contextmanager
def _remove_on_failure(temporary_path: Path) -> Iterator[None]:
    """In silence, and nothing is left aside if it fails."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except BaseException:
        for ending in ("", "-journal"):
            temporary_path.with_name(temporary_path.name + ending).unlink(missing_ok=True)
        raise


def _require_migratable(path: Path, schema_state: SchemaState) -> SchemaState:
    """The same, if MLflow can migrate it."""
    if schema_state.revision is None:
        _raise_unusable(path, schema_state, "it was left half-made, or is no store of MLflow's")
    if schema_state.revision == _latest_revision():
        missing = (
            set(store.mlflow_module("store.db.utils").Base.metadata.tables) - schema_state.tables
        )
        _raise_unusable(
            path, schema_state, f"it lacks the table {min(missing)}, so it was left half-made"
        )
    if schema_state.revision not in _supported_revisions():
        newer = f"a newer MLflow has made it than the {store.mlflow.__version__} installed here"
        _raise_unusable(path, schema_state, newer)
    return schema_state


def _supported_revisions() -> set[str]:
    """All that the installed MLflow knows."""
    from alembic.script import ScriptDirectory

    config = store.mlflow_module("store.db.utils")._get_alembic_config("")
    return {one.revision for one in ScriptDirectory.from_config(config).walk_revisions()}


def _migrate(path: Path, temporary_path: Path, schema_state: SchemaState) -> None:
    """A copy is migrated and takes the file's place, which stays as a backup."""
    from sqlalchemy.exc import SQLAlchemyError

    utils = store.mlflow_module("store.db.utils")
    with contextlib.closing(_connect(path)) as old:
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        old.execute("BEGIN IMMEDIATE")  # nobody writes what would not be in the copy
        try:
            with _remove_on_failure(temporary_path):
                _copy_database(path, temporary_path)
                engine = utils.create_sqlalchemy_engine(f"sqlite:///{temporary_path}")
                utils._upgrade_db(engine)
                engine.dispose()
                if not _is_up_to_date(_inspect_schema(temporary_path)):
                    raise ValueError("tables are missing after it")
                _create_backup(path, schema_state.revision)
                temporary_path.replace(path)
        except Exception as failed:  # a migration may fail in any way: the file is as it was
            cause = failed.orig if isinstance(failed, SQLAlchemyError) else failed
            _raise_unusable(
                path, schema_state, f"its migration failed ({str(cause) or type(cause).__name__})"
            )


def _copy_database(path: Path, temporary_path: Path) -> None:
    """By a connection of its own: SQLite copies nothing for one that may write."""
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(contextlib.closing(_connect(path)))
        source.backup(stack.enter_context(contextlib.closing(sqlite3.connect(temporary_path))))


def _create_backup(path: Path, revision: str) -> None:
    """The file under a second name, which stays when another takes the first."""
    name, number = f"{path.name}.before-{revision}", 1
    backup = path.with_name(name)
    while backup.exists():
        number += 1
        backup = path.with_name(f"{name}-{number}")
    try:
        backup.hardlink_to(path)
    except OSError:  # a file system that has no links
        shutil.copy2(path, backup)


def _raise_unusable(path: Path, schema_state: SchemaState, problem: str) -> NoReturn:
    backups = sorted(one.name for one in path.parent.glob(f"{path.name}.before-*"))
    there = f" ({', '.join(backups)} beside it)" if backups else ""
    raise ValueError(
        f"{path} cannot be the tracking store: {problem}; it has revision {schema_state.revision or 'none'} "
        f"of MLflow's tables, expected {_latest_revision()}. Nothing was changed. Move it away to start "
        f"anew, without its runs and versions, or put a backup in its place{there}"
    ) from None


def prepare_database_server(uri: str) -> None:
    """The database server's store is ready from now on; PostgreSQL has a lock for first starts.

    Raises ValueError if its tables are of another MLflow, `reach.Unreachable` if it is away.
    """
    from sqlalchemy import create_engine, pool, text

    waits = {"connect_timeout": probe.STORE_TIMEOUT_SECONDS} if uri.startswith("postgresql") else {}
    engine = create_engine(
        uri, poolclass=pool.NullPool, isolation_level="AUTOCOMMIT", connect_args=waits
    )
    with _connect_with_retries(uri, engine.connect) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(
                text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK_KEY}
            )  # until closed
        _prepare_tables(uri, engine)


def _connect_with_retries(uri: str, connect: Callable[[], T]) -> T:
    from sqlalchemy.exc import OperationalError

    for wait in (*CONNECT_RETRY_DELAYS_SECONDS, None):
        try:
            return connect()
        except OperationalError as failed:
            refused = "authentication" in str(failed) or "does not exist" in str(failed)
            if wait is None or refused:
                raise errors.unreachable_error(uri, failed) from None
        time.sleep(wait)
    raise AssertionError


def _prepare_tables(uri: str, engine: Engine) -> None:
    from sqlalchemy import inspect

    utils = store.mlflow_module("store.db.utils")
    revision = utils._get_schema_version(engine)
    names = set(inspect(engine).get_table_names())
    begun = set(utils.InitialBase.metadata.tables)
    if revision is None and names - {"alembic_version"} <= begun:
        with warnings.catch_warnings(action="ignore"):  # or goes on with what a kill has left
            utils._initialize_tables(utils.create_sqlalchemy_engine(uri))
    elif revision != _latest_revision() or not set(utils.Base.metadata.tables) <= names:
        raise ValueError(
            f"the tracking store {errors.redacted_uri(uri)} has revision {revision or 'none'} of MLflow's "
            f"tables, expected {_latest_revision()} of MLflow {store.mlflow.__version__}. Take a backup, "
            "then bring it up to date: mlflow db upgrade URI (a newer revision needs a newer "
            "MLflow, a half-made database a new one)"
        )
