import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import distributed
import joblib
import psutil
import pytest

from housing.paths import PROJECT_ROOT
from housing.training.executors import executor

NUMBERS = [(number, 7) for number in range(12)]


def power(number, exponent):
    return number**exponent


def slow_power(number, folder):
    """Says who works on it, takes a while."""
    Path(folder, f"{number}-{os.getpid()}").touch()
    time.sleep(0.2)
    return number**7


def whoami(_number):
    time.sleep(0.1)
    return os.getpid()


def fail(number):
    raise ValueError(f"{number} is no number we like")


def die(_number):
    os.kill(os.getpid(), signal.SIGKILL)


def kill_a_worker(folder, victim=None):
    """Waits until task 4 has started, and kills the process that runs it, or the victim."""

    def kill():
        while True:
            for one in Path(folder).glob("4-*"):
                os.kill(victim or int(one.name.partition("-")[2]), signal.SIGKILL)
                return
            time.sleep(0.01)

    started = threading.Thread(target=kill, daemon=True)
    started.start()
    return started


@pytest.fixture(scope="module", params=["", "local"], ids=["joblib", "dask"])
def run(request):
    """Runs tasks on two processes of this machine."""
    with executor(request.param, 2) as run:
        yield run


@contextlib.contextmanager
def dask(folder, *arguments):
    """A process of Dask's own command."""
    told = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
    with (folder / arguments[0]).open("w") as said:
        started = subprocess.Popen(command, cwd=folder, env=told, stdout=said, stderr=said)
        try:
            yield started
        finally:
            started.terminate()
            started.wait(20)


@contextlib.contextmanager
def cluster(folder):
    """(address, scheduler) of two workers, each a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    of_worker = ["--nworkers", "2", "--nthreads", "1", "--local-directory", str(folder)]
    with (
        dask(folder, "scheduler", "--host", address) as scheduler,
        dask(folder, "worker", address, *of_worker),
    ):
        listens(address)
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield address, scheduler


def listens(address):
    """Waits until somebody does."""
    host, port = address.removeprefix("tcp://").split(":")
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.1)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of a Dask scheduler with two workers."""
    with cluster(tmp_path_factory.mktemp("dask")) as (address, _):
        yield address


def test_the_results_come_in_the_order_of_the_arguments(run):
    heard = []
    assert run(power, NUMBERS, heard.append) == [number**7 for number in range(12)]
    assert heard == [number**7 for number in range(12)]
    assert run(power, NUMBERS[:3]) == [0, 1, 128]
    assert run(power, []) == []


def test_what_a_task_raises_arrives(run):
    with pytest.raises(ValueError, match="3 is no number we like"):
        run(fail, [(3,)])
    assert run(power, NUMBERS[:3]) == [0, 1, 128]


def test_the_processes_are_kept_from_one_call_to_the_next(run):
    first, second = (set(run(whoami, [(one,) for one in range(10)])) for _ in range(2))
    assert len(first) == 2
    assert second == first
    assert os.getpid() not in first


def test_the_environment_names_the_workers_if_nobody_else_does(monkeypatch):
    monkeypatch.setenv("HOUSING_DASK", "nonsense://there")
    with pytest.raises(LookupError, match="at nonsense://there"), executor():
        pass
    with executor("") as run:
        assert run(power, NUMBERS[:3]) == [0, 1, 128]


def test_joblib_s_own_setting_counts():
    with joblib.parallel_config("sequential"), executor("") as run:
        assert run(whoami, [(0,), (1,)]) == [os.getpid()] * 2


def test_dask_is_not_imported_unless_asked_for():
    code = (
        "import sys; from housing.training.executors import executor\n"
        "with executor(n_jobs=1) as run: run(abs, [(-1,)])\n"
        "print('distributed' in sys.modules)"
    )
    told = {one: value for one, value in os.environ.items() if one != "HOUSING_DASK"}
    command = [sys.executable, "-c", code]
    said = subprocess.check_output(command, cwd=PROJECT_ROOT, env=told, text=True)
    assert said == "False\n"


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://", "lokal"])
def test_a_scheduler_that_is_not_there_is_named_with_the_way_out(address):
    started = time.monotonic()
    with pytest.raises(LookupError) as wrong, executor(address):
        pass
    assert time.monotonic() - started < 10
    assert f"no Dask scheduler answers at {address}. Start them with `dask sch" in str(wrong.value)
    assert f"`dask worker {address} " in str(wrong.value)


def test_a_local_worker_that_dies_is_named():
    with pytest.raises(RuntimeError, match="a worker process was killed"), executor("", 2) as run:
        run(die, [(0,), (1,)])


def test_the_local_cluster_opens_no_port_to_others():
    with executor("local", 1):
        us = psutil.Process()
        listening = [
            one.laddr.ip
            for process in (us, *us.children(recursive=True))
            for one in process.net_connections("inet")
            if one.status == psutil.CONN_LISTEN
        ]
    assert set(listening) == {"127.0.0.1"}


def test_a_killed_worker_of_the_local_cluster_costs_nothing_but_time(tmp_path, capfd):
    with executor("local", 2) as run:
        killed = kill_a_worker(tmp_path)
        assert run(slow_power, [(one, str(tmp_path)) for one in range(12)]) == [
            one**7 for one in range(12)
        ]
    killed.join(1)
    assert not killed.is_alive()
    assert len(list(tmp_path.glob("4-*"))) == 2  # tried again, by another process
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
class TestScheduler:
    def test_the_results_are_those_of_this_machine(self, address):
        with executor(address) as there, executor("") as here:
            assert there(power, NUMBERS) == here(power, NUMBERS)
            assert len(set(there(whoami, [(one,) for one in range(10)]))) == 2

    def test_a_killed_worker_costs_nothing_but_time(self, address, tmp_path, capfd):
        with executor(address) as run:
            killed = kill_a_worker(tmp_path)
            results = run(slow_power, [(one, str(tmp_path)) for one in range(12)])
        assert results == [one**7 for one in range(12)]
        killed.join(1)
        assert not killed.is_alive()
        assert len(list(tmp_path.glob("4-*"))) == 2
        assert capfd.readouterr() == ("", "")

    def test_a_task_that_kills_every_worker_is_given_up(self, address):
        with (
            pytest.raises(RuntimeError, match="were killed again and again"),
            executor(address) as run,
        ):
            run(die, [(0,)])

    def test_a_scheduler_that_goes_is_one_sentence(self, tmp_path, capfd):
        with cluster(tmp_path) as (address, scheduler):
            kill_a_worker(tmp_path, scheduler.pid)
            with pytest.raises(RuntimeError, match="has gone"), executor(address) as run:
                run(slow_power, [(one, str(tmp_path)) for one in range(40)])
        assert capfd.readouterr() == ("", "")

    def test_a_scheduler_without_a_worker_is_named(self, tmp_path):
        with dask(tmp_path, "scheduler", "--host", "tcp://127.0.0.1:18786"):
            listens("tcp://127.0.0.1:18786")
            wrong = pytest.raises(LookupError, match="the Dask scheduler has no worker at tcp")
            with wrong, executor("tcp://127.0.0.1:18786"):
                pass
