"""Kernels that start warm: a process that has imported what the notebooks import, and forks.

    python -P -m pipeline.kernels.fork_server DESCRIPTOR '[["pandas", "ours.models"], ["matplotlib.pyplot"]]'

Speaks JSON lines on a Unix socket, of which it inherits the listening end: a request {arguments,
environment, folder, errors} is answered with {pid}, and once the kernel has ended, with {status,
peak_mb}. A connection that closes ends its kernel; stdin that closes ends them all. The first list
of modules is imported before the first kernel starts, the others while there is nothing else to do.
"""

import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import selectors
import signal
import socket
import sys
import warnings
from typing import Any

PR_SET_PDEATHSIG = 1


def main(listener_descriptor: int, module_groups: list[list[str]]) -> None:
    """Serves until stdin closes."""
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    os.environ["JPY_PARENT_PID"] = str(os.getpid())  # ipykernel reads it when it is imported
    _exit_with_parent()
    listener = socket.socket(fileno=listener_descriptor)
    import ipykernel.kernelapp
    import ipykernel.zmqshell  # noqa: F401

    before = dict(os.environ)
    for one in module_groups[0] if module_groups else []:
        _preload_module(one)
    _KernelForkServer(
        listener, [one for later in module_groups[1:] for one in later], before
    ).serve()


def _exit_with_parent() -> None:
    """Killed when the parent is, however that ends. Linux only; elsewhere stdin tells."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _preload_module(module_name: str) -> None:
    """Imports it; whatever goes wrong will go wrong in the notebook too, and be told there."""
    nowhere = io.StringIO()
    with (
        contextlib.suppress(BaseException),
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        importlib.import_module(module_name)
    # it tells the shell to show figures when it is imported: that is for each kernel to do
    sys.modules.pop("matplotlib_inline.backend_inline", None)


class _KernelForkServer:
    """The process that forks, and its kernels."""

    def __init__(
        self,
        listener: socket.socket,
        pending_modules: list[str],
        initial_environment: dict[str, str],
    ) -> None:
        self.listener, self.pending_modules, self.initial_environment = (
            listener,
            pending_modules,
            initial_environment,
        )
        self.kernel_connections: dict[int, socket.socket] = {}
        self.selector = selectors.DefaultSelector()
        self.wakeup_receiver, ring = socket.socketpair()
        ring.setblocking(False)
        self.wakeup_sender = ring
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ring.fileno(), warn_on_full_buffer=False)
        for source, answer in (
            (listener, self.accept_request), (self.wakeup_receiver, self.reap_kernels), (sys.stdin, self.shut_down)
        ):  # fmt: skip
            self.selector.register(source, selectors.EVENT_READ, answer)

    def serve(self) -> None:
        while True:
            events = self.selector.select(0 if self.pending_modules else None)
            for key, _ in events:
                key.data(key.fileobj)
            if not events:
                _preload_module(self.pending_modules.pop(0))

    def accept_request(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        request = json.loads(connection.makefile("rb").readline() or b"null")
        if request is None:
            connection.close()
            return
        pid = self.fork_kernel(request, connection)
        self.kernel_connections[pid] = connection
        self.selector.register(connection, selectors.EVENT_READ, self.handle_disconnect)
        _send(connection, {"pid": pid})

    def fork_kernel(self, request: dict[str, Any], connection: socket.socket) -> int:
        gc.freeze()  # else collecting garbage copies the shared pages
        parent = os.getpid()
        with warnings.catch_warnings():  # Python 3.12 sees the threads of BLAS; those take forks
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid:
            return pid
        self.selector.close()
        for one in (
            connection,
            self.listener,
            self.wakeup_receiver,
            self.wakeup_sender,
            *self.kernel_connections.values(),
        ):
            one.close()
        changed = {
            name: value
            for name, value in os.environ.items()
            if self.initial_environment.get(name) != value
        }
        _set_up_child(request, parent, changed)
        from pipeline.kernels.kernel_main import run_kernel

        run_kernel(request["arguments"])
        sys.exit()

    def reap_kernels(self, wakeup_receiver: socket.socket) -> None:
        wakeup_receiver.recv(4096)
        while self.kernel_connections:
            pid, status, used = os.wait4(-1, os.WNOHANG)
            if not pid:
                return
            connection = self.kernel_connections.pop(pid)
            with contextlib.suppress(KeyError):
                self.selector.unregister(connection)
            _kill_group(pid)  # what it left behind
            peak = used.ru_maxrss // 1024
            _send(connection, {"status": os.waitstatus_to_exitcode(status), "peak_mb": peak})
            connection.close()

    def handle_disconnect(self, connection: socket.socket) -> None:
        """Its client has gone: nobody wants the kernel any more."""
        if not connection.recv(4096):
            self.selector.unregister(connection)
            _kill_group(
                next(pid for pid, one in self.kernel_connections.items() if one is connection)
            )

    def shut_down(self, _stdin: Any) -> None:
        for pid in self.kernel_connections:
            _kill_group(pid)
        sys.exit()


def _set_up_child(
    request: dict[str, Any], parent_pid: int, changed_variables: dict[str, str]
) -> None:
    """The fork as a fresh process: own session, folder, environment, files, random numbers."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _exit_with_parent()
    if os.getppid() != parent_pid:
        os._exit(1)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(
        changed_variables | request["environment"]
    )  # what packages set when imported counts
    errors = os.open(request["errors"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(errors, 1)
    os.dup2(errors, 2)
    for name in ("numpy.random", "torch"):  # forks would draw the same numbers
        if name in sys.modules:
            sys.modules[name].seed()


def _kill_group(process_group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process_group, signal.SIGKILL)


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]))
