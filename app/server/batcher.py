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
ReplyCallback = Callable[[HttpResponse | Exception], None]  # called on the event loop
PendingRequests = list[tuple[HttpRequest, ReplyCallback]]

# a batch of short requests takes a few milliseconds, unless the disk of the log is slow
SLOW_BATCH_SECONDS = 0.05


class ThreadBatcher:
    """Answer batches in threads that share one queue. The event loop never waits for them."""

    def __init__(
        self,
        handle_batch: BatchHandler,
        loop: asyncio.AbstractEventLoop,
        max_batch_size: int,
        thread_count: int,
        cleanup: Callable[[], object] | None = None,
    ) -> None:
        """max_batch_size: in requests. cleanup: called after a slow batch, once none waits."""
        self.handle_batch, self.loop, self.max_batch_size = handle_batch, loop, max_batch_size
        self.cleanup = cleanup
        self.last_batch_seconds = 0.0
        self._queue: SimpleQueue[tuple[HttpRequest, ReplyCallback]] = SimpleQueue()
        for thread_index in range(thread_count):
            threading.Thread(
                target=self._run, daemon=True, name=f"batcher-{max_batch_size}-{thread_index}"
            ).start()

    def __len__(self) -> int:
        return self._queue.qsize()

    def submit(self, request: HttpRequest, on_reply: ReplyCallback) -> None:
        """Queue a request. on_reply: called with its response, or with the error."""
        self._queue.put((request, on_reply))

    def _run(self) -> None:
        while True:
            pending = self._next_batch()
            started = time.perf_counter()
            replies = run_batch(self.handle_batch, pending)
            self.last_batch_seconds = time.perf_counter() - started
            self.loop.call_soon_threadsafe(_deliver_replies, pending, replies)
            del pending, replies  # so that the cleanup can return their memory
            if self.cleanup and self.last_batch_seconds > SLOW_BATCH_SECONDS and not len(self):
                self.cleanup()

    def _next_batch(self) -> PendingRequests:
        """Wait for a request and return it with those queued behind it."""
        pending = [self._queue.get()]
        try:
            while len(pending) < self.max_batch_size:
                pending.append(self._queue.get_nowait())
        except Empty:
            pass
        return pending


class InlineBatcher:
    """Answer batches of short requests on the event loop itself.

    To wake a thread and to share the interpreter with it would cost as much again. After a slow
    batch, as on a busy disk, a thread takes over until the log is quick again, so that the event
    loop goes on.
    """

    def __init__(
        self, handle_batch: BatchHandler, loop: asyncio.AbstractEventLoop, max_batch_size: int
    ) -> None:
        """max_batch_size: in requests."""
        self.handle_batch, self.loop, self.max_batch_size = handle_batch, loop, max_batch_size
        self._pending: PendingRequests = []
        self._fallback_batcher = ThreadBatcher(handle_batch, loop, max_batch_size, 1)

    def __len__(self) -> int:
        return len(self._pending) + len(self._fallback_batcher)

    def submit(self, request: HttpRequest, on_reply: ReplyCallback) -> None:
        """Queue a request. on_reply: called with its response, or with the error."""
        fallback = self._fallback_batcher
        if fallback.last_batch_seconds > SLOW_BATCH_SECONDS or len(fallback):
            fallback.submit(request, on_reply)
            return
        self._pending.append((request, on_reply))
        if len(self._pending) == 1:
            self.loop.call_soon(self._run_next_batch)

    def _run_next_batch(self) -> None:
        batch = self._pending[: self.max_batch_size]
        self._pending = self._pending[self.max_batch_size :]
        if self._pending:
            self.loop.call_soon(self._run_next_batch)
        started = time.perf_counter()
        replies = run_batch(self.handle_batch, batch)
        self._fallback_batcher.last_batch_seconds = time.perf_counter() - started
        _deliver_replies(batch, replies)


def run_batch(
    handle_batch: BatchHandler, pending: PendingRequests
) -> Sequence[HttpResponse | Exception]:
    """Return a reply for each request; if the handler fails, its error for each of them."""
    try:
        return handle_batch([request for request, _ in pending])
    except Exception as error:
        return [error] * len(pending)


def _deliver_replies(pending: PendingRequests, replies: Sequence[HttpResponse | Exception]) -> None:
    for (_, on_reply), reply in zip(pending, replies, strict=True):
        on_reply(reply)
