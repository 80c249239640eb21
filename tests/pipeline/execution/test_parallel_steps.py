"""Steps in parallel, sweeps, and two runs at the same time."""

import os
import time

import nbformat
import psutil
import pytest

from pipeline import main
from pipeline.execution.worker_pool import thread_limits
from pipeline.runs.records import load_all

pytestmark = pytest.mark.slow

PRINT_TIMES = (
    "import time; started = time.time(); time.sleep(1.5); print('times', started, time.time())"
)


def cell_times(home, step_name):
    """Return when the step's cell of PRINT_TIMES started and ended."""
    [path] = (home / "var" / "runs").glob(f"*/{step_name}.ipynb")
    text = str(nbformat.read(path, as_version=4).cells)
    started, ended = text.split("times ")[1].split("\\n")[0].split()[:2]
    return float(started), float(ended)


def wait_for_other_step(folder, own_name, other_name):
    """Return code that ends once the other step has started too."""
    return (
        f"import time, pathlib; pathlib.Path({str(folder / own_name)!r}).touch()\n"
        "started = time.time()\n"
        f"while not pathlib.Path({str(folder / other_name)!r}).exists():\n"
        "    assert time.time() < started + 60, 'the other step has not started'\n"
        "    time.sleep(0.05)"
    )


def test_independent_steps_run_in_parallel(make_step, home, tmp_path):
    steps = [
        make_step("first", "1"),
        make_step("left", wait_for_other_step(tmp_path, "left", "right"), needs=("first",)),
        make_step("right", wait_for_other_step(tmp_path, "right", "left"), needs=("first",)),
        make_step("last", "1", needs=("left", "right")),
    ]
    assert main(steps, home, ["--jobs", "2"]) == 0
    [run] = load_all(home / "var" / "runs")
    assert [step.name for step in run.steps] == ["first", "left", "right", "last"]


def test_with_one_job_steps_run_one_after_the_other(make_step, home):
    steps = [make_step("left", PRINT_TIMES), make_step("right", PRINT_TIMES, needs=())]
    assert main(steps, home, ["--jobs", "1"]) == 0
    assert cell_times(home, "left")[1] <= cell_times(home, "right")[0]


def test_steps_that_do_not_need_the_failed_step_still_run(make_step, home):
    steps = [
        make_step("bad", "1 / 0"),
        make_step("apart", PRINT_TIMES, needs=()),
        make_step("after", "1", needs=("bad",)),
        make_step("later", "1", needs=("after", "apart")),
    ]
    assert main(steps, home, []) == 1
    [run] = load_all(home / "var" / "runs")
    assert [step.status for step in run.steps] == ["failed", "done", "not run", "not run"]


def test_a_sweep_writes_a_report_for_each_value(make_step, home):
    swept = make_step("one", "print('n is', n)", parameters="n: int = 0")
    after = make_step("after", "print('all in')")
    assert main([swept, after], home, ["--sweep", "one.n=3,1,2"]) == 0
    [run] = load_all(home / "var" / "runs")
    labels = [step.name for step in run.steps]
    assert labels == ["one[n=3]", "one[n=1]", "one[n=2]", "after"]
    for n in (1, 2, 3):
        assert f"n is {n}" in (home / "reports" / run.id / f"one-n={n}.html").read_text()
    assert main([swept, after], home, ["--sweep", "one.n=3,1,2"]) == 0
    assert len(load_all(home / "var" / "runs")) == 1
    assert main([swept, after], home, ["--sweep", "one.n=1,2,4"]) == 0
    statuses = [step.status for step in load_all(home / "var" / "runs")[0].steps]
    assert statuses == ["up to date", "up to date", "done", "done"]


def test_parallel_kernels_share_the_cores(make_step, home, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    print_threads = "import os; print('threads', os.environ.get('OMP_NUM_THREADS'))"
    swept = make_step("one", print_threads, parameters="n: int = 0")
    main([swept], home, ["--sweep", "one.n=1,2", "--jobs", "2"])
    n_cores = len(os.sched_getaffinity(0))
    [run] = load_all(home / "var" / "runs")
    page = (home / "reports" / run.id / "one-n=1.html").read_text()
    assert f"threads {max(1, n_cores // 2)}" in page


def test_a_single_kernel_has_all_cores_and_the_user_s_setting_wins(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert thread_limits(1) == {}
    assert thread_limits(2)["OMP_NUM_THREADS"] == "7"


def test_a_second_run_waits_for_the_first(make_project, make_step):
    project = make_project(make_step("one", "import time; print('up', flush=True); time.sleep(3)"))
    first_run = project.start()
    project.wait_for_output("up", "one")
    exit_code, output = project.run()
    assert first_run.wait() == 0
    assert exit_code == 0
    assert "another run is under way here (run " in output
    assert f"process {first_run.pid}" in output
    assert "nothing to do: one up to date" in output


def test_a_dead_run_s_lock_is_free_and_a_signal_to_a_starting_run_stops_it(make_project, make_step):
    project = make_project(make_step("one", "import time; print('up', flush=True); time.sleep(60)"))
    first_run = project.start()
    project.wait_for_output("up", "one")
    first_run.kill()
    started = time.monotonic()
    exit_code, _ = project.run("list")
    assert exit_code == 0
    second_run = project.start()
    while "one        starts" not in second_run.stdout.readline():
        pass
    assert time.monotonic() - started < 10
    second_run.terminate()
    output, _ = second_run.communicate(timeout=30)
    assert "stopped by SIGTERM" in output


def test_a_retry_waits_for_an_idle_worker(make_step, home):
    die_once = (
        "import os, signal, pathlib; p = pathlib.Path(f'tried{n}'); new = not p.exists(); "
        "p.touch(); new and os.kill(os.getpid(), signal.SIGKILL)"
    )
    swept = make_step("one", die_once, parameters="n: int = 0", retries=1, backoff=0.01)
    assert main([swept], home, ["--sweep", "n=1,2,3", "--jobs", "1"]) == 0
    [run] = load_all(home / "var" / "runs")
    assert [(step.status, len(step.attempts)) for step in run.steps] == [("done", 1)] * 3


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_sweep_of_many_values_leaves_no_process_behind(make_step, home, jobs):
    swept = make_step("one", "n * 2", parameters="n: int = 0")
    values = ",".join(str(n) for n in range(5))
    earlier_children = set(psutil.Process().children(recursive=True))
    assert main([swept], home, ["--sweep", f"n={values}", "--jobs", jobs]) == 0
    new_children = set(psutil.Process().children(recursive=True)) - earlier_children
    alive = psutil.wait_procs(new_children, timeout=10)[1]
    assert [process for process in alive if "chrom" not in process.name()] == []  # a test's browser
