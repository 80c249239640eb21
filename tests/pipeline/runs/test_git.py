"""The commit of a run, whatever the environment of the runner is."""

import subprocess

import pytest

from pipeline.runs import git


@pytest.fixture
def checkout(tmp_path):
    """Make a repository with one commit."""
    (tmp_path / "one.py").write_text("1")
    for arguments in (["init", "-q"], ["add", "one.py"], ["commit", "-qm", "start"]):
        identity = ["-c", "user.name=n", "-c", "user.email=e"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)
    return tmp_path


def test_a_file_that_git_does_not_know_makes_a_checkout_dirty(checkout):
    commit, _ = git.commit_and_url(
        checkout, [checkout / "one.py", checkout.parent / "elsewhere.py"]
    )
    assert len(commit) == 40
    (checkout / "two.py").write_text("2")
    assert git.commit_and_url(checkout)[0] == commit
    files = [checkout / "one.py", checkout / "two.py"]
    assert git.commit_and_url(checkout, files)[0] == f"{commit}-dirty"
    (checkout / ".gitignore").write_text("two.py")
    assert git.commit_and_url(checkout, files)[0] == f"{commit}-dirty"


def test_a_repository_in_the_environment_is_not_that_of_the_notebooks(
    checkout, tmp_path_factory, monkeypatch
):
    commit, _ = git.commit_and_url(checkout)
    other = tmp_path_factory.mktemp("other")
    subprocess.run(["git", "init", "-q"], cwd=other, check=True)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    assert git.commit_and_url(checkout) == (commit, "")


def test_without_a_commit_or_git_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.delenv("SOURCE_COMMIT", raising=False)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert git.commit_and_url(tmp_path, [tmp_path / "one.py"]) == ("", "")
    monkeypatch.setenv("PATH", "")
    assert git.commit_and_url(tmp_path) == ("", "")


def test_a_checkout_of_another_user_is_named_with_the_way_out(checkout, monkeypatch):
    assert git.explain_refusal(checkout) == ""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert git.commit_and_url(checkout) == ("", "")
    assert f"git config --global --add safe.directory {checkout}" in git.explain_refusal(checkout)


def test_worktrees_submodules_and_shallow_clones_have_a_commit(checkout, tmp_path_factory):
    folder = tmp_path_factory.mktemp("others")
    commit, _ = git.commit_and_url(checkout)
    script = f"""
        git worktree add -q {folder}/tree
        git clone -q --depth 1 file://{checkout} {folder}/shallow
        git init -q {folder}/outer
        git -C {folder}/outer -c protocol.file.allow=always submodule --quiet add {checkout} inner
    """
    subprocess.run(["sh", "-ec", script], cwd=checkout, check=True)
    for name in ("tree", "shallow", "outer/inner"):
        module = folder / name / "one.py"
        assert git.commit_and_url(module.parent, [module])[0] == commit, name
        (module.parent / "two.py").touch()
        files = [module.parent / "two.py"]
        assert git.commit_and_url(module.parent, files)[0] == f"{commit}-dirty", name
