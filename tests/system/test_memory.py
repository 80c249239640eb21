"""What a worker keeps once large batches are answered."""

import asyncio
from io import BytesIO

import orjson
import psutil
import pyarrow as pa
import pytest

from benchmarks.support.local_service import Client, post, rows, run_coroutine, running

pytestmark = pytest.mark.slow
ROWS, CONNECTIONS, TIMES = 10_000, 8, 1
LIMIT = 150.0  # MB of a worker's own and its share of what several have


def test_a_worker_gives_back_what_large_batches_took(champion_home):
    asked = rows(ROWS)
    stream, table = BytesIO(), pa.Table.from_pylist(asked)
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    bodies = [
        post(orjson.dumps(asked)),
        post(stream.getvalue(), "application/vnd.apache.arrow.stream"),
    ]

    async def one(port):
        client = Client(port)
        statuses = [(await client.ask(body))[0] for body in bodies * TIMES]
        client.close()
        return statuses

    async def everybody(port):
        return await asyncio.gather(*(one(port) for _ in range(CONNECTIONS)))

    with running(champion_home, MAX_ROWS=ROWS) as service:
        assert run_coroutine(everybody(service.port)) == [[200] * len(bodies) * TIMES] * CONNECTIONS
        kept = [psutil.Process(pid).memory_full_info().pss / 1e6 for pid in service.workers()]
    assert len(kept) == 2
    assert max(kept) < LIMIT
