"""The memory that a worker holds after it has answered large batches."""

import asyncio
from io import BytesIO

import orjson
import psutil
import pyarrow as pa
import pytest

from benchmarks.support.local_service import (
    Client,
    post_request,
    random_block_groups,
    run_coroutine,
    run_service,
)

pytestmark = pytest.mark.slow
BATCH_ROWS, CONNECTIONS, REPEATS = 10_000, 8, 1
MAX_WORKER_MB = 150.0  # proportional set size: its own memory, and its share of shared memory


def test_a_worker_returns_the_memory_of_large_batches(champion_home):
    block_groups = random_block_groups(BATCH_ROWS)
    stream, table = BytesIO(), pa.Table.from_pylist(block_groups)
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    bodies = [
        post_request(orjson.dumps(block_groups)),
        post_request(stream.getvalue(), "application/vnd.apache.arrow.stream"),
    ]

    async def send_batches(port):
        client = Client(port)
        for body in bodies * REPEATS:
            while (status := (await client.send(body))[0]) == 503:  # too busy on a slow machine
                await asyncio.sleep(0.5)
            assert status == 200
        client.close()

    async def run_clients(port):
        await asyncio.gather(*(send_batches(port) for _ in range(CONNECTIONS)))

    with run_service(champion_home, MAX_ROWS=BATCH_ROWS) as service:
        run_coroutine(run_clients(service.port))
        worker_mb = [psutil.Process(pid).memory_full_info().pss / 1e6 for pid in service.workers()]
    assert len(worker_mb) == 2
    assert max(worker_mb) < MAX_WORKER_MB
