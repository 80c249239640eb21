"""Show the HTML of a notebook without letting it affect the page around it.

Plain HTML (text, tables, images) is sanitized and put into the page. HTML with scripts, drawings or
styles goes into a frame of its own: there it can run, but it has no origin, and the page's content
security policy blocks every network request.
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
# the style sheet of a pandas Styler: rules for its own table that load nothing
PANDAS_STYLER_PATTERN = re.compile(
    r"(\s*(#T_[\w-]+[^{}<>@\\]*)\{[^{}<>@\\(]*(\([^{}<>@\\():/]*\)[^{}<>@\\(]*)*\})*\s*"
)
# a URL that a tag other than <a> would load from another host
REMOTE_URL_PATTERN = re.compile(
    r"""(<(?!a\s)[a-z][^>]*?\s)(?:src|href|srcset|data)\s*=\s*(["']?(?:https?:)?)//([^/"'\s>]+)""",
    re.IGNORECASE,
)


def sanitize(source: str, id_prefix: str | None = "out-") -> str:
    """Return the HTML without anything that could run, load, or cover the rest of the page.

    id_prefix: is put before each id, so that none equals an id of the page itself.
    """
    return nh3.clean(
        source,
        tags=ALLOWED_TAGS,
        attributes=ALLOWED_ATTRIBUTES,
        attribute_filter=_filter_attribute,
        # any other value would come before the page's own elements in the tab order
        tag_attribute_values={tag: {"tabindex": {"0"}} for tag in ("div", "pre")},
        filter_style_properties=ALLOWED_STYLE_PROPERTIES,
        url_schemes={"http", "https", "mailto", "data"},
        clean_content_tags={"script", "style"},
        id_prefix=id_prefix,
    )


def _filter_attribute(tag: str, name: str, value: str) -> str | None:
    """Return the attribute's value, or None to drop it.

    An image must be embedded in the page; a data: URL is allowed for images only.
    """
    scheme = urlsplit(value.strip()).scheme.lower() if name in ("src", "href") else ""
    if tag == "img" and name == "src":
        return value if value.strip().lower().startswith("data:image/") else None
    has_url = name == "style" and "url(" in value.lower()
    return None if has_url or scheme == "data" else value


def render(source: str) -> str:
    """Return the HTML of an output for the page: inline if it is plain, else in a frame."""
    styles = STYLE_ELEMENT_PATTERN.findall(source)
    styler_rules = [style for style in styles if PANDAS_STYLER_PATTERN.fullmatch(style)]
    only_pandas_styles = all(".dataframe" in style for style in styles if style not in styler_rules)
    if ACTIVE_CONTENT_PATTERN.search(source) or not only_pandas_styles:
        return sandboxed_iframe(source)
    # sanitize() prefixes the ids, so the selectors need the same prefix
    style_elements = "".join(
        f"<style>{style.replace('#T_', '#out-T_')}</style>" for style in styler_rules
    )
    return style_elements + sanitize(source)


def sandboxed_iframe(source: str) -> str:
    """Return the HTML in a frame without an origin: its scripts run, but reach nothing."""
    hosts = sorted({match[2] for match in REMOTE_URL_PATTERN.findall(source)})
    source = REMOTE_URL_PATTERN.sub(r"\1data-left-out=\2//\3", source)
    blocked_hosts_note = (
        f'<p class="faint">This output requests {html.escape(", ".join(hosts))}; '
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
    label = re.search(r'aria-label="([^"]*)"', source)
    title = label[1] if label else "an interactive output"
    return (
        f'{blocked_hosts_note}<iframe class="output" title="{title}" '
        f'sandbox="allow-scripts" srcdoc="{html.escape(document)}"></iframe>'
    )


def latex_to_mathml(latex: str, block: bool) -> str:
    """Convert LaTeX to MathML, which browsers render without a script.

    LaTeX that cannot be parsed is returned as code.
    """
    try:
        mathml = converter.convert(latex, display="block" if block else "inline")
    except Exception:  # latex2mathml's errors have no common base class
        return f'<code class="formula">{html.escape(latex)}</code>'
    return sanitize(mathml)  # the content of \text{} comes out unescaped
