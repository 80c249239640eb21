"""Masking secrets in what a notebook leaves, however an output spells them."""

import html
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.runs.atomic_write import atomic_write

SECRET_MASK = "•••"
MIN_SECRET_PREFIX_CHARS = 40  # a table cuts a long text after at least as many


class SecretMask:
    """Replace secrets in texts, JSON content and files."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self.secrets = sorted(set(secrets), key=len, reverse=True)
        spellings = {spelling for secret in self.secrets for spelling in _spell_variants(secret)}
        self.spellings = sorted(spellings, key=len, reverse=True)  # the longest is masked first

    def mask(self, content: Any) -> Any:
        """Return JSON content with the secrets in its texts masked."""
        if not self.spellings:
            return content
        if isinstance(content, str):
            return self._mask_text(content)
        if isinstance(content, dict):
            return {self.mask(name): self.mask(value) for name, value in content.items()}
        if isinstance(content, list):
            return [self.mask(item) for item in content]
        return content

    def _mask_text(self, text: str) -> str:
        for spelling in self.spellings:
            text = text.replace(spelling, SECRET_MASK)
        for secret in self.secrets:
            if len(secret) > MIN_SECRET_PREFIX_CHARS and secret[:MIN_SECRET_PREFIX_CHARS] in text:
                for length in range(len(secret) - 1, MIN_SECRET_PREFIX_CHARS - 1, -1):
                    for ellipsis in ("...", "…"):
                        text = text.replace(secret[:length] + ellipsis, SECRET_MASK)
        return text

    def mask_file(self, path: Path) -> None:
        """Mask the secrets in a file that another process wrote, if there is one."""
        if self.spellings and path.exists():
            text = path.read_text(errors="surrogateescape")
            masked = self.mask(text)
            if masked != text:
                atomic_write(path, masked.encode(errors="surrogateescape"))


def _spell_variants(secret: str) -> set[str]:
    """Return the ways in which an output may spell a whole secret."""
    return {
        secret,
        html.escape(secret),
        html.escape(secret, quote=False),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        quote(secret),
        quote(secret, safe=""),
    }
