"""A folder that a notebook lists is an input, shown with real runs."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import Step, main
from pipeline.staleness.folder_listing import (
    FolderSignature,
    describe_folder_change,
    folder_signature,
)
from tests.pipeline.conftest import write_notebook


@pytest.fixture
def incoming(tmp_path):
    """Return a folder with one file in it."""
    folder = tmp_path / "incoming"
    folder.mkdir()
    (folder / "a.csv").write_text("1")
    return folder


@pytest.fixture
def explain(home, capsys, tmp_path, monkeypatch):
    """Return a function that returns what `explain` prints of the steps, one line each."""
    monkeypatch.chdir(tmp_path)

    def run_explain(*steps):
        capsys.readouterr()
        assert main(list(steps), home, ["explain"]) == 0
        return capsys.readouterr().out.strip().splitlines()

    return run_explain


LISTING_CELLS = {
    "listdir": "import os; os.listdir('incoming')",
    "scandir": "import os; [entry.name for entry in os.scandir('incoming')]",
    "path_glob": "from pathlib import Path; list(Path().glob('incoming/*.csv'))",
    "iterdir": "from pathlib import Path; list(Path('incoming').iterdir())",
    "glob": "import glob; glob.glob('incoming/*')",
    "walk": "import os; list(os.walk('incoming'))",
}


def write_listing_steps(folder):
    """Write a notebook for each way to list a folder with one file in it."""
    (folder / "incoming").mkdir()
    (folder / "incoming" / "a.csv").write_text("1")
    return [
        Step(name, write_notebook(folder, name, cell), needs=())
        for name, cell in LISTING_CELLS.items()
    ]


@pytest.fixture(scope="module")
def finished_listing(run_once):
    return run_once(write_listing_steps)


@pytest.mark.parametrize("name", LISTING_CELLS)
def test_a_new_file_is_the_reason_to_run_again(finished_listing, copy_finished, capsys, name):
    folder = copy_finished(finished_listing)
    step = Step(name, folder / f"{name}.ipynb")

    def explain():
        main([step], folder, ["explain"])
        return capsys.readouterr().out

    assert "skip" in explain()
    (folder / "incoming" / "b.csv").write_text("2")
    assert "run   folder incoming has b.csv, which is new" in explain()
    (folder / "incoming" / "b.csv").unlink()
    assert "skip" in explain()
    (folder / "incoming" / "a.csv").unlink()
    assert "run   folder incoming no longer has a.csv" in explain()


LIST_FOLDER = "import os; names = sorted(os.listdir('incoming'))"


def test_hidden_temporary_and_ignored_files_are_no_reason(make_step, home, incoming, explain):
    step = make_step("one", LIST_FOLDER, ignore=("*.tmp",))
    assert main([step], home, []) == 0
    for name in (".DS_Store", "b.csv~", "x.db-wal", "y.lock", "z.tmp", "__pycache__", "n.ipynb"):
        (incoming / name).write_text("")
    assert "skip" in explain(step)[0]
    for name in ("b.csv", "c.csv", "d.csv"):
        (incoming / name).write_text("")
    assert "has b.csv and 2 more, which are new" in explain(step)[0]


def test_a_folder_that_did_not_exist_yet_counts(make_step, home, tmp_path, explain):
    step = make_step("one", "import os\ntry: os.listdir('later')\nexcept OSError: print('none')")
    assert main([step], home, []) == 0
    assert "skip" in explain(step)[0]
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "a.csv").write_text("")
    assert "folder later has a.csv, which is new" in explain(step)[0]


@pytest.mark.slow
def test_files_written_by_the_step_itself_or_a_later_one_are_no_reason(
    make_step, home, incoming, explain
):
    """Each run writes files with new names; a temporary folder is made and removed."""
    write = "import time; open(f'incoming/{time.time_ns()}.csv', 'w').write('x')"
    scratch = "import shutil, tempfile; shutil.rmtree(tempfile.mkdtemp(dir='.'))"
    steps = [
        make_step("one", LIST_FOLDER, write, scratch),
        make_step("two", "1", write.replace(".csv", ".txt")),
    ]
    for arguments in ([], ["--force", "one"], ["--force", "two"]):
        assert main(steps, home, arguments) == 0
        assert all("skip" in line for line in explain(*steps))
    assert len(list(incoming.iterdir())) > 4


@pytest.mark.slow
def test_a_file_written_by_an_earlier_step_is_a_reason(make_step, home, incoming, explain):
    """The results of the step between them stay the same."""
    write = "[open(f'incoming/{i}.txt', 'w').close() for i in range(n)]"
    steps = [
        make_step("one", write, parameters="n: int = 1"),
        make_step("two", "open('same', 'w').write('x')"),
        make_step("three", LIST_FOLDER, "print('there are', len(names))"),
    ]
    assert main(steps, home, []) == 0
    assert main(steps, home, ["-p", "n=5"]) == 0
    page = (home / "reports" / "latest" / "three.html").read_text()
    assert "there are 6" in page


@pytest.mark.slow
def test_folders_listed_by_imports_and_packages_are_no_reason(make_step, home, tmp_path, explain):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "__init__.py").write_text("")
    (tmp_path / "data.csv").write_text("a\n1\n")
    cell = (
        "import importlib.metadata, pkgutil, tempfile, ours, pandas as pd, matplotlib.pyplot\n"
        "list(importlib.metadata.distributions()); list(pkgutil.iter_modules())\n"
        "tempfile.mkstemp(); pd.read_csv('data.csv')"
    )
    step = make_step("one", cell)
    assert main([step], home, []) == 0
    for name in ("other.csv", "ours/table.txt"):
        (tmp_path / name).write_text("")
    assert "skip" in explain(step)[0]


def test_a_temporary_file_is_no_output_even_if_home_is_the_temporary_folder(
    make_step, home, tmp_path, explain, monkeypatch
):
    """As in a container, whose user's home is /tmp."""
    monkeypatch.setenv("HOME", tempfile.gettempdir())
    write = "import tempfile; file = tempfile.mkstemp()[1]; open(file, 'w').write('x')"
    step = make_step("one", write, "open('name', 'w').write(file)")
    assert main([step], home, []) == 0
    Path((tmp_path / "name").read_text()).unlink()
    assert "skip" in explain(step)[0]


@pytest.mark.slow
def test_a_folder_counts_if_a_package_lists_it_and_reads_its_files(
    make_step, home, incoming, explain
):
    """scikit-learn's load_files reads each file of a folder in the home."""
    folder = home / "texts" / "all"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    step = make_step(
        "one", f"from sklearn.datasets import load_files; load_files({str(home / 'texts')!r})"
    )
    assert main([step], home, []) == 0
    assert "skip" in explain(step)[0]
    (folder / "b.txt").write_text("b")
    assert "b.txt, which is new" in explain(step)[0]


@pytest.mark.slow
def test_accept_takes_the_folder_as_it_is(make_step, home, incoming, explain):
    step = make_step("one", LIST_FOLDER)
    assert main([step], home, []) == 0
    (incoming / "b.csv").write_text("2")
    assert main([step], home, ["accept", "one"]) == 0
    assert "skip" in explain(step)[0]


def test_the_names_of_a_folder_are_read_only_if_its_time_has_changed(incoming, monkeypatch):
    before = folder_signature(incoming, (), set)._replace(mtime_ns=incoming.stat().st_mtime_ns)
    monkeypatch.setattr(os, "listdir", None)
    assert folder_signature(incoming, (), set, before) is before


def test_new_files_that_steps_wrote_are_no_news_and_known_ones_count(incoming):
    before = folder_signature(incoming, (), set)
    (incoming / "b.csv").touch()
    written = {str(incoming / "a.csv"), str(incoming / "b.csv")}
    now = folder_signature(incoming, (), lambda: written, before)
    assert now.names == {"a.csv"}
    assert describe_folder_change(before, now) == ""
    assert folder_signature(incoming, (), lambda: written).names == frozenset()


def test_thousands_of_files_take_little_space(incoming):
    for number in range(5_000):
        (incoming / f"{number}.csv").touch()
    assert len(json.dumps(folder_signature(incoming, (), set).to_dict())) < 200_000


FILE_NAMES = st.from_regex(r"[a-z0-9_ -]{1,8}\.(csv|parquet)", fullmatch=True)
IGNORED_FILE_NAMES = st.sampled_from([".hidden", "a.csv~", "log.db-wal", "x.pyc", "plot.ipynb"])


@given(st.sets(FILE_NAMES, max_size=4), st.sets(FILE_NAMES, max_size=4))
def test_a_folder_has_changed_if_its_names_have(old_names, new_names):
    old, new = (FolderSignature(1, frozenset(names)) for names in (old_names, new_names))
    change = describe_folder_change(old, new)
    assert bool(change) == (old_names != new_names)
    assert ("has" in change and "new" in change) == bool(new_names - old_names)
    assert ("no longer has" in change) == bool(old_names - new_names)


@given(st.sets(FILE_NAMES, max_size=4), st.sets(IGNORED_FILE_NAMES), st.sets(FILE_NAMES))
def test_a_signature_has_the_names_of_data_alone(names, ignored_names, expected_names):
    """expected_names: of files that steps write there."""
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        for name in names | ignored_names | expected_names:
            (folder / name).touch()
        expected_paths = {str(folder / name) for name in expected_names}
        signature = folder_signature(folder, ["skip-*.csv"], lambda: expected_paths)
    assert signature.names == {
        name for name in names - expected_names if not name.startswith("skip-")
    }
