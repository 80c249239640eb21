"""Routes that show the pipeline's reports, to which every prediction can be traced."""

import os
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
    # by os.path, as these of pathlib raise OSError for a name that is longer than a file's may be
    if os.path.isdir(folder / page):  # noqa: PTH112
        if page and not page.endswith("/"):
            return redirect(f"{request.script_root}{request.path}/")
        page += "index.html"
    if not os.path.isfile(folder / page):  # noqa: PTH113
        abort(
            404, f"there is no report {page[:200]!r}; `python run_pipeline.py` writes the reports"
        )
    response = send_from_directory(folder, page)
    response.headers["Cache-Control"] = "no-cache"  # a page of a running pipeline changes
    return response
