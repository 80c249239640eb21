"""Our own package as a wheel, to be stored beside a model that needs its classes.

The package is on no index, so the requirements of a model can only name a file in its folder.
"""

import base64
import hashlib
import zipfile
from importlib.metadata import metadata
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

PACKAGE_FOLDER = Path(__file__).parents[1]
SUFFIXES = {".py", ".c", ".css", ".js", ".mplstyle", ".sql", ".jinja"}
ZIP_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # a constant: the same content gives the same file


class Wheel(NamedTuple):
    """A wheel: the name of its file, and its content."""

    name: str
    content: bytes


def build() -> Wheel:
    """Build a wheel of the package for any Python and machine (PEP 427): native.c is not compiled.

    Its version is the project's with a hash of the modules, so that two wheels that differ never
    share a version.
    """
    files = {
        path.relative_to(PACKAGE_FOLDER.parent).as_posix(): path.read_bytes()
        for path in sorted(PACKAGE_FOLDER.rglob("*"))
        if path.suffix in SUFFIXES
    }
    project = metadata("california-housing")
    hashed_content = b"".join(name.encode() + content for name, content in files.items())
    digest = hashlib.sha256(hashed_content).hexdigest()
    version = f"{project['Version'].partition('+')[0]}+{digest[:12]}"
    folder = f"california_housing-{version}.dist-info"
    info_files = {
        "METADATA": "Metadata-Version: 2.1\nName: california-housing\n"
        f"Version: {version}\nRequires-Python: {project['Requires-Python']}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: housing.wheel\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    files |= {f"{folder}/{name}": text.encode() for name, text in info_files.items()}
    files[f"{folder}/RECORD"] = _record_text(files, f"{folder}/RECORD").encode()
    return Wheel(f"california_housing-{version}-py3-none-any.whl", _zip_files(files))


def _record_text(files: dict[str, bytes], record_path: str) -> str:
    """Return the wheel's RECORD: path, hash and size of each file, and its own path."""
    lines = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}")
    return "\n".join([*lines, f"{record_path},,", ""])


def _zip_files(files: dict[str, bytes]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_TIMESTAMP), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
