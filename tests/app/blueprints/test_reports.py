"""The routes under /reports/."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def reports(api):
    """A folder with the report of one run, and files that must not be shown."""
    root = Path(api.settings["REPORTS"])
    folder, outside = root / "20261123-120000-aaaa", root.parent / "mlflow.db"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("the run")
    (folder / "train.html").write_text("the training")
    (root / "index.html").write_text("all runs")
    (root / ".secret").write_text("hidden")
    (root / "latest").symlink_to(folder.name)
    outside.write_text("not a report")
    yield
    shutil.rmtree(root)
    outside.unlink()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/reports/", "all runs"),
        ("/reports/latest/", "the run"),
        ("/reports/20261123-120000-aaaa/train.html", "the training"),
    ],
)
def test_the_pages_are_shown(reports, api, path, text):
    response = api.get(path)
    assert (response.status_code, response.text) == (200, text)
    assert response.mimetype == "text/html"
    assert response.headers["Cache-Control"] == "no-cache"
    unchanged = api.get(path, headers={"If-None-Match": response.headers["ETag"]})
    assert unchanged.status_code == 304


def test_a_folder_redirects_to_its_page(reports, api):
    response = api.get("/reports/latest")
    assert response.status_code == 302
    assert response.headers["Location"] == "/reports/latest/"


@pytest.mark.parametrize(
    "path",
    [
        "nothing.html", ".secret", "../mlflow.db", "latest/../../mlflow.db", "%2e%2e/mlflow.db",
        "a" * 1_000, "latest/" + "a" * 1_000, "%00", "latest/%00",
    ],
)  # fmt: skip
def test_nothing_but_the_reports_is_shown(reports, api, path):
    response = api.get(f"/reports/{path}")
    assert (response.status_code, response.json["status"]) == (404, 404)
    assert "not a report" not in response.text


def test_without_a_run_the_error_says_how_to_make_one(api):
    response = api.get("/reports/")
    assert response.status_code == 404
    assert "run_pipeline.py" in response.json["detail"]


def test_the_page_links_to_the_champion_s_report(api):
    report = api.get("/model").json["report"]
    page = api.get("/").text
    assert '<a href="/reports/">' in page
    assert (f'<a href="/{report}">' in page) == bool(report)
