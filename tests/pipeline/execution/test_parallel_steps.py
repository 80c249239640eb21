"""Steps side by side, sweeps, and two runs at once."""

import os
import time

import nbformat
import psutil
import pytest

from pipeline import main
from pipeline.execution.worker_pool import thread_limits
from pipeline.runs.records import load_all

WAIT = "import time; began = time.time(); time.sleep(1.5); print('times', began, time.time())"


def times(home, name):
    [path] = (home / "var" / "runs").glob(f"*/{name}.ipynb")
    text = str(nbformat.read(path, as_version=4).cells)
    began, ended = text.split("times ")[1].split("\\n")[0].split()[:2]
    return float(began), float(ended)


def waits_for(folder, own, other):
    """Code that ends when the other has started too."""
    return (
        f"import time, pathlib; pathlib.Path({str(folder / own)!r}).touch(); began = time.time()\n"
        f"while not pathlib.Path({str(folder / other)!r}).exists():\n"
        "    assert time.time() < began + 60, 'the other has not started'\n"
        "    time.sleep(0.05)"
    )


def test_independent_steps_run_side_by_side(make_step, home, tmp_path):
    steps = [
        make_step("first", "1"),
        make_step("left", waits_for(tmp_path, "left", "right"), needs=("first",)),
        make_step("right", waits_for(tmp_path, "right", "left"), needs=("first",)),
        make_step("last", "1", needs=("left", "right")),
    ]
    assert main(steps, home, ["--jobs", "2"]) == 0
    [run] = load_all(home / "var" / "runs")
    assert [one.name for one in run.steps] == ["first", "left", "right", "last"]


@pytest.mark.slow
def test_one_job_at_a_time_if_asked(make_step, home):
    steps = [make_step("left", WAIT), make_step("right", WAIT, needs=())]
    assert main(steps, home, ["--jobs", "1"]) == 0
    assert times(home, "left")[1] <= times(home, "right")[0]


def test_what_does_not_need_the_failed_step_goes_on(make_step, home):
    steps = [
        make_step("bad", "1 / 0"),
        make_step("apart", WAIT, needs=()),
        make_step("after", "1", needs=("bad",)),
        make_step("later", "1", needs=("after", "apart")),
    ]
    assert main(steps, home, []) == 1
    [run] = load_all(home / "var" / "runs")
    assert [one.status for one in run.steps] == ["failed", "done", "not run", "not run"]


def test_a_sweep_leaves_a_report_for_each_value(make_step, home):
    one = make_step("one", "print('n is', n)", parameters="n: int = 0")
    after = make_step("after", "print('all in')")
    assert main([one, after], home, ["--sweep", "one.n=3,1,2"]) == 0
    [run] = load_all(home / "var" / "runs")
    assert [make_step.name for make_step in run.steps] == [
        "one[n=3]",
        "one[n=1]",
        "one[n=2]",
        "after",
    ]
    for n in (1, 2, 3):
        assert f"n is {n}" in (home / "reports" / run.id / f"one-n={n}.html").read_text()
    assert main([one, after], home, ["--sweep", "one.n=3,1,2"]) == 0
    assert len(load_all(home / "var" / "runs")) == 1
    assert main([one, after], home, ["--sweep", "one.n=1,2,4"]) == 0
    ends = [make_step.status for make_step in load_all(home / "var" / "runs")[0].steps]
    assert ends == ["up to date", "up to date", "done", "done"]


def test_kernels_side_by_side_share_the_cores(make_step, home, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    show = "import os; print('threads', os.environ.get('OMP_NUM_THREADS'))"
    one = make_step("one", show, parameters="n: int = 0")
    main([one], home, ["--sweep", "one.n=1,2", "--jobs", "2"])
    cores = len(os.sched_getaffinity(0))
    [run] = load_all(home / "var" / "runs")
    page = (home / "reports" / run.id / "one-n=1.html").read_text()
    assert f"threads {max(1, cores // 2)}" in page


def test_one_kernel_has_all_cores_and_the_user_s_word_counts(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert thread_limits(1) == {}
    assert thread_limits(2)["OMP_NUM_THREADS"] == "7"


@pytest.mark.slow
def test_a_second_run_waits_for_the_first(make_project, make_step):
    made = make_project(make_step("one", "import time; print('up', flush=True); time.sleep(3)"))
    first = made.start()
    made.wait_for_output("up", "one")
    code, said = made.run()
    assert first.wait() == 0
    assert code == 0
    assert "another run is under way here (run " in said
    assert f"process {first.pid}" in said
    assert "nothing to do: one up to date" in said


@pytest.mark.slow
def test_the_lock_of_a_dead_run_is_no_obstacle_and_an_early_stop_is_heard(make_project, make_step):
    made = make_project(make_step("one", "import time; print('up', flush=True); time.sleep(60)"))
    first = made.start()
    made.wait_for_output("up", "one")
    first.kill()
    started = time.monotonic()
    code, said = made.run("--list")
    assert code == 0
    second = made.start()
    while "one        starts" not in second.stdout.readline():
        pass
    assert time.monotonic() - started < 10
    second.terminate()
    said = second.communicate(timeout=30)[0]
    assert "stopped by SIGTERM" in said


@pytest.mark.slow
def test_what_is_tried_again_waits_for_room(make_step, home):
    once = (
        "import os, signal, pathlib; p = pathlib.Path(f'tried{n}'); new = not p.exists(); "
        "p.touch(); new and os.kill(os.getpid(), signal.SIGKILL)"
    )
    one = make_step("one", once, parameters="n: int = 0", retries=1, backoff=0.01)
    assert main([one], home, ["--sweep", "n=1,2,3", "--jobs", "1"]) == 0
    [run] = load_all(home / "var" / "runs")
    assert [(one.status, len(one.attempts)) for one in run.steps] == [("done", 1)] * 3


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_sweep_of_many_leaves_no_process_behind(make_step, home, jobs):
    one = make_step("one", "n * 2", parameters="n: int = 0")
    values = ",".join(str(n) for n in range(5))
    before = set(psutil.Process().children(recursive=True))
    assert main([one], home, ["--sweep", f"n={values}", "--jobs", jobs]) == 0
    left = set(psutil.Process().children(recursive=True)) - before
    alive = psutil.wait_procs(left, timeout=10)[1]
    assert [one for one in alive if "chrom" not in one.name()] == []  # another test's browser
