"""The signals that stop a run, as something a loop can wait for."""

import contextlib
import signal
import socket
from collections.abc import Iterator

STOP_SIGNALS = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "a closed terminal",
}


@contextlib.contextmanager
def wakeup_socket() -> Iterator[socket.socket]:
    """A socket that gets the number of each signal, a byte each; for as long as it is held, none
    of STOPS does anything else."""
    heard, ring = socket.socketpair()
    heard.setblocking(False)
    ring.setblocking(False)
    # what is ignored stays so: nohup means it
    heeded = [one for one in STOP_SIGNALS if signal.getsignal(one) != signal.SIG_IGN]
    before = {one: signal.signal(one, lambda *_: None) for one in heeded}
    woken = signal.set_wakeup_fd(ring.fileno(), warn_on_full_buffer=False)
    try:
        yield heard
    finally:
        signal.set_wakeup_fd(woken)
        for one, handler in before.items():
            signal.signal(one, handler)
        heard.close()
        ring.close()


def received_signals(receiver: socket.socket) -> bytes:
    """The signals since the last look."""
    try:
        return receiver.recv(64)
    except BlockingIOError:
        return b""
