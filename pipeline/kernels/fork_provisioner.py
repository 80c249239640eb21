"""A provisioner of jupyter_client: how a Python kernel starts and ends, warm where possible.

jupyter_client finds it by its entry point, PROVISIONER_NAME, where a kernel specification names
it.
"""

import asyncio
import contextlib
import os
import signal
import sys
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any
from uuid import uuid4

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.provisioning import LocalProvisioner
from traitlets import Bool, Unicode

from pipeline.kernels.protocol import FORK_SERVER_SOCKET_NAME, KernelEnded, KernelRequest

PROVISIONER_NAME = "pipeline-provisioner"
POLL_INTERVAL_SECONDS = 0.005  # jupyter_client's own is 0.1, which each notebook would wait


class ForkedKernel:
    """A kernel that the fork server has started: what LocalProvisioner needs of a subprocess.Popen.

    It is no child of this process; the fork server reports its end over the connection.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.pid: int = connection.recv()
        self.returncode: int | None = None
        self.peak_mb = 0  # its largest memory, known once it has ended

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        if self.returncode is None and self.connection.poll():
            try:
                ended = self.connection.recv()
            except (EOFError, OSError):  # the fork server was killed, and its kernels with it
                ended = KernelEnded(-signal.SIGKILL)
            self.returncode, self.peak_mb = ended
            self.connection.close()
        return self.returncode

    def send_signal(self, signum: int) -> None:
        """Send a signal to the process alone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signum)


class ForkProvisioner(LocalProvisioner):
    """Kernels of this interpreter run `kernel_main`, forked from the fork server if there is one.

    A kernel of another language or another interpreter starts as its own specification says.
    """

    socket_folder = Unicode(help="gets the kernel's sockets, and has the fork server's")
    start_cold = Bool(False, help="whether the kernel must be a new process")

    @property
    def peak_mb(self) -> int:
        """The kernel's largest memory, where it is known; else 0."""
        return getattr(self.process, "peak_mb", 0)

    @property
    def cold_start_reason(self) -> str:
        """Why a warm kernel has ended to be started cold; empty if it has not."""
        with contextlib.suppress(OSError):
            return Path(f"{self.connection_info.get('ip')}.cold").read_text(encoding="utf-8")
        return ""

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Prepare the start: Unix sockets and our own entry point for our own interpreter."""
        if not is_own_interpreter(self.kernel_spec):  # others may know TCP only
            return await super().pre_launch(**kwargs)
        manager: Any = self.parent
        socket_prefix = str(Path(self.socket_folder, uuid4().hex[:8]))
        manager.transport, manager.ip = "ipc", socket_prefix
        manager.connection_file = f"{socket_prefix}.json"
        prepared = await super().pre_launch(**kwargs)
        arguments = prepared["cmd"][3:]  # after python -m ipykernel_launcher
        # -P: a file beside the notebook must not be imported in place of a package of ours
        command = [sys.executable, "-P", "-m", "pipeline.kernels.kernel_main", *arguments]
        return {**prepared, "cmd": command}

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Start the kernel; return its connection info once its sockets exist.

        Raises RuntimeError if the fork server dies meanwhile.
        """
        connection = self._connect_to_fork_server()
        if connection is None:
            await super().launch_kernel(cmd, **kwargs)
        else:
            arguments, stderr_path = cmd[4:], kwargs["stderr"].name
            reason_path = f"{self.connection_info['ip']}.cold"
            connection.send(
                KernelRequest(
                    arguments, kwargs["env"], str(kwargs["cwd"]), stderr_path, reason_path
                )
            )
            while not connection.poll():
                await asyncio.sleep(POLL_INTERVAL_SECONDS)
            try:
                kernel = ForkedKernel(connection)
            except EOFError:
                message = "the fork server, which starts the kernels, has died"
                raise RuntimeError(message) from None
            self.process, self.pid, self.pgid = kernel, kernel.pid, kernel.pid  # type: ignore[assignment]
        await self._wait_for_sockets()
        return self.connection_info

    def _connect_to_fork_server(self) -> Connection | None:
        """Return None if it was never started, has died, or could not fork this kernel."""
        if is_own_interpreter(self.kernel_spec) and not self.start_cold:
            with contextlib.suppress(OSError):
                return Client(str(Path(self.socket_folder, FORK_SERVER_SOCKET_NAME)), "AF_UNIX")
        return None

    async def _wait_for_sockets(self) -> None:
        """Wait until the kernel's sockets exist: zmq retries an early connection only slowly."""
        info = self.connection_info
        names = ("shell_port", "iopub_port", "stdin_port", "hb_port", "control_port")
        paths = [Path(f"{info['ip']}-{info[name]}") for name in names]  # type: ignore[literal-required]
        while info["transport"] == "ipc" and await self.poll() is None:
            if all(path.exists() for path in paths):
                return
            await asyncio.sleep(POLL_INTERVAL_SECONDS)

    async def wait(self) -> int | None:
        """Wait for the kernel's end; return its exit code."""
        while await self.poll() is None:
            await asyncio.sleep(POLL_INTERVAL_SECONDS)
        return await self.poll()


def is_own_interpreter(kernel_spec: KernelSpec) -> bool:
    """Return whether the kernel would be ipykernel in this very interpreter."""
    program, *arguments = kernel_spec.argv
    major, minor = sys.version_info[:2]
    own_names = ("python", f"python{major}", f"python{major}.{minor}", sys.executable)
    return arguments[:2] == ["-m", "ipykernel_launcher"] and program in own_names
