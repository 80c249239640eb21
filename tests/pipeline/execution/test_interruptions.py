"""However a step ends, its record, notebook and report say so: real kernels, real signals."""

import os
import signal
import sys
import time

import psutil
import pytest

from pipeline import main
from pipeline.runs import records
from pipeline.staleness import recording

pytestmark = pytest.mark.slow

KILL_KERNEL = "import os, signal; print('so', 'far'); os.kill(os.getpid(), signal.SIGKILL)"
SLEEP = "import time; print('here we go', flush=True); time.sleep(60)"
SPAWN_CHILD = (
    "import subprocess, sys; sleep = 'import time; time.sleep(60)'; "
    "subprocess.Popen([sys.executable, '-c', sleep], start_new_session=True)"
)
IGNORE_INTERRUPTS = (
    "while True:\n    try:\n        time.sleep(60)\n    except KeyboardInterrupt: pass"
)
FILL_DISK_SCRIPT = """
mount -t tmpfs -o size=3m tmpfs {home}/var || exit 77
{python} {home}/run_pipeline.py
code=$?
cp -r {home}/var/. {home}/kept
exit $code
"""


def cell_states(project, step_name="one"):
    """Return the status of each cell in the executed notebook."""
    notebook = project.executed_notebook(step_name)
    return [cell.metadata.papermill.status for cell in notebook.cells]


def page_header(project, step_name="one"):
    return project.report_html(step_name).split("</header>")[0]


def find_helper_process(runner, module_name):
    """Return the runner's child process that runs a module."""
    children = psutil.Process(runner.pid).children()
    return next(child for child in children if module_name in child.cmdline())


@pytest.mark.parametrize(
    ("cell", "step_status", "cell_status", "message"),
    [
        ("print('so far'); 1 / 0", "failed", "failed", "ZeroDivisionError: division by zero"),
        ("print('so far'); import sys; sys.exit(3)", "failed", "failed", "SystemExit: 3"),
        ("print('so far')\nexit(3)", "failed", "failed", "SystemExit: 3"),
        (KILL_KERNEL, "killed", "killed", "killed by SIGKILL"),
        (KILL_KERNEL.replace("KILL", "SEGV"), "killed", "killed", "killed by SIGSEGV"),
        ("import os; print('so far'); os._exit(7)", "killed", "killed", "exited with code 7"),
    ],
)
def test_a_cell_that_ends_badly_is_reported(
    make_project, make_step, cell, step_status, cell_status, message
):
    project = make_project(make_step("one", "1", cell, "2"), make_step("after", "1"))
    exit_code, output = project.run()
    assert exit_code == 1
    assert message in output
    [step, next_step] = project.latest_record.steps
    assert (step.status, next_step.status) == (step_status, "not run")
    assert step.cell_status == ["ran", "ran", cell_status, "not run"]
    assert cell_states(project) == ["completed", "completed", cell_status, "not run"]
    assert "so far" in step.output
    assert "on" not in step.output.splitlines()
    for text in (message, "so far", "The last output"):
        assert text in page_header(project)


def test_a_cell_that_catches_the_interrupt_of_a_time_limit_is_named(make_project, make_step):
    catching = f"try:\n    {SLEEP}\nexcept BaseException:\n    print('caught')"
    project = make_project(make_step("one", "1", catching, "2", time_limit=2.0))
    assert project.run()[0] == 1
    [step] = project.latest_record.steps
    assert step.status == "timed out"
    assert step.cell_status == ["ran", "ran", "timed out", "not run"]
    assert "caught" in step.output


def test_a_time_limit_stops_the_step_and_says_where_it_was(make_project, make_step):
    project = make_project(make_step("one", SLEEP, "2", time_limit=2.0))
    started = time.monotonic()
    exit_code, output = project.run()
    assert exit_code == 1
    assert time.monotonic() - started < 30
    assert "took longer than its limit of 2 s" in output
    [step] = project.latest_record.steps
    assert (step.status, step.cell_status) == ("timed out", ["ran", "timed out", "not run"])
    assert "KeyboardInterrupt" in page_header(project)
    assert "here we go" in page_header(project)


def test_a_kernel_that_ignores_the_interrupt_is_killed(make_project, make_step):
    cell = f"import time\n{IGNORE_INTERRUPTS}"
    project = make_project(make_step("one", cell, time_limit=1.0))
    exit_code, _ = project.run()
    assert exit_code == 1
    assert project.latest_record.steps[0].cell_status == ["ran", "timed out"]


def test_a_memory_limit_kills_the_step(make_project, make_step):
    cell = "x = bytearray(10**9); import time; time.sleep(60)"
    project = make_project(make_step("one", cell, memory_limit=0.5))
    exit_code, output = project.run()
    assert exit_code == 1
    assert "of memory, its limit is 0.5 GB" in output
    assert project.latest_record.steps[0].cell_status == ["ran", "killed"]


@pytest.mark.parametrize(
    ("signal_number", "signal_name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")]
)
def test_a_signal_to_the_runner_stops_the_run_in_order(
    make_project, make_step, signal_number, signal_name
):
    project = make_project(make_step("one", SPAWN_CHILD, SLEEP, "2"), make_step("after", "1"))
    runner = project.start()
    project.wait_for_output("here we go", "one")
    runner.send_signal(signal_number)
    output, _ = runner.communicate(timeout=30)
    assert runner.returncode == 128 + signal_number
    assert f"was stopped after 2 of 4 cells, in cell 3: stopped by {signal_name}" in output
    step, next_step = project.latest_record.steps
    assert (step.status, next_step.status) == ("stopped", "not run")
    assert step.cell_status == ["ran", "ran", "killed", "not run"]
    assert "here we go" in page_header(project)
    assert project.run_processes() == []


@pytest.fixture
def default_interrupt_handler():
    """Have Ctrl-C handled: a shell that starts the tests in the background has it ignored."""
    previous_handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous_handler)


def test_a_signal_while_a_step_s_end_is_recorded_starts_no_other_step(
    make_step, home, monkeypatch, default_interrupt_handler
):
    record_success = recording.record_success

    def interrupt_and_record(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return record_success(*arguments)

    monkeypatch.setattr(recording, "record_success", interrupt_and_record)
    assert main([make_step("one", "1"), make_step("after", "1")], home, []) == 130
    [run] = records.load_all(home / "var" / "runs")
    assert [step.status for step in run.steps] == ["done", "not run"]


def test_a_second_signal_kills_the_kernels_at_once(make_project, make_step):
    cell = f"import time; print('up', flush=True)\n{IGNORE_INTERRUPTS}"
    project = make_project(make_step("one", cell))
    runner = project.start()
    project.wait_for_output("up", "one")
    runner.send_signal(signal.SIGINT)
    time.sleep(0.5)
    runner.send_signal(signal.SIGINT)
    started = time.monotonic()
    runner.communicate(timeout=30)
    assert time.monotonic() - started < 4
    assert project.latest_record.steps[0].status == "killed"


def test_no_process_survives_a_killed_runner_and_the_next_run_completes_its_record(
    make_project, make_step
):
    project = make_project(
        make_step("first", "1"),
        make_step("one", SPAWN_CHILD, SLEEP, "2"),
        make_step("after", "1"),
    )
    runner = project.start()
    project.wait_for_output("here we go", "one")
    assert project.run_processes()
    runner.kill()
    runner.communicate()
    deadline = time.monotonic() + 10
    while project.run_processes():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    killed_run_id = project.latest_record.id
    assert project.latest_record.steps[1].status == "running"
    exit_code, output = project.run("--until", "first")
    assert f"run {killed_run_id} was killed; its finished steps are kept" in output
    recovered_run = records.load(project.folder / "var" / "runs" / killed_run_id)
    assert [step.status for step in recovered_run.steps] == ["done", "killed", "not run"]
    assert recovered_run.steps[1].cell_status == ["ran", "ran", "killed", "not run"]
    page = (project.folder / "reports" / killed_run_id / "one.html").read_text()
    header = page.split("</header>")[0]
    assert "here we go" in header
    assert "the runner was killed" in header
    assert exit_code == 0
    assert "nothing to do: first up to date" in output


def test_a_killed_worker_is_a_killed_step(make_project, make_step):
    project = make_project(make_step("one", SLEEP))
    runner = project.start()
    project.wait_for_output("here we go", "one")
    [worker] = [
        process
        for process in project.run_processes()
        if "pipeline.execution.worker" in process.cmdline()
    ]
    worker.kill()
    runner.communicate(timeout=30)
    assert runner.returncode == 1
    assert project.latest_record.steps[0].cell_status == ["ran", "killed"]
    page = project.report_html("one")
    assert "cell 2: killed" in page
    assert "start it again with" in page
    assert "is running" not in page
    assert "data-live" not in page
    assert project.run_processes() == []


@pytest.mark.parametrize(
    ("module_name", "step_status"),
    [("pipeline.kernels.fork_server", "killed"), ("pipeline.execution.orphan_cleanup", "done")],
)
def test_a_killed_helper_process_does_no_harm_or_is_reported(
    make_project, make_step, module_name, step_status
):
    project = make_project(make_step("one", "import time; print('up', flush=True); time.sleep(2)"))
    runner = project.start()
    project.wait_for_output("up", "one")
    find_helper_process(runner, module_name).kill()
    runner.communicate(timeout=30)
    assert project.latest_record.steps[0].status == step_status


def test_outputs_are_on_disk_within_two_seconds(make_project, make_step):
    project = make_project(
        make_step(
            "one",
            "import time; print('start', flush=True)",
            "print(time.time(), 'now', flush=True); time.sleep(8)",
        )
    )
    runner = project.start()
    try:
        project.wait_for_output("now", "one")
        [text] = [
            cell.outputs[0].text
            for cell in project.executed_notebook("one").cells
            if cell.get("outputs") and "now" in cell.outputs[0].text
        ]
        assert time.time() - float(text.split()[0]) < 2
    finally:
        runner.terminate()
        runner.communicate(timeout=30)


def test_a_full_disk_is_reported(make_project, make_step, tmp_path, run_in_mount_namespace):
    make_project(make_step("one", "print('so far')", "print('x' * 6_000_000)", "2"))
    (tmp_path / "var").mkdir()
    script = FILL_DISK_SCRIPT.format(home=tmp_path, python=sys.executable)
    completed = run_in_mount_namespace(script)
    assert completed.returncode == 1
    assert "the disk is full; free some space" in completed.stdout
    [run] = records.load_all(tmp_path / "kept" / "runs")
    [step] = run.steps
    assert step.status == "failed"
    assert "the executed notebook could not be saved" in step.failure
    assert step.cell_status == ["ran"] * 4
    page = (tmp_path / "reports" / "latest" / "one.html").read_text()
    assert "the disk is full; free some space" in page.split("</header>")[0]


def test_a_step_is_retried_after_a_dead_kernel(make_project, make_step, tmp_path):
    die_once = (
        "import os, signal, pathlib; p = pathlib.Path('tried'); first = not p.exists(); p.touch(); "
        "print('first' if first else 'second', flush=True); "
        "first and os.kill(os.getpid(), signal.SIGKILL)"
    )
    project = make_project(make_step("one", die_once, retries=2, backoff=0.1))
    exit_code, output = project.run()
    assert exit_code == 0
    assert "; retrying" in output
    [step] = project.latest_record.steps
    assert step.status == "done"
    [attempt] = step.attempts
    assert attempt.status == "killed"
    assert attempt.output == "first\n"
    run_folder = tmp_path / "var" / "runs" / project.latest_record.id
    assert "first" in (run_folder / attempt.notebook).read_text()
    assert "Attempt 1 killed" in project.report_html("one")


def test_an_error_in_a_cell_is_not_retried(make_project, make_step):
    project = make_project(make_step("one", "1 / 0", retries=2, backoff=0.1))
    exit_code, _ = project.run()
    assert exit_code == 1
    assert project.latest_record.steps[0].attempts == []


def test_retries_come_to_an_end(make_project, make_step):
    project = make_project(make_step("one", KILL_KERNEL, retries=2, backoff=0.05))
    exit_code, _ = project.run()
    assert exit_code == 1
    assert len(project.latest_record.steps[0].attempts) == 2
    assert project.latest_record.steps[0].status == "killed"


def test_a_killed_fork_server_does_not_hang_the_run_while_a_child_lives(make_project, make_step):
    start_child = (
        "import multiprocessing as mp, time; mp.Process(target=time.sleep, args=(60,)).start()"
    )
    project = make_project(make_step("one", start_child, "print('up', flush=True); time.sleep(60)"))
    runner = project.start()
    project.wait_for_output("up", "one")
    find_helper_process(runner, "pipeline.kernels.fork_server").kill()
    runner.communicate(timeout=20)
    assert project.latest_record.steps[0].status == "killed"
    assert project.run_processes() == []


def test_no_process_survives_even_if_the_watchdog_was_killed_first(make_project, make_step):
    project = make_project(make_step("one", SPAWN_CHILD, SLEEP))
    runner = project.start()
    project.wait_for_output("here we go", "one")
    find_helper_process(runner, "pipeline.execution.orphan_cleanup").kill()
    time.sleep(1)  # another watchdog is started
    runner.kill()
    runner.communicate()
    time.sleep(1)
    assert project.run_processes() == []


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux only")
def test_the_kernel_process_s_stderr_is_in_the_report(make_project, make_step):
    project = make_project(make_step("one", "import os; os.write(2, b'from below'); 1 / 0"))
    project.run()
    assert "from below" in page_header(project)
