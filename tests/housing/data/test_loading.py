import hashlib
import shutil

import pytest

from housing import paths
from housing.data import loading
from housing.data.synthetic import generate_sample
from housing.schema import COLUMNS
from tests.support.census_counts import make_census_counts


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Remove every source: no DVC, no scikit-learn cache, a proxy that rejects every download."""
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "no cache"))
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")


def test_the_real_data_is_the_one_its_dvc_pointer_records(real_data):
    assert real_data.source == "california"
    assert real_data.frame.shape == (20_640, 9)
    assert real_data.md5 == "fa9fe4cf24f70b69ac65fb33062ddf34"
    assert not real_data.is_modified


def test_auto_loads_the_raw_file(home, real_data):
    paths.raw_data().parent.mkdir(parents=True)
    shutil.copy(paths.PROJECT_ROOT / "data/raw/california_housing.csv", paths.raw_data())
    assert loading.load_dataset("auto").sha256 == real_data.sha256


@pytest.fixture
def changed_raw_file(home):
    """Write a raw file with other rows than its DVC pointer records."""
    paths.raw_data().parent.mkdir(parents=True)
    generate_sample(10).to_csv(paths.raw_data(), index=False)


def test_a_changed_raw_file_is_an_error_where_the_real_data_is_required(changed_raw_file):
    with pytest.raises(ValueError, match="recorded is fa9fe4cf24f7") as error:
        loading.load_dataset("california")
    assert "to take it back: dvc checkout --force" in str(error.value)
    assert "give its path as the source" in str(error.value)


def test_auto_loads_a_changed_raw_file_and_says_so(changed_raw_file):
    dataset = loading.load_dataset("auto")
    assert (dataset.source, len(dataset.frame), dataset.is_modified) == ("california", 10, True)
    md5 = hashlib.md5(paths.raw_data().read_bytes()).hexdigest()
    assert dataset.description.startswith("CHANGED DATA, not what its DVC pointer says")
    assert f"has 10 rows and md5 {md5[:12]}, recorded is fa9fe4cf24f7" in dataset.description
    assert "to record it: dvc add data/raw/california_housing.csv" in dataset.description


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n"], ids=["empty", "a picture"])
def test_an_unreadable_raw_file_is_named_with_the_way_out(changed_raw_file, content):
    paths.raw_data().write_bytes(content)
    for source in ("auto", "california"):
        with pytest.raises(ValueError, match=r"california_housing\.csv is no CSV file .* checkout"):
            loading.load_dataset(source)


def test_data_from_scikit_learn_s_cache_becomes_the_raw_file(home, monkeypatch, real_data):
    cache = paths.PROJECT_ROOT.parent / "shared" / "scikit_learn_data"
    if not cache.exists():
        pytest.skip(reason="no scikit-learn cache beside the checkout")
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(cache))
    assert loading.load_dataset("california").sha256 == real_data.sha256
    assert paths.raw_data().exists()


@pytest.mark.slow
@pytest.mark.slow
def test_the_raw_file_is_pulled_from_the_dvc_remote(home, tmp_path, offline, real_data):
    """Outside of git, and from another folder than the home."""
    raw_file, remote = paths.PROJECT_ROOT / "data/raw/california_housing.csv", tmp_path / "remote"
    stored_file = remote / "files" / "md5" / real_data.md5[:2] / real_data.md5[2:]
    stored_file.parent.mkdir(parents=True)
    shutil.copy(raw_file, stored_file)
    (home / ".dvc").mkdir()
    config = f"[core]\n    remote = stored\n['remote \"stored\"']\n    url = {remote}\n"
    (home / ".dvc" / "config").write_text(config)
    paths.raw_data().parent.mkdir(parents=True)
    shutil.copy(f"{raw_file}.dvc", f"{paths.raw_data()}.dvc")
    assert loading.load_dataset("california").sha256 == real_data.sha256


@pytest.mark.slow
def test_california_offline_lists_the_failed_attempts_and_the_ways_out(offline):
    with pytest.raises(LookupError) as error:
        loading.load_dataset("california")
    for phrase, attempt in zip(
        ("is missing", "dvc pull", "scikit-learn's cache or download"),
        error.value.problems,
        strict=True,
    ):
        assert phrase in attempt
    assert "source=sample" in str(error.value)


@pytest.mark.slow
def test_auto_offline_generates_a_sample_and_says_so(offline):
    dataset = loading.load_dataset("auto", n_rows=100)
    assert dataset.source == "sample"
    assert dataset.description.startswith("A GENERATED SAMPLE, not real data: 100 rows")
    assert "scikit-learn" in dataset.description
    assert dataset.frame.equals(generate_sample(100))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_user_s_file_is_loaded(tmp_path, ending):
    path, frame = tmp_path / f"mine.{ending}", generate_sample(30)
    frame["HouseAge"] = frame.HouseAge.astype(int)
    getattr(frame, {"csv": "to_csv", "parquet": "to_parquet"}[ending])(path, index=False)
    dataset = loading.load_dataset(str(path))
    assert dataset.source == "file"
    assert dataset.frame.equals(generate_sample(30))


def test_a_misspelt_source_is_named():
    with pytest.raises(LookupError, match="'californa': neither auto, california nor sample"):
        loading.load_dataset("californa")


def test_a_file_of_another_type_is_an_error(tmp_path):
    (tmp_path / "mine.json").write_text("[]")
    with pytest.raises(ValueError, match=r"mine\.json is JSON, expected a CSV or Parquet file"):
        loading.load_dataset(str(tmp_path / "mine.json"))


def test_an_address_is_named_with_the_way_out():
    with pytest.raises(LookupError, match="an address: download it"):
        loading.load_dataset("https://example.com/housing.csv")


def test_a_path_may_start_at_the_user_s_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    generate_sample(30).to_csv(tmp_path / "mine.csv", index=False)
    assert loading.load_dataset("~/mine.csv").frame.equals(generate_sample(30))
    assert loading.source_files("~/mine.csv") == [tmp_path / "mine.csv"]


def test_a_file_is_described_with_what_was_recognized_and_done(tmp_path):
    counts = make_census_counts(generate_sample(30))
    path = tmp_path / "housing.csv.gz"
    counts.to_csv(path, sep=";", decimal=",", encoding="utf-16")
    dataset = loading.load_dataset(str(path))
    assert dataset.description == (
        "The file housing.csv.gz, 30 rows (gzip, UTF-16, separated by semicolons, decimal commas); "
        "the columns are those of Géron's and Kaggle's housing.csv: rooms, bedrooms and people "
        "were divided by households; the column without a name, which numbers the rows, was left "
        "out; median_house_value was converted from dollars to units of 100,000 dollars; "
        "ocean_proximity was left out"
    )
    assert dataset.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_converted_file_may_take_the_place_of_the_raw_file(changed_raw_file):
    make_census_counts(generate_sample(30)).to_csv(paths.raw_data(), index=False)
    dataset = loading.load_dataset("auto")
    assert sorted(dataset.frame) == sorted(COLUMNS)
    assert dataset.is_modified
    assert "rooms, bedrooms and people were divided" in dataset.description


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_empty_file_is_named(tmp_path, ending):
    (tmp_path / f"mine.{ending}").touch()
    with pytest.raises(ValueError, match=rf"mine\.{ending} is empty, expected a header"):
        loading.load_dataset(str(tmp_path / f"mine.{ending}"))


def test_a_relative_path_starts_at_the_folder_where_the_runner_was_started(tmp_path, monkeypatch):
    generate_sample(30).to_csv(tmp_path / "mine.csv", index=False)
    monkeypatch.setenv("HOUSING_STARTED_IN", str(tmp_path))
    assert loading.load_dataset("mine.csv").frame.equals(generate_sample(30))
    monkeypatch.delenv("HOUSING_STARTED_IN")
    monkeypatch.chdir(tmp_path)
    assert loading.load_dataset("mine.csv").frame.equals(generate_sample(30))
