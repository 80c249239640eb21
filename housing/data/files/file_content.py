"""Open the content of a file, unpacked: how it is compressed, its first bytes say, not its ending.

gzip, bzip2, xz, Zstandard and LZ4, and ZIP and tar archives that hold one data file, in any
combination (`housing.tgz`).
"""

import bz2
import gzip
import io
import lzma
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

import pyarrow as pa

from housing.data.errors import DataError, MissingDataError

SAMPLE_BYTES = 1 << 18  # of the start of the content: a header and some thousand rows
MAX_PACKINGS = 4  # one in the other
TAR_MAGIC_OFFSET, TAR_MAGIC = 257, b"ustar"
MAX_LISTED_MEMBERS = 5
DATA_SUFFIXES = {".csv", ".tsv", ".data", ".parquet"}
# what the libraries raise where packed content is damaged or ends too early
DAMAGE_ERRORS = (
    EOFError,
    OSError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    pa.ArrowException,
)
ENCRYPTED_FLAG = 1  # of a member of a ZIP archive


class Content(NamedTuple):
    """The unpacked content of a file."""

    stream: IO[bytes]  # from its beginning
    start: bytes  # the first SAMPLE_BYTES bytes, or all if there are fewer
    packings: list[str]  # the outermost first, such as ["gzip", "tar archive"]; empty for none
    file: IO[bytes]  # as it is stored; its `tell` says how much of it has been read


@contextmanager
def open_content(path: Path) -> Iterator[Content]:
    """Open a file and unpack it in bounded memory.

    Raises MissingDataError if it is missing or no file, DataError if it is damaged, or an archive
    that does not hold exactly one data file.
    """
    if not path.exists():
        raise MissingDataError(f"there is no file {path}")
    if not path.is_file():
        kind = "folder" if path.is_dir() else "pipe or device"
        raise MissingDataError(f"{path} is a {kind}, expected a file")
    with ExitStack() as stack:
        try:
            file: IO[bytes] = stack.enter_context(path.open("rb"))
        except OSError as error:
            raise MissingDataError(f"{path} cannot be opened: {error.strerror}") from error
        stream = file
        packings: list[str] = []
        while True:
            with explain_damage(path, packings):
                start = _read_start(stream)
                stream = _rewind(stream, start)
            packing = _recognize_packing(start)
            if not packing:
                break
            if len(packings) == MAX_PACKINGS:
                raise DataError(f"{path} is packed more than {MAX_PACKINGS} times: unpack it")
            packings.append(packing)
            with explain_damage(path, packings):
                stream = stack.enter_context(UNPACKERS[packing](stream, path))
        yield Content(stream, start, packings, file)


def estimate_unpacked_size(content: Content) -> float:
    """Return how many bytes the whole content has, at least 1, by what has been read so far."""
    file_size = os.fstat(content.file.fileno()).st_size
    return max(file_size * content.stream.tell() / max(content.file.tell(), 1), 1.0)


@contextmanager
def explain_damage(path: Path, packings: list[str]) -> Iterator[None]:
    """Raise what goes wrong while packed content is read as a DataError that names the file."""
    try:
        yield
    except DAMAGE_ERRORS as error:
        if not packings:
            raise
        reason = str(error) or type(error).__name__
        raise DataError(
            f"{path} cannot be unpacked ({packings[-1]}: {reason}): it is damaged or incomplete, "
            "copy or download it again"
        ) from error


def make_seekable(stream: IO[bytes]) -> IO[bytes]:
    """Return a stream of the same content that can be read at any place: a temporary file."""
    if stream.seekable():
        return stream
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it is gone when its last reader is
    shutil.copyfileobj(stream, file)
    file.seek(0)
    return file


class _PrefixedStream(io.RawIOBase):
    """A stream whose first bytes were read already."""

    def __init__(self, prefix: bytes, stream: IO[bytes]) -> None:
        self._prefix, self._stream, self._position = prefix, stream, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._prefix[: len(buffer)] or self._stream.read(len(buffer))
        self._prefix = self._prefix[len(chunk) :]
        buffer[: len(chunk)] = chunk
        self._position += len(chunk)
        return len(chunk)

    def tell(self) -> int:
        return self._position


def _read_start(stream: IO[bytes]) -> bytes:
    start = b""
    while len(start) < SAMPLE_BYTES:
        chunk = stream.read(SAMPLE_BYTES - len(start))
        if not chunk:
            break
        start += chunk
    return start


def _rewind(stream: IO[bytes], start: bytes) -> IO[bytes]:
    if stream.seekable():
        stream.seek(0)
        return stream
    return io.BufferedReader(_PrefixedStream(start, stream))


def _recognize_packing(start: bytes) -> str:
    """Return the name of the packing that content of this start has; empty for none."""
    for packing, magic in PACKING_MAGIC.items():
        if start.startswith(magic):
            return packing
    is_tar = start[TAR_MAGIC_OFFSET:].startswith(TAR_MAGIC)
    return "tar archive" if is_tar else ""


def _open_zip(stream: IO[bytes], path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(make_seekable(stream))
    names = archive.namelist()
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise DataError(
            f"{path} is a spreadsheet (Excel or OpenDocument), expected CSV or Parquet: in the "
            "spreadsheet program, save the sheet as CSV"
        )
    name = _only_data_file([name for name in names if not name.endswith("/")], path)
    if archive.getinfo(name).flag_bits & ENCRYPTED_FLAG:
        raise DataError(f"{path} has a password: unpack it, and give the file in it")
    return archive.open(name)


def _open_tar(stream: IO[bytes], path: Path) -> IO[bytes]:
    archive = tarfile.open(fileobj=make_seekable(stream))  # noqa: SIM115 - its member is returned
    name = _only_data_file([member.name for member in archive if member.isfile()], path)
    file = archive.extractfile(name)
    assert file is not None, "a regular file has content"
    return file


def _only_data_file(names: list[str], path: Path) -> str:
    """Return the only member of an archive, without what operating systems add to it."""
    files = [name for name in names if not _is_hidden(name)]
    data_files = [name for name in files if DATA_SUFFIXES & set(PurePosixPath(name).suffixes)]
    for candidates in (files, data_files):  # there may be a description beside the data
        if len(candidates) == 1:
            return candidates[0]
    if not files:
        raise DataError(f"{path} is an archive without a file, expected one with a data file")
    listed = ", ".join(files[:MAX_LISTED_MEMBERS])
    raise DataError(
        f"{path} is an archive of {len(files):,} files, expected one ({listed}"
        f"{', …' if len(files) > MAX_LISTED_MEMBERS else ''}): unpack it, and give the file meant"
    )


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


UNPACKERS: dict[str, Callable[[IO[bytes], Path], Any]] = {
    "gzip": lambda stream, _: gzip.GzipFile(fileobj=stream),
    "bzip2": lambda stream, _: bz2.BZ2File(stream),
    "xz": lambda stream, _: lzma.LZMAFile(stream),  # noqa: SIM115 - its caller closes it
    "Zstandard": lambda stream, _: pa.CompressedInputStream(stream, "zstd"),
    "LZ4": lambda stream, _: pa.CompressedInputStream(stream, "lz4"),
    "ZIP archive": _open_zip,
    "tar archive": _open_tar,
}
PACKING_MAGIC: dict[str, bytes | tuple[bytes, ...]] = {
    "gzip": b"\x1f\x8b",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\0",
    "Zstandard": b"\x28\xb5\x2f\xfd",
    "LZ4": b"\x04\x22\x4d\x18",
    "ZIP archive": (b"PK\x03\x04", b"PK\x05\x06"),
}
