"""The plotting libraries whose outputs need a script: embed it, or tell what a reader can do.

The script is taken from an output above that contains it, or from the installed package.
"""

import html
import json
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pipeline.report.sanitize import TAG_PATTERN


class PlotLibrary(NamedTuple):
    """A library that draws in the browser."""

    name: str
    mime_type_pattern: str  # of its formats, which hold a plot's data
    html_pattern: str  # what its HTML holds
    advice: str  # how to get a picture of the plot into the report
    package: str = ""  # the Python package that contains the script
    script_path: str = ""  # in the package
    script_mark: str = "\0"  # is in HTML that contains the script itself
    drawing_pattern: str = ""  # what HTML that draws a plot holds, and HTML that loads it does not
    variable: str = "null"  # the global variable that the script defines
    is_map: bool = False  # it needs the network, too

    @property
    def note(self) -> str:
        """What a page says in place of the plot."""
        return (
            f"A plot by {self.name} is missing here: it needs a script from elsewhere, and a "
            f"report loads nothing. {self.advice}"
        )

    def read_script(self) -> str:
        """Return the library's script from its installed package; empty if there is none."""
        spec = find_spec(self.package) if self.package else None
        for folder in (spec and spec.submodule_search_locations) or ():
            path = Path(folder) / self.script_path
            if path.is_file():
                return path.read_text(encoding="utf-8")
        return ""

    def drawing_html(self, figure: Mapping[str, Any]) -> str:
        """Return the HTML and the script that draw a figure, the data of a Plotly bundle."""
        # no text in it can end the script element
        data = json.dumps(figure).replace("<", "\\u003c")
        return (
            f"<div id=plot></div><script>const figure = {data};\n"
            f'{self.variable}.newPlot("plot", figure.data, figure.layout, '
            "{responsive: true, displaylogo: false});</script>"
        )


PLOT_LIBRARIES = (
    PlotLibrary(
        "Plotly",
        r"application/vnd\.plotly\.v\d+[.+]json",
        r"cdn\.plot\.ly|Plotly\.(?:newPlot|react|plot)\(",
        'Show a picture with fig.show("png") after `pip install kaleido`, or install plotly '
        "beside the runner, which then embeds its script.",
        package="plotly",
        script_path="package_data/plotly.min.js",
        script_mark="* plotly.js v",
        drawing_pattern=r"Plotly\.(?:newPlot|react|plot)\(",
        variable="window.Plotly",
    ),
    PlotLibrary(
        "Vega or Altair",
        r"application/vnd\.vega(?:lite)?\.v\d+(?:\.\d+)*[.+]json",
        r"/npm/vega|vega-embed@|cdn\.jsdelivr\.net/npm//?vega",
        'Show a picture with alt.renderers.enable("png") or alt.renderers.enable("svg") after '
        "`pip install vl-convert-python`.",
    ),
    PlotLibrary(
        "Bokeh",
        r"application/vnd\.bokehjs_(?:load|exec)\.v\d+\+json",
        r"cdn\.bokeh\.org|cdn\.pydata\.org/bokeh",
        "Show it with its script in it, HTML(bokeh.embed.file_html(plot, bokeh.resources.INLINE)), "
        "or a picture with bokeh.io.export_png.",
    ),
    PlotLibrary(
        "HoloViews",
        r"application/vnd\.holoviews_(?:load|exec)\.v\d+\+json",
        r"cdn\.holoviz\.org",
        'Use its matplotlib backend, hv.extension("matplotlib").',
    ),
    PlotLibrary(
        "folium",
        r"application/vnd\.folium\b.*",
        r"leaflet(?:\.min)?\.js|Make this Notebook Trusted to load map",
        "Its map tiles come from the network, too: draw the map with matplotlib or geopandas, or "
        "show a picture of it.",
        is_map=True,
    ),
    PlotLibrary(
        "PyVista",
        r"application/vnd\.pyvista\b.*",
        r"pyvista|trame|vtk\.js",
        'Show a picture with plotter.show(jupyter_backend="static").',
    ),
)
NO_SCRIPTS: Mapping[str, str] = MappingProxyType({})
SCRIPT_PATTERN = re.compile(
    r"<script\b(?P<attributes>[^>]*)>(?P<code>.*?)</script\s*>", re.IGNORECASE | re.DOTALL
)
SCRIPT_URL_PATTERN = re.compile(r"""\bsrc\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)
STYLE_ELEMENT_PATTERN = re.compile(r"<style[^>]*>(.*?)</style\s*>", re.IGNORECASE | re.DOTALL)
VISIBLE_TAG_PATTERN = re.compile(
    r"<(img|svg|table|video|audio|input|button|select|textarea|progress|hr)\b", re.IGNORECASE
)
RAW_HTML_URL_PATTERN = re.compile(r"(?:https?:)?//[\w.-]+")


def find_needed_library(source: str) -> PlotLibrary | None:
    """Return the library that HTML needs and does not contain; None if it needs none."""
    for library in PLOT_LIBRARIES:
        if library.script_mark in source or not re.search(library.html_pattern, source):
            continue
        if library.package or RAW_HTML_URL_PATTERN.search(source) or library.is_map:
            return library
    return None


def library_of_bundle(mime_bundle: Mapping[str, Any]) -> PlotLibrary | None:
    """Return the library that one of the formats belongs to; None if none does."""
    return next(
        (
            library
            for library in PLOT_LIBRARIES
            if any(re.fullmatch(library.mime_type_pattern, name) for name in mime_bundle)
        ),
        None,
    )


def find_library_scripts(source: str) -> dict[str, str]:
    """Return name -> script of each library that the HTML contains."""
    return {
        library.name: script["code"]
        for library in PLOT_LIBRARIES
        if library.script_mark in source
        for script in SCRIPT_PATTERN.finditer(source)
        if library.script_mark in script["code"]
    }


def only_loads_library(source: str) -> bool:
    """Return whether the HTML loads a library for the outputs below, and shows nothing itself."""
    loads_any = any(
        library.drawing_pattern
        and (library.script_mark in source or re.search(library.html_pattern, source))
        and not _draws(library, source)
        for library in PLOT_LIBRARIES
    )
    return loads_any and not has_static_content(source)


def _draws(library: PlotLibrary, source: str) -> bool:
    """Return whether a script of the HTML, other than the library's own, draws a plot."""
    return any(
        re.search(library.drawing_pattern, script["code"])
        for script in SCRIPT_PATTERN.finditer(source)
        if library.script_mark not in script["code"]
    )


def embed_libraries(source: str, scripts: Mapping[str, str]) -> tuple[str, PlotLibrary | None]:
    """Return the HTML with the installed libraries that it needs, and the first one missing."""
    library = find_needed_library(source)
    if library is None:
        return source, None
    script = scripts.get(library.name) or library.read_script()

    def drop_remote_script(match: re.Match[str]) -> str:
        url = SCRIPT_URL_PATTERN.search(match["attributes"])
        return "" if url and "//" in url[1] else match[0]

    source = SCRIPT_PATTERN.sub(drop_remote_script, source)
    return (script_element(library, script) + source, None) if script else (source, library)


def script_element(library: PlotLibrary, script: str) -> str:
    """Return the element that defines a library, for scripts that use RequireJS too."""
    escaped_script = re.sub(r"</(?=script)", r"<\\/", script, flags=re.IGNORECASE)
    shim = f"window.require = (names, callback) => callback && callback({library.variable});"
    return f"<script>{escaped_script}</script><script>{shim}</script>"


def has_static_content(source: str) -> bool:
    """Return whether something is to be seen in the HTML without its scripts."""
    static = STYLE_ELEMENT_PATTERN.sub("", SCRIPT_PATTERN.sub("", source))
    static = re.sub(r"<!--.*?-->", "", static, flags=re.DOTALL)
    text = html.unescape(TAG_PATTERN.sub("", static))
    return bool(text.strip() or VISIBLE_TAG_PATTERN.search(static))
