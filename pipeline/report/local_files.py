"""Follow the relative URLs of a notebook: embed its images, link to the reports of others."""

import base64
import mimetypes
import re
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
        path, _ = self._find(url)
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
        if self.report_url is None or self.folder is None or not _is_relative(url):
            return url
        path, fragment = self._find(url)
        is_notebook = path is not None and path.suffix.lower() == ".ipynb"
        report_url = self.report_url(path.resolve()) if path and is_notebook else ""
        if not report_url:
            return None
        # an anchor has no blanks, neither as Jupyter writes it nor as GitHub does
        anchor = quote(unquote(fragment).strip().replace(" ", "-"))
        return f"{report_url}#{anchor}" if anchor else report_url

    def _find(self, url: str) -> tuple[Path | None, str]:
        """Return the file that a relative URL names, or None, and the URL's fragment.

        A name may hold a # or % that the author has not encoded: the first reading of the URL that
        names a file counts.
        """
        url = url.strip()
        if self.folder is None or not _is_relative(url):
            return None, ""
        split_url = urlsplit(url)
        readings = [(unquote(split_url.path), split_url.fragment), (unquote(url), ""), (url, "")]
        for mark in reversed(list(re.finditer("#", url))):
            name, fragment = url[: mark.start()], url[mark.end() :]
            readings += [(unquote(name), fragment), (name, fragment)]
        candidates = [(self.folder / name, fragment) for name, fragment in readings]
        try:
            return next((pair for pair in candidates if pair[0].exists()), candidates[0])
        except (OSError, ValueError):
            return None, ""


def _is_relative(url: str) -> bool:
    """Return whether the URL names a file relative to the page; a bare fragment does not."""
    split_url = urlsplit(url.strip())
    return bool(split_url.path) and not (split_url.scheme or split_url.netloc)


NO_FILES = LocalFiles()


def page_url(*names: str) -> str:
    """Return the relative URL of a page from the names of its folders and its file."""
    return "/".join(quote(name, safe="=,+@") for name in names)
