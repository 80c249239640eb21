"""Starting and stopping kernels fast: from the fork server if there is one, without fixed waits."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from queue import Empty
from typing import Any
from uuid import uuid4

from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from traitlets import Type

from pipeline.kernels.protocol import (
    FORK_SERVER_SOCKET_NAME,
    KernelEnded,
    KernelRequest,
    KernelStarted,
)


class KernelClient(AsyncKernelClient):
    """A client that is ready as soon as its kernel is; the base class waits 0.2 s for silence."""

    async def _async_wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers on both channels.

        Raises RuntimeError if it dies, or is not ready within `timeout` seconds.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (timeout or 60)
        with contextlib.suppress(Empty):
            await self.get_iopub_msg(timeout=0.3)  # ipykernel's welcome: iopub is connected
        while loop.time() < deadline:
            # a request in each round, as iopub may not be connected at the first
            request_id = self.kernel_info()
            with contextlib.suppress(Empty):
                reply = await self.get_shell_msg(timeout=0.5)
                while reply["parent_header"]["msg_id"] != request_id:
                    reply = await self.get_shell_msg(timeout=0.5)
                if await self._is_request_finished(request_id):
                    return
            if not await self._async_is_alive():
                raise RuntimeError("the kernel died before it was ready")
        raise RuntimeError(f"the kernel was not ready within {timeout:.0f} s")

    wait_for_ready = _async_wait_for_ready

    async def _is_request_finished(self, request_id: str) -> bool:
        """Return whether iopub reports the end of the request, the last of its messages."""
        with contextlib.suppress(Empty):
            while True:
                message = await self.get_iopub_msg(timeout=0.2)
                is_ours = message["parent_header"].get("msg_id") == request_id
                if is_ours and message["content"].get("execution_state") == "idle":
                    return True
        return False


def create_kernel_manager(kernel_name: str, socket_folder: Path) -> "KernelManager":
    """Return the manager of a kernel that is not started yet.

    socket_folder: gets the kernel's sockets, and has the fork server's, if there is one. Raises
    jupyter_client's NoSuchKernel if no kernel has that name.
    """
    kernel_manager = KernelManager(kernel_name=kernel_name)
    if kernel_manager.is_own_interpreter():  # other kernels may know TCP only
        token = uuid4().hex[:8]
        kernel_manager.transport, kernel_manager.ip = "ipc", str(socket_folder / token)
        kernel_manager.connection_file = str(socket_folder / f"{token}.json")
        fork_server_socket = socket_folder / FORK_SERVER_SOCKET_NAME
        if _is_listening(fork_server_socket):
            kernel_manager.fork_server_socket = str(fork_server_socket)
    return kernel_manager


def _is_listening(socket_path: Path) -> bool:
    """Return whether a process listens: a fork server may never have been started, or have died."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(socket_path)) == 0


class KernelManager(AsyncKernelManager):
    """A kernel manager whose Python kernels come from the fork server, if there is one.

    A kernel of another language or another interpreter starts as its own specification says.
    """

    fork_server_socket = ""
    client_factory = Type(klass=KernelClient)

    async def _async_pre_start_kernel(self, **options: Any) -> Any:
        if self.provisioner is None and self.fork_server_socket:
            self.kernel_id = self.kernel_id or str(uuid4())
            provisioner = ForkProvisioner(
                parent=self, kernel_id=self.kernel_id, kernel_spec=self.kernel_spec
            )
            provisioner.fork_server_socket = self.fork_server_socket
            self.provisioner = provisioner
        return await super()._async_pre_start_kernel(**options)

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        """Return the command that starts the kernel: our own entry point for our interpreter."""
        command = super().format_kernel_cmd(extra_arguments)
        if self.is_own_interpreter():
            index = command.index("-m")
            # -P: a file beside the notebook must not be imported in place of a package of ours
            command[index : index + 2] = ["-P", "-m", "pipeline.kernels.kernel_main"]
        return command

    def is_own_interpreter(self) -> bool:
        """Return whether the kernel would be ipykernel in this very interpreter."""
        if self.kernel_spec is None:
            return False
        program, *arguments = self.kernel_spec.argv
        major, minor = sys.version_info[:2]
        own_names = ("python", f"python{major}", f"python{major}.{minor}", sys.executable)
        return arguments[:2] == ["-m", "ipykernel_launcher"] and program in own_names

    @property
    def kernel_pid(self) -> int | None:
        """The kernel's process id; None before it is started."""
        return getattr(self.provisioner, "pid", None)

    async def wait_for_sockets(self) -> None:
        """Wait until the kernel's sockets exist: zmq retries an early connection only slowly."""
        while self.transport == "ipc" and await self.is_alive():
            ports = (
                self.shell_port,
                self.iopub_port,
                self.stdin_port,
                self.hb_port,
                self.control_port,
            )
            if all(Path(f"{self.ip}-{port}").exists() for port in ports):
                return
            await asyncio.sleep(0.005)

    async def exit_code(self) -> int | None:
        """Return the kernel's exit code, negative for a signal; None while it runs."""
        return await self.provisioner.poll() if self.provisioner else None

    async def interrupt(self) -> None:
        """Send the kernel SIGINT, as Ctrl-C would."""
        if self.provisioner:
            await self.provisioner.send_signal(signal.SIGINT)

    async def stop(self, client: Any, timeout_seconds: float) -> None:
        """Ask the kernel to exit; then kill it, if need be, and all processes that it started.

        timeout_seconds: how long it may take to exit by itself.
        """
        if self.provisioner and await self.is_alive():
            client.shutdown()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.provisioner.wait(), timeout_seconds)
        await self.kill()

    async def kill(self) -> None:
        """Kill the kernel at once, with all processes that it started."""
        if self.provisioner and self.kernel_pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.kernel_pid, signal.SIGKILL)
            await self.provisioner.wait()


class ForkProvisioner(LocalProvisioner):
    """A kernel that the fork server starts, and whose end it reports over the same connection.

    The kernel is no child of this process, so that the base class could not wait for it.
    """

    fork_server_socket = ""
    returncode: int | None = None
    peak_mb = 0  # the kernel's largest memory, known once it has ended
    _exit_task: asyncio.Task | None = None

    @property
    def has_process(self) -> bool:
        """Whether a kernel was started."""
        return self.pid is not None

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        """Have the fork server fork the kernel; return its connection info.

        Raises RuntimeError if the fork server has died.
        """
        reader, self._writer = await asyncio.open_unix_connection(self.fork_server_socket)
        request = KernelRequest(
            arguments=cmd[cmd.index("pipeline.kernels.kernel_main") + 1 :],
            environment=options["env"],
            working_folder=str(options["cwd"] or Path.cwd()),
            stderr_path=options["stderr"].name,
        )
        self._writer.write(json.dumps(request._asdict()).encode() + b"\n")
        reply = await reader.readline()
        if not reply:
            raise RuntimeError("the fork server, which starts the kernels, has died")
        self.pid = self.pgid = KernelStarted(**json.loads(reply)).pid
        self._exit_task = asyncio.ensure_future(self._wait_for_exit(reader))
        return self.connection_info

    async def _wait_for_exit(self, reader: asyncio.StreamReader) -> None:
        """Wait for the fork server's message of the kernel's end."""
        line = await reader.readline()
        # without a message the fork server was killed, and its kernels with it
        result = KernelEnded(**json.loads(line)) if line else KernelEnded(-signal.SIGKILL)
        self.returncode, self.peak_mb = result.exit_code, result.peak_mb
        self._writer.close()

    async def poll(self) -> int | None:
        """Return the kernel's exit code; None while it runs."""
        return self.returncode

    async def wait(self) -> int | None:
        """Wait for the kernel's end; return its exit code."""
        if self._exit_task:
            await asyncio.shield(self._exit_task)
        return self.returncode

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel and the processes of its group."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signum)
