"""Which files a notebook's code names."""

import pytest

from pipeline.staleness.static_analysis import command_words, named_files


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("duckdb.sql(\"select * from 'data/a.csv' where x = 'b'\")", ["data/a.csv"]),
        ("Dataset('data/a.csv'), print('see data/b.csv')", ["data/a.csv"]),
        ("!sort <data/a.csv | head --lines=1", ["data/a.csv"]),
        ("%%bash\nfor file in data/*.csv; do cat $file; done", ["data/a.csv", "data/b.csv"]),
        ("scan_csv('data/*.csv')", ["data/a.csv", "data/b.csv"]),
        ("%timeit 2 * 3", []),
        ("print('*', 'data', 'a' * 3000, '\\0')", []),
        ("open(b'data/a.csv')", ["data/a.csv"]),
        ("link = 'one.ipynb'", []),
        ("not Python!", []),
    ],
)
def test_texts_name_files(make_notebook, tmp_path, cell, names):
    (tmp_path / "data").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / "data" / name).write_text("1")
    named = named_files.find_named_paths(make_notebook("one", cell), [])
    paths = named.files.union(*named.matches.values())
    assert sorted(path.relative_to(tmp_path).as_posix() for path in paths) == names


def test_values_name_files(make_notebook, tmp_path):
    (tmp_path / "a.csv").write_text("1")
    named = named_files.find_named_paths(make_notebook("one", "1"), [3, ["a.csv", None]])
    assert named.files == {tmp_path / "a.csv"}


def test_a_notebook_that_is_gone_names_nothing(tmp_path):
    assert named_files.find_named_paths(tmp_path / "gone.ipynb", []).files == set()


def test_only_a_shell_expands_patterns():
    assert command_words.find_patterns("cat *.dat '*.csv' | grep x") == ["*.dat"]
    assert command_words.shell_command(["/bin/bash", "-lc", "cat *.dat"]) == "cat *.dat"
    assert command_words.shell_command(["find", "-name", "*.dat"]) == ""
