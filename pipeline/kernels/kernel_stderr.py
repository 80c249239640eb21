"""What a kernel process prints outside of its cells, in a file in which secrets are masked."""

import asyncio
import codecs
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import BinaryIO

from pipeline.runs.secret_mask import MaskedStream, SecretMask

PIPE_CHUNK_BYTES = 65_536


@contextlib.contextmanager
def open_stderr(
    path: Path | None, secrets: SecretMask, pipe_folder: Path
) -> Iterator[BinaryIO | None]:
    """Open what a kernel writes to, for as long as it runs; None without a path.

    That is the file at `path`, or a named pipe in `pipe_folder` if there are secrets: what comes is
    masked before it is on the disk. Call it in a running event loop.
    """
    if path is None:
        yield None
    elif not secrets:
        with path.open("ab") as file:
            yield file
    else:
        folder = Path(mkdtemp(dir=pipe_folder))
        pipe_path = folder / "stderr"
        os.mkfifo(pipe_path, 0o600)
        with path.open("a", encoding="utf-8", errors="surrogateescape") as file:
            # the reader first, as a pipe without one cannot be opened for writing
            reader = os.open(pipe_path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                with (
                    pipe_path.open("wb", buffering=0) as pipe,
                    _copy(reader, MaskedStream(file, secrets)),
                ):
                    yield pipe
            finally:
                os.close(reader)
                pipe_path.unlink(missing_ok=True)
                folder.rmdir()


@contextlib.contextmanager
def _copy(reader: int, stream: MaskedStream) -> Iterator[None]:
    """Copy what comes from a pipe; at the end without waiting for those who still have it open."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")

    def copy_chunk() -> bool:
        try:
            chunk = os.read(reader, PIPE_CHUNK_BYTES)
        except BlockingIOError:
            return False
        stream.write(decoder.decode(chunk))
        return bool(chunk)

    loop = asyncio.get_running_loop()
    loop.add_reader(reader, copy_chunk)
    try:
        yield
    finally:
        loop.remove_reader(reader)
        while copy_chunk():
            pass
        stream.write(decoder.decode(b"", final=True))
        stream.finish()
