"""A folder that a notebook lists is an input: through real runs."""

import tempfile
import time
from pathlib import Path

import pytest

from pipeline import main


@pytest.fixture
def incoming(tmp_path):
    """A folder with one file in it."""
    folder = tmp_path / "incoming"
    folder.mkdir()
    (folder / "a.csv").write_text("1")
    return folder


@pytest.fixture
def explained(home, capsys, tmp_path, monkeypatch):
    """What --explain says of the steps, one line each."""
    monkeypatch.chdir(tmp_path)

    def explain(*steps):
        capsys.readouterr()
        assert main(list(steps), home, ["--explain"]) == 0
        return capsys.readouterr().out.strip().splitlines()

    return explain


@pytest.mark.parametrize(
    "look",
    [
        "import os; os.listdir('incoming')",
        "import os; [one.name for one in os.scandir('incoming')]",
        "from pathlib import Path; list(Path().glob('incoming/*.csv'))",
        "from pathlib import Path; list(Path('incoming').iterdir())",
        "import glob; glob.glob('incoming/*')",
        "import os; list(os.walk('incoming'))",
    ],
)
def test_a_new_file_is_the_reason_to_run_again(make_step, home, incoming, explained, look):
    one = make_step("one", look)
    assert main([one], home, []) == 0
    assert "skip" in explained(one)[0]
    (incoming / "b.csv").write_text("2")
    assert "run   folder incoming has b.csv, which is new" in explained(one)[0]
    assert main([one], home, []) == 0
    assert "skip" in explained(one)[0]
    (incoming / "a.csv").unlink()
    assert "run   folder incoming has no a.csv any more" in explained(one)[0]


LOOK = "import os; names = sorted(os.listdir('incoming'))"


def test_what_comes_and_goes_unseen_is_no_reason(make_step, home, incoming, explained):
    one = make_step("one", LOOK, ignore=("*.tmp",))
    assert main([one], home, []) == 0
    for name in (".DS_Store", "b.csv~", "x.db-wal", "y.lock", "z.tmp", "__pycache__", "n.ipynb"):
        (incoming / name).write_text("")
    assert "skip" in explained(one)[0]
    for name in ("b.csv", "c.csv", "d.csv"):
        (incoming / name).write_text("")
    assert "has b.csv and 2 more, which is new" in explained(one)[0]


def test_a_folder_that_was_not_there_yet_counts(make_step, home, tmp_path, explained):
    one = make_step("one", "import os\ntry: os.listdir('later')\nexcept OSError: print('none')")
    assert main([one], home, []) == 0
    assert "skip" in explained(one)[0]
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "a.csv").write_text("")
    assert "folder later has a.csv, which is new" in explained(one)[0]


def test_what_a_step_writes_into_the_folder_is_no_news(make_step, home, incoming, explained):
    """Files of a new name each time, of the step itself and of one after it; its folder removed."""
    write = "import time; open(f'incoming/{time.time_ns()}.csv', 'w').write('x')"
    scratch = "import shutil, tempfile; shutil.rmtree(tempfile.mkdtemp(dir='.'))"
    one, two = (
        make_step("one", LOOK, write, scratch),
        make_step("two", "1", write.replace(".csv", ".txt")),
    )
    for arguments in ([], ["--force", "one"], ["--force", "two"]):
        assert main([one, two], home, arguments) == 0
        assert all("skip" in line for line in explained(one, two))
    assert len(list(incoming.iterdir())) > 4


def test_what_an_earlier_step_writes_into_the_folder_is_news(make_step, home, incoming, explained):
    """Though the step between them wrote the same as ever."""
    write = "[open(f'incoming/{i}.txt', 'w').close() for i in range(n)]"
    steps = [
        make_step("one", write, parameters="n: int = 1"),
        make_step("two", "open('same', 'w').write('x')"),
        make_step("three", LOOK, "print('there are', len(names))"),
    ]
    assert main(steps, home, []) == 0
    assert main(steps, home, ["-p", "n=5"]) == 0
    page = (home / "reports" / "latest" / "three.html").read_text()
    assert "there are 6" in page


def test_imports_and_packages_looking_around_are_no_reason(make_step, home, tmp_path, explained):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "__init__.py").write_text("")
    (tmp_path / "data.csv").write_text("a\n1\n")
    cell = (
        "import importlib.metadata, pkgutil, tempfile, ours, pandas as pd, matplotlib.pyplot\n"
        "list(importlib.metadata.distributions()); list(pkgutil.iter_modules())\n"
        "tempfile.mkstemp(); pd.read_csv('data.csv')"
    )
    one = make_step("one", cell)
    assert main([one], home, []) == 0
    for name in ("other.csv", "ours/table.txt"):
        (tmp_path / name).write_text("")
    assert "skip" in explained(one)[0]


def test_a_temporary_file_is_no_result_even_where_it_is_at_home(
    make_step, home, tmp_path, explained, monkeypatch
):
    """As in a container, whose user's home is /tmp: the next one has another."""
    monkeypatch.setenv("HOME", tempfile.gettempdir())
    write = "import tempfile; file = tempfile.mkstemp()[1]; open(file, 'w').write('x')"
    one = make_step("one", write, "open('name', 'w').write(file)")
    assert main([one], home, []) == 0
    Path((tmp_path / "name").read_text()).unlink()
    assert "skip" in explained(one)[0]


def test_a_package_that_lists_the_files_it_reads_counts(make_step, home, incoming, explained):
    """What scikit-learn loads from a folder of the home, a file each."""
    folder = home / "texts" / "all"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    one = make_step(
        "one", f"from sklearn.datasets import load_files; load_files({str(home / 'texts')!r})"
    )
    assert main([one], home, []) == 0
    assert "skip" in explained(one)[0]
    (folder / "b.txt").write_text("b")
    assert "b.txt, which is new" in explained(one)[0]


def test_accepting_takes_the_folder_as_it_is(make_step, home, incoming, explained):
    one = make_step("one", LOOK)
    assert main([one], home, []) == 0
    (incoming / "b.csv").write_text("2")
    assert main([one], home, ["--accept", "one"]) == 0
    assert "skip" in explained(one)[0]


def test_thousands_of_files_cost_little(make_step, home, incoming, explained):
    for number in range(5_000):
        (incoming / f"{number}.csv").touch()
    one = make_step("one", LOOK)
    assert main([one], home, []) == 0
    [state] = (home / "var" / "steps").glob("*.json")
    from pipeline.definition.steps import build_tasks, resolve_dependencies
    from pipeline.staleness.state_store import StateStore

    [task] = build_tasks(resolve_dependencies([one]), [], [])
    times = []
    for _ in range(5):
        started = time.perf_counter()
        assert StateStore(home).stale_reasons(task) == []
        times.append(time.perf_counter() - started)
    assert min(times) < 0.03
    assert state.stat().st_size < 200_000
