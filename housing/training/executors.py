"""Run tasks in processes of this machine, or on the workers of a Dask cluster.

A task is a function that can be imported, and a tuple of small arguments: the function loads large
data itself, from a path that its worker can read. A task may be run twice.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any, Protocol

from joblib import Parallel, cpu_count, delayed
from joblib.externals.loky.process_executor import BrokenProcessPool

ADDRESS_ENV_VARIABLE = "HOUSING_DASK"
LOCAL_CLUSTER_ADDRESS = "local"
CONNECT_TIMEOUT_SECONDS = 4  # for a scheduler to answer, and for its first worker to be there
MAX_TASK_RETRIES = 2


class TaskRunner(Protocol):
    """A function that runs tasks and yields their results in the order of the arguments.

    arguments: a tuple for each task. A result is yielded as soon as those of all earlier tasks
    have arrived too.
    """

    def __call__(
        self, function: Callable[..., Any], arguments: Sequence[tuple]
    ) -> Iterator[Any]: ...


@contextmanager
def executor(address: str | None = None, n_jobs: int = -1) -> Iterator[TaskRunner]:
    """Open a function that runs tasks in parallel; its processes are kept between calls.

    address: "" is this machine, by joblib (whose `parallel_config` is honoured); "local" a Dask
    cluster of this machine's processes, one thread each; "tcp://host:8786" a Dask scheduler; None
    is the value of HOUSING_DASK, else this machine. n_jobs: the number of processes on this
    machine; -1 is one a core. With Dask, a worker that is killed costs its tasks one more try, and
    the other tasks nothing.

    Raises LookupError if no scheduler or no worker answers at the address. A call of the function
    raises what a task raised, with Dask after two more tries, and RuntimeError if its worker was
    lost.
    """
    address = os.environ.get(ADDRESS_ENV_VARIABLE, "") if address is None else address
    if not address:
        with Parallel(n_jobs=n_jobs, return_as="generator") as pool:
            yield partial(_run_local, pool)
    else:
        with _connect_dask(address, n_jobs) as client:
            yield partial(_run_dask, client, address)


def _run_local(
    pool: Parallel, function: Callable[..., Any], arguments: Sequence[tuple]
) -> Iterator[Any]:
    try:
        yield from pool(delayed(function)(*task_arguments) for task_arguments in arguments)
    except BrokenProcessPool as error:
        raise RuntimeError("a worker process was killed, perhaps for want of memory") from error


def _run_dask(
    client: Any, address: str, function: Callable[..., Any], arguments: Sequence[tuple]
) -> Iterator[Any]:
    if not arguments:
        return
    dask = import_module("distributed")
    try:
        futures = client.map(
            function, *zip(*arguments, strict=True), pure=False, retries=MAX_TASK_RETRIES
        )
        try:
            yield from (future.result() for future in futures)
        finally:
            client.cancel(futures)  # finished futures are not affected
    except dask.KilledWorker as error:
        raise RuntimeError(f"workers at {address} were killed again and again: {error}") from error
    except (CancelledError, dask.comm.CommClosedError) as error:
        raise RuntimeError(f"the Dask scheduler at {address} has gone") from error


@contextmanager
def _connect_dask(address: str, n_jobs: int) -> Iterator[Any]:
    """Open a client of the Dask scheduler at an address, or of a new cluster of this machine."""
    # not an import statement: where the tasks run changes no result, so that neither Dask's
    # version nor its second of importing belongs to a step that may run without it
    dask = import_module("distributed")
    if address == LOCAL_CLUSTER_ADDRESS:
        with (
            dask.LocalCluster(
                n_workers=n_jobs if n_jobs > 0 else cpu_count(),
                threads_per_worker=1,
                memory_limit=0,  # joblib has none either
                dashboard_address=None,
                # else it takes port 8787 on every interface, with no dashboard there
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.CRITICAL,
            ) as cluster,
            dask.Client(cluster, set_as_default=False) as client,
        ):
            yield client
        return
    try:
        client = dask.Client(address, timeout=CONNECT_TIMEOUT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise LookupError(_unavailable_message(address, "no Dask scheduler answers")) from error
    # a scheduler that goes away is reported by our own error, not by the client's log
    with _silence_logger("distributed.client"), client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_TIMEOUT_SECONDS)
        except TimeoutError as error:
            raise LookupError(
                _unavailable_message(address, "the Dask scheduler has no worker")
            ) from error
        yield client


@contextmanager
def _silence_logger(logger_name: str) -> Iterator[None]:
    logger = logging.getLogger(logger_name)
    original_level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(original_level)


def _unavailable_message(address: str, problem: str) -> str:
    return (
        f"{problem} at {address}. Start them with `dask scheduler` and, on each machine, "
        f"`dask worker {address} --nworkers -1 --nthreads 1`; or do without: `local` uses the "
        "processes of this machine."
    )
