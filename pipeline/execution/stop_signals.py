"""The signals that stop a run, as messages that an event loop can wait for."""

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection

STOP_SIGNALS: dict[int, str] = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "a closed terminal",
}


def active_signals() -> list[int]:
    """Return the stop signals that are not ignored: nohup intends that one stays ignored."""
    return [number for number in STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]


@contextlib.contextmanager
def receive_signals() -> Iterator[Connection]:
    """Yield a connection that receives the number of each stop signal.

    While it is open, the signals have no other effect.
    """
    receiver, sender = multiprocessing.Pipe(duplex=False)
    with receiver, sender:
        previous_handlers = {
            number: signal.signal(number, lambda received, _frame: sender.send(received))
            for number in active_signals()
        }
        try:
            yield receiver
        finally:
            for number, handler in previous_handlers.items():
                signal.signal(number, handler)
