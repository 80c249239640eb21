"""A process that has imported what the notebooks import, and forks kernels that start warm.

    python -P -m pipeline.kernels.fork_server DESCRIPTOR '[["pandas", "sklearn.svm"], ["numpy"]]'

Answers a KernelRequest on a Unix socket, whose listening end it inherits as DESCRIPTOR, with the
kernel's process id, and with KernelEnded once the kernel has ended. Closing the connection kills
its kernel; closing stdin kills them all. The first list of modules is imported before the first
kernel starts, the others while there is no request.
"""

import contextlib
import ctypes
import gc
import json
import multiprocessing.process
import os
import selectors
import signal
import socket
import sys
import warnings
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from pipeline.kernels.preload.callback_recorder import run_fork_callbacks
from pipeline.kernels.preload.import_handover import HandoverFinder
from pipeline.kernels.preload.module_stash import ModuleStash
from pipeline.kernels.protocol import KernelEnded, KernelRequest

PR_SET_PDEATHSIG = 1  # of Linux's prctl: the signal that this process gets when its parent dies


def main(listener_descriptor: int, module_groups: list[list[str]]) -> None:
    """Serve requests for kernels until stdin closes."""
    variables = dict(os.environ)
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    os.environ["JPY_PARENT_PID"] = str(os.getpid())  # ipykernel reads it when it is imported
    _exit_with_parent()
    listener = socket.socket(fileno=listener_descriptor)
    os.chdir(Path(listener.getsockname()).parent)  # no folder whose files packages would read
    from ipykernel.zmqshell import ZMQInteractiveShell

    from pipeline.kernels import kernel_main  # noqa: F401 - each kernel has it

    ZMQInteractiveShell.init_environment(cast(Any, None))  # as each kernel does it
    server = _KernelForkServer(listener, ModuleStash(), variables)
    first_modules, *later_groups = module_groups or [[]]
    for module_name in first_modules:
        server.stash.preload(module_name)
    server.serve([module_name for group in later_groups for module_name in group])


def _exit_with_parent() -> None:
    """Have Linux kill this process when its parent ends; elsewhere a closed stdin ends it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class _KernelForkServer:
    """The process that forks kernels.

    stash: gets the packages that are imported in advance. variables: the environment at the start.
    """

    def __init__(
        self, listener: socket.socket, stash: ModuleStash, variables: dict[str, str]
    ) -> None:
        self.listener, self.stash = listener, stash
        self.variables, self.initial_path = variables, list(sys.path)
        self.connections: dict[int, Connection] = {}  # of the running kernels, by process id
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ, self.accept_request)
        self.selector.register(sys.stdin, selectors.EVENT_READ, self.shut_down)

    def serve(self, pending_modules: list[str]) -> None:
        """Handle requests and the ends of kernels; never returns, as `shut_down` exits.

        pending_modules: imported one by one while there is no request.
        """
        while True:
            ready_keys = self.selector.select(0 if pending_modules else None)
            for key, _ in ready_keys:
                key.data()
            if not ready_keys:
                self.stash.preload(pending_modules.pop(0))

    def accept_request(self) -> None:
        """Accept a connection and start the kernel that it requests."""
        connection = Connection(self.listener.accept()[0].detach())
        try:
            request = connection.recv()
        except EOFError:  # its client has died
            connection.close()
            return
        pid = self.fork_kernel(request, connection)
        exit_descriptor = os.pidfd_open(pid)
        on_exit = partial(self.report_exit, pid, exit_descriptor)
        self.selector.register(exit_descriptor, selectors.EVENT_READ, on_exit)
        self.selector.register(connection, selectors.EVENT_READ, partial(_kill_group, pid))
        self.connections[pid] = connection
        _send(connection, pid)

    def fork_kernel(self, request: KernelRequest, connection: Connection) -> int:
        """Fork a kernel; return its process id. The child runs the kernel and never returns."""
        gc.freeze()  # else collecting garbage copies the shared pages
        parent_pid = os.getpid()
        with warnings.catch_warnings(), run_fork_callbacks(self.stash.registrations):
            # Python 3.12 sees the threads of BLAS; those take forks
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid:
            return pid
        self.selector.close()
        self.listener.close()
        for inherited in (connection, *self.connections.values()):
            inherited.close()
        _set_up_child(request, parent_pid)
        if "numpy.random" in self.stash.modules:  # else all forks draw the same numbers
            self.stash.modules["numpy.random"].seed()
        sys.path[:] = self.initial_path
        finder = HandoverFinder(self.stash, self.initial_path, self.variables, request.reason_path)
        finder.install()
        from pipeline.kernels.kernel_main import run_kernel

        run_kernel(request.arguments, finder.start_checks, finder.stash.modules)
        sys.exit()

    def report_exit(self, pid: int, exit_descriptor: int) -> None:
        """Report on its connection that a kernel has ended, and kill what it left behind."""
        connection = self.connections.pop(pid)
        for ended in (exit_descriptor, connection):
            self.selector.unregister(ended)
        os.close(exit_descriptor)
        _, wait_status, usage = os.wait4(pid, 0)
        _kill_group(pid)
        exit_code = os.waitstatus_to_exitcode(wait_status)
        _send(connection, KernelEnded(exit_code, usage.ru_maxrss // 1024))
        connection.close()

    def shut_down(self) -> None:
        """Kill all kernels and exit."""
        for pid in self.connections:
            _kill_group(pid)
        sys.exit()


def _set_up_child(request: KernelRequest, parent_pid: int) -> None:
    """Make the fork like a new process: its own session, folder, environment and files.

    parent_pid: of the fork server; the child exits if that has died meanwhile.
    """
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _exit_with_parent()
    if os.getppid() != parent_pid:
        os._exit(1)
    os.chdir(request.working_folder)
    # the folder that children which are new processes start in
    vars(multiprocessing.process)["ORIGINAL_DIR"] = os.getcwd()  # noqa: PTH109
    sys.orig_argv[1:] = ["-P", "-m", "pipeline.kernels.kernel_main", *request.arguments]
    os.environ.clear()
    os.environ.update(request.environment)
    stderr_descriptor = os.open(request.stderr_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null_descriptor = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in (
        (null_descriptor, 0),
        (stderr_descriptor, 1),
        (stderr_descriptor, 2),
    ):
        os.dup2(descriptor, target)
    os.close(null_descriptor)
    os.close(stderr_descriptor)


def _kill_group(process_group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process_group, signal.SIGKILL)


def _send(connection: Connection, message: int | KernelEnded) -> None:
    with contextlib.suppress(OSError):  # its client may be gone
        connection.send(message)


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]))
