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

from app.messages import Asked, Reply

Answer = Callable[[list[Asked]], list[Reply]]
Done = Callable[[Reply | Exception], None]  # called by the event loop
Waiting = list[tuple[Asked, Done]]

SLOW = 0.05  # seconds: a group of short requests takes a few milliseconds, unless the log is slow


class Lane:
    """Threads with one queue before them. The event loop never waits for them."""

    def __init__(
        self,
        answer: Answer,
        loop: asyncio.AbstractEventLoop,
        together: int,
        threads: int,
        tidy: Callable[[], object] | None = None,
    ) -> None:
        """together: the most requests that are answered at once. tidy: after large ones, once none
        waits."""
        self.answer, self.loop, self.together = answer, loop, together
        self.tidy = tidy
        self.took = 0.0  # seconds, for the last group
        self._queue: SimpleQueue[tuple[Asked, Done]] = SimpleQueue()
        for at in range(threads):
            threading.Thread(target=self._run, daemon=True, name=f"lane-{together}-{at}").start()

    def __len__(self) -> int:
        return self._queue.qsize()

    def put(self, asked: Asked, done: Done) -> None:
        """done: is given the reply, in time."""
        self._queue.put((asked, done))

    def _run(self) -> None:
        while True:
            waiting = [self._queue.get()]
            try:
                while len(waiting) < self.together:
                    waiting.append(self._queue.get_nowait())
            except Empty:
                pass
            begun = time.perf_counter()
            made = answered(self.answer, waiting)
            self.took = time.perf_counter() - begun
            self.loop.call_soon_threadsafe(_hand_out, waiting, made)
            del waiting, made
            if self.tidy and self.took > SLOW and not len(self):
                self.tidy()


class Quick:
    """The lane of short requests. The event loop answers them itself: to wake a thread, and to
    share the interpreter with it, would cost as much again. When a group was slow, as the log of a
    busy disk is, a thread takes over until the log is quick again, and the loop goes on."""

    def __init__(self, answer: Answer, loop: asyncio.AbstractEventLoop, together: int) -> None:
        """together: the most requests that are answered at once."""
        self.answer, self.loop, self.together = answer, loop, together
        self._waiting: Waiting = []
        self._thread = Lane(answer, loop, together, 1)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._thread)

    def put(self, asked: Asked, done: Done) -> None:
        """done: is given the reply, in time."""
        if self._thread.took > SLOW or len(self._thread):
            self._thread.put(asked, done)
            return
        self._waiting.append((asked, done))
        if len(self._waiting) == 1:
            self.loop.call_soon(self._run)

    def _run(self) -> None:
        waiting, self._waiting = self._waiting[: self.together], self._waiting[self.together :]
        if self._waiting:
            self.loop.call_soon(self._run)
        begun = time.perf_counter()
        made = answered(self.answer, waiting)
        self._thread.took = time.perf_counter() - begun
        _hand_out(waiting, made)


def answered(answer: Answer, waiting: Waiting) -> list[Reply | Exception]:
    """A reply for each, or why there is none: the lane goes on, whatever it is."""
    try:
        return list(answer([asked for asked, _ in waiting]))
    except Exception as failed:
        return [failed] * len(waiting)


def _hand_out(waiting: Waiting, made: list[Reply | Exception]) -> None:
    for (_, done), one in zip(waiting, made, strict=True):
        done(one)
