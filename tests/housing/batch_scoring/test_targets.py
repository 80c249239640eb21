"""Which file gets the predictions of which, as `cp` would have it."""

import os
from pathlib import Path

import pytest

from housing.batch_scoring import formats, targets

HEADER = "MedInc\n"


def make_file(path, text=HEADER):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def source(tmp_path):
    return make_file(tmp_path / "new rows.csv")


def single_target(source, target, format_name=None):
    """Return the only file that gets predictions."""
    table_format = formats.parse_format(format_name) if format_name else None
    files = targets.match_files(source, target, table_format)
    assert not files.is_folder
    assert list(files.targets) == [source]
    assert files.target == files.targets[source]
    return files.target


@pytest.mark.parametrize(
    "name", ["out.parquet", "out.csv", "out.TSV", "out.csv.gz", "a b.csv.bz2", "out.tsv.xz",
             "out.csv.zst", "out.csv.lz4", "new folder/out.csv"]
)  # fmt: skip
def test_a_file_goes_to_a_file_of_any_known_ending(source, tmp_path, name):
    assert single_target(source, tmp_path / name) == tmp_path / name


def test_a_file_goes_into_a_folder_under_its_own_name(source, tmp_path):
    (tmp_path / "out.csv").mkdir()
    assert single_target(source, tmp_path / "out.csv") == tmp_path / "out.csv" / source.name
    new_folder = f"{tmp_path / 'new'}{os.sep}"
    assert single_target(source, new_folder) == tmp_path / "new" / source.name
    assert single_target(source, new_folder, "csv.gz").name == "new rows.csv.gz"


@pytest.mark.parametrize(
    ("name", "format_name", "expected_name"),
    [
        ("a.parquet", None, "a.parquet"),
        ("a.CSV", None, "a.CSV"),
        ("a.csv.gz", "parquet", "a.parquet"),
        ("a.b.parquet", ".TSV", "a.b.tsv"),
        ("a.csv.zip", None, "a.csv"),
        ("a.pq", None, "a.parquet"),
        ("a.parquet.gz", None, "a.parquet"),
        ("a.txt", None, "a.csv"),
        ("a", None, "a.csv"),
        (".a", "csv", ".a.csv"),
    ],
)
def test_a_file_keeps_its_name_if_its_format_can_be_written(name, format_name, expected_name):
    table_format = formats.parse_format(format_name) if format_name else None
    assert formats.scored_name(name, table_format) == expected_name


def test_the_files_of_a_folder_keep_their_names_and_subfolders(tmp_path):
    names = ["a.csv", "b.parquet", "year=1990/c.csv.gz", "year=1990/d.tsv"]
    for name in [*names, "notes.txt", ".hidden.csv", "_model/e.csv", "year=1990/.f/g.csv"]:
        make_file(tmp_path / "in" / name)
    (tmp_path / "in" / "spark.parquet").mkdir()
    files = targets.match_files(tmp_path / "in", tmp_path / "out")
    assert files.is_folder
    assert [str(target.relative_to(tmp_path / "out")) for target in files.targets.values()] == names
    files = targets.match_files(tmp_path / "in", tmp_path / "out", formats.parse_format("csv"))
    assert [target.name for target in files.targets.values()] == [
        "a.csv", "b.csv", "c.csv", "d.csv",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["out", "out.xlsx", "out.csv.zip", "out.parquet.gz", "out."])
def test_an_unknown_ending_is_named_with_the_way_out(source, tmp_path, name):
    with pytest.raises(ValueError, match=r"expected \.parquet, \.csv.*end it with '/'"):
        targets.match_files(source, tmp_path / name)


def test_formats_that_contradict_each_other_are_named(source, tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.csv, but --format is parquet"):
        single_target(source, tmp_path / "out.csv", "parquet")
    assert single_target(source, tmp_path / "out.csv", "csv").name == "out.csv"
    with pytest.raises(ValueError, match="--format is 'xls', expected one of"):
        formats.parse_format("xls")


def test_an_input_is_never_overwritten(source, tmp_path):
    (tmp_path / "link.csv").symlink_to(source)
    folder_link = tmp_path / "linked"
    folder_link.symlink_to(tmp_path)
    for target in (source, tmp_path, tmp_path / "link.csv", folder_link / source.name):
        with pytest.raises(ValueError, match="choose another name"):
            targets.match_files(source, target)
    for name in ("in/a.csv", "in/in/a.csv"):
        make_file(tmp_path / "out" / name)
    with pytest.raises(ValueError, match="choose another name"):
        targets.match_files(tmp_path / "out" / "in", tmp_path / "out")


def test_two_inputs_never_get_the_same_file(tmp_path):
    for name in ("a.csv", "a.parquet"):
        make_file(tmp_path / "in" / name)
    with pytest.raises(ValueError, match=r"a.csv and .*a.parquet would both go to .*a.tsv"):
        targets.match_files(tmp_path / "in", tmp_path / "out", formats.parse_format("tsv"))


def test_a_folder_goes_to_no_file(tmp_path):
    make_file(tmp_path / "in" / "a.csv")
    file = make_file(tmp_path / "out.txt")
    with pytest.raises(ValueError, match="is a file, expected a folder or nothing yet"):
        targets.match_files(tmp_path / "in", file)
    with pytest.raises(ValueError, match=r"out\.csv has the ending of a file.*--format csv"):
        targets.match_files(tmp_path / "in", tmp_path / "out.csv")
    (tmp_path / "out.csv").mkdir()
    assert targets.match_files(tmp_path / "in", tmp_path / "out.csv").is_folder


def test_what_is_not_there_is_named(source, tmp_path):
    with pytest.raises(LookupError, match=r"there is no file or folder .*absent.csv"):
        targets.match_files(tmp_path / "absent.csv", tmp_path / "out.csv")
    (tmp_path / "dangling.csv").symlink_to("nowhere")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    for name in ("dangling.csv", "loop.csv"):
        with pytest.raises(LookupError, match=f"{name} is a link to .*, which is not there"):
            targets.match_files(tmp_path / name, tmp_path / "out.csv")
    with pytest.raises(OSError, match=r"symbolic links.*loop\.csv"):
        targets.match_files(source, tmp_path / "loop.csv")
    with pytest.raises(LookupError, match="is neither a file nor a folder"):
        targets.match_files(Path("/dev/null"), tmp_path / "out.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LookupError, match=r"there is no table in the folder .*empty"):
        targets.match_files(tmp_path / "empty", tmp_path / "out")


def test_links_keep_the_name_and_the_ending_that_they_are_called_by(source, tmp_path):
    content = make_file(tmp_path / "cache" / "ab12")
    (tmp_path / "train.csv").symlink_to(content)
    assert single_target(tmp_path / "train.csv", f"{tmp_path / 'out'}/").name == "train.csv"
    (tmp_path / "out.csv").symlink_to(tmp_path / "cache" / "cd34")
    assert single_target(source, tmp_path / "out.csv") == tmp_path / "out.csv"
