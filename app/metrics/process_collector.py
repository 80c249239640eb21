"""The resources that each worker uses, read from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


def process_families(live_pids: dict[int, int]) -> Iterator[Metric]:
    """Yield the resources of each worker, named as client libraries do; nothing without /proc."""
    memory = GaugeMetricFamily("process_resident_memory_bytes", "memory", labels=["worker"])
    cpu = CounterMetricFamily("process_cpu_seconds", "processor time", labels=["worker"])
    open_fds = GaugeMetricFamily(
        "process_open_fds", "open files and connections", labels=["worker"]
    )
    max_fds = GaugeMetricFamily("process_max_fds", "limit of open files", labels=["worker"])
    start = GaugeMetricFamily("process_start_time_seconds", "when it started", labels=["worker"])
    threads = GaugeMetricFamily("process_threads", "threads", labels=["worker"])
    for slot, pid in live_pids.items():
        stats = _read_process_stats(pid)
        if stats:
            labels = [str(slot)]
            memory.add_metric(labels, stats.memory_bytes)
            cpu.add_metric(labels, stats.cpu_seconds)
            open_fds.add_metric(labels, stats.open_fds)
            max_fds.add_metric(labels, stats.max_fds)
            start.add_metric(labels, stats.start_time_seconds)
            threads.add_metric(labels, stats.threads)
    yield from (memory, cpu, open_fds, max_fds, start, threads)


class _ProcessStats(NamedTuple):
    memory_bytes: int
    cpu_seconds: float
    open_fds: int
    max_fds: float
    start_time_seconds: float  # since 1970
    threads: int


def _read_process_stats(pid: int) -> _ProcessStats | None:
    """Return a process's resources from /proc; None if it has ended, or there is no /proc."""
    folder, ticks_per_second = Path(f"/proc/{pid}"), os.sysconf("SC_CLK_TCK")
    try:
        # proc(5) numbers the fields of `stat` from 1; these begin with the third
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        limits = (folder / "limits").read_text().partition("Max open files")[2].split()
        open_fds = len(os.listdir(folder / "fd"))  # noqa: PTH208, a third of the time of Path's
    except OSError:
        return None
    user_ticks, system_ticks, thread_count, start_ticks, page_count = (
        int(fields[number - 3]) for number in (14, 15, 20, 22, 24)
    )
    return _ProcessStats(
        memory_bytes=page_count * os.sysconf("SC_PAGE_SIZE"),
        cpu_seconds=(user_ticks + system_ticks) / ticks_per_second,
        open_fds=open_fds,
        max_fds=float("inf") if limits[0] == "unlimited" else int(limits[0]),
        start_time_seconds=_boot_time() + start_ticks / ticks_per_second,
        threads=thread_count,
    )


def _boot_time() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
