import pytest


@pytest.fixture
def reports(home):
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
    ("path", "said"),
    [
        ("/reports/", "all runs"),
        ("/reports/latest/", "the run"),
        ("/reports/20261123-120000-aaaa/train.html", "the training"),
    ],
)
def test_the_pages_are_shown(reports, client_without_champion, path, said):
    answer = client_without_champion.get(path)
    assert (answer.status_code, answer.text) == (200, said)
    assert answer.mimetype == "text/html"
    assert answer.headers["Cache-Control"] == "no-cache"
    unchanged = client_without_champion.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert unchanged.status_code == 304


def test_a_folder_leads_to_its_page(reports, client_without_champion):
    answer = client_without_champion.get("/reports/latest")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/reports/latest/"


@pytest.mark.parametrize(
    "path",
    ["nothing.html", ".secret", "../var/mlflow.db", "latest/../../var/mlflow.db", "%2e%2e/var/x"],
)
def test_nothing_else_is(reports, client_without_champion, path):
    answer = client_without_champion.get(f"/reports/{path}")
    assert (answer.status_code, answer.json["status"]) == (404, 404)
    assert "not a report" not in answer.text


def test_without_a_run_it_says_how_to_make_one(client_without_champion):
    answer = client_without_champion.get("/reports/")
    assert answer.status_code == 404
    assert "run_pipeline.py" in answer.json["detail"]


def test_the_page_leads_to_the_report_of_who_answers(champion_home, client):
    report = client.get("/model").json["report"]
    page = client.get("/").text
    assert '<a href="/reports/">' in page
    assert (f'<a href="/{report}">' in page) == bool(report)
