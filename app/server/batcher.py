"""Who answers: what has come while one group was answered is the next group.

Under load a group of eight costs little more than one request: the model looks at all rows at once,
and one transaction holds all their rows in the log.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from app.messages import HttpRequest, HttpResponse

BatchHandler = Callable[[list[HttpRequest]], list[HttpResponse]]
ReplyCallback = Callable[[HttpResponse | Exception], None]  # called by the event loop
PendingRequests = list[tuple[HttpRequest, ReplyCallback]]

SLOW_BATCH_SECONDS = (
    0.05  # seconds: a group of short requests takes a few milliseconds, unless the log is slow
)


class ThreadBatcher:
    """Threads with one queue before them. The event loop never waits for them."""

    def __init__(
        self,
        handle_batch: BatchHandler,
        loop: asyncio.AbstractEventLoop,
        max_batch_size: int,
        thread_count: int,
        cleanup: Callable[[], object] | None = None,
    ) -> None:
        """together: the most requests that are answered at once. tidy: after large ones, once none
        waits."""
        self.handle_batch, self.loop, self.max_batch_size = handle_batch, loop, max_batch_size
        self.cleanup = cleanup
        self.last_batch_seconds = 0.0  # seconds, for the last group
        self._queue: SimpleQueue[tuple[HttpRequest, ReplyCallback]] = SimpleQueue()
        for at in range(thread_count):
            threading.Thread(
                target=self._run, daemon=True, name=f"lane-{max_batch_size}-{at}"
            ).start()

    def __len__(self) -> int:
        return self._queue.qsize()

    def submit(self, request: HttpRequest, on_reply: ReplyCallback) -> None:
        """done: is given the reply, in time."""
        self._queue.put((request, on_reply))

    def _run(self) -> None:
        while True:
            waiting = [self._queue.get()]
            try:
                while len(waiting) < self.max_batch_size:
                    waiting.append(self._queue.get_nowait())
            except Empty:
                pass
            begun = time.perf_counter()
            made = run_batch(self.handle_batch, waiting)
            self.last_batch_seconds = time.perf_counter() - begun
            self.loop.call_soon_threadsafe(_deliver_replies, waiting, made)
            del waiting, made
            if self.cleanup and self.last_batch_seconds > SLOW_BATCH_SECONDS and not len(self):
                self.cleanup()


class InlineBatcher:
    """The lane of short requests. The event loop answers them itself: to wake a thread, and to
    share the interpreter with it, would cost as much again. When a group was slow, as the log of a
    busy disk is, a thread takes over until the log is quick again, and the loop goes on."""

    def __init__(
        self, handle_batch: BatchHandler, loop: asyncio.AbstractEventLoop, max_batch_size: int
    ) -> None:
        """together: the most requests that are answered at once."""
        self.handle_batch, self.loop, self.max_batch_size = handle_batch, loop, max_batch_size
        self._pending: PendingRequests = []
        self._fallback_batcher = ThreadBatcher(handle_batch, loop, max_batch_size, 1)

    def __len__(self) -> int:
        return len(self._pending) + len(self._fallback_batcher)

    def submit(self, request: HttpRequest, on_reply: ReplyCallback) -> None:
        """done: is given the reply, in time."""
        if self._fallback_batcher.last_batch_seconds > SLOW_BATCH_SECONDS or len(
            self._fallback_batcher
        ):
            self._fallback_batcher.submit(request, on_reply)
            return
        self._pending.append((request, on_reply))
        if len(self._pending) == 1:
            self.loop.call_soon(self._run_next_batch)

    def _run_next_batch(self) -> None:
        waiting, self._pending = (
            self._pending[: self.max_batch_size],
            self._pending[self.max_batch_size :],
        )
        if self._pending:
            self.loop.call_soon(self._run_next_batch)
        begun = time.perf_counter()
        made = run_batch(self.handle_batch, waiting)
        self._fallback_batcher.last_batch_seconds = time.perf_counter() - begun
        _deliver_replies(waiting, made)


def run_batch(
    handle_batch: BatchHandler, pending: PendingRequests
) -> list[HttpResponse | Exception]:
    """A reply for each, or why there is none: the lane goes on, whatever it is."""
    try:
        return list(handle_batch([asked for asked, _ in pending]))
    except Exception as failed:
        return [failed] * len(pending)


def _deliver_replies(pending: PendingRequests, replies: list[HttpResponse | Exception]) -> None:
    for (_, done), one in zip(pending, replies, strict=True):
        done(one)
