"""The routes under /reports/."""

import pytest


@pytest.fixture
def reports(home):
    """A folder with the report of one run, and files that must not be shown."""
    folder = home / "reports" / "20261123-120000-aaaa"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("the run")
    (folder / "train.html").write_text("the training")
    (folder.parent / "index.html").write_text("all runs")
    (folder.parent / ".secret").write_text("hidden")
    (folder.parent / "latest").symlink_to(folder.name)
    (home / "var").mkdir(exist_ok=True)
    (home / "var" / "mlflow.db").write_text("not a report")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/reports/", "all runs"),
        ("/reports/latest/", "the run"),
        ("/reports/20261123-120000-aaaa/train.html", "the training"),
    ],
)
def test_the_pages_are_shown(reports, client_without_champion, path, text):
    response = client_without_champion.get(path)
    assert (response.status_code, response.text) == (200, text)
    assert response.mimetype == "text/html"
    assert response.headers["Cache-Control"] == "no-cache"
    unchanged = client_without_champion.get(
        path, headers={"If-None-Match": response.headers["ETag"]}
    )
    assert unchanged.status_code == 304


def test_a_folder_redirects_to_its_page(reports, client_without_champion):
    response = client_without_champion.get("/reports/latest")
    assert response.status_code == 302
    assert response.headers["Location"] == "/reports/latest/"


@pytest.mark.parametrize(
    "path",
    ["nothing.html", ".secret", "../var/mlflow.db", "latest/../../var/mlflow.db", "%2e%2e/var/x"],
)
def test_nothing_but_the_reports_is_shown(reports, client_without_champion, path):
    response = client_without_champion.get(f"/reports/{path}")
    assert (response.status_code, response.json["status"]) == (404, 404)
    assert "not a report" not in response.text


def test_without_a_run_the_error_says_how_to_make_one(client_without_champion):
    response = client_without_champion.get("/reports/")
    assert response.status_code == 404
    assert "run_pipeline.py" in response.json["detail"]


def test_the_page_links_to_the_champion_s_report(champion_home, client):
    report = client.get("/model").json["report"]
    page = client.get("/").text
    assert '<a href="/reports/">' in page
    assert (f'<a href="/{report}">' in page) == bool(report)
