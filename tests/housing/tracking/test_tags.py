import hashlib

from housing import paths
from housing.tracking import tags as run_tags
from pipeline.runs import git

MANIFEST = {
    "source": "sample",
    "said": "A GENERATED SAMPLE; 2 of 9 rows were left out",
    "sha256": {"raw": "a1", "train": "b2"},
}


def test_the_tags_name_report_notebook_code_command_and_lock():
    origin = {
        "report": "reports/1/03_register.html",
        "notebook": "03_register.ipynb",
        "notebook_code_sha256": "c3",
        "command": "python run_pipeline.py -p train.seed=1",
    }
    tags = run_tags.lineage_tags(MANIFEST, origin)
    assert tags["report"] == "reports/1/03_register.html"
    assert tags["notebook"] == "03_register.ipynb"
    assert tags["data_description"] == "A GENERATED SAMPLE; 2 of 9 rows were left out"
    assert tags["notebook_code_sha256"] == "c3"
    assert tags["pipeline.command"] == "python run_pipeline.py -p train.seed=1"
    lock = (paths.PROJECT_ROOT / "requirements.txt").read_bytes()
    assert tags["lock_sha256"] == hashlib.sha256(lock).hexdigest()


def test_unknown_tags_are_empty(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PROJECT_ROOT", tmp_path)
    tags = run_tags.lineage_tags(MANIFEST)
    for name in ("report", "notebook", "notebook_code_sha256", "pipeline.command", "lock_sha256"):
        assert tags[name] == ""


def test_without_git_the_commit_is_that_of_the_image(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PROJECT_ROOT", tmp_path)
    monkeypatch.setenv("SOURCE_COMMIT", "d4")
    assert run_tags.lineage_tags(MANIFEST)["mlflow.source.git.commit"] == "d4"
    assert git.commit_and_url(tmp_path) == ("d4", "")
    (tmp_path / "no git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "no git"))
    assert run_tags.git_commit() == "d4"
