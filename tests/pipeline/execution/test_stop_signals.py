"""Which signals stop a run."""

import os
import signal

import pytest

from pipeline.execution import stop_signals


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_signal_that_the_shell_has_ignored_stays_ignored_and_the_others_stop_the_run(handler):
    """A shell has Ctrl-C ignored in the background of a script; nohup, the closed terminal."""
    previous_handler = signal.signal(signal.SIGINT, handler)
    try:
        with stop_signals.receive_signals() as receiver:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            received = set()
            while receiver.poll(0 if received else 5):
                received.add(receiver.recv())
            is_ignored = handler == signal.SIG_IGN
            assert received == {signal.SIGTERM} | (set() if is_ignored else {signal.SIGINT})
        assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, previous_handler)
