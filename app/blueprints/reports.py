"""The pipeline's reports, as they lie in reports/: what every answer can be traced to."""

from collections.abc import Callable
from pathlib import Path

from flask import Blueprint, Response, abort, current_app, redirect, request, send_from_directory

bp = Blueprint("reports", __name__)


@bp.get("/reports/")
@bp.get("/reports/<path:page>")
def show_report(page: str = "") -> Response:
    """A page, its style or its script; a folder shows its index.html."""
    folder = Path(current_app.config["REPORTS"])
    if any(part.startswith(".") for part in page.split("/")):
        abort(404, f"there is no report {page[:200]!r}")
    if _path_satisfies(folder / page, Path.is_dir):
        if page and not page.endswith("/"):
            return redirect(request.path + "/")
        page += "index.html"
    if not _path_satisfies(folder / page, Path.is_file):
        abort(404, f"there is no report {page[:200]!r}; `python run_pipeline.py` makes them")
    answer = send_from_directory(folder, page)
    answer.headers["Cache-Control"] = "no-cache"  # a page of a run that goes on changes
    return answer


def _path_satisfies(path: Path, predicate: Callable[[Path], bool]) -> bool:
    try:
        return predicate(path)
    except OSError:  # a name that is longer than any file's
        return False
