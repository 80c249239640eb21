"""Know the plotting libraries whose outputs need a script, and what a reader can do without it."""

import json
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple


class PlotLibrary(NamedTuple):
    """A library that draws in the browser."""

    name: str
    mime_type_pattern: str  # of its formats, which hold a plot's data
    html_pattern: str  # what its HTML holds
    advice: str  # how to get a picture of the plot into the report
    package: str = ""  # the Python package that contains the script
    script_path: str = ""  # in the package
    script_mark: str = "\0"  # is in HTML that contains the script itself
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
        r"application/vnd\.plotly\.v\d+\+json",
        r"cdn\.plot\.ly|Plotly\.(?:newPlot|react|plot)\(",
        'Show a picture with fig.show("png") after `pip install kaleido`, or install plotly '
        "beside the runner, which then embeds its script.",
        package="plotly",
        script_path="package_data/plotly.min.js",
        script_mark="* plotly.js v",
        variable="window.Plotly",
    ),
    PlotLibrary(
        "Vega or Altair",
        r"application/vnd\.vega(?:lite)?\.v\d+(?:\.\d+)*\+json",
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
