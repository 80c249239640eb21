"""Whatever state the store's file is in, it becomes usable or the error says what to do."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command as alembic_command
from alembic.script import ScriptDirectory

from housing.registry import versions
from housing.tracking import mlflow_env, probe, schema_migration, store

UTILS = mlflow_env.load_submodule("store.db.utils")
START_SCRIPT = "from housing.tracking import store; store.client()"
CONCURRENT_STARTS_SCRIPT = """
import os, sys, traceback
from housing.tracking import store
home = os.environ["HOUSING_HOME"]
os.environ["HOUSING_HOME"] = sys.argv[1]
store.client()  # everything is imported now: the children start at the same moment
os.environ["HOUSING_HOME"] = home
read_end, write_end = os.pipe()
children = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        os.close(write_end)
        os.read(read_end, 1)  # returns once the parent closes the pipe
        try:
            assert store.experiment_id()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    children.append(child)
os.close(write_end)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


@pytest.fixture
def file(home):
    (home / "var").mkdir()
    return home / "var" / "mlflow.db"


@pytest.fixture(scope="module")
def prepared_file(tmp_path_factory):
    """A store that is up to date, to be copied."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOUSING_HOME", str(tmp_path_factory.mktemp("prepared")))
        store.client()
        return probe.database_path()


def create_older_store(path, n_migrations):
    """Create a store that lacks the last migrations, with an experiment; return its revision."""
    config = UTILS._get_alembic_config(f"sqlite:///{path}")
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())
    revision = scripts[n_migrations].revision
    engine = UTILS.create_sqlalchemy_engine(f"sqlite:///{path}")
    UTILS.InitialBase.metadata.create_all(engine)
    alembic_command.upgrade(config, revision)
    engine.dispose()
    execute(path, "INSERT INTO experiments (name, lifecycle_stage) VALUES ('theirs', 'active')")
    return revision


def execute(path, *statements):
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def read_revision(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT version_num FROM alembic_version").fetchone()[0]


def file_size(path):
    """The size in bytes; SQLite may delete its journal between listing and stat."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def list_folder(path):
    names = (file.name for file in path.parent.iterdir())
    return sorted(name for name in names if not name.endswith(".lock"))


def run_python(*arguments):
    command = [sys.executable, "-c", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("attempt", ["first", "second", "third"])
def test_twenty_concurrent_first_starts_all_succeed(file, attempt, tmp_path):
    result = run_python(CONCURRENT_STARTS_SCRIPT, str(tmp_path / "warm"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    with closing(sqlite3.connect(file)) as database:
        count = database.execute("SELECT count(*) FROM experiments WHERE name != 'Default'")
        assert count.fetchone() == (1,)
    assert list_folder(file) == ["mlflow.db"]


@pytest.mark.slow
def test_a_first_start_that_is_killed_leaves_no_incomplete_store(file):
    with subprocess.Popen([sys.executable, "-c", START_SCRIPT]) as process:
        while not any(file_size(path) > 50_000 for path in file.parent.glob("*making-*")):
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert not file.exists()
    assert list(file.parent.glob(".mlflow.db.making-*"))
    assert store.experiment_id()
    assert list_folder(file) == ["mlflow.db"]


def test_the_next_start_removes_what_a_killed_one_left(file):
    leftover = file.with_name(".mlflow.db.making-1234")
    leftover.write_text("half of a store")
    assert store.experiment_id()
    assert list_folder(file) == ["mlflow.db"]


def test_a_store_that_is_up_to_date_is_opened_without_a_lock(file, prepared_file):
    shutil.copy(prepared_file, file)
    schema_migration.prepare_sqlite_file(file)
    assert [path.name for path in file.parent.iterdir()] == ["mlflow.db"]


def test_an_empty_file_becomes_a_store(file):
    file.touch()
    assert store.experiment_id()


@pytest.mark.slow
def test_a_store_that_is_deleted_is_created_again(file, prepared_file):
    shutil.copy(prepared_file, file)
    assert store.client().create_experiment("theirs")
    file.unlink()
    assert store.client().get_experiment_by_name("theirs") is None
    assert versions.get_champion("california-housing") is None
    assert store.experiment_id()
    assert file.exists()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DROP TABLE alembic_version", "half-made, or is no store of MLflow's; it has revision no"),
        ("DROP TABLE model_versions", "it lacks the table model_versions, so it was left half-"),
        ("UPDATE alembic_version SET version_num = 'f00'", "made by a newer MLflow than the 3"),
    ],
)
def test_a_store_that_cannot_be_used_is_diagnosed_with_the_way_out(
    file, prepared_file, statement, problem
):
    shutil.copy(prepared_file, file)
    execute(file, statement)
    (file.parent / "mlflow.db.before-1234").touch()
    content = file.read_bytes()
    with pytest.raises(ValueError, match=problem) as error:
        store.client()
    message = str(error.value)
    assert message.startswith(f"{file} cannot be the tracking store")
    assert f"expected {UTILS._get_latest_schema_revision()}" in message
    assert "Move it away to start anew" in message
    assert "mlflow.db.before-1234 beside it" in message
    assert file.read_bytes() == content


def test_a_file_that_is_no_database_is_diagnosed(file):
    file.write_text("no database, but a file of some length " * 100)
    with pytest.raises(ValueError, match=r"mlflow.db cannot be.*file is not a database"):
        store.client()


@pytest.mark.slow
def test_an_older_store_is_migrated_and_kept_as_a_backup(file, capfd):
    old_revision = create_older_store(file, 9)
    content = file.read_bytes()
    store.client()
    assert capfd.readouterr() == ("", "")
    assert read_revision(file) == UTILS._get_latest_schema_revision()
    assert store.client().get_experiment_by_name("theirs")
    backup = file.with_name(f"mlflow.db.before-{old_revision}")
    assert backup.read_bytes() == content
    assert list_folder(file) == ["mlflow.db", backup.name]


def test_a_backup_is_never_overwritten(file):
    file.write_text("the store")
    first_backup = file.with_name("mlflow.db.before-12ab")
    first_backup.write_text("precious")
    for number in (2, 3):
        schema_migration._create_backup(file, first_backup.name)
        assert file.with_name(f"{first_backup.name}-{number}").read_text() == "the store"
    assert first_backup.read_text() == "precious"


@pytest.mark.slow
def test_a_process_uses_the_migrated_store_when_its_file_was_replaced(file, prepared_file):
    shutil.copy(prepared_file, file)
    store.client()
    file.unlink()
    create_older_store(file, 2)
    assert store.client().get_experiment_by_name("theirs")


@pytest.mark.slow
def test_a_migration_that_fails_changes_nothing(file):
    create_older_store(file, 12)
    with closing(sqlite3.connect(file)) as database:
        old_tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    new_tables = [name for name in UTILS.Base.metadata.tables if name not in old_tables]
    execute(file, *(f"CREATE TABLE {name} (in_the_way INT)" for name in new_tables))
    content = file.read_bytes()
    with pytest.raises(ValueError, match=r"its migration failed \(table .* already exists"):
        store.client()
    assert file.read_bytes() == content
    assert list_folder(file) == ["mlflow.db"]


@pytest.mark.slow
def test_a_migration_waits_for_a_process_that_is_writing(file):
    create_older_store(file, 2)
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO experiments (name, lifecycle_stage) VALUES ('last', 'active')")
        with subprocess.Popen([sys.executable, "-c", START_SCRIPT]) as process:
            while not list(file.parent.glob("*.lock")):
                time.sleep(0.01)
            time.sleep(0.5)
            writer.execute("COMMIT")
            assert process.wait() == 0
    assert store.client().get_experiment_by_name("last")


@pytest.mark.slow
def test_a_migrated_store_keeps_its_identity(file):
    """Else everything that was trained would be trained again."""
    store.client()
    identity = probe.store_identity()
    scripts = ScriptDirectory.from_config(UTILS._get_alembic_config(""))
    previous_revision = list(scripts.walk_revisions())[1].revision
    engine = UTILS.create_sqlalchemy_engine(f"sqlite:///{file}")
    config = UTILS._get_alembic_config(str(engine.url))
    alembic_command.downgrade(config, previous_revision)
    engine.dispose()
    store._prepared_inodes.clear()
    store.client()
    assert read_revision(file) == UTILS._get_latest_schema_revision()
    assert probe.store_identity() == identity != {"tracking store": "none yet"}


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_prepared_store_that_is_read_only_is_opened(file):
    store.client()
    revision = read_revision(file)
    Path(f"{file}.lock").unlink(missing_ok=True)
    file.parent.chmod(0o555)
    try:
        schema_migration.prepare_sqlite_file(file)
        assert read_revision(file) == revision == UTILS._get_latest_schema_revision()
        assert not Path(f"{file}.lock").exists()
    finally:
        file.parent.chmod(0o755)
