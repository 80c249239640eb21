"""A client that is ready as soon as its kernel is."""

import asyncio
import contextlib
from queue import Empty

from jupyter_client.asynchronous import AsyncKernelClient

DEFAULT_TIMEOUT_SECONDS = 60.0


class ReadyClient(AsyncKernelClient):
    """jupyter_client's client without its wait of 0.2 s for silence, which nbclient does not need.

    nbclient ignores the messages that belong to no request of its own.
    """

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers and its outputs arrive.

        Raises RuntimeError if it dies, or is not ready within `timeout` seconds.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (timeout or DEFAULT_TIMEOUT_SECONDS)
        while loop.time() < deadline:
            self.kernel_info()
            with contextlib.suppress(Empty):
                await self.get_shell_msg(timeout=1)
                await self.get_iopub_msg(timeout=0.2)  # else it is not connected yet: ask again
                return
            if not await self.is_alive():
                raise RuntimeError("the kernel died before it was ready")
        raise RuntimeError(f"the kernel was not ready within {timeout:.0f} s")
