"""What a finished report must be, whatever its notebook holds: whole, harmless, with its status."""

from html.parser import HTMLParser
from urllib.parse import unquote

from bs4 import BeautifulSoup

VOID_ELEMENTS = {
    "area",
    "br",
    "col",
    "embed",
    "hr",
    "img",
    "input",
    "link",
    "meta",
    "source",
    "wbr",
}


class BalanceChecker(HTMLParser):
    """A parser that notes the end tags that close another element than the innermost one."""

    def __init__(self) -> None:
        super().__init__()
        self.open_elements: list[str] = []
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        """Note that an element begins."""
        if tag not in VOID_ELEMENTS:
            self.open_elements.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Note that an element ends."""
        if tag in VOID_ELEMENTS:
            return
        if not self.open_elements or self.open_elements.pop() != tag:
            self.problems.append(f"line {self.getpos()[0]}: </{tag}>")


def find_problems(html: str) -> list[str]:
    """Return what is wrong with a report: its tags, its ids, its links, scripts in its body."""
    checker = BalanceChecker()
    checker.feed(html)
    page = BeautifulSoup(html, "html.parser")
    ids = [element["id"] for element in page.select("[id]")]
    links = [unquote(link["href"][1:]) for link in page.select("nav a[href^='#']")]
    return [
        *checker.problems[:3],
        *(f"open: {element}" for element in checker.open_elements[:3]),
        *(f"id {name!r} twice" for name in {name for name in ids if ids.count(name) > 1}),
        *(f"link to {name!r}, which is not there" for name in links if name not in ids),
        *(f"script in the body: {script}" for script in page.select("body script")),
    ]


def read_status(html: str) -> str:
    """Return the status that a report shows."""
    return BeautifulSoup(html, "html.parser").select_one("dd.status").text


def read_content(html: str) -> BeautifulSoup:
    """Return the body of a report without its navigation and the code of its cells."""
    content = BeautifulSoup(html, "html.parser").select_one("body")
    for element in content.select("nav, .strip, footer, details.code"):
        element.decompose()
    return content
