"""Threads that answer: what has come while one group was answered is the next group.

Under load a group of eight costs little more than one request: the model looks at all rows at once,
and one transaction holds all their rows in the log. The event loop itself never waits for a model
or a disk.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from app.asked import Asked, Reply

Answer = Callable[[list[Asked]], list[Reply]]


class Lane:
    """Threads with one queue before them."""

    def __init__(
        self, answer: Answer, loop: asyncio.AbstractEventLoop, together: int, threads: int
    ):
        """together: the most requests that are answered at once."""
        self.answer, self.loop, self.together = answer, loop, together
        self._queue: SimpleQueue[tuple[Asked, asyncio.Future[Reply]]] = SimpleQueue()
        for at in range(threads):
            threading.Thread(target=self._run, daemon=True, name=f"lane-{together}-{at}").start()

    def __len__(self) -> int:
        return self._queue.qsize()

    def put(self, asked: Asked) -> asyncio.Future[Reply]:
        """The reply, in time. To be called by the event loop."""
        future = self.loop.create_future()
        self._queue.put((asked, future))
        return future

    def _run(self) -> None:
        while True:
            waiting = [self._queue.get()]
            try:
                while len(waiting) < self.together:
                    waiting.append(self._queue.get_nowait())
            except Empty:
                pass
            try:
                made: list[Reply | Exception] = list(self.answer([asked for asked, _ in waiting]))
            except Exception as failed:  # the lane goes on, whatever it is
                made = [failed] * len(waiting)
            futures = [future for _, future in waiting]
            self.loop.call_soon_threadsafe(_hand_out, futures, made)


def _hand_out(futures: list[asyncio.Future[Reply]], made: list[Reply | Exception]) -> None:
    for future, one in zip(futures, made, strict=True):
        if future.cancelled():
            continue
        if isinstance(one, Exception):
            future.set_exception(one)
        else:
            future.set_result(one)
