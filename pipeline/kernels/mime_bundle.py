"""Make the formats of an output valid in a notebook."""

import re
from collections.abc import Mapping
from typing import Any

# types of the kernel's messages whose `data` is such a bundle
MIME_BUNDLE_MESSAGES = ("display_data", "execute_result", "update_display_data")
JSON_MIME_PATTERN = re.compile(r"application/(?:.*\+)?json")


def normalize_mime_bundle(mime_bundle: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bundle with a JSON format's name for each application's content that is no text.

    Altair 6 writes the data of a chart as application/vnd.vegalite.v6.json, with a dot; in a
    notebook only formats whose name ends in +json hold anything but text.
    """
    return {
        name if _is_valid(name, content) else name.removesuffix(".json") + "+json": content
        for name, content in mime_bundle.items()
    }


def _is_valid(name: str, content: Any) -> bool:
    """Return whether content fits its format, or fits no format that could be named instead."""
    is_text_type = not name.startswith("application/")
    if is_text_type or JSON_MIME_PATTERN.fullmatch(name) or isinstance(content, str):
        return True
    return isinstance(content, list) and all(isinstance(line, str) for line in content)
