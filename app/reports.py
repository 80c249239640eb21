"""The pipeline's reports, as they lie in reports/: what every answer can be traced to."""

from pathlib import Path

from flask import Blueprint, Response, abort, current_app, redirect, request, send_from_directory

bp = Blueprint("reports", __name__)


@bp.get("/reports/")
@bp.get("/reports/<path:page>")
def show(page: str = "") -> Response:
    """A page, its style or its script; a folder shows its index.html."""
    folder = Path(current_app.config["REPORTS"])
    if any(part.startswith(".") for part in page.split("/")):
        abort(404, f"there is no report {page!r}")
    if (folder / page).is_dir():
        if page and not page.endswith("/"):
            return redirect(request.path + "/")
        page += "index.html"
    if not (folder / page).is_file():
        abort(404, f"there is no report {page!r}; `python run_pipeline.py` makes them")
    answer = send_from_directory(folder, page)
    answer.headers["Cache-Control"] = "no-cache"  # a page of a run that goes on changes
    return answer
