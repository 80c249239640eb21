"""Where MLflow looks for artifacts, after the folder of its store was moved or copied."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from housing.data import splitting
from housing.registry import versions
from housing.tracking import artifact_relocation, experiments, probe, store
from housing.tracking.artifact_relocation import ARTIFACT_COLUMNS, EXPERIMENT_COLUMN
from housing.tracking.downloads import MissingArtifactsError

MODEL_NAME = "california-housing-sample"
# what names a folder at the time of the run, and is not read again
PROVENANCE_COLUMNS = {("datasets", "dataset_source")}


def recorded_locations(home, table, column):
    """Return the distinct values of a column of the home's store."""
    with closing(sqlite3.connect(home / "var" / "mlflow.db")) as connection:
        return [value for (value,) in connection.execute(f"SELECT DISTINCT {column} FROM {table}")]


def columns_with(home, text):
    """Return the (table, column) pairs of the home's store that hold the text anywhere."""
    with closing(sqlite3.connect(home / "var" / "mlflow.db")) as connection:
        query = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c"
        return {
            (table, column)
            for table, column in connection.execute(f"{query} WHERE m.type = 'table'").fetchall()
            if connection.execute(
                f'SELECT 1 FROM "{table}" WHERE instr("{column}", ?)', [text]
            ).fetchone()
        }


def load_champion():
    return versions.load_model(versions.get_champion(MODEL_NAME))


@pytest.fixture
def former_artifacts(shared_champion_home):
    """The folder of artifacts that the moved store has recorded."""
    return shared_champion_home / "var" / "artifacts"


@pytest.fixture
def moved_home(two_version_home, former_artifacts):
    """A home with two versions whose store and artifacts were copied; it was not read yet."""
    shutil.copytree(former_artifacts, two_version_home / "var" / "artifacts")
    return two_version_home


@pytest.mark.slow
def test_the_tables_of_the_installed_mlflow_that_name_artifacts_are_all_known(
    moved_home, former_artifacts
):
    store.client()
    known_columns = {*ARTIFACT_COLUMNS, EXPERIMENT_COLUMN}
    artifacts = moved_home / "var" / "artifacts"
    named = columns_with(moved_home, artifacts.as_uri()) | columns_with(moved_home, str(artifacts))
    assert named <= known_columns
    assert named >= {*known_columns} - {("model_versions", "source")}  # models:/ID of this project
    former_home = former_artifacts.parents[1]
    assert columns_with(moved_home, former_home.as_uri()) <= PROVENANCE_COLUMNS


@pytest.mark.slow
def test_a_copy_reads_its_own_artifacts_and_changes_nothing_of_the_original(
    moved_home, shared_champion_home, former_artifacts, caplog
):
    before = (shared_champion_home / "var" / "mlflow.db").read_bytes()
    load_champion()
    location = store.client().get_model_version_download_uri(MODEL_NAME, "2")
    assert location.startswith((moved_home / "var" / "artifacts").as_uri())
    assert experiments.find_candidates(splitting.read_split().manifest)
    assert (shared_champion_home / "var" / "mlflow.db").read_bytes() == before
    [message] = [record.getMessage() for record in caplog.records]
    assert "was moved or copied" in message
    assert str(former_artifacts) in message
    assert "model_versions.storage_location: 2" in message


@pytest.mark.slow
def test_later_runs_of_a_moved_store_write_to_its_own_folder(moved_home):
    store.client()
    assert recorded_locations(moved_home, *EXPERIMENT_COLUMN) == [
        (moved_home / "var" / "artifacts" / "0").as_uri(),
        (moved_home / "var" / "artifacts").as_uri(),
    ]


@pytest.mark.slow
def test_a_store_that_stays_is_not_written_to(moved_home, caplog):
    store.client()
    caplog.clear()
    file = moved_home / "var" / "mlflow.db"
    before = file.stat().st_mtime_ns
    assert not store.relocate_artifacts()
    assert (file.stat().st_mtime_ns, caplog.records) == (before, [])


@pytest.mark.slow
def test_what_was_left_behind_is_named_and_found_once_it_is_there(
    moved_home, former_artifacts, tmp_path
):
    model_folders = moved_home / "var" / "artifacts" / "models"
    model_folders.rename(tmp_path / "left behind")
    with closing(sqlite3.connect(moved_home / "var" / "mlflow.db")) as connection:
        for table, column in (*ARTIFACT_COLUMNS, EXPERIMENT_COLUMN):
            connection.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)",
                [former_artifacts.as_uri(), (tmp_path / "gone" / "artifacts").as_uri()],
            )
        connection.commit()
    with pytest.raises(MissingArtifactsError, match=r"files of .* version 2 are gone.*promote"):
        load_champion()
    (tmp_path / "left behind").rename(model_folders)
    load_champion()


@pytest.mark.slow
def test_a_model_whose_files_are_gone_is_named_by_a_training_run_too(moved_home):
    store.client()
    shutil.rmtree(moved_home / "var" / "artifacts" / "models")
    [candidate, *_] = experiments.find_candidates(splitting.read_split().manifest)
    message = r"model m-.* are gone: .* run `run_pipeline.py --force train`"
    with pytest.raises(MissingArtifactsError, match=message):
        experiments.load_model(candidate)


@pytest.mark.slow
def test_a_store_that_may_not_be_written_is_read_all_the_same(moved_home, caplog, monkeypatch):
    def refuse(connection, corrections):
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(artifact_relocation, "_apply", refuse)
    assert versions.get_champion(MODEL_NAME).version == "2"
    assert "attempt to write a readonly database" in caplog.text


def make_store(file, experiment_uri, run_uri="", model_uri="", source=""):
    """Make a store with the tables that locate artifacts, and a row in each."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(
            """
            CREATE TABLE experiments (experiment_id INTEGER, name TEXT, artifact_location TEXT);
            CREATE TABLE runs (run_uuid TEXT, experiment_id INTEGER, artifact_uri TEXT);
            CREATE TABLE logged_models (
                model_id TEXT, experiment_id INTEGER, artifact_location TEXT);
            CREATE TABLE model_versions (storage_location TEXT, source TEXT);
            """
        )
        experiment = (1, probe.EXPERIMENT_NAME, experiment_uri)
        connection.execute("INSERT INTO experiments VALUES (?, ?, ?)", experiment)
        connection.execute("INSERT INTO runs VALUES ('r', 1, ?)", [run_uri])
        connection.execute("INSERT INTO logged_models VALUES ('m', 1, ?)", [model_uri])
        connection.execute("INSERT INTO model_versions VALUES (?, ?)", [model_uri, source])
        connection.commit()


def relocate(folder):
    """Return column -> corrected location of the store in a folder."""
    corrections = artifact_relocation.correct_artifact_locations(
        folder / "mlflow.db", folder / "artifacts"
    )
    return {f"{table}.{column}": corrected for table, column, _, corrected in corrections}


def test_names_with_spaces_and_percent_signs_are_found_as_uri_and_as_path(tmp_path):
    here, there = tmp_path / "a new 100% home", tmp_path / "an old 50%20 home" / "artifacts"
    run_uri, model_path = (there / "r" / "artifacts").as_uri(), f"{there}/models/m/artifacts"
    make_store(here / "mlflow.db", there.as_uri(), run_uri, model_path)
    (here / "artifacts" / "r" / "artifacts").mkdir(parents=True)
    (here / "artifacts" / "models" / "m" / "artifacts").mkdir(parents=True)
    root = (here / "artifacts").as_uri()
    assert relocate(here) == {
        "runs.artifact_uri": f"{root}/r/artifacts",
        "logged_models.artifact_location": f"{root}/models/m/artifacts",
        "model_versions.storage_location": f"{root}/models/m/artifacts",
        "experiments.artifact_location": root,
    }
    assert relocate(here) == {}


def test_a_version_that_was_registered_by_hand_from_a_run_moves_with_it(tmp_path):
    source = "file:///gone/artifacts/r/artifacts/model"
    make_store(tmp_path / "mlflow.db", "file:///gone/artifacts", "", "", source)
    (tmp_path / "artifacts" / "r" / "artifacts" / "model").mkdir(parents=True)
    assert "model_versions.source" in relocate(tmp_path)


@pytest.mark.parametrize(
    "uri", ["s3://bucket/artifacts", "mlflow-artifacts:/1", "file://server/artifacts", "models:/m"]
)
def test_what_is_not_on_this_machine_stays(tmp_path, uri):
    make_store(tmp_path / "mlflow.db", uri, f"{uri}/r/artifacts", uri, uri)
    (tmp_path / "artifacts" / "r" / "artifacts").mkdir(parents=True)
    assert relocate(tmp_path) == {}


def test_artifacts_that_stayed_elsewhere_stay_there(tmp_path):
    """Only the database was copied, as a backup; or a folder was chosen by HOUSING_ARTIFACTS."""
    elsewhere = tmp_path / "elsewhere" / "artifacts"
    (elsewhere / "r" / "artifacts").mkdir(parents=True)
    uri = (elsewhere / "r" / "artifacts").as_uri()
    make_store(tmp_path / "backup" / "mlflow.db", elsewhere.as_uri(), uri)
    assert relocate(tmp_path / "backup") == {}


def test_a_store_without_runs_that_was_moved_or_copied_does_not_write_to_its_former_place(tmp_path):
    (tmp_path / "original" / "artifacts").mkdir(parents=True)
    (tmp_path / "original" / "mlflow.db").touch()
    for name in ("original", "gone"):
        folder = tmp_path / f"was {name}"
        make_store(folder / "mlflow.db", (tmp_path / name / "artifacts").as_uri())
        assert relocate(folder) == {
            "experiments.artifact_location": (folder / "artifacts").as_uri()
        }


def test_a_folder_with_two_names_is_one_folder(tmp_path):
    folder = tmp_path / "real" / "artifacts" / "r" / "artifacts"
    folder.mkdir(parents=True)
    make_store(tmp_path / "real" / "mlflow.db", folder.parents[1].as_uri(), folder.as_uri())
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert relocate(tmp_path / "link") == {}
