"""Follow the relative URLs of a notebook: embed its images, link to the reports of others."""

import base64
import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

MAX_IMAGE_BYTES = 20_000_000  # of one file that a page embeds
IMAGE_EXTENSIONS = {".svg": "image/svg+xml", ".webp": "image/webp", ".avif": "image/avif"}


class LocalFiles(NamedTuple):
    """Where the relative URLs of a notebook lead."""

    folder: Path | None = None  # of the notebook; None: no file is embedded
    root: Path | None = None  # of the images that may be embedded; None: the folder
    # the URL of a notebook's report, or empty if it has none; None: links stay as they are
    report_url: Callable[[Path], str] | None = None

    def image_data_uri(self, url: str) -> str | None:
        """Return the data: URL of an image file; None if there is no such file below the root."""
        path = self._path(url)
        if path is None or self.folder is None:
            return None
        mime_type = IMAGE_EXTENSIONS.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0]
        if not (mime_type or "").startswith("image/"):
            return None
        try:
            path = path.resolve()
            if not path.is_relative_to((self.root or self.folder).resolve()):
                return None
            if not path.is_file() or path.stat().st_size > MAX_IMAGE_BYTES:
                return None
            return f"data:{mime_type};base64,{base64.b64encode(path.read_bytes()).decode()}"
        except (OSError, ValueError):
            return None

    def link(self, url: str) -> str | None:
        """Return the URL that a link has in the report; None if it would lead nowhere."""
        if self.report_url is None or self.folder is None:
            return url
        parts = urlsplit(url)
        if parts.scheme or parts.netloc or not parts.path:
            return url
        path = self._path(url)
        is_notebook = path is not None and path.suffix.lower() == ".ipynb"
        report_url = self.report_url(path.resolve()) if path and is_notebook else ""
        if not report_url:
            return None
        return f"{report_url}#{parts.fragment}" if parts.fragment else report_url

    def _path(self, url: str) -> Path | None:
        """Return the file that a URL without a host names; None if it names none."""
        parts = urlsplit(url.strip())
        if self.folder is None or parts.scheme or parts.netloc or not parts.path:
            return None
        texts = (unquote(parts.path), unquote(url.strip()), url.strip())
        candidates = [self.folder / text for text in texts]
        try:  # a name may hold a # or % that the author has not encoded
            return next((path for path in candidates if path.exists()), candidates[0])
        except (OSError, ValueError):
            return None


NO_FILES = LocalFiles()


def page_url(*parts: str) -> str:
    """Return the relative URL of a page: folder and file names, each percent-encoded."""
    return "/".join(quote(part, safe="=,+@") for part in parts)
