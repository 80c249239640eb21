"""The version of the data, with git and without."""

import subprocess

import pytest

from housing import paths
from housing.data import data_versions, loading, splitting
from housing.data.synthetic import generate_sample
from housing.registry import provenance
from housing.tracking import tags as run_tags

POINTER = "data/raw/california_housing.csv.dvc"


def run_git(home, *arguments):
    author = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]
    command = ["git", "-C", home, *author, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def write_raw_data(home, rows, seed=0):
    """Write a raw file of some rows and its pointer, as `dvc add` does; return its md5."""
    raw = paths.raw_data()
    raw.parent.mkdir(parents=True, exist_ok=True)
    generate_sample(rows, seed).to_csv(raw, index=False)
    md5 = data_versions.md5(raw.read_bytes())
    (home / POINTER).write_text(f"outs:\n- md5: {md5}\n  hash: md5\n  path: {raw.name}\n")
    return md5


def commit_pointer(home):
    run_git(home, "add", POINTER)
    run_git(home, "commit", "-qm", "another version of the data")
    return run_git(home, "rev-parse", "HEAD")


@pytest.fixture
def checkout(home):
    """A git checkout with two versions of the data, 300 and 200 rows, each in a commit."""
    run_git(home, "init", "-q")
    return [(write_raw_data(home, rows), commit_pointer(home)) for rows in (300, 200)]


def test_the_version_names_the_commit_that_brought_the_data(home, checkout):
    (_, old_commit), (md5, commit) = checkout
    version = data_versions.describe_version(splitting.write_split(loading.load_dataset("auto")))
    assert version == f"DVC: md5 {md5[:12]} at commit {commit[:12]}"
    assert old_commit[:12] not in version


def test_a_later_commit_of_another_file_is_not_the_commit_of_the_data(home, checkout):
    (home / "README.md").touch()
    run_git(home, "add", "README.md")
    run_git(home, "commit", "-qm", "about something else")
    assert data_versions.find_commit(checkout[1][0]) == checkout[1][1]


def test_the_commit_of_data_on_another_branch_is_returned(home, checkout):
    run_git(home, "checkout", "-q", "-b", "other", checkout[0][1])
    assert data_versions.find_commit(checkout[1][0]) == checkout[1][1]
    assert data_versions.find_commit("0" * 32) == ""


def test_the_version_says_that_a_pointer_is_not_committed(home, checkout):
    md5 = write_raw_data(home, 250)
    version = data_versions.describe_version(splitting.write_split(loading.load_dataset("auto")))
    assert version == f"DVC: md5 {md5[:12]}, not committed"


def test_a_shallow_clone_does_not_guess_the_commit(home, checkout, tmp_path, monkeypatch):
    subprocess.run(["git", "clone", "-q", "--depth", "1", home.as_uri(), tmp_path / "clone"])
    monkeypatch.setenv("HOUSING_HOME", str(tmp_path / "clone"))
    md5 = write_raw_data(tmp_path / "clone", 200)
    assert md5 == checkout[1][0]
    assert (
        data_versions.describe_version(splitting.write_split(loading.load_dataset("auto")))
        == f"DVC: md5 {md5[:12]}"
    )


def test_without_git_the_version_is_the_md5(home):
    md5 = write_raw_data(home, 250)
    version = data_versions.describe_version(splitting.write_split(loading.load_dataset("auto")))
    assert version == f"DVC: md5 {md5[:12]}"


def test_changed_data_is_named_in_summary_notice_and_tags(home, checkout):
    generate_sample(400).to_csv(paths.raw_data(), index=False)
    manifest = splitting.write_split(loading.load_dataset("auto"))
    md5 = data_versions.md5(paths.raw_data().read_bytes())
    version = f"modified: md5 {md5[:12]} is not what DVC had recorded"
    assert data_versions.describe_data(manifest).endswith(f"; {version}")
    assert run_tags.lineage_tags(manifest, {})["data_version"] == version
    assert data_versions.data_notice(manifest).startswith("CHANGED DATA")


def test_a_sample_is_described_and_has_a_notice():
    manifest = {
        "source": "sample",
        "said": "A GENERATED SAMPLE",
        "rows": {"raw": 2_000},
        "sha256": {"raw": "1e23f93fa47dae0cf524034d886f5eee"},
    }
    description = "Generated sample, 2,000 block groups, sha256 1e23f93fa47d"
    assert data_versions.describe_data(manifest) == description
    assert data_versions.data_notice(manifest) == "A GENERATED SAMPLE"


def test_recorded_data_needs_no_notice(home, checkout):
    manifest = splitting.write_split(loading.load_dataset("auto"))
    assert data_versions.data_notice(manifest) == ""
    assert run_tags.lineage_tags(manifest, {})["raw_md5"] == checkout[1][0]


def test_a_sample_and_a_user_s_file_have_no_version(home, checkout, tmp_path):
    generate_sample(50).to_csv(tmp_path / "mine.csv", index=False)
    for source in ("sample", str(tmp_path / "mine.csv")):
        manifest = splitting.write_split(loading.load_dataset(source, n_rows=100))
        assert data_versions.describe_version(manifest) == ""
        assert "sha256" in data_versions.describe_data(manifest)
        assert ";" not in data_versions.describe_data(manifest)
        assert (
            data_versions.describe_split_status(manifest)
            == "A split of such data is not recorded by DVC."
        )


def test_the_commit_that_brings_lost_data_back_is_named(home, checkout):
    (md5, commit), _ = checkout
    tags = {"data_source": "california", "raw_sha256": "a1" * 32, "raw_md5": md5}
    [raw, _] = provenance.data_entries(tags)
    assert raw.missing
    assert raw.text.endswith(f"another; `git checkout {commit[:12]} && dvc checkout` restores it")
    [raw, _] = provenance.data_entries(tags | {"raw_md5": "0" * 32})
    assert raw.text.endswith(f"no commit here has a pointer with its md5, {'0' * 32}")


def write_lock_file(home):
    """Write the dvc.lock that `dvc repro` writes for the split in data/processed."""
    digests = {
        path.name: data_versions.md5(path.read_bytes())
        for path in sorted(paths.processed_data().iterdir())
    }
    outs = "".join(
        f"    - path: data/processed/{name}\n      md5: {md5}\n" for name, md5 in digests.items()
    )
    (home / "dvc.lock").write_text(f"stages:\n  prep:\n    outs:\n{outs}")


def test_the_split_status_says_whether_the_split_is_the_recorded_one(home, checkout):
    manifest = splitting.write_split(loading.load_dataset("auto"))
    write_lock_file(home)
    assert (
        data_versions.describe_split_status(manifest)
        == "It is the version that `dvc.lock` records."
    )
    status = data_versions.describe_split_status(
        splitting.write_split(loading.load_dataset("auto"), seed=1)
    )
    assert status.startswith("It is not the version that `dvc.lock` records")
    assert "`make data-push`" in status


def test_the_split_of_a_dvc_repro_is_reported_as_about_to_be_recorded(home, checkout, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "prep")
    assert "which records it" in data_versions.describe_split_status(
        splitting.write_split(loading.load_dataset("auto"), seed=1)
    )


def test_the_real_data_s_split_is_the_one_in_dvc_lock_on_every_machine(home, real_data):
    """Also fails after an update of pandas or pyarrow; `make data-push` records the new split."""
    manifest = splitting.write_split(real_data)
    assert not (home / "dvc.lock").exists()  # the checkout's is used
    assert (
        data_versions.describe_split_status(manifest)
        == "It is the version that `dvc.lock` records."
    )
    first = read_processed_files()
    splitting.write_split(real_data)
    assert read_processed_files() == first


def read_processed_files():
    return [path.read_bytes() for path in sorted(paths.processed_data().iterdir())]
