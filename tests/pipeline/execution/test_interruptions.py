"""However a step ends, its record, notebook and report say so: real kernels, real signals."""

import os
import signal
import sys
import time

import psutil
import pytest

from pipeline import main
from pipeline.runs import records
from pipeline.staleness.state_store import StateStore

KILL = "import os, signal; print('so', 'far'); os.kill(os.getpid(), signal.SIGKILL)"
LONG = "import time; print('here we go', flush=True); time.sleep(60)"
SPAWN = (
    "import subprocess, sys; sleep = 'import time; time.sleep(60)'; "
    "subprocess.Popen([sys.executable, '-c', sleep], start_new_session=True)"
)


def statuses(project, name="one"):
    return [cell.metadata.papermill.status for cell in project.executed_notebook(name).cells]


def top(project, name="one"):
    return project.report_html(name).split("</header>")[0]


@pytest.mark.parametrize(
    ("cell", "status", "ended", "says"),
    [
        ("print('so far'); 1 / 0", "failed", "failed", "ZeroDivisionError: division by zero"),
        ("print('so far'); import sys; sys.exit(3)", "failed", "failed", "SystemExit: 3"),
        ("print('so far'); import sys; sys.exit()", "failed", "failed", "SystemExit"),
        ("print('so far')\nexit()\nprint('on')", "failed", "failed", "a cell called exit()"),
        ("print('so far'); quit()", "failed", "failed", "a cell called exit()"),
        ("print('so far')\nexit(3)", "failed", "failed", "SystemExit: 3"),
        (KILL, "killed", "killed", "killed by SIGKILL"),
        (KILL.replace("KILL", "SEGV"), "killed", "killed", "killed by SIGSEGV"),
        (
            "import os; print('so far'); os._exit(7)",
            "killed", "killed", "left with exit code 7",
        ),
    ],
)  # fmt: skip
def test_how_a_cell_can_end(make_project, make_step, cell, status, ended, says):
    made = make_project(make_step("one", "1", cell, "2"), make_step("after", "1"))
    code, said = made.run()
    assert code == 1
    assert says in said
    [one, after] = made.latest_record.steps
    assert (one.status, after.status) == (status, "not run")
    assert one.cell_status == ["ran", "ran", ended, "not run"]
    assert statuses(made) == ["completed", "completed", ended, "not run"]
    assert "so far" in one.output
    assert "on" not in one.output.splitlines()
    for text in (says, "so far", "The last output"):
        assert text in top(made)


def test_a_time_limit_stops_the_step_and_says_where_it_was(make_project, make_step):
    made = make_project(make_step("one", LONG, "2", time_limit=2.0))
    started = time.monotonic()
    code, said = made.run()
    assert code == 1
    assert time.monotonic() - started < 30
    assert "took longer than its limit of 2 s" in said
    [one] = made.latest_record.steps
    assert (one.status, one.cell_status) == ("timed out", ["ran", "timed out", "not run"])
    assert "KeyboardInterrupt" in top(made)
    assert "here we go" in top(made)


@pytest.mark.slow
def test_a_kernel_that_ignores_the_interrupt_is_killed(make_project, make_step):
    stubborn = "while True:\n    try:\n        time.sleep(60)\n    except KeyboardInterrupt: pass"
    made = make_project(make_step("one", f"import time\n{stubborn}", time_limit=1.0))
    code, _ = made.run()
    assert code == 1
    assert made.latest_record.steps[0].cell_status == ["ran", "timed out"]


@pytest.mark.slow
def test_a_memory_limit_kills_the_step(make_project, make_step):
    made = make_project(make_step("one", "x = bytearray(10**9); import time; time.sleep(60)",
                        memory_limit=0.5))  # fmt: skip
    code, said = made.run()
    assert code == 1
    assert "of memory, its limit is 0.5 GB" in said
    assert made.latest_record.steps[0].cell_status == ["ran", "killed"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "says"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")]
)
def test_a_signal_to_the_runner_stops_it_in_order(make_project, make_step, number, says):
    made = make_project(make_step("one", SPAWN, LONG, "2"), make_step("after", "1"))
    process = made.start()
    made.wait_for_output("here we go", "one")
    process.send_signal(number)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert f"was stopped after 2 of 4 cells: stopped by {says}" in said
    one, after = made.latest_record.steps
    assert (one.status, after.status) == ("stopped", "not run")
    assert one.cell_status == ["ran", "ran", "killed", "not run"]
    assert "here we go" in top(made)
    assert made.run_processes() == []


@pytest.fixture
def heeded():
    """Ctrl-C is heeded: a shell that starts the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_while_an_end_is_recorded_starts_nothing_more(
    make_step, home, monkeypatch, heeded
):
    finish = StateStore.mark_done

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return finish(*arguments)

    monkeypatch.setattr(StateStore, "mark_done", interrupted)
    assert main([make_step("one", "1"), make_step("after", "1")], home, []) == 130
    [run] = records.load_all(home / "var" / "runs")
    assert [one.status for one in run.steps] == ["done", "not run"]


@pytest.mark.slow
def test_a_second_signal_does_not_wait(make_project, make_step):
    stubborn = "while True:\n    try:\n        time.sleep(60)\n    except KeyboardInterrupt: pass"
    made = make_project(make_step("one", f"import time; print('up', flush=True)\n{stubborn}"))
    process = made.start()
    made.wait_for_output("up", "one")
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    process.communicate(timeout=30)
    assert time.monotonic() - started < 4
    assert made.latest_record.steps[0].status == "killed"


def test_nothing_survives_a_killed_runner_and_the_next_run_says_so(make_project, make_step):
    made = make_project(
        make_step("first", "1"), make_step("one", SPAWN, LONG, "2"), make_step("after", "1")
    )
    process = made.start()
    made.wait_for_output("here we go", "one")
    assert made.run_processes()
    process.kill()
    process.communicate()
    end = time.monotonic() + 10
    while made.run_processes():
        assert time.monotonic() < end
        time.sleep(0.05)
    killed = made.latest_record.id
    assert made.latest_record.steps[1].status == "running"
    code, said = made.run("--until", "first")
    assert f"run {killed} was killed; its finished steps are kept" in said
    settled = records.load(made.folder / "var" / "runs" / killed)
    assert [one.status for one in settled.steps] == ["done", "killed", "not run"]
    assert settled.steps[1].cell_status == ["ran", "ran", "killed", "not run"]
    page = (made.folder / "reports" / killed / "one.html").read_text().split("</header>")[0]
    assert "here we go" in page
    assert "the runner was killed" in page
    assert code == 0
    assert "nothing to do: first up to date" in said


@pytest.mark.slow
def test_a_killed_worker_is_a_killed_step(make_project, make_step):
    made = make_project(make_step("one", LONG))
    process = made.start()
    made.wait_for_output("here we go", "one")
    [worker] = [one for one in made.run_processes() if "pipeline.execution.worker" in one.cmdline()]
    worker.kill()
    process.communicate(timeout=30)
    assert process.returncode == 1
    assert made.latest_record.steps[0].cell_status == ["ran", "killed"]
    assert made.run_processes() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "part", ["pipeline.kernels.fork_server", "pipeline.execution.orphan_cleanup"]
)
def test_a_killed_helper_does_no_harm_or_is_told(make_project, make_step, part):
    made = make_project(make_step("one", "import time; print('up', flush=True); time.sleep(2)"))
    process = made.start()
    made.wait_for_output("up", "one")
    processes = psutil.Process(process.pid).children()
    next(one for one in processes if part in " ".join(one.cmdline())).kill()
    process.communicate(timeout=30)
    expected = "killed" if part == "pipeline.kernels.fork_server" else "done"
    assert made.latest_record.steps[0].status == expected


def test_outputs_are_on_disk_within_two_seconds(make_project, make_step):
    made = make_project(make_step("one", "import time; print('start', flush=True)",
                        "print(time.time(), 'now', flush=True); time.sleep(8)"))  # fmt: skip
    process = made.start()
    try:
        made.wait_for_output("now", "one")
        [text] = [
            one.outputs[0].text for one in made.executed_notebook("one").cells
            if one.get("outputs") and "now" in one.outputs[0].text
        ]  # fmt: skip
        assert time.time() - float(text.split()[0]) < 2
    finally:
        process.terminate()
        process.communicate(timeout=30)


FULL = """
mount -t tmpfs -o size=3m tmpfs {home}/var || exit 77
{python} {home}/run_pipeline.py
code=$?
cp -r {home}/var/. {home}/kept
exit $code
"""


def test_a_full_disk_is_told(make_project, make_step, tmp_path, run_in_mount_namespace):
    make_project(make_step("one", "print('so far')", "print('x' * 6_000_000)", "2"))
    (tmp_path / "var").mkdir()
    script = FULL.format(home=tmp_path, python=sys.executable)
    done = run_in_mount_namespace(script)
    assert done.returncode == 1
    assert "No space left on device" in done.stdout
    [run] = records.load_all(tmp_path / "kept" / "runs")
    [one] = run.steps
    assert one.status == "failed"
    assert "the executed notebook could not be saved" in one.failure
    assert one.cell_status == ["ran"] * 4
    page = (tmp_path / "reports" / "latest" / "one.html").read_text()
    assert "No space left on device" in page.split("</header>")[0]


def test_a_retry_after_a_dead_kernel(make_project, make_step, tmp_path):
    once = (
        "import os, signal, pathlib; p = pathlib.Path('tried'); first = not p.exists(); p.touch(); "
        "print('first' if first else 'second', flush=True); "
        "first and os.kill(os.getpid(), signal.SIGKILL)"
    )
    made = make_project(make_step("one", once, retries=2, backoff=0.1))
    code, said = made.run()
    assert code == 0
    assert "; retrying" in said
    [one] = made.latest_record.steps
    assert one.status == "done"
    [attempt] = one.attempts
    assert attempt["status"] == "killed"
    assert attempt["output"] == "first\n"
    kept = tmp_path / "var" / "runs" / made.latest_record.id / attempt["notebook"]
    assert "first" in kept.read_text()
    assert "Attempt 1 killed" in made.report_html("one")


@pytest.mark.slow
def test_what_cannot_pass_is_not_tried_again(make_project, make_step):
    made = make_project(make_step("one", "1 / 0", retries=2, backoff=0.1))
    code, _ = made.run()
    assert code == 1
    assert made.latest_record.steps[0].attempts == []


@pytest.mark.slow
def test_retries_come_to_an_end(make_project, make_step):
    made = make_project(make_step("one", KILL, retries=2, backoff=0.05))
    code, _ = made.run()
    assert code == 1
    assert len(made.latest_record.steps[0].attempts) == 2
    assert made.latest_record.steps[0].status == "killed"


@pytest.mark.slow
def test_a_killed_nursery_does_not_hang_the_run_while_a_child_lives(make_project, make_step):
    fork = "import multiprocessing as mp, time; mp.Process(target=time.sleep, args=(60,)).start()"
    made = make_project(make_step("one", fork, "print('up', flush=True); time.sleep(60)"))
    process = made.start()
    made.wait_for_output("up", "one")
    processes = psutil.Process(process.pid).children()
    next(one for one in processes if "pipeline.kernels.fork_server" in one.cmdline()).kill()
    process.communicate(timeout=20)
    assert made.latest_record.steps[0].status == "killed"
    assert made.run_processes() == []


@pytest.mark.slow
def test_nothing_survives_even_if_the_watchdog_was_killed_first(make_project, make_step):
    made = make_project(make_step("one", SPAWN, LONG))
    process = made.start()
    made.wait_for_output("here we go", "one")
    processes = psutil.Process(process.pid).children()
    next(one for one in processes if "pipeline.execution.orphan_cleanup" in one.cmdline()).kill()
    time.sleep(1)  # another takes its place
    process.kill()
    process.communicate()
    time.sleep(1)
    assert made.run_processes() == []


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux only")
@pytest.mark.slow
def test_the_kernel_s_own_words_are_in_the_report(make_project, make_step):
    made = make_project(make_step("one", "import os; os.write(2, b'from below'); 1 / 0"))
    made.run()
    assert "from below" in top(made)
