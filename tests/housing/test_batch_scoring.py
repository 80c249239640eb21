import os
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
from housing import batch_scoring
from housing.cli import score as score_command
from housing.data.synthetic import generate_sample
from housing.inference import served_model
from housing.paths import PROJECT_ROOT
from housing.registry import versions
from housing.schema import FEATURE_NAMES, FEATURES
from tests.conftest import register_candidate

NAME = "california-housing-sample"


@pytest.fixture
def given(tmp_path):
    """A folder of three Parquet files, one of them deeper, with a column of text beside."""
    folder = tmp_path / "in"
    (folder / "year=1990").mkdir(parents=True)
    for seed, name in enumerate(("a", "b", "year=1990/c")):
        frame = generate_sample(300 + seed, seed).assign(
            place=[f"block {one}" for one in range(300 + seed)]
        )
        frame.to_parquet(folder / f"{name}.parquet")
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def file(champion_home, tmp_path):
    """The champion's graph on the disk."""
    versions.export_for_serving(versions.get_champion(NAME), tmp_path / "served")
    return tmp_path / "served" / "model.onnx"


@pytest.fixture
def served(file):
    return served_model.load(file)


def typed(*arguments):
    return score_command.score_files([str(one) for one in (*arguments, "--jobs", "1")])


def write(folder, frame, name="one.parquet"):
    folder.mkdir(exist_ok=True)
    frame.to_parquet(folder / name)
    return folder


def answers(folder):
    """name -> the file's table, for each file of answers."""
    return {
        str(one.relative_to(folder)): pq.read_table(one, partitioning=None)
        for one in batch_scoring.parquet_files(folder)
    }


def changed(folder):
    return {one: one.stat().st_mtime_ns for one in batch_scoring.parquet_files(folder)}


def test_each_row_gets_what_the_graph_says(served, given, out, capsys):
    assert typed(given, out) == 0
    found = answers(out)
    assert list(found) == ["a.parquet", "b.parquet", "year=1990/c.parquet"]
    for name, table in found.items():
        before = pq.read_table(given / name, partitioning=None)
        assert table.drop_columns(batch_scoring.PREDICTION_COLUMNS.names).equals(before)
        frame = table.to_pandas()
        one_by_one = [
            served_model.predict(served, row[None, :])[0] for row in frame[FEATURE_NAMES].to_numpy()
        ]
        assert frame.prediction.tolist() == one_by_one
        assert frame.prediction_usd.tolist() == [round(one * 100_000, 2) for one in one_by_one]
        assert table["problem"].null_count == len(table)
    said = capsys.readouterr()
    assert "scored: 903 rows of 3 files in" in said.out
    assert "refused: 0 rows" in said.out
    assert f"predictions: {out}" in said.out
    assert "NOTE: it learnt from a generated sample" in said.out
    assert said.err == ""


def test_the_batches_of_a_partition_are_one_file(file, served, given, out, monkeypatch):
    monkeypatch.setattr(batch_scoring, "SCORING_BATCH_ROWS", 100)
    count = batch_scoring.score_partition(given / "b.parquet", out / "b.parquet", {}, file)
    assert count == (301, 0)
    rows = generate_sample(301, 1)[FEATURE_NAMES].to_numpy()
    found = pq.read_table(out / "b.parquet")
    assert found["prediction"].to_pylist() == served_model.predict(served, rows).tolist()
    assert pq.read_metadata(out / "b.parquet").num_row_groups == 4


def test_the_file_says_which_model_answered(champion_home, given, out):
    typed(given / "a.parquet", out)
    champion = versions.get_champion(NAME)
    told = pq.read_metadata(out / "a.parquet").metadata
    assert told[b"housing.model"].decode() == NAME
    assert told[b"housing.model_version"].decode() == champion.version == "1"
    assert told[b"housing.run_id"].decode() == champion.run_id
    assert told[b"housing.data_source"] == b"sample"
    assert (told[b"housing.rows"], told[b"housing.refused"]) == (b"300", b"0")
    [model] = (out / "_model").rglob("model.onnx")
    assert model.parent.name == f"{NAME}-1-{champion.run_id[:8]}"


def test_a_folder_of_answers_reads_as_one_table(champion_home, given, out):
    typed(given, out)
    assert len(pd.read_parquet(out)) == 903


def test_what_is_there_already_is_left_alone(champion_home, given, out, capsys):
    typed(given, out)
    before = changed(out)
    assert typed(given, out) == 0
    assert changed(out) == before
    assert "there already: 903 rows of 3 files" in capsys.readouterr().out
    generate_sample(50, 9).to_parquet(given / "b.parquet")
    write(given, generate_sample(10), "d.parquet")
    (out / "a.parquet").write_bytes(b"PAR1, a disk's idea of a file")
    typed(given, out)
    assert "scored: 360 rows of 3 files" in capsys.readouterr().out
    again = changed(out)
    assert [one.name for one in again if again[one] == before.get(one)] == ["c.parquet"]
    assert {one: len(table) for one, table in answers(out).items()} == {
        "a.parquet": 300, "b.parquet": 50, "d.parquet": 10, "year=1990/c.parquet": 302,
    }  # fmt: skip


def test_another_version_answers_all_again(champion_home, given, out, capsys):
    from housing.data import splitting

    typed(given, out)
    first = answers(out)["a.parquet"]["prediction"]
    register_candidate(splitting.read_split(), "linear", min_gain_usd=-1_000_000)
    assert versions.get_champion(NAME).version == "2"
    typed(given, out)
    assert "there already" not in capsys.readouterr().out
    assert answers(out)["a.parquet"]["prediction"] != first
    for name in answers(out):
        assert pq.read_metadata(out / name).metadata[b"housing.model_version"] == b"2"


def test_other_accepted_ranges_answer_all_again(champion_home, given, out, monkeypatch):
    champion = versions.get_champion(NAME)
    typed(given, out)
    assert batch_scoring.plan_scoring(given, out, champion).pending == []
    narrower = FEATURES["HouseAge"]._replace(high=40)
    monkeypatch.setitem(FEATURES, "HouseAge", narrower)
    assert len(batch_scoring.plan_scoring(given, out, champion).pending) == 3


def test_answers_to_what_is_gone_are_pointed_out(champion_home, given, out, capsys):
    typed(given, out)
    (given / "b.parquet").unlink()
    typed(given, out)
    assert "NOTE: OUT has 1 file without an input in IN: b.parquet" in capsys.readouterr().out


def test_a_row_that_the_service_would_refuse_gets_no_answer(served, tmp_path, out, capsys):
    frame = generate_sample(8).astype(object)
    frame.loc[1, "HouseAge"] = 101.0
    frame.loc[2, "MedInc"] = None
    frame.loc[3, "MedInc"] = np.nan
    frame.loc[4, "AveRooms"] = np.inf
    frame.loc[5, "Population"] = 0.0
    frame.loc[5, "Latitude"] = -37.0
    frame.loc[6, "HouseAge"] = 100.0  # the border is inside
    typed(write(tmp_path / "in", frame.astype("Float64")), out)
    assert "refused: 5 rows, each with its problem" in capsys.readouterr().out
    table = answers(out)["one.parquet"]
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
        assert [one is None for one in table[column].to_pylist()] == [
            one is not None for one in table["problem"].to_pylist()
        ]
    rows = frame.loc[[0, 6, 7], FEATURE_NAMES].to_numpy(float)
    kept = table["prediction"].drop_null().to_pylist()
    assert kept == served_model.predict(served, rows).tolist()


def test_the_service_refuses_the_same_values(served):
    """At both ends of each range, and one step beyond."""
    rows = []
    for name, feature in FEATURES.items():
        low, high = float(feature.low), float(feature.high)
        for value in (low, high, np.nextafter(low, -np.inf), np.nextafter(high, np.inf)):
            rows.append({one: float(it.example) for one, it in FEATURES.items()} | {name: value})
    batch = pa.RecordBatch.from_pandas(pd.DataFrame(rows))
    _, _, problems = batch_scoring.predict_record_batch(served, batch)
    for row, problem in zip(rows, problems.to_pylist(), strict=True):
        try:
            json_body.BlockGroup(**row)
        except ValueError:
            assert problem
        else:
            assert problem is None


def test_whole_numbers_decimals_and_small_floats_are_numbers(served, tmp_path, out):
    frame = generate_sample(20)
    table = pa.Table.from_pandas(frame)
    for name, kind in (
        ("HouseAge", pa.int16()), ("Population", pa.uint32()), ("Latitude", pa.decimal128(9, 4)),
        ("AveRooms", pa.float32()),
    ):  # fmt: skip
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].cast(kind, safe=False))
    (tmp_path / "in").mkdir()
    pq.write_table(table, tmp_path / "in" / "one.parquet")
    typed(tmp_path / "in", out)
    rows = frame[FEATURE_NAMES].assign(AveRooms=frame.AveRooms.astype("float32").astype(float))
    found = answers(out)["one.parquet"]
    assert found["prediction"].to_pylist() == served_model.predict(served, rows.to_numpy()).tolist()
    assert found.schema.field("HouseAge").type == pa.int16()


def test_a_partition_without_rows_or_with_a_column_of_nothing(served, tmp_path, out):
    folder = write(tmp_path / "in", generate_sample(5).iloc[:0], "empty.parquet")
    write(folder, generate_sample(5).assign(MedInc=None), "nothing.parquet")
    typed(folder, out)
    found = answers(out)
    assert len(found["empty.parquet"]) == 0
    assert found["nothing.parquet"]["problem"].to_pylist() == ["MedInc is missing"] * 5


def test_what_cannot_be_scored_is_named_before_anything_starts(champion_home, given, out):
    write(given, generate_sample(3).drop(columns=["MedInc", "Latitude"]), "lacks.parquet")
    write(given, generate_sample(3).assign(HouseAge="old"), "text.parquet")
    write(given, generate_sample(3).assign(prediction=1.0), "scored.parquet")
    (given / "cut.parquet").write_bytes((given / "a.parquet").read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"lacks.parquet") as wrong:
        typed(given, out)
    said = str(wrong.value)
    for part in (
        f"{given / 'lacks.parquet'}: column MedInc is missing",
        "lacks.parquet: column Latitude is missing",
        "text.parquet: column HouseAge has type large_string, expected a number",
        "scored.parquet: it has a column prediction already",
        "cut.parquet: it cannot be read as Parquet",
    ):
        assert part in said
    assert not out.exists()


def test_wrong_places_are_named(champion_home, given, out, tmp_path):
    with pytest.raises(LookupError, match="there is no Parquet file"):
        typed(tmp_path / "nowhere", out)
    for target in (given, given / "out"):
        with pytest.raises(ValueError, match="choose another folder"):
            typed(given, target)
    with pytest.raises(ValueError, match="is a file, expected a folder"):
        typed(given, write(tmp_path / "x", generate_sample(2)) / "one.parquet")
    with pytest.raises(ValueError, match="--jobs is 0"):
        score_command.score_files([str(given), str(out), "--jobs", "0"])
    with (
        batch_scoring.target_lock(out),
        pytest.raises(LookupError, match="another run is scoring into"),
    ):
        typed(given, out)


def test_without_a_champion_it_says_what_makes_one(given, out):
    with pytest.raises(LookupError, match="no version of california-housing is champion yet"):
        typed(given, out)
    with pytest.raises(LookupError, match="no version of other is champion yet"):
        typed(given, out, "--model", "other")
    assert not out.exists()


def test_a_partition_that_fails_leaves_nothing_under_its_name(champion_home, given, out, capsys):
    content = bytearray((given / "b.parquet").read_bytes())
    content[4:200] = b"\xff" * 196  # the footer is whole, the first page's header is not
    (given / "b.parquet").write_bytes(content)
    assert typed(given, out) == 1
    said = capsys.readouterr().err
    assert f"{given / 'b.parquet'} could not be scored" in said
    assert "run the same command again" in said
    assert "b.parquet" not in answers(out)
    assert [one for one in out.rglob("*") if one.name.endswith(".part")] == []


def test_a_killed_process_leaves_no_half_partition(champion_home, tmp_path, out):
    """Killed while it writes, it goes on where it was, and what it left half-written is gone."""
    folder = write(tmp_path / "in", generate_sample(200), "a.parquet")
    write(folder, pd.concat([generate_sample(200_000)] * 10), "b.parquet")
    command = [sys.executable, "run_pipeline.py", "score", folder, out]
    started = subprocess.Popen(command, cwd=PROJECT_ROOT, env=os.environ, stdout=subprocess.PIPE)
    wanted = psutil.Process(started.pid)
    while not list(out.glob(".b.parquet.*.part")) or not (out / "a.parquet").exists():
        assert started.poll() is None
        time.sleep(0.01)
    for one in [wanted, *wanted.children(recursive=True)]:
        one.send_signal(signal.SIGKILL)
    started.wait()
    assert list(answers(out)) == ["a.parquet"]
    assert len(list(out.glob(".b.parquet.*.part"))) == 1
    before = changed(out)
    write(folder, generate_sample(10), "b.parquet")
    typed(folder, out)
    assert changed(out)[out / "a.parquet"] == before[out / "a.parquet"]
    assert len(answers(out)["b.parquet"]) == 10
    assert list(out.rglob(".*.part")) == []


def test_dask_gives_the_same_answers(champion_home, given, out, tmp_path):
    typed(given, out)
    typed(given, tmp_path / "by dask", "--dask", "local")
    assert answers(tmp_path / "by dask") == answers(out)


def test_the_command_is_part_of_the_pipeline_s(champion_home, given, out):
    command = [sys.executable, "run_pipeline.py", "score", given, out, "--dask", "tcp://here:1"]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no Dask scheduler answers at tcp://here:1" in done.stderr
    helped = subprocess.run(
        [sys.executable, "run_pipeline.py", "--help"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
    ).stdout
    assert "run_pipeline.py score      Parquet files of any size" in helped
    assert "--dask ADDRESS" in helped
