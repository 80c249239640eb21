"""The data's version, where there is git and where there is none."""

import subprocess

import pytest

from housing import paths
from housing.data import dvc, loading, splitting
from housing.data.synthetic import generate_sample
from housing.registry import provenance
from housing.tracking import handover
from housing.tracking import tags as run_tags

POINTER = "data/raw/california_housing.csv.dvc"


def git(home, *arguments):
    ann = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]
    command = ["git", "-C", home, *ann, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def record(home, rows, seed=0):
    """A raw file of so many rows and its pointer, as `dvc add` writes it; gives its md5."""
    raw = paths.raw_data()
    raw.parent.mkdir(parents=True, exist_ok=True)
    generate_sample(rows, seed).to_csv(raw, index=False)
    found = dvc.md5(raw.read_bytes())
    (home / POINTER).write_text(f"outs:\n- md5: {found}\n  hash: md5\n  path: {raw.name}\n")
    return found


def commit(home):
    git(home, "add", POINTER)
    git(home, "commit", "-qm", "another version of the data")
    return git(home, "rev-parse", "HEAD")


@pytest.fixture
def checkout(home):
    """A git checkout with two versions of the data, 300 and 200 rows, each in a commit."""
    git(home, "init", "-q")
    return [(record(home, rows), commit(home)) for rows in (300, 200)]


def test_the_version_names_the_commit_that_brought_the_data(home, checkout):
    (_, before), (md5, number) = checkout
    version = dvc.data_version(splitting.write_split(loading.load_dataset("auto")))
    assert version == f"DVC: md5 {md5[:12]} at commit {number[:12]}"
    assert before[:12] not in version


def test_a_later_commit_of_something_else_is_not_the_data_s(home, checkout):
    (home / "README.md").touch()
    git(home, "add", "README.md")
    git(home, "commit", "-qm", "about something else")
    assert dvc.data_commit(checkout[1][0]) == checkout[1][1]


def test_data_of_another_branch_is_found(home, checkout):
    git(home, "checkout", "-q", "-b", "other", checkout[0][1])
    assert dvc.data_commit(checkout[1][0]) == checkout[1][1]
    assert dvc.data_commit("0" * 32) == ""


def test_a_pointer_that_is_not_committed_is_said_to_be_so(home, checkout):
    md5 = record(home, 250)
    version = dvc.data_version(splitting.write_split(loading.load_dataset("auto")))
    assert version == f"DVC: md5 {md5[:12]}, not committed"


def test_a_shallow_clone_does_not_guess_the_commit(home, checkout, tmp_path, monkeypatch):
    subprocess.run(["git", "clone", "-q", "--depth", "1", home.as_uri(), tmp_path / "clone"])
    monkeypatch.setenv("HOUSING_HOME", str(tmp_path / "clone"))
    md5 = record(tmp_path / "clone", 200)
    assert md5 == checkout[1][0]
    assert (
        dvc.data_version(splitting.write_split(loading.load_dataset("auto")))
        == f"DVC: md5 {md5[:12]}"
    )


def test_without_git_the_version_is_the_md5(home):
    md5 = record(home, 250)
    version = dvc.data_version(splitting.write_split(loading.load_dataset("auto")))
    assert version == f"DVC: md5 {md5[:12]}"


def test_changed_data_is_told_in_line_notice_and_tags(home, checkout):
    generate_sample(400).to_csv(paths.raw_data(), index=False)
    manifest = splitting.write_split(loading.load_dataset("auto"))
    md5 = dvc.md5(paths.raw_data().read_bytes())
    version = f"modified: md5 {md5[:12]} is not what DVC had recorded"
    assert handover.data_summary(manifest).endswith(f"; {version}")
    assert run_tags.lineage_tags(manifest)["data_version"] == version
    assert dvc.data_notice(manifest).startswith("CHANGED DATA")


def test_recorded_data_needs_no_notice(home, checkout):
    manifest = splitting.write_split(loading.load_dataset("auto"))
    assert dvc.data_notice(manifest) == ""
    assert run_tags.lineage_tags(manifest)["raw_md5"] == checkout[1][0]


def test_a_sample_and_another_file_have_no_version(home, checkout, tmp_path):
    generate_sample(50).to_csv(tmp_path / "mine.csv", index=False)
    for source in ("sample", str(tmp_path / "mine.csv")):
        manifest = splitting.write_split(loading.load_dataset(source, n_rows=100))
        assert dvc.data_version(manifest) == ""
        assert "sha256" in handover.data_summary(manifest)
        assert ";" not in handover.data_summary(manifest)
        assert dvc.split_status(manifest) == "A split of such data is not recorded by DVC."


def test_the_commit_that_brings_lost_data_back_is_named(home, checkout):
    (md5, number), _ = checkout
    tags = {"data_source": "california", "raw_sha256": "a1" * 32, "raw_md5": md5}
    [raw, _] = provenance.data_entries(tags)
    assert raw.missing
    assert raw.text.endswith(f"another; `git checkout {number[:12]} && dvc checkout` restores it")
    [raw, _] = provenance.data_entries(tags | {"raw_md5": "0" * 32})
    assert raw.text.endswith(f"no commit here has a pointer with its md5, {'0' * 32}")


def lock(home):
    """What `dvc repro` writes for the split in data/processed."""
    outs = "".join(
        f"    - path: data/processed/{one.name}\n      md5: {dvc.md5(one.read_bytes())}\n"
        for one in sorted(paths.processed_data().iterdir())
    )
    (home / "dvc.lock").write_text(f"stages:\n  prep:\n    outs:\n{outs}")


def test_a_split_is_the_recorded_one_or_is_said_not_to_be(home, checkout):
    manifest = splitting.write_split(loading.load_dataset("auto"))
    lock(home)
    assert dvc.split_status(manifest) == "It is the version that `dvc.lock` records."
    said = dvc.split_status(splitting.write_split(loading.load_dataset("auto"), seed=1))
    assert said.startswith("It is not the version that `dvc.lock` records")
    assert "`make data-push`" in said


def test_a_split_that_dvc_asked_for_is_about_to_be_recorded(home, checkout, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "prep")
    assert "which records it" in dvc.split_status(
        splitting.write_split(loading.load_dataset("auto"), seed=1)
    )


def test_the_real_data_s_split_is_the_one_in_dvc_lock_on_every_machine(home, real_data):
    """Fails after another version of pandas or pyarrow too: then `make data-push` records it."""
    manifest = splitting.write_split(real_data)
    assert not (home / "dvc.lock").exists()  # the checkout's counts
    assert dvc.split_status(manifest) == "It is the version that `dvc.lock` records."
    first = [one.read_bytes() for one in sorted(paths.processed_data().iterdir())]
    splitting.write_split(real_data)
    assert [one.read_bytes() for one in sorted(paths.processed_data().iterdir())] == first
