"""The command `score` with CSV and single files, on a real registry."""

import gzip
import os
import resource
import signal
import subprocess
import sys
import time

import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest

from app import create_app
from app.model import registry_sync
from housing.batch_scoring import formats, scoring
from housing.cli import score as score_command
from housing.data.synthetic import generate_sample
from housing.paths import PROJECT_ROOT
from housing.registry import versions
from housing.schema import FEATURE_NAMES, TARGET
from tests.support.census_counts import make_census_counts

NAME = "california-housing-sample"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "my data").mkdir()
    return tmp_path / "my data"


@pytest.fixture
def source(folder):
    """A CSV file of 40 block groups and two other columns."""
    frame = generate_sample(40).assign(id=[f"{number:03}" for number in range(40)], n=range(40))
    frame.to_csv(folder / "new.csv", index=False)
    return folder / "new.csv"


def run_score(source, target, **options):
    return score_command.score_files(source, target, **{"jobs": 1} | options)


def file_names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_csv_and_parquet_get_the_predictions_of_the_service(champion_home, folder, source):
    frame = pd.read_csv(source, dtype={"id": str})
    frame.to_parquet(folder / "new.parquet")
    source_names = ("new.csv", "new.parquet")
    target_names = ("csv.csv", "csv.parquet", "parquet.tsv.gz", "parquet.parquet")
    for source_name, target_name in zip(sorted(source_names * 2), target_names, strict=True):
        assert run_score(folder / source_name, folder / target_name) == 0
    registry_sync.sync_once(champion_home / "var" / "serving")
    rows = frame[FEATURE_NAMES].to_dict("records")
    response = create_app().test_client().post("/predict", json=rows).json
    expected = [prediction["prediction"] for prediction in response["predictions"]]
    expected_usd = [prediction["prediction_usd"] for prediction in response["predictions"]]
    for name in target_names:
        if name.endswith(".parquet"):
            scored = pd.read_parquet(folder / name)
        else:
            separator = "\t" if ".tsv" in name else ","
            scored = pd.read_csv(folder / name, sep=separator, dtype={"id": str})
        assert scored["prediction"].tolist() == expected
        assert scored["prediction_usd"].tolist() == expected_usd
        assert scored["problem"].isna().all()
        pd.testing.assert_frame_equal(
            scored[frame.columns], frame, check_dtype=False, check_exact=True
        )


def test_one_file_in_gives_one_file_out(champion_home, folder, source, capsys):
    run_score(source, folder / "out.parquet")
    assert file_names(folder) == ["new.csv", "out.parquet"]
    assert b"housing.run_id" in pq.read_metadata(folder / "out.parquet").metadata
    run_score(source, folder / "out.csv.gz")
    assert file_names(folder) == [".out.csv.gz.score.json", "new.csv", "out.csv.gz", "out.parquet"]
    assert f"predictions: {folder / 'out.csv.gz'}" in capsys.readouterr().out
    (folder / "results").mkdir()
    run_score(source, folder / "results")
    assert file_names(folder / "results") == [".new.csv.score.json", "new.csv"]


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_file_is_scored_again_only_if_something_has_changed(
    champion_home, folder, source, capsys, name
):
    target = folder / name
    run_score(source, target)

    def is_scored_again():
        time_before = target.stat().st_mtime_ns if target.exists() else 0
        capsys.readouterr()
        run_score(source, target)
        is_new = target.stat().st_mtime_ns != time_before
        assert ("there already: 40 rows of 1 file" in capsys.readouterr().out) != is_new
        return is_new

    assert not is_scored_again()
    source.touch()
    assert is_scored_again()
    target.write_text("changed by hand")
    assert is_scored_again()
    target.unlink()
    assert is_scored_again()
    assert not is_scored_again()


def test_a_csv_file_that_has_lost_its_record_is_scored_again(champion_home, folder, source, capsys):
    run_score(source, folder / "out.csv")
    for text in (None, "{", "[]", "{}"):
        record = folder / ".out.csv.score.json"
        record.unlink() if text is None else record.write_text(text)
        capsys.readouterr()
        run_score(source, folder / "out.csv")
        assert "scored: 40 rows of 1 file" in capsys.readouterr().out


def test_a_folder_of_mixed_formats_is_one_of_the_format_asked_for(
    champion_home, folder, source, capsys
):
    inputs = folder / "in"
    (inputs / "year=1990").mkdir(parents=True)
    source.rename(inputs / "new.csv")
    generate_sample(10).to_parquet(inputs / "b.parquet")
    packed_file = inputs / "year=1990" / "c.csv.gz"
    packed_file.write_bytes(gzip.compress(generate_sample(20).to_csv(index=False).encode()))
    run_score(inputs, folder / "out", jobs=2)
    assert "scored: 70 rows of 3 files" in capsys.readouterr().out
    assert len(pd.read_csv(folder / "out" / "year=1990" / "c.csv.gz")) == 20
    assert (folder / "out" / "_model").is_dir()
    run_score(inputs, folder / "out")
    assert "there already: 70 rows of 3 files" in capsys.readouterr().out
    run_score(inputs, folder / "out2", format_name="parquet")
    assert sorted(path.name for path in (folder / "out2").rglob("*.parquet")) == [
        "b.parquet", "c.parquet", "new.parquet",
    ]  # fmt: skip
    assert len(pd.read_parquet(folder / "out2")) == 70


def test_the_census_form_is_scored_and_its_gaps_have_a_problem(champion_home, folder, capsys):
    frame = generate_sample(30)
    counts = make_census_counts(frame)
    counts.loc[3, "total_bedrooms"] = None
    counts.drop(columns="median_house_value").to_csv(folder / "housing.csv", index=False)
    run_score(folder / "housing.csv", folder / "out.csv")
    printed = capsys.readouterr().out
    assert "converted: housing.csv, with the columns of Géron's and Kaggle's housing.csv" in printed
    assert "AveRooms = total_rooms / households" in printed
    assert "refused: 1 row," in printed
    scored = pd.read_csv(folder / "out.csv")
    assert scored.columns[:10].tolist() == [
        *counts.columns.drop("median_house_value"), "prediction",
    ]  # fmt: skip
    assert scored["prediction"].isna().tolist() == [row == 3 for row in range(30)]
    assert scored["problem"][3] == "AveBedrms (total_bedrooms / households) is missing"


def test_a_header_alone_gives_a_file_without_rows(champion_home, folder, source):
    header = folder / "header.csv"
    header.write_text(",".join(FEATURE_NAMES) + "\n")
    for name in ("out.csv", "out.parquet"):
        run_score(header, folder / name)
    assert len(pd.read_csv(folder / "out.csv")) == 0
    columns = [*FEATURE_NAMES, *formats.PREDICTION_COLUMNS.names]
    assert pd.read_parquet(folder / "out.parquet").columns.tolist() == columns
    (folder / "empty.csv").touch()
    with pytest.raises(ValueError, match=r"empty.csv is empty, expected a header"):
        run_score(folder / "empty.csv", folder / "out2.csv")


def test_columns_that_are_missing_or_there_twice_are_named(champion_home, folder):
    for name, columns, message in (
        ("case.csv", [name.lower() for name in FEATURE_NAMES],
         r"column MedInc is missing \(the file has medinc: rename it\)"),
        ("twice.csv", [*FEATURE_NAMES, "MedInc"], "column MedInc is there twice"),
        ("scored.csv", [*FEATURE_NAMES, "problem"], "it has a column problem already"),
        ("census.csv", make_census_counts(generate_sample(1)).columns.drop("households"),
         "column households is missing"),
    ):  # fmt: skip
        (folder / name).write_text(",".join(columns) + "\n" + ",".join("1" * len(columns)) + "\n")
        with pytest.raises(ValueError, match=f"{name}: {message}"):
            run_score(folder / name, folder / "out.csv")
    assert not (folder / "out.csv").exists()


def test_block_groups_without_predictions_are_not_overwritten(champion_home, folder, source):
    other_file = folder / "other.csv"
    generate_sample(5).drop(columns=TARGET).to_csv(other_file, index=False)
    content = other_file.read_bytes()
    with pytest.raises(ValueError, match=r"other.csv is there already, and has block groups"):
        run_score(source, other_file)
    assert other_file.read_bytes() == content
    (folder / "old.csv").write_text("anything else\n")
    run_score(source, folder / "old.csv")
    assert len(pd.read_csv(folder / "old.csv")) == 40


def test_the_batches_of_a_csv_file_are_one_file(champion_home, folder, source, monkeypatch):
    run_score(source, folder / "at once.csv")
    monkeypatch.setattr(scoring, "SCORING_BATCH_ROWS", 7)
    run_score(source, folder / "in batches.csv")
    assert (folder / "in batches.csv").read_bytes() == (folder / "at once.csv").read_bytes()


def test_a_link_is_followed_to_what_it_names(champion_home, folder, source):
    (folder / "link.csv").symlink_to(source)
    (folder / "out.csv").symlink_to(folder / "real.csv")
    run_score(folder / "link.csv", folder / "out.csv")
    assert (folder / "out.csv").is_symlink()
    assert len(pd.read_csv(folder / "real.csv")) == 40


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_disk_that_is_full_leaves_the_earlier_file(champion_home, folder, source, name):
    target = folder / name
    run_score(source, target)
    content = target.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    versions.export_for_serving(versions.get_champion(NAME), folder / "model")
    model_file = folder / "model" / "model.onnx"
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        with pytest.raises(RuntimeError, match=f"{name} could not be written: File too large"):
            scoring.score_partition(source, target, {}, model_file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert target.read_bytes() == content
    assert [path for path in folder.iterdir() if path.name.endswith(".part")] == []


def test_progress_within_a_file_is_shown_on_a_terminal_only(
    champion_home, folder, source, monkeypatch, capsys
):
    run_score(source, folder / "a.csv")
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")  # rich takes stderr for a terminal then
    run_score(source, folder / "b.csv")
    shown = capsys.readouterr().err
    assert "1/1 files  40 rows, time left:" in shown
    assert file_names(folder) == [
        ".a.csv.score.json", ".b.csv.score.json", "a.csv", "b.csv", "new.csv",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_leaves_no_file_and_the_next_one_cleans_up(
    champion_home, folder, source, stop_signal
):
    long_file, target = folder / "long.csv", folder / "out.csv"
    header, _, rows = generate_sample(50_000).to_csv(index=False).partition("\n")
    long_file.write_text(header + "\n" + rows * 40)
    command = [sys.executable, "run_pipeline.py", "score", long_file, target]
    process = subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        env=os.environ,
        stderr=subprocess.PIPE,
        # as in a terminal: what a shell runs in the background ignores it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not any(
        path.is_file() and path.stat().st_size for path in folder.glob(".out.csv.*.part")
    ):
        assert process.poll() is None
        time.sleep(0.02)
    processes = [psutil.Process(process.pid)]
    processes[0].send_signal(stop_signal)
    process.communicate()
    assert not target.exists()
    if stop_signal != signal.SIGKILL:
        assert file_names(folder) == ["long.csv", "new.csv"]
        assert process.returncode == 128 + stop_signal
    run_score(source, target)
    assert len(pd.read_csv(target)) == 40
    assert file_names(folder) == [".out.csv.score.json", "long.csv", "new.csv", "out.csv"]
