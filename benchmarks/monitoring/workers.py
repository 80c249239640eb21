"""Running simulations in as many processes as there are cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")


def run_tasks(function: Callable[[Task], Outcome], tasks: Iterable[Task]) -> Iterator[Outcome]:
    """Yield the outcome of each task, in their order.

    function: of a module. The processes are started anew: OpenMP does not survive a fork.
    """
    os.environ["OMP_NUM_THREADS"] = "1"  # of each process
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        yield from pool.map(function, tasks)
