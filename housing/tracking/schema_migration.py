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

KEY = 1990_08081  # of PostgreSQL's advisory lock, any number that nobody else takes
WAITS = (2, 4, 6)  # seconds between the attempts to connect: a restart takes no longer
T = TypeVar("T")


class Found(NamedTuple):
    """What a database holds."""

    revision: str | None  # of MLflow's schema
    tables: frozenset[str]


def file(path: Path) -> bool:
    """The sqlite file is ready from now on; whether another file has taken its place for that.

    Raises ValueError if it cannot be used, and says the way out.
    """
    if _is_ready(_looked(path)):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        for left in path.parent.glob(f".{path.name}.making-*"):  # by a process that was killed
            left.unlink()
        found = _looked(path)
        if _is_ready(found):
            return False
        aside = path.with_name(f".{path.name}.making-{os.getpid()}")
        if not found.tables:
            _create(aside)
            aside.replace(path)
        else:
            _migrate(path, aside, _known(path, found))
    return True


def _looked(path: Path) -> Found:
    if not path.exists() or not path.stat().st_size:
        return Found(None, frozenset())
    try:
        with contextlib.closing(_connected(path)) as database:
            names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {one for (one,) in names}
            known = "alembic_version" in tables
            rows = database.execute("SELECT version_num FROM alembic_version") if known else []
            revision = next((one for (one,) in rows), None)
    except sqlite3.OperationalError as failed:  # locked, or no right to read
        raise errors.unreachable(f"sqlite:///{path}", failed) from None
    except sqlite3.DatabaseError as failed:
        _refuse(path, Found(None, frozenset()), str(failed))
    return Found(revision, frozenset(tables - {"alembic_version", "sqlite_sequence"}))


def _connected(path: Path) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=20, isolation_level=None)


def _is_ready(found: Found) -> bool:
    if found.revision is None or found.revision != _expected():
        return False
    return set(store.internals("store.db.utils").Base.metadata.tables) <= found.tables


def _expected() -> str:
    """The revision that the installed MLflow works with."""
    return store.internals("store.db.utils")._get_latest_schema_revision()


def _create(aside: Path) -> None:
    """MLflow's tables and our experiment."""
    from housing.tracking.store import EXPERIMENT, artifacts

    kind = store.internals("store.tracking.sqlalchemy_store").SqlAlchemyStore
    uri = f"sqlite:///{aside}"
    with _cleared(aside):
        made = kind(uri, artifacts())
        made.create_experiment(EXPERIMENT, artifact_location=artifacts())
        made.engine.dispose()
        del kind._engine_map[uri]


@contextlib.contextmanager
def _cleared(aside: Path) -> Iterator[None]:
    """In silence, and nothing is left aside if it fails."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except BaseException:
        for ending in ("", "-journal"):
            aside.with_name(aside.name + ending).unlink(missing_ok=True)
        raise


def _known(path: Path, found: Found) -> Found:
    """The same, if MLflow can migrate it."""
    if found.revision is None:
        _refuse(path, found, "it was left half-made, or is no store of MLflow's")
    if found.revision == _expected():
        missing = set(store.internals("store.db.utils").Base.metadata.tables) - found.tables
        _refuse(path, found, f"it lacks the table {min(missing)}, so it was left half-made")
    if found.revision not in _revisions():
        newer = f"a newer MLflow has made it than the {store.mlflow.__version__} installed here"
        _refuse(path, found, newer)
    return found


def _revisions() -> set[str]:
    """All that the installed MLflow knows."""
    from alembic.script import ScriptDirectory

    config = store.internals("store.db.utils")._get_alembic_config("")
    return {one.revision for one in ScriptDirectory.from_config(config).walk_revisions()}


def _migrate(path: Path, aside: Path, found: Found) -> None:
    """A copy is migrated and takes the file's place, which stays as a backup."""
    from sqlalchemy.exc import SQLAlchemyError

    utils = store.internals("store.db.utils")
    with contextlib.closing(_connected(path)) as old:
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        old.execute("BEGIN IMMEDIATE")  # nobody writes what would not be in the copy
        try:
            with _cleared(aside):
                _copy(path, aside)
                engine = utils.create_sqlalchemy_engine(f"sqlite:///{aside}")
                utils._upgrade_db(engine)
                engine.dispose()
                if not _is_ready(_looked(aside)):
                    raise ValueError("tables are missing after it")
                _keep(path, found.revision)
                aside.replace(path)
        except Exception as failed:  # a migration may fail in any way: the file is as it was
            cause = failed.orig if isinstance(failed, SQLAlchemyError) else failed
            _refuse(path, found, f"its migration failed ({str(cause) or type(cause).__name__})")


def _copy(path: Path, aside: Path) -> None:
    """By a connection of its own: SQLite copies nothing for one that may write."""
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(contextlib.closing(_connected(path)))
        source.backup(stack.enter_context(contextlib.closing(sqlite3.connect(aside))))


def _keep(path: Path, revision: str) -> None:
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


def _refuse(path: Path, found: Found, what: str) -> NoReturn:
    backups = sorted(one.name for one in path.parent.glob(f"{path.name}.before-*"))
    there = f" ({', '.join(backups)} beside it)" if backups else ""
    raise ValueError(
        f"{path} cannot be the tracking store: {what}; it has revision {found.revision or 'none'} "
        f"of MLflow's tables, expected {_expected()}. Nothing was changed. Move it away to start "
        f"anew, without its runs and versions, or put a backup in its place{there}"
    ) from None


def database(uri: str) -> None:
    """The database server's store is ready from now on; PostgreSQL has a lock for first starts.

    Raises ValueError if its tables are of another MLflow, `reach.Unreachable` if it is away.
    """
    from sqlalchemy import create_engine, pool, text

    waits = {"connect_timeout": probe.PATIENCE} if uri.startswith("postgresql") else {}
    engine = create_engine(
        uri, poolclass=pool.NullPool, isolation_level="AUTOCOMMIT", connect_args=waits
    )
    with _patiently(uri, engine.connect) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": KEY})  # until closed
        _tables(uri, engine)


def _patiently(uri: str, connect: Callable[[], T]) -> T:
    from sqlalchemy.exc import OperationalError

    for wait in (*WAITS, None):
        try:
            return connect()
        except OperationalError as failed:
            refused = "authentication" in str(failed) or "does not exist" in str(failed)
            if wait is None or refused:
                raise errors.unreachable(uri, failed) from None
        time.sleep(wait)
    raise AssertionError


def _tables(uri: str, engine: Engine) -> None:
    from sqlalchemy import inspect

    utils = store.internals("store.db.utils")
    revision = utils._get_schema_version(engine)
    names = set(inspect(engine).get_table_names())
    begun = set(utils.InitialBase.metadata.tables)
    if revision is None and names - {"alembic_version"} <= begun:
        with warnings.catch_warnings(action="ignore"):  # or goes on with what a kill has left
            utils._initialize_tables(utils.create_sqlalchemy_engine(uri))
    elif revision != _expected() or not set(utils.Base.metadata.tables) <= names:
        raise ValueError(
            f"the tracking store {errors.shown(uri)} has revision {revision or 'none'} of MLflow's "
            f"tables, expected {_expected()} of MLflow {store.mlflow.__version__}. Take a backup, "
            "then bring it up to date: mlflow db upgrade URI (a newer revision needs a newer "
            "MLflow, a half-made database a new one)"
        )
