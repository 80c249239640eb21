"""HTML that a notebook has made, shown without letting it touch the page around it.

Plain HTML (text, tables, images) is cleaned and stands in the page. What is more than that, because
it brings scripts, drawings or styles, stands in a frame of its own: it can run, but it has no
origin, and the page's policy keeps it from any network.
"""

import html
import re
from urllib.parse import urlsplit

import nh3
from latex2mathml import converter

MATHML_TAGS = {
    "math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mfrac", "msqrt", "mroot",
    "mstyle", "merror", "mpadded", "mphantom", "menclose", "msub", "msup", "msubsup", "munder",
    "mover", "munderover", "mtable", "mtr", "mtd",
}  # fmt: skip
ALLOWED_TAGS = nh3.ALLOWED_TAGS | MATHML_TAGS | {"progress", "section", "tfoot"}
ALLOWED_ATTRIBUTES = {
    **nh3.ALLOWED_ATTRIBUTES,
    "*": {"class", "id", "style", "title", "lang", "dir", "role", "aria-label"},
    "math": {"display", "xmlns"},
    "mo": {"stretchy", "fence", "form", "movablelimits", "lspace", "rspace", "minsize", "maxsize"},
    "mspace": {"width"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mtable": {"displaystyle", "rowspacing", "columnspacing", "columnalign"},
    "mtd": {"columnalign"},
    "mfrac": {"linethickness"},
    "mi": {"mathvariant"},
    "progress": {"value", "max"},
    "details": {"open"},
    "div": {"tabindex"},
    "pre": {"tabindex"},
}  # fmt: skip
ALLOWED_STYLE_PROPERTIES = {
    "background", "background-color", "border", "border-bottom", "border-collapse",
    "border-left", "border-right", "border-top", "color", "display", "font-family",
    "font-size", "font-style", "font-weight", "height", "margin", "margin-bottom",
    "margin-left", "margin-right", "margin-top", "max-width", "min-width", "opacity",
    "padding", "text-align", "text-decoration", "vertical-align", "white-space", "width",
}  # fmt: skip
ACTIVE_CONTENT_PATTERN = re.compile(
    r"<(script|svg|iframe|canvas|form|input|button|select|textarea|video|audio|object|embed|link)\b"
    r"|\son[a-z]+\s*=",
    re.IGNORECASE,
)
STYLE_ELEMENT_PATTERN = re.compile(r"<style[^>]*>(.*?)</style>", re.IGNORECASE | re.DOTALL)
# a pandas Styler's: rules about its own table, that fetch nothing
PANDAS_STYLER_PATTERN = re.compile(
    r"(\s*(#T_[\w-]+[^{}<>@\\]*)\{[^{}<>@\\(]*(\([^{}<>@\\():/]*\)[^{}<>@\\(]*)*\})*\s*"
)
# what a tag other than <a> would load from elsewhere
REMOTE_URL_PATTERN = re.compile(
    r"""(<(?!a\s)[a-z][^>]*?\s)(?:src|href|srcset|data)\s*=\s*(["']?(?:https?:)?)//([^/"'\s>]+)""",
    re.IGNORECASE,
)


def sanitize(source: str, id_prefix: str | None = "out-") -> str:
    """The HTML without anything that could run, load, or stand over the rest of the page.

    prefix: goes before each id, so that none is the page's own.
    """
    return nh3.clean(
        source,
        tags=ALLOWED_TAGS,
        attributes=ALLOWED_ATTRIBUTES,
        attribute_filter=_filter_attribute,
        filter_style_properties=ALLOWED_STYLE_PROPERTIES,
        url_schemes={"http", "https", "mailto", "data"},
        clean_content_tags={"script", "style"},
        id_prefix=id_prefix,
    )


def _filter_attribute(tag: str, name: str, value: str) -> str | None:
    """An image comes with the page or not at all; a data: address is for images alone."""
    scheme = urlsplit(value.strip()).scheme.lower() if name in ("src", "href") else ""
    if tag == "img" and name == "src":
        return value if value.strip().lower().startswith("data:image/") else None
    if name == "tabindex" and value != "0":
        return None  # it would come before the page's own
    if name == "style" and "url(" in value.lower():
        return None
    return None if scheme == "data" else value


def render(source: str) -> str:
    """An output's HTML: in the page if it is plain, else in a frame."""
    styles = STYLE_ELEMENT_PATTERN.findall(source)
    kept = [one for one in styles if PANDAS_STYLER_PATTERN.fullmatch(one)]
    dataframe = all(".dataframe" in one for one in styles if one not in kept)
    if ACTIVE_CONTENT_PATTERN.search(source) or not dataframe:
        return sandboxed_iframe(source)
    own = "".join(f"<style>{one.replace('#T_', '#out-T_')}</style>" for one in kept)
    return own + sanitize(source)


def sandboxed_iframe(source: str) -> str:
    """The HTML in a frame without an origin: it may run scripts, and reach nothing with them."""
    hosts = sorted({one[2] for one in REMOTE_URL_PATTERN.findall(source)})
    source = REMOTE_URL_PATTERN.sub(r"\1data-left-out=\2//\3", source)
    missing = (
        f'<p class="faint">It asks for {html.escape(", ".join(hosts))}; '
        "a report loads nothing from elsewhere.</p>"
        if hosts
        else ""
    )
    document = (
        "<!doctype html><meta charset=utf-8><meta name=color-scheme content='light dark'>"
        "<style>body{margin:0;font:15px/1.5 system-ui,sans-serif}</style>"
        f"{source}<script>new ResizeObserver(()=>parent.postMessage("
        "{height:document.documentElement.offsetHeight},'*')).observe(document.documentElement)"
        "</script>"
    )
    named = re.search(r'aria-label="([^"]*)"', source)
    title = named[1] if named else "an interactive output"
    return (
        f'{missing}<iframe class="output" title="{title}" '
        f'sandbox="allow-scripts" srcdoc="{html.escape(document)}"></iframe>'
    )


def latex_to_mathml(latex: str, block: bool) -> str:
    """LaTeX as MathML, which browsers show by themselves; what cannot be read stays as it is."""
    try:
        made = converter.convert(latex, display="block" if block else "inline")
    except Exception:  # its errors have no family of their own
        return f'<code class="formula">{html.escape(latex)}</code>'
    return sanitize(made)  # what stands in \text{} comes out unescaped
