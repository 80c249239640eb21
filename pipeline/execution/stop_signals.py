"""The signals that stop a run, as a socket that an event loop can wait for."""

import contextlib
import signal
import socket
from collections.abc import Iterator

STOP_SIGNALS: dict[int, str] = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "a closed terminal",
}


@contextlib.contextmanager
def wakeup_socket() -> Iterator[socket.socket]:
    """Yield a socket that receives the number of each signal as one byte.

    While it is open, STOP_SIGNALS have no other effect. A signal that was ignored before stays
    ignored, as nohup intends.
    """
    receiver, sender = socket.socketpair()
    receiver.setblocking(False)
    sender.setblocking(False)
    active_signals = [
        number for number in STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN
    ]
    previous_handlers = {
        number: signal.signal(number, lambda *_: None) for number in active_signals
    }
    previous_wakeup_fd = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    try:
        yield receiver
    finally:
        signal.set_wakeup_fd(previous_wakeup_fd)
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)
        receiver.close()
        sender.close()


def received_signals(receiver: socket.socket) -> bytes:
    """Return the numbers of the signals since the last call, a byte each."""
    try:
        return receiver.recv(64)
    except BlockingIOError:
        return b""
