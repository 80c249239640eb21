"""Show HTML that is more than text, tables and images: in a frame that reaches nothing outside it.

In the frame scripts run, but it has no origin, and its content security policy and that of the page
block every request. What an output would load from elsewhere is left out, and the page says so.
"""

import html
import re
from collections.abc import Mapping

from markupsafe import Markup

from pipeline.report.local_files import NO_FILES, LocalFiles
from pipeline.report.markdown import code_spans
from pipeline.report.plot_libraries import (
    NO_SCRIPTS,
    SCRIPT_PATTERN,
    STYLE_ELEMENT_PATTERN,
    embed_libraries,
    has_static_content,
)
from pipeline.report.sanitize import (
    ALLOWED_STYLE_PROPERTIES,
    is_harmless_style,
    sanitize,
)

FRAME_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; font-src data:; "
    "media-src data:; script-src 'unsafe-inline' 'unsafe-eval'; base-uri 'none'; form-action 'none'"
)
# It stands before the output, which may leave a comment or attribute open. It acts by itself, as
# browsers do not observe what is out of sight, and when the page asks: its script may start later.
# A frame has no height until the browser has laid it out: it is asked again, for five seconds.
REPORT_HEIGHT_SCRIPT = (
    "<script>{const page=document.documentElement;let retries=50;const tell=()=>{"
    "const height=Math.max(page.offsetHeight,document.body?.scrollHeight??0);"
    "if(height)parent.postMessage({height},'*');else if(retries-->0)setTimeout(tell,100)};"
    "for(const event of ['DOMContentLoaded','load','message'])addEventListener(event,tell);"
    "new ResizeObserver(tell).observe(page)}</script>"
)
ACTIVE_CONTENT_PATTERN = re.compile(
    r"<(script|svg|iframe|canvas|form|input|button|select|textarea|video|audio|object|embed|link)\b"
    r"|<[^>]*\son[a-z]+\s*=",
    re.IGNORECASE,
)
STYLE_RULE_PATTERN = re.compile(r"\s*([^{}<>@\\]+)\{([^{}<>@\\]*)\}\s*")
STYLER_SELECTOR_PATTERN = re.compile(r"\s*#T_[\w-]+(?:[\s.:>()\w-]|\[[\w=-]*\])*")
# what a pandas Styler's rules may set besides: headers that stay while its own table scrolls
STYLER_PROPERTIES = ALLOWED_STYLE_PROPERTIES | {
    "position", "top", "left", "right", "bottom", "z-index", "caption-side", "text-transform",
    "border-color", "border-style", "border-width", "font", "line-height",
}  # fmt: skip
# a URL that a tag other than <a> would load from another host
REMOTE_URL_PATTERN = re.compile(
    r"""(?P<prefix><(?!a\s)[a-z][^>]*?\s)(?:src|href|srcset|data)\s*=\s*"""
    r"""(?P<start>["']?(?:https?:)?)//(?P<host>[^/"'\s>]+)""",
    re.IGNORECASE,
)
REMOTE_STYLE_PATTERN = re.compile(
    r"""(?P<prefix>(?:@import|\burl\()\s*["']?)(?:https?:)?//(?P<host>[^/"'\s>);]+)""",
    re.IGNORECASE,
)
LOCAL_IMAGE_PATTERN = re.compile(
    r"""(<img\b[^>]*?\ssrc\s*=\s*)(?:"([^":]+)"|'([^':]+)')""", re.IGNORECASE
)
LOCAL_URL_PATTERN = re.compile(
    r"""<(?:(?!a\s|link\s)[a-z][^>]*?\s(?:src|data)|link\s[^>]*?\bhref)\s*=\s*"""
    r"""(?!["'](?:[a-z][a-z0-9+.-]*:|//|[#"'])|[a-z][a-z0-9+.-]*:|//|#)"""
    r"""(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""",
    re.IGNORECASE,
)
# it would replace the frame's document, or what its relative URLs mean
NAVIGATION_PATTERN = re.compile(r"<(?:meta|base)\b[^>]*>", re.IGNORECASE)


def render(
    source: str, files: LocalFiles = NO_FILES, scripts: Mapping[str, str] = NO_SCRIPTS
) -> Markup:
    """Return the HTML of an output for the page: inline if it is plain, else in a frame.

    scripts: name of a library -> its script, of those that outputs above contain.
    """
    styles = STYLE_ELEMENT_PATTERN.findall(source)
    styler_rules = [style for style in styles if _is_styler_sheet(style)]
    only_pandas_styles = all(".dataframe" in style for style in styles if style not in styler_rules)
    if ACTIVE_CONTENT_PATTERN.search(source) or not only_pandas_styles:
        return sandboxed_iframe(source, files, scripts)
    # sanitize() prefixes the ids, so the selectors need the same prefix
    style_elements = "".join(
        f"<style>{style.replace('#T_', '#out-T_')}</style>" for style in styler_rules
    )
    return Markup(style_elements + sanitize(source, files=files))


def _is_styler_sheet(style: str) -> bool:
    """Return whether it is the sheet of a pandas Styler, with harmless rules for its own table."""
    rules = STYLE_RULE_PATTERN.findall(style)
    if not rules or STYLE_RULE_PATTERN.sub("", style).strip():
        return False
    for selectors, declarations in rules:
        if not all(map(STYLER_SELECTOR_PATTERN.fullmatch, selectors.split(","))):
            return False
        names = {part.partition(":")[0].strip().lower() for part in declarations.split(";")} - {""}
        position = re.search(r"\bposition\s*:\s*(?!sticky|inherit)", declarations, re.IGNORECASE)
        if names - STYLER_PROPERTIES or position or not is_harmless_style(declarations):
            return False
    return True


def sandboxed_iframe(
    source: str, files: LocalFiles = NO_FILES, scripts: Mapping[str, str] = NO_SCRIPTS
) -> Markup:
    """Return the HTML in a frame without an origin: its scripts run, but reach nothing.

    Without the frame, if nothing is to be seen in it as a library is missing.
    """
    source = NAVIGATION_PATTERN.sub("", source)
    source, missing_library = embed_libraries(source, scripts)
    source = LOCAL_IMAGE_PATTERN.sub(lambda match: _embed_image(match, files), source)
    source, hosts = _leave_out_requests(source)
    notes = Markup("")
    if missing_library:
        notes += Markup('<p class="faint">{}</p>').format(code_spans(missing_library.note))
    elif hosts:
        notes += Markup(
            '<p class="faint">This output requests {}; a report loads nothing from elsewhere.</p>'
        ).format(", ".join(sorted(hosts)))
    if local_urls := _local_urls(source):
        notes += Markup(
            '<p class="faint">This output shows {}, which a report does not contain.</p>'
        ).format(", ".join(local_urls))
    if notes and (not has_static_content(source) or (missing_library and missing_library.is_map)):
        return notes
    label = re.search(r'aria-label="([^"]*)"', source)
    title = html.unescape(label[1]) if label else "an interactive output"
    return notes + frame(source, title)


def frame(source: str, title: str) -> Markup:
    """Return a frame with the HTML, which is as high as its content."""
    document = (
        "<!doctype html><meta charset=utf-8>"
        f'<meta http-equiv="Content-Security-Policy" content="{FRAME_POLICY}">'
        "<meta name=color-scheme content='light dark'>"
        "<style>body{margin:0;font:15px/1.5 system-ui,sans-serif}</style>"
        f"{REPORT_HEIGHT_SCRIPT}{source}"
    )
    return Markup(
        '<iframe class="output" title="{}" sandbox="allow-scripts" srcdoc="{}"></iframe>'
    ).format(title, document)


def _leave_out_requests(source: str) -> tuple[str, set[str]]:
    """Return the HTML without what would load from other hosts, and their names.

    What stands in the code of a script stays: it may be no HTML, and the policy lets nothing pass.
    """
    hosts: set[str] = set()

    def leave_out(markup: str) -> str:
        for pattern, replacement in (
            (REMOTE_URL_PATTERN, r"\g<prefix>data-left-out=\g<start>//\g<host>"),
            (REMOTE_STYLE_PATTERN, r"\g<prefix>data:,left-out//\g<host>"),
        ):
            hosts.update(match["host"] for match in pattern.finditer(markup))
            markup = pattern.sub(replacement, markup)
        return markup

    segments, end = [], 0
    for script in SCRIPT_PATTERN.finditer(source):
        segments += [leave_out(source[end : script.start("code")]), script["code"]]
        end = script.end("code")
    return "".join([*segments, leave_out(source[end:])]), hosts


def _local_urls(source: str) -> list[str]:
    """Return the relative URLs that tags would load: a frame has no address they relate to."""
    markup = SCRIPT_PATTERN.sub(lambda match: f"<script {match['attributes']}>", source)
    urls = ("".join(groups) for groups in LOCAL_URL_PATTERN.findall(markup))
    return sorted({html.unescape(url) for url in urls})


def _embed_image(match: re.Match[str], files: LocalFiles) -> str:
    url = html.unescape(match[2] or match[3])
    return f'{match[1]}"{html.escape(files.image_data_uri(url) or url)}"'
