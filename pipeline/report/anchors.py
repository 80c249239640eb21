"""Give headings and other targets of links an id of their own, and find what a link means."""

import html
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote, unquote

from markupsafe import Markup

PAGE_ID_PATTERN = re.compile(r"page-main|page-code|cell-\d+")  # ids that the templates use
ATTRIBUTES = r"(?:\"[^\"]*\"|[^\">])*"  # of a tag, as sanitize() writes them
HEADING_OR_TAG_PATTERN = re.compile(
    rf"<h(?P<level>[1-6])(?P<heading_attributes>(?:\s{ATTRIBUTES})?)>(?P<content>.*?)</h(?P=level)>"
    rf"|<(?P<tag>[a-z][\w-]*)(?P<attributes>\s{ATTRIBUTES})>",
    re.DOTALL,
)
HEADING_ID_PATTERN = re.compile(rf'<h[1-6] id="([^"]*)"{ATTRIBUTES}>')
ID_PATTERN = re.compile(r'\s(id|name)="([^"]*)"')
LINK_PATTERN = re.compile(rf'(<a\s(?:{ATTRIBUTES}\s)?href=")#([^"]+)"')
FORMULA_ELEMENT_PATTERN = re.compile(r'<math\b[^>]*?\salttext="([^"]*)".*?</math>', re.DOTALL)
OUTPUT_PREFIX = "out-"  # of the ids in outputs


class Heading(NamedTuple):
    """A heading in the table of contents."""

    level: int
    anchor: str
    text: str

    @property
    def href(self) -> str:
        """The URL of the heading on its page."""
        return f"#{quote(self.anchor)}"


@dataclass
class Anchors:
    """The headings and the ids of a page."""

    headings: list[Heading] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    # what a link may write -> id: as JupyterLab writes it, as GitHub does, and simplified
    targets: dict[str, str] = field(default_factory=dict)
    github_ids: dict[str, str] = field(default_factory=dict)  # id of a heading -> GitHub's for it
    slug_counts: Counter[str] = field(default_factory=Counter)

    def assign_ids(self, page_html: str) -> str:
        """Return the sanitized HTML with an id for each heading, and no id twice."""
        return HEADING_OR_TAG_PATTERN.sub(self._assign_id, page_html)

    def _assign_id(self, match: re.Match[str]) -> str:
        if match["tag"]:
            attributes = ID_PATTERN.sub(self._rename, match["attributes"])
            return f"<{match['tag']}{attributes}>"
        level, content = match["level"], self.assign_ids(match["content"])
        attributes = match["heading_attributes"]
        text = heading_text(content)
        own_id = ID_PATTERN.search(attributes)
        if not text:
            return f"<h{level}>{content}</h{level}>"
        name = html.unescape(own_id[2]) if own_id else text.replace(" ", "-")
        anchor = self._claim(name)
        slug = github_slug(text)
        count = self.slug_counts[slug]
        self.slug_counts[slug] += 1
        github_id = f"{slug}-{count}" if count else slug
        self.targets.setdefault(github_id, anchor)
        self.github_ids[anchor] = github_id
        self.targets.setdefault(text.replace(" ", "-"), anchor)
        self.headings.append(Heading(int(level), anchor, text))
        attributes = ID_PATTERN.sub("", attributes)
        return f'<h{level} id="{html.escape(anchor)}"{attributes}>{content}</h{level}>'

    def _rename(self, match: re.Match[str]) -> str:
        name = html.unescape(match[2])
        return f' id="{html.escape(self._claim(name))}"' if name else ""

    def _claim(self, name: str) -> str:
        """Return the name, or the name with a number if the page has such an id already."""
        anchor, number = name, 1
        while anchor in self.ids or PAGE_ID_PATTERN.fullmatch(anchor):
            number += 1
            anchor = f"{name}-{number}"
        self.ids.add(anchor)
        self.targets.setdefault(name, anchor)
        return anchor

    def add_github_ids(self, page_html: str) -> str:
        """Return the HTML in which each heading has GitHub's id, too, for links from elsewhere.

        Call when the ids of the whole page are known: none of them is taken away.
        """
        return HEADING_ID_PATTERN.sub(self._add_github_id, page_html)

    def _add_github_id(self, match: re.Match[str]) -> str:
        github_id = self.github_ids.pop(html.unescape(match[1]), "")
        if not github_id or github_id in self.ids or PAGE_ID_PATTERN.fullmatch(github_id):
            return match[0]
        self.ids.add(github_id)
        return f'{match[0]}<span id="{html.escape(github_id)}"></span>'

    def resolve_links(self, page_html: str) -> str:
        """Return the HTML with links within the page that lead to the ids which it has."""
        return LINK_PATTERN.sub(
            lambda match: f'{match[1]}#{self._resolve(html.unescape(match[2]))}"', page_html
        )

    def _resolve(self, fragment: str) -> str:
        name = unquote(fragment)
        candidates = (fragment, name, github_slug(name), github_slug(name).replace("-", ""))
        for candidate in candidates:
            if candidate in self.targets:
                return quote(self.targets[candidate])
        simplified = {github_slug(text).replace("-", ""): text for text in self.targets}
        target = simplified.get(candidates[-1])
        return quote(self.targets[target] if target else name)


def heading_text(content: str) -> str:
    """Return the text of a heading's HTML; a formula in it is shown as LaTeX."""
    return Markup(FORMULA_ELEMENT_PATTERN.sub(r"\1", content)).striptags()


def github_slug(text: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
