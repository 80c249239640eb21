"""Every file that a notebook's process reads counts, wherever it is: shown with real kernels."""

import os
import sqlite3
from pathlib import Path

import pytest

from pipeline import Step, main
from tests.pipeline.conftest import write_notebook

READ_OFTEN = """
import ctypes, glob, importlib, inspect, os, pkgutil, runpy, sqlite3, subprocess, sys
import commented, jinja2, pyarrow.csv
from pathlib import Path
%run script.py
%run other.ipynb
exec(open('executed.py').read())
runpy.run_path('run.py')
print(Path('data.lock').read_text(), Path(scratch, 'temporary.csv').read_text())
print(Path(os.environ['HOME'], '.mine', 'hidden.csv').read_text())
log = open('log.txt', 'a+'); log.seek(0); print(log.read()); log.write('x'); log.close()
glob.glob('data/*/m.json')
list(Path('later').glob('*.csv'))
try: open('absent.csv')
except OSError: pass
os.path.exists('flag'), Path('pre' + 'sent').is_file()
if not Path('made.txt').exists(): Path('made.txt').write_text('1')
Path('folder').mkdir(exist_ok=True)
import removed; del sys.modules['removed']
importlib.import_module('runtime_' + 'only')
subprocess.run([sys.executable, 'child.py'], check=True)
Path('/etc/hostname').read_text()
child = "print(open('opened_' + 'by_child.csv').read())"  # no text that names the file
subprocess.run([sys.executable, '-c', child], check=True)
sqlite3.connect('data' + 'base.db').execute('select * from numbers').fetchall()
pyarrow.csv.read_csv('ar' + 'row.csv')
os.open('relative.csv', os.O_RDONLY, dir_fd=os.open('data', os.O_RDONLY))
os.path.getsize('sized' + '.csv'), inspect.getsource(commented)
[module.name for module in pkgutil.iter_modules(['plug' + 'ins'])]
jinja2.Environment(loader=jinja2.FileSystemLoader(['over', 'data'])).get_template('m.html')
ctypes.CDLL(None).open(b'by_c.csv', os.O_RDONLY)
!cat shell/*.dat
1 / 0 if Path('traceback').exists() else None
"""
BASH_CELL = "%%bash\ncat by_bash.csv"
MAKE_MODULE_CELL = "%%writefile made_module.py\nVALUE = 1"
# in a folder of its own, in which processes that multiprocessing spawns find its modules
SPAWN_CELL = """
import made_module, multiprocessing, spawned
process = multiprocessing.get_context('spawn').Process(target=spawned.read)
process.start(); process.join()
assert process.exitcode == 0
"""
EDITS = {
    "input script.py is altered": "script.py",
    "input other.ipynb is altered": "other.ipynb",
    "input executed.py is altered": "executed.py",
    "input run.py is altered": "run.py",
    "input data.lock is altered": "data.lock",
    "input log.txt is altered": "log.txt",
    "input child.py is altered": "child.py",
    "hidden.csv is altered": "user/.mine/hidden.csv",
    "module removed.py was edited": "removed.py",
    "module runtime_only.py was edited": "runtime_only.py",
    "input commented.py is altered": "commented.py",
    "input opened_by_child.csv is altered": "opened_by_child.csv",
    "input arrow.csv is altered": "arrow.csv",
    "input data/relative.csv is altered": "data/relative.csv",
    "input sized.csv is altered": "sized.csv",
    "input by_c.csv is altered": "by_c.csv",
    "input shell/a.dat is altered": "shell/a.dat",
    "input by_bash.csv is altered": "by_bash.csv",
    "input nested/spawned.csv is altered": "nested/spawned.csv",
}
ARRIVALS = {
    "input absent.csv has appeared": "absent.csv",
    "input flag has appeared": "flag",
    "input data/a/m.json has appeared": "data/a/m.json",
    "folder data has b, which is new": "data/b/m.json",
    "input later has appeared": "later/x.csv",
    "input over/m.html has appeared": "over/m.html",
    "folder shell has b.dat, which is new": "shell/b.dat",
    "folder plugins has b.py, which is new": "plugins/b.py",
}


def write_reading_steps(folder):
    for name in ("script", "executed", "run", "removed", "runtime_only", "child", "commented"):
        (folder / f"{name}.py").write_text("VALUE = 1\n")
    for path in (
        *("data/a/x.txt", "user/.mine/hidden.csv", "data.lock", "log.txt", "present"),
        *("opened_by_child.csv", "arrow.csv", "data/relative.csv", "sized.csv", "by_c.csv"),
        *("data/m.html", "shell/a.dat", "plugins/a.txt", "by_bash.csv", "nested/spawned.csv"),
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("1\n")
    write_notebook(folder, "other", "VALUE = 1")
    with sqlite3.connect(folder / "database.db") as database:
        database.execute("create table numbers (number)")
    database.close()
    (folder / "nested" / "spawned.py").write_text("def read(): open('spawned.csv').read()\n")
    write_notebook(folder / "nested", "two", MAKE_MODULE_CELL, SPAWN_CELL)
    os.environ["HOME"] = str(folder / "user")
    temporary = folder.parent / f"{folder.name}-temporary"
    temporary.mkdir()
    (temporary / "temporary.csv").write_text("1")
    cell = f"scratch = {str(temporary)!r}\n{READ_OFTEN}"
    write_notebook(folder, "one", cell, BASH_CELL)
    return reading_steps(folder)


def reading_steps(folder):
    return [Step("one", folder / "one.ipynb"), Step("two", folder / "nested" / "two.ipynb", ())]


@pytest.fixture(scope="module")
def finished(run_once):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("HOME", os.environ["HOME"])  # is set back thereafter
        return run_once(write_reading_steps)


@pytest.fixture
def explain(finished, monkeypatch, capsys):
    """Return what `explain` says of the steps that have run."""
    monkeypatch.chdir(finished)
    monkeypatch.setenv("HOME", str(finished / "user"))

    def run_explain():
        capsys.readouterr()
        main(reading_steps(finished), finished, ["explain"])
        return capsys.readouterr().out

    return run_explain


def test_a_step_is_up_to_date_after_its_run_and_names_what_is_not_tracked(explain):
    first_line, second_line, third_line = explain().splitlines()
    assert "skip" in first_line
    assert second_line.strip() == "reads, not tracked: /etc/hostname"
    assert "skip" in third_line


@pytest.mark.parametrize(("reason", "name"), EDITS.items())
def test_an_edited_file_is_a_reason(explain, finished, reason, name):
    path = finished / name
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1", b"2"))
    output = explain()
    path.write_bytes(content)
    assert reason in output
    assert explain().count("skip") == 2


def test_an_edited_database_is_a_reason(explain, finished):
    path = finished / "database.db"
    content = path.read_bytes()
    with sqlite3.connect(path) as database:
        database.execute("insert into numbers values (1)")
    database.close()
    output = explain()
    path.write_bytes(content)
    assert "input database.db is altered" in output


def test_an_edited_temporary_file_is_a_reason(explain, finished):
    path = finished.parent / f"{finished.name}-temporary" / "temporary.csv"
    path.write_text("2")
    output = explain()
    path.write_text("1")
    assert "temporary.csv is altered" in output


@pytest.mark.parametrize(("reason", "name"), ARRIVALS.items())
def test_a_path_that_comes_is_a_reason(explain, finished, reason, name):
    path = finished / name
    is_new_folder = not path.parent.exists()
    path.parent.mkdir(exist_ok=True)
    path.write_text("1")
    output = explain()
    path.unlink()
    if is_new_folder:
        path.parent.rmdir()
    assert reason in output
    assert explain().count("skip") == 2


def test_a_path_that_goes_is_a_reason(explain, finished):
    (finished / "present").unlink()
    output = explain()
    (finished / "present").write_text("1")
    assert "input present is gone" in output


def test_equal_size_and_time_are_not_enough(explain, finished):
    path = finished / "script.py"
    stat = path.stat()
    path.write_text("VALUE = 3\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    output = explain()
    path.write_text("VALUE = 1\n")
    assert "input script.py is altered" in output


def test_a_module_edited_after_its_import_is_a_reason(make_step, home, tmp_path, capsys):
    """Of both kinds: found by reading the notebook, and at run time only."""
    for name in ("seen.py", "unseen.py"):
        (tmp_path / name).write_text("VALUE = 1\n")
    cell = "import seen, importlib; importlib.import_module('un' + 'seen')"
    edit = "import os; [os.system(f'echo VALUE = 2 > {name}.py') for name in ('seen', 'unseen')]"
    step = make_step("one", cell, edit)
    assert main([step], home, []) == 0
    capsys.readouterr()
    main([step], home, ["explain"])
    output = capsys.readouterr().out
    assert output.count("was edited while the step ran") == 2


def test_the_step_s_own_temporary_files_are_no_inputs(make_step, home, capsys, monkeypatch):
    cell = (
        "import tempfile, subprocess\nfrom pathlib import Path\n"
        "folder = Path(tempfile.mkdtemp()); (folder / 'a').write_text('1')\n"
        "subprocess.run(f'echo 1 > {folder}/b', shell=True)\n"
        "(folder / 'a').read_text(), (folder / 'b').read_text(), list(folder.iterdir())\n"
        "Path('name').write_text(str(folder))"
    )
    step = make_step("one", cell)
    assert main([step], home, []) == 0
    temporary_folder = Path((step.notebook.parent / "name").read_text())
    for path in temporary_folder.iterdir():
        path.unlink()
    temporary_folder.rmdir()
    capsys.readouterr()
    main([step], home, ["explain"])
    assert "skip" in capsys.readouterr().out
