"""The store's file, whatever it is when we find it."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory

from housing.registry import versions
from housing.tracking import probe, schema_migration, store

UTILS = store.mlflow_module("store.db.utils")
START = "from housing.tracking import store; store.client()"
RACE = """
import os, sys, traceback
from housing.tracking import store
home = os.environ["HOUSING_HOME"]
os.environ["HOUSING_HOME"] = sys.argv[1]
store.client()  # all is imported: the twenty start as one
os.environ["HOUSING_HOME"] = home
wait, go = os.pipe()
children = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        os.close(go)
        os.read(wait, 1)
        try:
            assert store.experiment_id()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    children.append(child)
os.close(go)
sys.exit(sum(os.waitpid(one, 0)[1] != 0 for one in children))
"""


@pytest.fixture
def file(home):
    (home / "var").mkdir()
    return home / "var" / "mlflow.db"


def older(path, back):
    """A store of an MLflow that had that many migrations less, with an experiment; its revision."""
    config = UTILS._get_alembic_config(f"sqlite:///{path}")
    revision = list(ScriptDirectory.from_config(config).walk_revisions())[back].revision
    engine = UTILS.create_sqlalchemy_engine(f"sqlite:///{path}")
    UTILS.InitialBase.metadata.create_all(engine)
    command.upgrade(config, revision)
    engine.dispose()
    change(path, "INSERT INTO experiments (name, lifecycle_stage) VALUES ('theirs', 'active')")
    return revision


def change(path, *statements):
    with closing(sqlite3.connect(path)) as database:
        for one in statements:
            database.execute(one)
        database.commit()


def revision(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT version_num FROM alembic_version").fetchone()[0]


def size(path):
    """In bytes; SQLite's journals come and go while they are looked at."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def beside(path):
    return sorted(one.name for one in path.parent.iterdir() if not one.name.endswith(".lock"))


@pytest.mark.slow
@pytest.mark.parametrize("time", ["first", "second", "third"])
def test_of_twenty_first_starts_at_once_none_fails(file, time, tmp_path):
    command = [sys.executable, "-c", RACE, str(tmp_path / "warm")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with closing(sqlite3.connect(file)) as database:
        made = database.execute("SELECT count(*) FROM experiments WHERE name != 'Default'")
        assert made.fetchone() == (1,)
    assert beside(file) == ["mlflow.db"]


def test_a_first_start_that_is_killed_leaves_no_half_store(file):
    with subprocess.Popen([sys.executable, "-c", START]) as starting:
        while not any(size(one) > 50_000 for one in file.parent.glob("*making-*")):
            assert starting.poll() is None
            time.sleep(0.002)
        starting.send_signal(signal.SIGKILL)
    assert not file.exists()
    assert list(file.parent.glob(".mlflow.db.making-*"))
    assert store.experiment_id()
    assert beside(file) == ["mlflow.db"]


def test_an_empty_file_is_no_store_yet(file):
    file.touch()
    assert store.experiment_id()


def test_a_store_that_is_deleted_is_made_again(file):
    assert store.client().create_experiment("theirs")
    file.unlink()
    assert store.client().get_experiment_by_name("theirs") is None
    assert versions.get_champion("california-housing") is None
    assert store.experiment_id()
    assert file.exists()


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DROP TABLE alembic_version", "half-made, or is no store of MLflow's; it has revision no"),
        ("DROP TABLE model_versions", "it lacks the table model_versions, so it was left half-"),
        ("UPDATE alembic_version SET version_num = 'f00'", "a newer MLflow has made it than the 3"),
    ],
)
def test_what_cannot_be_used_is_diagnosed_with_the_way_out(file, statement, told):
    store.client()
    change(file, statement)
    (file.parent / "mlflow.db.before-1234").touch()
    before = file.read_bytes()
    store._prepared_inodes.clear()
    with pytest.raises(ValueError, match=told) as failed:
        store.client()
    assert str(failed.value).startswith(f"{file} cannot be the tracking store")
    assert f"expected {UTILS._get_latest_schema_revision()}" in str(failed.value)
    assert "Move it away to start anew" in str(failed.value)
    assert "mlflow.db.before-1234 beside it" in str(failed.value)
    assert file.read_bytes() == before


def test_a_file_that_is_no_database_is_diagnosed(file):
    file.write_text("no database, but a file of some length " * 100)
    with pytest.raises(ValueError, match=r"mlflow.db cannot be.*file is not a database"):
        store.client()


def test_an_older_store_is_migrated_and_stays_as_a_backup(file):
    known = older(file, 9)
    before = file.read_bytes()
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert revision(file) == UTILS._get_latest_schema_revision()
    assert store.client().get_experiment_by_name("theirs")
    backup = file.with_name(f"mlflow.db.before-{known}")
    assert backup.read_bytes() == before
    assert beside(file) == ["mlflow.db", backup.name]


def test_a_backup_is_never_overwritten(file):
    first = file.with_name(f"mlflow.db.before-{older(file, 3)}")
    first.write_text("dear")
    store.client()
    assert first.read_text() == "dear"
    assert file.with_name(f"{first.name}-2").stat().st_size > 100_000


def test_a_process_goes_on_with_a_store_that_is_migrated_under_it(file):
    store.client()
    file.unlink()
    older(file, 2)
    assert store.client().get_experiment_by_name("theirs")


def test_a_migration_that_fails_changes_nothing(file):
    older(file, 12)
    now = UTILS.Base.metadata.tables
    with closing(sqlite3.connect(file)) as database:
        had = {one for (one,) in database.execute("SELECT name FROM sqlite_master")}
    change(file, *(f"CREATE TABLE {one} (in_the_way INT)" for one in now if one not in had))
    before = file.read_bytes()
    with pytest.raises(ValueError, match=r"its migration failed \(table .* already exists"):
        store.client()
    assert file.read_bytes() == before
    assert beside(file) == ["mlflow.db"]


def test_a_migration_waits_for_who_is_writing(file):
    older(file, 2)
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO experiments (name, lifecycle_stage) VALUES ('last', 'active')")
        with subprocess.Popen([sys.executable, "-c", START]) as starting:
            while not list(file.parent.glob("*.lock")):
                time.sleep(0.01)
            time.sleep(0.5)
            writer.execute("COMMIT")
            assert starting.wait() == 0
    assert store.client().get_experiment_by_name("last")


def test_a_migrated_store_is_the_same_one(file):
    """Else all that was trained would be trained again."""
    store.client()
    before = probe.store_identity()
    old = UTILS._get_alembic_config("")
    previous = list(ScriptDirectory.from_config(old).walk_revisions())[1].revision
    engine = UTILS.create_sqlalchemy_engine(f"sqlite:///{file}")
    config = UTILS._get_alembic_config(str(engine.url))
    command.downgrade(config, previous)
    engine.dispose()
    store._prepared_inodes.clear()
    store.client()
    assert revision(file) == UTILS._get_latest_schema_revision()
    assert probe.store_identity() == before != {"tracking store": "none yet"}


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_ready_store_that_may_only_be_read_is_opened(file):
    store.client()
    file.parent.chmod(0o555)
    Path(f"{file}.lock").unlink(missing_ok=True)
    assert not schema_migration.prepare_sqlite_file(file)
