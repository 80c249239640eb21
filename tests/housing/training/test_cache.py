"""What a search has made is not made twice."""

import os

import numpy as np
import pytest

from housing import paths
from housing.data.synthetic import generate_sample
from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES
from housing.training import cache, cross_validation, folds, search


@pytest.fixture(scope="module")
def train():
    return generate_sample(600)


def files(ending):
    return {one.name: one.stat().st_ino for one in (paths.var() / "searches").glob(f"*.{ending}")}


def test_a_finished_search_is_read_bit_by_bit(train, monkeypatch):
    first = search.tune_families(list(FAMILIES), train, "quick")
    cut = folds.spatial_folds(train, 3)
    apart = search.predict_out_of_fold(first["tree"], train, cut)
    models, guesses = files("skops"), files("npy")
    assert (len(models), len(guesses)) == (len(FAMILIES), len(FAMILIES) + 1)

    def fit(*_):
        raise AssertionError("a model was trained again")

    monkeypatch.setattr(cross_validation, "_fit_model", fit)
    monkeypatch.setattr(cross_validation, "_predict_held_out", fit)
    second = search.tune_families(list(FAMILIES), train, "quick")
    for one in FAMILIES:
        assert second[one].trials.equals(first[one].trials)
        np.testing.assert_array_equal(
            second[one].out_of_fold_predictions, first[one].out_of_fold_predictions
        )
        expected = first[one].model.predict(train[FEATURE_NAMES])
        np.testing.assert_array_equal(second[one].model.predict(train[FEATURE_NAMES]), expected)
    np.testing.assert_array_equal(search.predict_out_of_fold(second["tree"], train, cut), apart)
    assert (files("skops"), files("npy")) == (models, guesses)


def test_other_data_or_another_seed_is_another_model(train):
    search.tune_families(["tree"], train, "quick")
    search.tune_families(["tree"], train[:-1], "quick")
    search.tune_families(["tree"], train, "quick", seed=3)
    assert len(files("skops")) == 3


def test_another_package_makes_other_models(monkeypatch):
    before = cache.cache_key("tree")
    monkeypatch.setattr(cache, "version", lambda name: "99")
    assert cache.cache_key("tree") != before


@pytest.mark.parametrize("content", [b"", b"no zip", "first half"])
def test_a_model_that_cannot_be_read_is_trained_again(train, content):
    first = search.tune_families(["tree"], train, "quick")["tree"]
    [file] = (paths.var() / "searches").glob("*.skops")
    half = file.read_bytes()[:500]
    file.write_bytes(half if content == "first half" else content)
    again = search.tune_families(["tree"], train, "quick")["tree"].model
    np.testing.assert_array_equal(
        again.predict(train[FEATURE_NAMES]), first.model.predict(train[FEATURE_NAMES])
    )
    assert cache.load_model(file.stem) is not None


def test_the_least_used_models_make_room(monkeypatch):
    monkeypatch.setattr(cache, "MAX_CACHE_MB", 0.002)
    for number, one in enumerate(("a", "b")):
        cache.save_predictions(one, np.zeros(80))  # 768 bytes
        os.utime(paths.var() / "searches" / f"{one}.npy", (number, number))
    assert cache.load_predictions("a") is not None
    cache.save_predictions("c", np.zeros(80))
    assert set(files("npy")) == {"a.npy", "c.npy"}
