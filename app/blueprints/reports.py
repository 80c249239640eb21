"""Routes that show the pipeline's reports, to which every prediction can be traced."""

from collections.abc import Callable
from pathlib import Path

from flask import Blueprint, abort, current_app, redirect, request, send_from_directory
from werkzeug.wrappers import Response

bp = Blueprint("reports", __name__)


@bp.get("/reports/")
@bp.get("/reports/<path:page>")
def show_report(page: str = "") -> Response:
    """Return a page of a report, its style or its script; for a folder its index.html."""
    folder = Path(current_app.config["REPORTS"])
    if any(segment.startswith(".") for segment in page.split("/")):
        abort(404, f"there is no report {page[:200]!r}")
    if _path_satisfies(folder / page, Path.is_dir):
        if page and not page.endswith("/"):
            return redirect(request.path + "/")
        page += "index.html"
    if not _path_satisfies(folder / page, Path.is_file):
        abort(
            404, f"there is no report {page[:200]!r}; `python run_pipeline.py` writes the reports"
        )
    response = send_from_directory(folder, page)
    response.headers["Cache-Control"] = "no-cache"  # a page of a running pipeline changes
    return response


def _path_satisfies(path: Path, predicate: Callable[[Path], bool]) -> bool:
    try:
        return predicate(path)
    except OSError:  # a name that is longer than a file's may be
        return False
