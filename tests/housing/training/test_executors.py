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
    """Leave a file with the number and the process id, then take a while."""
    Path(folder, f"{number}-{os.getpid()}").touch()
    time.sleep(0.2)
    return number**7


def process_id(_number):
    time.sleep(0.1)
    return os.getpid()


def raise_value_error(number):
    raise ValueError(f"{number} is no number we like")


def kill_own_process(_number):
    os.kill(os.getpid(), signal.SIGKILL)


def kill_a_worker(folder, victim=None):
    """Start a thread that waits for task 4 and kills the process that runs it, or the victim."""

    def kill():
        while True:
            for path in Path(folder).glob("4-*"):
                os.kill(victim or int(path.name.partition("-")[2]), signal.SIGKILL)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


LOCAL_CLUSTER = pytest.param("local", id="dask", marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=[pytest.param("", id="joblib"), LOCAL_CLUSTER])
def run(request):
    """Return a function that runs tasks on two processes of this machine."""
    with executor(request.param, 2) as run:
        yield run


@contextlib.contextmanager
def dask_process(folder, *arguments):
    """Run Dask's own command in a process, until the block ends."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
    with (folder / arguments[0]).open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


@contextlib.contextmanager
def cluster(folder):
    """Run a scheduler with two worker processes; yield its address and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    worker_options = ["--nworkers", "2", "--nthreads", "1", "--local-directory", str(folder)]
    with (
        dask_process(folder, "scheduler", "--host", address) as scheduler,
        dask_process(folder, "worker", address, *worker_options),
    ):
        wait_until_listening(address)
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield address, scheduler


def wait_until_listening(address):
    """Wait until a process listens at the address."""
    host, port = address.removeprefix("tcp://").split(":")
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.1)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Return the address of a Dask scheduler with two workers."""
    with cluster(tmp_path_factory.mktemp("dask")) as (address, _):
        yield address


def test_the_results_come_in_the_order_of_the_arguments(run):
    assert list(run(power, NUMBERS)) == [number**7 for number in range(12)]
    assert list(run(power, NUMBERS[:3])) == [0, 1, 128]
    assert list(run(power, [])) == []


def test_a_result_arrives_before_later_tasks_are_finished(run, tmp_path):
    """Else a search that is stopped would lose the whole batch."""
    results = run(slow_power, [(number, str(tmp_path)) for number in range(12)])
    assert next(results) == 0
    assert len(list(tmp_path.iterdir())) < 12
    assert list(results) == [number**7 for number in range(1, 12)]


def test_an_exception_of_a_task_reaches_the_caller(run):
    with pytest.raises(ValueError, match="3 is no number we like"):
        list(run(raise_value_error, [(3,)]))
    assert list(run(power, NUMBERS[:3])) == [0, 1, 128]


def test_the_processes_are_kept_from_one_call_to_the_next(run):
    first, second = (set(run(process_id, [(number,) for number in range(10)])) for _ in range(2))
    assert len(first) == 2
    assert second == first
    assert os.getpid() not in first


def test_the_environment_variable_is_the_default_address(monkeypatch):
    monkeypatch.setenv("HOUSING_DASK", "nonsense://address")
    with pytest.raises(LookupError, match="at nonsense://address"), executor():
        pass
    with executor("") as run:
        assert list(run(power, NUMBERS[:3])) == [0, 1, 128]


def test_joblib_s_own_setting_is_honoured():
    with joblib.parallel_config("sequential"), executor("") as run:
        assert list(run(process_id, [(0,), (1,)])) == [os.getpid()] * 2


def test_dask_is_not_imported_unless_asked_for():
    code = (
        "import sys; from housing.training.executors import executor\n"
        "with executor(n_jobs=1) as run: list(run(abs, [(-1,)]))\n"
        "print('distributed' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "HOUSING_DASK"}
    command = [sys.executable, "-c", code]
    output = subprocess.check_output(command, cwd=PROJECT_ROOT, env=environment, text=True)
    assert output == "False\n"


@pytest.mark.slow
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://", "lokal"])
def test_an_address_without_a_scheduler_is_named_with_the_way_out(address):
    started_at = time.monotonic()
    with pytest.raises(LookupError) as error, executor(address):
        pass
    assert time.monotonic() - started_at < 10
    assert f"no Dask scheduler answers at {address}. Start them with `dask sch" in str(error.value)
    assert f"`dask worker {address} " in str(error.value)


def test_a_killed_local_worker_is_an_error():
    with pytest.raises(RuntimeError, match="a worker process was killed"), executor("", 2) as run:
        list(run(kill_own_process, [(0,), (1,)]))


@pytest.mark.slow
def test_the_local_cluster_opens_no_port_to_others():
    with executor("local", 1):
        parent = psutil.Process()
        listening = [
            connection.laddr.ip
            for process in (parent, *parent.children(recursive=True))
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
    assert set(listening) == {"127.0.0.1"}


@pytest.mark.slow
def test_a_killed_worker_of_the_local_cluster_costs_nothing_but_time(tmp_path, capfd):
    with executor("local", 2) as run:
        killer = kill_a_worker(tmp_path)
        results = list(run(slow_power, [(number, str(tmp_path)) for number in range(12)]))
    assert results == [number**7 for number in range(12)]
    killer.join(1)
    assert not killer.is_alive()
    assert len(list(tmp_path.glob("4-*"))) == 2  # tried again, by another process
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
class TestScheduler:
    def test_a_cluster_gives_the_same_results_as_this_machine(self, address):
        with executor(address) as run_on_cluster, executor("") as run_locally:
            assert list(run_on_cluster(power, NUMBERS)) == list(run_locally(power, NUMBERS))
            assert len(set(run_on_cluster(process_id, [(number,) for number in range(10)]))) == 2

    def test_a_killed_worker_costs_nothing_but_time(self, address, tmp_path, capfd):
        with executor(address) as run:
            killer = kill_a_worker(tmp_path)
            results = list(run(slow_power, [(number, str(tmp_path)) for number in range(12)]))
        assert results == [number**7 for number in range(12)]
        killer.join(1)
        assert not killer.is_alive()
        assert len(list(tmp_path.glob("4-*"))) == 2
        assert capfd.readouterr() == ("", "")

    def test_a_task_that_kills_every_worker_is_given_up(self, address):
        with (
            pytest.raises(RuntimeError, match="were killed again and again"),
            executor(address) as run,
        ):
            list(run(kill_own_process, [(0,)]))

    def test_a_scheduler_that_goes_away_is_reported_in_one_sentence(self, tmp_path, capfd):
        with cluster(tmp_path) as (address, scheduler):
            kill_a_worker(tmp_path, scheduler.pid)
            with pytest.raises(RuntimeError, match="has gone"), executor(address) as run:
                list(run(slow_power, [(number, str(tmp_path)) for number in range(40)]))
        assert capfd.readouterr() == ("", "")

    def test_a_scheduler_without_a_worker_is_named(self, tmp_path):
        with dask_process(tmp_path, "scheduler", "--host", "tcp://127.0.0.1:18786"):
            wait_until_listening("tcp://127.0.0.1:18786")
            message = "the Dask scheduler has no worker at tcp"
            with (
                pytest.raises(LookupError, match=message),
                executor("tcp://127.0.0.1:18786"),
            ):
                pass
