"""Batch requests: those that arrive while one batch is answered are the next batch.

No request waits for others to come. Under load a batch of eight costs little more than one request:
the model predicts all rows at once, and one transaction logs them all.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from app.messages import HttpRequest, HttpResponse

BatchHandler = Callable[[list[HttpRequest]], list[HttpResponse]]
PendingRequest = tuple[HttpRequest, asyncio.Future[HttpResponse]]

# a batch of short requests takes a few milliseconds, unless the disk of the log is slow
SLOW_BATCH_SECONDS = 0.05


class ThreadBatcher:
    """Answer batches in threads that share one queue. The event loop never waits for them."""

    def __init__(
        self,
        handle_batch: BatchHandler,
        max_batch_size: int,
        thread_count: int,
        cleanup: Callable[[], object] | None = None,
    ) -> None:
        """Start the threads; needs the running event loop.

        max_batch_size: in requests. cleanup: called after a slow batch, once none waits.
        """
        self.handle_batch, self.max_batch_size = handle_batch, max_batch_size
        self.loop, self.cleanup = asyncio.get_running_loop(), cleanup
        self.last_batch_seconds = 0.0
        self._queue: SimpleQueue[PendingRequest] = SimpleQueue()
        for thread_index in range(thread_count):
            threading.Thread(
                target=self._run, daemon=True, name=f"batcher-{max_batch_size}-{thread_index}"
            ).start()

    def __len__(self) -> int:
        return self._queue.qsize()

    def submit(self, request: HttpRequest) -> asyncio.Future[HttpResponse]:
        """Queue a request; return the future of its response."""
        future: asyncio.Future[HttpResponse] = self.loop.create_future()
        self._queue.put((request, future))
        return future

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            started = time.perf_counter()
            responses = run_batch(self.handle_batch, batch)
            self.last_batch_seconds = time.perf_counter() - started
            self.loop.call_soon_threadsafe(_deliver, batch, responses)
            del batch, responses  # so that the cleanup can return their memory
            if self.cleanup and self.last_batch_seconds > SLOW_BATCH_SECONDS and not len(self):
                self.cleanup()

    def _next_batch(self) -> list[PendingRequest]:
        """Wait for a request and return it with those queued behind it."""
        batch = [self._queue.get()]
        try:
            while len(batch) < self.max_batch_size:
                batch.append(self._queue.get_nowait())
        except Empty:
            pass
        return batch


class InlineBatcher:
    """Answer batches of short requests on the event loop itself.

    To wake a thread and to share the interpreter with it would cost as much again. After a slow
    batch, as on a busy disk, a thread takes over until the log is quick again, so that the event
    loop goes on.
    """

    def __init__(self, handle_batch: BatchHandler, max_batch_size: int) -> None:
        """max_batch_size: in requests."""
        self.handle_batch, self.max_batch_size = handle_batch, max_batch_size
        self._loop = asyncio.get_running_loop()
        self._pending: list[PendingRequest] = []
        self._fallback_batcher = ThreadBatcher(handle_batch, max_batch_size, 1)

    def __len__(self) -> int:
        return len(self._pending) + len(self._fallback_batcher)

    def submit(self, request: HttpRequest) -> asyncio.Future[HttpResponse]:
        """Queue a request; return the future of its response."""
        fallback = self._fallback_batcher
        if fallback.last_batch_seconds > SLOW_BATCH_SECONDS or len(fallback):
            return fallback.submit(request)
        future: asyncio.Future[HttpResponse] = self._loop.create_future()
        self._pending.append((request, future))
        if len(self._pending) == 1:
            # one pass of the event loop later: a request that arrived while the responses of the
            # last batch were sent is read and submitted before
            self._loop.call_soon(self._loop.call_soon, self._run_next_batch)
        return future

    def _run_next_batch(self) -> None:
        batch = self._pending[: self.max_batch_size]
        self._pending = self._pending[self.max_batch_size :]
        if self._pending:
            self._loop.call_soon(self._run_next_batch)
        started = time.perf_counter()
        responses = run_batch(self.handle_batch, batch)
        self._fallback_batcher.last_batch_seconds = time.perf_counter() - started
        _deliver(batch, responses)


def run_batch(
    handle_batch: BatchHandler, batch: list[PendingRequest]
) -> Sequence[HttpResponse | Exception]:
    """Return a response for each request; if the handler fails, its error for each of them."""
    try:
        return handle_batch([request for request, _ in batch])
    except Exception as error:
        return [error] * len(batch)


def _deliver(batch: list[PendingRequest], responses: Sequence[HttpResponse | Exception]) -> None:
    for (_, future), response in zip(batch, responses, strict=True):
        if future.cancelled():
            continue
        if isinstance(response, Exception):
            future.set_exception(response)
        else:
            future.set_result(response)
