"""Scoring Parquet files: what is predicted, refused, skipped, and left after an interruption."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.codecs import json_body
from housing.batch_scoring import domain_warnings, partitions, scoring, targets
from housing.batch_scoring.target_lock import target_lock
from housing.cli import score as score_command
from housing.data.synthetic import generate_sample
from housing.inference import served_model
from housing.paths import PROJECT_ROOT
from housing.registry import versions
from housing.schema import FEATURE_NAMES, FEATURES
from tests.conftest import register_candidate

NAME = "california-housing-sample"


@pytest.fixture
def source(tmp_path):
    """A folder of three Parquet files with an extra column of text, one file in a subfolder."""
    folder = tmp_path / "in"
    (folder / "year=1990").mkdir(parents=True)
    for seed, name in enumerate(("a", "b", "year=1990/c")):
        frame = generate_sample(300 + seed, seed).assign(
            place=[f"block {number}" for number in range(300 + seed)]
        )
        frame.to_parquet(folder / f"{name}.parquet")
    return folder


@pytest.fixture
def target(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def model_file(champion_home, tmp_path):
    """The champion's graph on disk."""
    versions.export_for_serving(versions.get_champion(NAME), tmp_path / "served")
    return tmp_path / "served" / "model.onnx"


@pytest.fixture
def model(model_file):
    return served_model.load(model_file)


def run_score(source, target, **options):
    return score_command.score_files(source, target, **{"jobs": 1} | options)


def write_parquet(folder, frame, name="one.parquet"):
    folder.mkdir(exist_ok=True)
    frame.to_parquet(folder / name)
    return folder


def read_tables(folder):
    """Return the table of each scored file by its relative path."""
    return {
        str(file.relative_to(folder)): pq.read_table(file, partitioning=None)
        for file in targets.list_tables(folder)
    }


def modification_times(folder):
    return {file: file.stat().st_mtime_ns for file in targets.list_tables(folder)}


def test_each_row_gets_the_prediction_of_the_graph(model, source, target, capsys):
    assert run_score(source, target) == 0
    tables = read_tables(target)
    assert list(tables) == ["a.parquet", "b.parquet", "year=1990/c.parquet"]
    for name, table in tables.items():
        source_table = pq.read_table(source / name, partitioning=None)
        assert table.drop_columns(partitions.PREDICTION_COLUMNS.names).equals(source_table)
        frame = table.to_pandas()
        single_predictions = [
            served_model.predict(model, row[None, :])[0] for row in frame[FEATURE_NAMES].to_numpy()
        ]
        assert frame.prediction.tolist() == single_predictions
        values_usd = [round(value * 100_000, 2) for value in single_predictions]
        assert frame.prediction_usd.tolist() == values_usd
        assert table["problem"].null_count == len(table)
    printed = capsys.readouterr()
    assert "scored: 903 rows of 3 files in" in printed.out
    assert "refused: 0 rows" in printed.out
    assert f"predictions: {target}" in printed.out
    assert "NOTE: it learnt from a generated sample" in printed.out
    assert printed.err == ""


def test_the_batches_of_a_partition_are_one_file(model_file, model, source, target, monkeypatch):
    monkeypatch.setattr(scoring, "SCORING_BATCH_ROWS", 100)
    count = scoring.score_partition(source / "b.parquet", target / "b.parquet", {}, model_file)
    assert count == (301, 0)
    rows = generate_sample(301, 1)[FEATURE_NAMES].to_numpy()
    table = pq.read_table(target / "b.parquet")
    assert table["prediction"].to_pylist() == served_model.predict(model, rows).tolist()
    assert pq.read_metadata(target / "b.parquet").num_row_groups == 4


def test_a_scored_file_names_its_model(champion_home, source, target):
    run_score(source, target)
    champion = versions.get_champion(NAME)
    metadata = pq.read_metadata(target / "a.parquet").metadata
    assert metadata[b"housing.model"].decode() == NAME
    assert metadata[b"housing.model_version"].decode() == champion.version == "1"
    assert metadata[b"housing.run_id"].decode() == champion.run_id
    assert metadata[b"housing.data_source"] == b"sample"
    assert (metadata[b"housing.rows"], metadata[b"housing.refused"]) == (b"300", b"0")
    [graph_file] = (target / "_model").rglob("model.onnx")
    assert graph_file.parent.name == f"{NAME}-1-{champion.run_id[:8]}"


def test_a_folder_of_scored_files_reads_as_one_table(champion_home, source, target):
    run_score(source, target)
    assert len(pd.read_parquet(target)) == 903


def test_completed_partitions_are_left_alone(champion_home, source, target, capsys):
    run_score(source, target)
    times_before = modification_times(target)
    assert run_score(source, target) == 0
    assert modification_times(target) == times_before
    assert "there already: 903 rows of 3 files" in capsys.readouterr().out
    generate_sample(50, 9).to_parquet(source / "b.parquet")
    write_parquet(source, generate_sample(10), "d.parquet")
    (target / "a.parquet").write_bytes(b"PAR1, a disk's idea of a file")
    run_score(source, target)
    assert "scored: 360 rows of 3 files" in capsys.readouterr().out
    times = modification_times(target)
    unchanged_files = [file.name for file in times if times[file] == times_before.get(file)]
    assert unchanged_files == ["c.parquet"]
    assert {name: len(table) for name, table in read_tables(target).items()} == {
        "a.parquet": 300, "b.parquet": 50, "d.parquet": 10, "year=1990/c.parquet": 302,
    }  # fmt: skip


@pytest.mark.slow
def test_another_version_scores_all_files_again(champion_home, source, target, capsys):
    from housing.data import splitting

    run_score(source, target)
    first_predictions = read_tables(target)["a.parquet"]["prediction"]
    register_candidate(splitting.read_split(), "linear", min_gain_usd=-1_000_000)
    assert versions.get_champion(NAME).version == "2"
    run_score(source, target)
    assert "there already" not in capsys.readouterr().out
    assert read_tables(target)["a.parquet"]["prediction"] != first_predictions
    for name in read_tables(target):
        assert pq.read_metadata(target / name).metadata[b"housing.model_version"] == b"2"


def test_other_accepted_ranges_score_all_files_again(champion_home, source, target, monkeypatch):
    champion = versions.get_champion(NAME)
    run_score(source, target)
    assert partitions.plan_scoring(source, target, champion).pending == []
    narrower_feature = FEATURES["HouseAge"]._replace(high=40)
    monkeypatch.setitem(FEATURES, "HouseAge", narrower_feature)
    assert len(partitions.plan_scoring(source, target, champion).pending) == 3


def test_a_scored_file_whose_source_is_gone_is_pointed_out(champion_home, source, target, capsys):
    run_score(source, target)
    (source / "b.parquet").unlink()
    run_score(source, target)
    assert "NOTE: OUT has 1 file without an input in IN: b.parquet" in capsys.readouterr().out


def test_a_row_that_the_service_would_refuse_gets_no_prediction(model, tmp_path, target, capsys):
    frame = generate_sample(8).astype(object)
    frame.loc[1, "HouseAge"] = 101.0
    frame.loc[2, "MedInc"] = None
    frame.loc[3, "MedInc"] = np.nan
    frame.loc[4, "AveRooms"] = np.inf
    frame.loc[5, "Population"] = 0.0
    frame.loc[5, "Latitude"] = -37.0
    frame.loc[6, "HouseAge"] = 100.0  # the border is inside
    run_score(write_parquet(tmp_path / "in", frame.astype("Float64")), target)
    assert "refused: 5 rows, each with its problem" in capsys.readouterr().out
    table = read_tables(target)["one.parquet"]
    assert table["problem"].to_pylist() == [
        None,
        "HouseAge is outside 0 to 100 (years)",
        "MedInc is missing",
        "MedInc is missing",
        "AveRooms is outside 0 to 200 (rooms)",
        "Population is outside 1 to 50,000 (people); Latitude is outside 32 to 42.5 "
        "(degrees north)",
        None,
        None,
    ]
    for column in ("prediction", "prediction_usd"):
        assert [value is None for value in table[column].to_pylist()] == [
            problem is not None for problem in table["problem"].to_pylist()
        ]
    warnings = table["warnings"].to_pylist()
    assert warnings[6].startswith("HouseAge is 100, and the model has seen ")
    assert warnings[1:6] == [None] * 5  # a row without a prediction needs none
    rows = frame.loc[[0, 6, 7], FEATURE_NAMES].to_numpy(float)
    predictions = table["prediction"].drop_null().to_pylist()
    assert predictions == served_model.predict(model, rows).tolist()


def test_a_version_without_a_training_domain_gives_no_warnings(model, tmp_path):
    assert domain_warnings.load_domain(tmp_path / "model.onnx") is None
    example = {name: [float(feature.high)] for name, feature in FEATURES.items()}
    [*_, warnings] = scoring.predict_record_batch(model, pa.RecordBatch.from_pydict(example))
    assert warnings.to_pylist() == [None]


def test_the_service_refuses_the_same_values(model):
    """At both ends of each range, and one step beyond."""
    example = {name: float(feature.example) for name, feature in FEATURES.items()}
    rows = []
    for name, feature in FEATURES.items():
        low, high = float(feature.low), float(feature.high)
        for value in (low, high, np.nextafter(low, -np.inf), np.nextafter(high, np.inf)):
            rows.append(example | {name: value})
    batch = pa.RecordBatch.from_pandas(pd.DataFrame(rows))
    _, _, problems, _ = scoring.predict_record_batch(model, batch)
    for row, problem in zip(rows, problems.to_pylist(), strict=True):
        try:
            json_body.BlockGroup(**row)
        except ValueError:
            assert problem
        else:
            assert problem is None


def test_whole_numbers_decimals_and_small_floats_are_numbers(model, tmp_path, target):
    frame = generate_sample(20)
    table = pa.Table.from_pandas(frame)
    for name, data_type in (
        ("HouseAge", pa.int16()), ("Population", pa.uint32()), ("Latitude", pa.decimal128(9, 4)),
        ("AveRooms", pa.float32()),
    ):  # fmt: skip
        index = table.schema.get_field_index(name)
        table = table.set_column(index, name, table[name].cast(data_type, safe=False))
    (tmp_path / "in").mkdir()
    pq.write_table(table, tmp_path / "in" / "one.parquet")
    run_score(tmp_path / "in", target)
    rows = frame[FEATURE_NAMES].assign(AveRooms=frame.AveRooms.astype("float32").astype(float))
    scored = read_tables(target)["one.parquet"]
    expected = served_model.predict(model, rows.to_numpy()).tolist()
    assert scored["prediction"].to_pylist() == expected
    assert scored.schema.field("HouseAge").type == pa.int16()


def test_a_partition_without_rows_or_with_a_column_of_nulls(model, tmp_path, target):
    folder = write_parquet(tmp_path / "in", generate_sample(5).iloc[:0], "empty.parquet")
    write_parquet(folder, generate_sample(5).assign(MedInc=None), "nothing.parquet")
    run_score(folder, target)
    tables = read_tables(target)
    assert len(tables["empty.parquet"]) == 0
    assert tables["nothing.parquet"]["problem"].to_pylist() == ["MedInc is missing"] * 5


def test_files_that_cannot_be_scored_are_named_before_anything_starts(
    champion_home, source, target
):
    write_parquet(source, generate_sample(3).drop(columns=["MedInc", "Latitude"]), "lacks.parquet")
    write_parquet(source, generate_sample(3).assign(HouseAge="old"), "text.parquet")
    write_parquet(source, generate_sample(3).assign(prediction=1.0), "scored.parquet")
    (source / "cut.parquet").write_bytes((source / "a.parquet").read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"lacks.parquet") as error:
        run_score(source, target)
    message = str(error.value)
    for problem in (
        f"{source / 'lacks.parquet'}: column MedInc is missing",
        "lacks.parquet: column Latitude is missing",
        "text.parquet: column HouseAge has type large_string, expected a number",
        "scored.parquet: it has a column prediction already",
        "cut.parquet: it cannot be read as Parquet",
    ):
        assert problem in message
    assert not target.exists()


def test_wrong_folders_are_named(champion_home, source, target, tmp_path):
    with pytest.raises(LookupError, match="there is no file or folder"):
        run_score(tmp_path / "nowhere", target)
    for folder in (source, source / "out"):
        with pytest.raises(ValueError, match="choose another folder"):
            run_score(source, folder)
    with pytest.raises(ValueError, match="is a file, expected a folder or nothing yet"):
        run_score(source, write_parquet(tmp_path / "x", generate_sample(2)) / "one.parquet")
    with pytest.raises(ValueError, match="--jobs is 0"):
        run_score(source, target, jobs=0)
    with (
        target_lock(target),
        pytest.raises(LookupError, match="another run is scoring into"),
    ):
        run_score(source, target)


def test_a_missing_champion_is_named(source, target):
    with pytest.raises(LookupError, match="no version of california-housing is champion yet"):
        run_score(source, target)
    with pytest.raises(LookupError, match="no version of other is champion yet"):
        run_score(source, target, model="other")
    assert not target.exists()


def test_a_partition_that_fails_leaves_nothing_under_its_name(champion_home, source, target):
    content = bytearray((source / "b.parquet").read_bytes())
    content[4:200] = b"\xff" * 196  # the footer is intact, the first page's header is not
    (source / "b.parquet").write_bytes(content)
    with pytest.raises(RuntimeError, match="could not be scored") as error:
        run_score(source, target)
    assert str(error.value).startswith(str(source / "b.parquet"))
    assert "run the same command again" in str(error.value)
    assert "b.parquet" not in read_tables(target)
    assert [file for file in target.rglob("*") if file.name.endswith(".part")] == []


@pytest.mark.slow
def test_a_killed_process_leaves_no_half_partition(champion_home, tmp_path, target):
    """The next run continues where the killed one was, and removes its half-written file."""
    folder = write_parquet(tmp_path / "in", generate_sample(200), "a.parquet")
    write_parquet(folder, pd.concat([generate_sample(200_000)] * 10), "b.parquet")
    command = [sys.executable, "run_pipeline.py", "score", folder, target]
    command_process = subprocess.Popen(
        command, cwd=PROJECT_ROOT, env=os.environ, stdout=subprocess.PIPE
    )
    parent = psutil.Process(command_process.pid)
    while not list(target.glob(".b.parquet.*.part")) or not (target / "a.parquet").exists():
        assert command_process.poll() is None
        time.sleep(0.01)
    for process in [parent, *parent.children(recursive=True)]:
        process.send_signal(signal.SIGKILL)
    command_process.wait()
    assert list(read_tables(target)) == ["a.parquet"]
    assert len(list(target.glob(".b.parquet.*.part"))) == 1
    times_before = modification_times(target)
    write_parquet(folder, generate_sample(10), "b.parquet")
    run_score(folder, target)
    assert modification_times(target)[target / "a.parquet"] == times_before[target / "a.parquet"]
    assert len(read_tables(target)["b.parquet"]) == 10
    assert list(target.rglob(".*.part")) == []


@pytest.mark.slow
def test_dask_gives_the_same_predictions(champion_home, source, target, tmp_path):
    run_score(source, target)
    run_score(source, tmp_path / "by dask", dask="local")
    assert read_tables(tmp_path / "by dask") == read_tables(target)


@pytest.mark.slow
def test_the_command_is_part_of_the_pipeline(champion_home, source, target):
    command = [sys.executable, "run_pipeline.py", "score", source, target, "--dask", "tcp://here:1"]
    completed = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert completed.returncode == 2
    assert "no Dask scheduler answers at tcp://here:1" in completed.stderr
    help_text = subprocess.run(
        [sys.executable, "run_pipeline.py", "--help"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
    ).stdout
    assert re.search("^    score +Score CSV and Parquet files of any size", help_text, re.MULTILINE)
    assert "--dask ADDRESS" in help_text
