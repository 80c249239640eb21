"""What was computed is read from the cache; what cannot be read is computed again."""

import multiprocessing
import os

import joblib
import numpy as np
import pytest

from housing import geography
from housing.data.synthetic import generate_sample
from housing.models.families import FAMILIES
from housing.schema import FEATURE_NAMES
from housing.training import cache, folds, search


@pytest.fixture(scope="module")
def train():
    return generate_sample(400)


@pytest.fixture(autouse=True)
def one_process():
    """Run the tasks in this process: where they run is the question of test_executors.py."""
    with joblib.parallel_config("sequential"):
        yield


class TaskCounter:
    """A runner of tasks that counts them."""

    def __init__(self):
        self.n_tasks = 0

    def __call__(self, function, arguments):
        for task in arguments:
            self.n_tasks += 1
            yield function(*task)


def double(number):
    return 2 * number


def table(number):
    return np.full(1_000, number)  # 8 kB


def run_double(*numbers):
    """Return the results of `double`, and how many were computed."""
    counter = TaskCounter()
    results = cache.run_cached(counter, double, [(number,) for number in numbers])
    return results, counter.n_tasks


def result_files():
    return sorted(cache.folder().rglob("output.pkl"), key=lambda file: file.stat().st_mtime_ns)


def inodes():
    """Return the inode of each cached result: a rewritten file has another one."""
    return {file: file.stat().st_ino for file in result_files()}


def test_only_what_is_not_cached_is_computed():
    assert run_double(1, 2) == ([2, 4], 2)
    assert run_double(2, 3, 1) == ([4, 6, 2], 1)


def test_each_result_is_cached_as_it_arrives():
    """A search that is stopped loses the tasks that were running."""

    def stop_at_third(function, arguments):
        for number, task in enumerate(arguments):
            if number == 2:
                raise KeyboardInterrupt
            yield function(*task)

    with pytest.raises(KeyboardInterrupt):
        cache.run_cached(stop_at_third, double, [(1,), (2,), (3,)])
    assert run_double(1, 2, 3) == ([2, 4, 6], 1)


def test_another_package_version_or_other_code_is_computed_again(monkeypatch):
    run_double(1)
    with monkeypatch.context() as patch:
        patch.setattr(cache, "version", lambda package: "99")
        assert run_double(1) == ([2], 1)
    with monkeypatch.context() as patch:
        patch.setattr(cache, "MODEL_MODULES", cache.MODEL_MODULES[:-1])
        assert run_double(1) == ([2], 1)
    assert run_double(1) == ([2], 0)


def test_the_fingerprint_covers_the_places_that_models_measure_distances_to():
    assert geography in cache.MODEL_MODULES


@pytest.mark.parametrize("damage", ["empty", "no pickle", "first half"])
def test_a_result_that_cannot_be_read_is_reported_and_computed_again(damage):
    run_double(1)
    [file] = result_files()
    content = file.read_bytes()
    file.write_bytes({"empty": b"", "no pickle": b"no pickle"}.get(damage, content[:-3]))
    message = r"a result of double in .*searches cannot be read \(.*\): it is computed again"
    with pytest.warns(UserWarning, match=message):
        assert run_double(1, 2) == ([2, 4], 2)
    assert run_double(1, 2) == ([2, 4], 0)


def test_the_least_recently_used_results_are_deleted(monkeypatch):
    monkeypatch.setattr(cache, "MAX_CACHE_MB", 0.02)
    counter = TaskCounter()
    for number in (1, 2):
        cache.run_cached(counter, table, [(number,)])
        os.utime(result_files()[-1], (3 - number, number))  # the first one is read last
    cache.run_cached(counter, table, [(3,)])
    assert counter.n_tasks == 3
    cache.run_cached(counter, table, [(1,), (3,)])
    assert counter.n_tasks == 3
    cache.run_cached(counter, table, [(2,)])
    assert counter.n_tasks == 4


def run_in_process(_number):
    return run_double(*range(30))[0]


def test_two_runs_at_once_share_the_cache(home):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(run_in_process, range(2)) == [[2 * number for number in range(30)]] * 2
    assert run_double(*range(30))[1] == 0


def test_a_finished_search_is_read_bit_by_bit(train, monkeypatch):
    families = ["linear", "neighbours"]
    first = search.tune_families(families, train, "quick")
    fold_indices = folds.spatial_folds(train, 3)
    first_predictions = search.predict_out_of_fold(first["linear"], train, fold_indices)
    files = inodes()
    assert len(files) == 2 * 2 + 2 + 3  # scores, models, scores of the other folds

    def fail(*_):
        raise AssertionError("a model was trained again")

    for family in families:
        monkeypatch.setitem(FAMILIES, family, FAMILIES[family]._replace(build=fail))
    second = search.tune_families(families, train, "quick")
    for family in families:
        assert second[family].trials.equals(first[family].trials)
        np.testing.assert_array_equal(
            second[family].out_of_fold_predictions, first[family].out_of_fold_predictions
        )
        np.testing.assert_array_equal(
            second[family].model.predict(train[FEATURE_NAMES]),
            first[family].model.predict(train[FEATURE_NAMES]),
        )
    np.testing.assert_array_equal(
        search.predict_out_of_fold(second["linear"], train, fold_indices), first_predictions
    )
    assert inodes() == files


def test_other_data_or_another_seed_is_computed_again(train):
    search.tune_families(["tree"], train, "quick")
    n_results = len(result_files())
    search.tune_families(["tree"], train[:-1], "quick")
    search.tune_families(["tree"], train, "quick", seed=3)
    assert len(result_files()) == 3 * n_results
