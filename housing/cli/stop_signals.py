"""Let a command end in order, as by Ctrl-C, when it is told to stop by a signal."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
CTRL_C_EXIT_CODE = 130


class StopSignal(KeyboardInterrupt):
    """A signal has asked the process to stop."""

    def __init__(self, number: int) -> None:
        """number: of the signal."""
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextmanager
def raise_stop_signals() -> Iterator[None]:
    """Raise StopSignal for a signal, in the main thread; one that is ignored, as by nohup, stays.

    A block that is left by it has cleaned up; without this the process would end where it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [number for number in STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    handlers = {number: signal.signal(number, _raise_stop_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _raise_stop_signal(number: int, frame: FrameType | None) -> NoReturn:
    raise StopSignal(number)
