"""Starting and stopping a kernel fast: from the nursery where there is one, without fixed waits."""

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


class KernelClient(AsyncKernelClient):
    """Ready as soon as the kernel says so; the base class waits 0.2 s for silence instead."""

    async def _async_wait_for_ready(self, timeout: float | None = None) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + (timeout or 60)
        with contextlib.suppress(Empty):
            await self.get_iopub_msg(timeout=0.3)  # ipykernel's welcome: iopub is connected
        while loop.time() < end:
            asked = self.kernel_info()  # asked again, as iopub may not be connected yet
            with contextlib.suppress(Empty):
                while (await self.get_shell_msg(timeout=0.5))["parent_header"]["msg_id"] != asked:
                    pass
                if await self._is_request_finished(asked):
                    return
            if not await self._async_is_alive():
                raise RuntimeError("the kernel died before it was ready")
        raise RuntimeError(f"the kernel was not ready within {timeout:.0f} s")

    wait_for_ready = _async_wait_for_ready

    async def _is_request_finished(self, request_id: str) -> bool:
        """Whether iopub tells the end of the request, which is the last that it tells of it."""
        with contextlib.suppress(Empty):
            while True:
                message = await self.get_iopub_msg(timeout=0.2)
                ours = message["parent_header"].get("msg_id") == request_id
                if ours and message["content"].get("execution_state") == "idle":
                    return True
        return False


FORK_SERVER_SOCKET_NAME = "nursery"  # its socket's name


def create_kernel_manager(kernel_name: str, socket_folder: Path) -> "KernelManager":
    """Of a kernel that is not started yet; NoSuchKernel if there is none of the name."""
    made = KernelManager(kernel_name=kernel_name)
    if made.is_own_interpreter():  # others may know TCP only
        token = uuid4().hex[:8]
        made.transport, made.ip = "ipc", str(socket_folder / token)
        made.connection_file = str(socket_folder / f"{token}.json")
        made.fork_server_socket = (
            str(socket_folder / FORK_SERVER_SOCKET_NAME)
            if _is_listening(socket_folder / FORK_SERVER_SOCKET_NAME)
            else ""
        )
    return made


def _is_listening(socket_path: Path) -> bool:
    """Whether somebody listens there: a nursery may never have been, or have died."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(socket_path)) == 0


class KernelManager(AsyncKernelManager):
    """A kernel manager whose Python kernels come from the nursery, if there is one.

    A kernel of another language or another interpreter starts as its own specification says.
    """

    fork_server_socket = ""
    client_factory = Type(klass=KernelClient)

    async def _async_pre_start_kernel(self, **options: Any) -> Any:
        if self.provisioner is None and self.fork_server_socket:
            self.kernel_id = self.kernel_id or str(uuid4())
            self.provisioner = ForkProvisioner(
                parent=self, kernel_id=self.kernel_id, kernel_spec=self.kernel_spec
            )
            self.provisioner.fork_server_socket = self.fork_server_socket
        return await super()._async_pre_start_kernel(**options)

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        command = super().format_kernel_cmd(extra_arguments)
        if self.is_own_interpreter():
            place = command.index("-m")  # -P: a file beside the notebook must not stand for ours
            command[place : place + 2] = ["-P", "-m", "pipeline.kernels.kernel_main"]
        return command

    def is_own_interpreter(self) -> bool:
        """Whether the kernel would be ipykernel in this very interpreter."""
        program, *arguments = self.kernel_spec.argv
        major, minor = sys.version_info[:2]
        this = ("python", f"python{major}", f"python{major}.{minor}", sys.executable)
        return arguments[:2] == ["-m", "ipykernel_launcher"] and program in this

    async def wait_for_sockets(self) -> None:
        """Waits for the kernel's sockets: who connects before they exist tries again too late."""
        while self.transport == "ipc" and await self.is_alive():
            ports = (self.shell_port, self.iopub_port, self.stdin_port, self.hb_port)
            if all(Path(f"{self.ip}-{one}").exists() for one in (*ports, self.control_port)):
                return
            await asyncio.sleep(0.005)

    async def stop(self, client: Any, timeout_seconds: float) -> None:
        """Asks the kernel to leave; kills it, and all it started, if it takes longer than that."""
        if await self.is_alive():
            client.shutdown()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.provisioner.wait(), timeout_seconds)
        await self.kill()

    async def kill(self) -> None:
        """At once, with all it started."""
        if self.provisioner is not None and self.provisioner.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.provisioner.pid, signal.SIGKILL)
            await self.provisioner.wait()


class ForkProvisioner(LocalProvisioner):
    """A kernel that the nursery forks: a child of another process, told of over its socket."""

    fork_server_socket = ""
    returncode: int | None = None
    peak_mb = 0
    _exit_task: asyncio.Task | None = None

    @property
    def has_process(self) -> bool:
        return self.pid is not None

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        reader, self._writer = await asyncio.open_unix_connection(self.fork_server_socket)
        request = {
            "arguments": cmd[cmd.index("pipeline.kernels.kernel_main") + 1 :],
            "environment": options["env"],
            "folder": str(options["cwd"] or Path.cwd()),
            "errors": options["stderr"].name,
        }
        self._writer.write(json.dumps(request).encode() + b"\n")
        answer = await reader.readline()
        if not answer:
            raise RuntimeError("the nursery, which starts the kernels, has died")
        self.pid = self.pgid = json.loads(answer)["pid"]
        self._exit_task = asyncio.ensure_future(self._wait_for_exit(reader))
        return self.connection_info

    async def _wait_for_exit(self, reader: asyncio.StreamReader) -> None:
        answer = json.loads(await reader.readline() or "{}")
        self.returncode = answer.get("status", -signal.SIGKILL)  # the nursery went, and it with it
        self.peak_mb = answer.get("peak_mb", 0)
        self._writer.close()

    async def poll(self) -> int | None:
        return self.returncode

    async def wait(self) -> int | None:
        if self._exit_task:
            await asyncio.shield(self._exit_task)
        return self.returncode

    async def send_signal(self, signum: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signum)
