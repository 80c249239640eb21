"""A finished search is read from the cache."""

import os

import numpy as np
import pytest

from housing import geography, paths
from housing.data.synthetic import generate_sample
from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES
from housing.training import cache, cross_validation, folds, search


@pytest.fixture(scope="module")
def train():
    return generate_sample(600)


def cached_files(extension):
    """Return the inode of each cached file by its name: a rewritten file has another one."""
    folder = paths.var() / "searches"
    return {path.name: path.stat().st_ino for path in folder.glob(f"*.{extension}")}


def test_a_finished_search_is_read_bit_by_bit(train, monkeypatch):
    first = search.tune_families(list(FAMILIES), train, "quick")
    fold_indices = folds.spatial_folds(train, 3)
    first_predictions = search.predict_out_of_fold(first["tree"], train, fold_indices)
    model_files, prediction_files = cached_files("skops"), cached_files("npy")
    assert (len(model_files), len(prediction_files)) == (len(FAMILIES), len(FAMILIES) + 1)

    def fail(*_):
        raise AssertionError("a model was trained again")

    monkeypatch.setattr(cross_validation, "_fit_model", fail)
    monkeypatch.setattr(cross_validation, "_predict_held_out", fail)
    second = search.tune_families(list(FAMILIES), train, "quick")
    for family in FAMILIES:
        assert second[family].trials.equals(first[family].trials)
        np.testing.assert_array_equal(
            second[family].out_of_fold_predictions, first[family].out_of_fold_predictions
        )
        np.testing.assert_array_equal(
            second[family].model.predict(train[FEATURE_NAMES]),
            first[family].model.predict(train[FEATURE_NAMES]),
        )
    np.testing.assert_array_equal(
        search.predict_out_of_fold(second["tree"], train, fold_indices), first_predictions
    )
    assert (cached_files("skops"), cached_files("npy")) == (model_files, prediction_files)


def test_other_data_or_another_seed_is_another_model(train):
    search.tune_families(["tree"], train, "quick")
    search.tune_families(["tree"], train[:-1], "quick")
    search.tune_families(["tree"], train, "quick", seed=3)
    assert len(cached_files("skops")) == 3


def test_another_package_version_makes_other_cache_keys(monkeypatch):
    key = cache.cache_key("tree")
    monkeypatch.setattr(cache, "version", lambda name: "99")
    assert cache.cache_key("tree") != key


def test_the_fingerprint_covers_the_places_that_models_measure_distances_to():
    assert geography in cache.MODEL_MODULES


@pytest.mark.parametrize("content", [b"", b"no zip", "first half"])
def test_a_model_that_cannot_be_read_is_trained_again(train, content):
    first = search.tune_families(["tree"], train, "quick")["tree"].model
    [file] = (paths.var() / "searches").glob("*.skops")
    file.write_bytes(file.read_bytes()[:500] if content == "first half" else content)
    second = search.tune_families(["tree"], train, "quick")["tree"].model
    np.testing.assert_array_equal(
        second.predict(train[FEATURE_NAMES]), first.predict(train[FEATURE_NAMES])
    )
    assert cache.load_model(file.stem) is not None


def test_the_least_recently_used_files_are_deleted(monkeypatch):
    monkeypatch.setattr(cache, "MAX_CACHE_MB", 0.002)
    for number, key in enumerate(("a", "b")):
        cache.save_predictions(key, np.zeros(80))  # 768 bytes
        os.utime(paths.var() / "searches" / f"{key}.npy", (number, number))
    assert cache.load_predictions("a") is not None
    cache.save_predictions("c", np.zeros(80))
    assert set(cached_files("npy")) == {"a.npy", "c.npy"}
