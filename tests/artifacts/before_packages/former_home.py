"""Homes that commit a728a4f wrote, copied to where a test may use and change them."""

import html
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
BINARY_SUFFIXES = (".db", ".skops", ".onnx")


class FormerHome(NamedTuple):
    """A copy of a home, and what the commands printed in it at that commit."""

    home: Path
    expected: Path

    def expected_text(self, name: str) -> str:
        """Return what a command printed."""
        return (self.expected / f"{name}.txt").read_text()


def copy_home(name: str, home: Path) -> FormerHome:
    """Copy a home to a folder, with that folder's path in its files."""
    shutil.copytree(FOLDER / name, home, dirs_exist_ok=True)
    for file in home.rglob("*"):
        if file.is_file() and file.suffix not in BINARY_SUFFIXES:
            text = file.read_text()
            file.write_text(text.replace("{HOME_URI}", home.as_uri()).replace("{HOME}", str(home)))
    store_dump = home / "var" / "mlflow.sql"
    if store_dump.exists():
        with closing(sqlite3.connect(home / "var" / "mlflow.db")) as database:
            database.executescript(store_dump.read_text())
    return FormerHome(home, home / "expected")


def page_text(source: str) -> str:
    """Return the text of a page or of a part of it, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", source)).split())


def page_facts(source: str) -> dict[str, str]:
    """Return the notice of a report and its facts, label -> text."""
    terms = re.findall(r"<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", source, re.DOTALL)
    notices = re.findall(r'<p class="notice"[^>]*>(.*?)</p>', source, re.DOTALL)
    facts = {page_text(label): page_text(text) for label, text in terms}
    return facts | {"notice": page_text(" ".join(notices))}


def index_rows(source: str) -> dict[str, str]:
    """Return run id -> the text of its row in the index of all runs."""
    rows = re.findall(r'<tr data-run="([^"]+)">(.*?)</tr>', source, re.DOTALL)
    return {run_id: page_text(row) for run_id, row in rows}
