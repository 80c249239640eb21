"""The gate with labelled rows: an honest improvement passes, a harmful one does not."""

import numpy as np
import pytest

from housing import geography
from housing.data import labelled_part, loading, splitting
from housing.data.synthetic import generate_sample
from housing.registry import gate, provenance, recent_gate
from housing.schema import FEATURE_NAMES, TARGET
from housing.tracking import tags as run_tags

MANIFEST = {"sha256": {"train": "labelled", "older_train": "older", "raw": "raw"}}
UNTIL, RECENT_SINCE = "2026-10-01T00:00:00+00:00", "2026-10-02T00:00:00+00:00"


def record(factors):
    return labelled_part.LabelledRecord(
        400, "2026-09-01T00:00:00+00:00", UNTIL, 300, RECENT_SINCE, "2026-11-01T00:00:00+00:00",
        {"california-housing-sample version 1": 700}, {}, 0, 0, factors,
    )  # fmt: skip


@pytest.fixture(scope="module")
def raised_split():
    """A split after prices rose by a fifth everywhere, which the recent rows show."""
    dataset = loading.load_dataset("sample", n_rows=2_000)
    train, test = splitting.split_train_test(dataset.frame)
    factors = dict.fromkeys(geography.REGIONS, 1.2)
    recent = labelled_part.revalue(generate_sample(300, seed=7), factors)
    manifest = MANIFEST | {"labelled": labelled_part.record_entry(record(factors))}
    return splitting.TrainTestSplit(
        labelled_part.revalue(train, factors),
        labelled_part.revalue(test, factors),
        manifest,
        recent,
        test,
    )


class NoisyTruth:
    """A model that knows the values of a split's rows but for noise; its prices may be old."""

    def __init__(self, split, noise, seed, factor=1.0, extra=None):
        generator = np.random.default_rng(seed)
        rows = [split.test, split.recent_test]
        self.values = {}
        for frame in rows:
            values = frame[TARGET].to_numpy() * factor
            values = values + generator.normal(0, noise, len(frame))
            if extra is not None:
                values = values + extra(frame)
            keys = map(tuple, frame[FEATURE_NAMES].to_numpy())
            self.values |= dict(zip(keys, values, strict=True))

    def predict(self, rows):
        return np.array([self.values[tuple(row)] for row in rows[FEATURE_NAMES].to_numpy()])


def judge(split, model, champion):
    return gate.verdict(recent_gate.run_checks(model, champion, split, gate.DEFAULT_LIMITS))


def test_a_model_that_knows_todays_prices_passes(raised_split):
    """Although it is much worse on the older test rows as they were recorded."""
    champion = NoisyTruth(raised_split, 0.3, 0, factor=1 / 1.2)
    candidate = NoisyTruth(raised_split, 0.3, 1)
    promoted, reason = judge(raised_split, candidate, champion)
    assert promoted
    assert "its RMSE on the recent test rows is $" in reason
    assert reason.endswith("lower than the champion's")
    table = recent_gate.compare_test_parts(candidate, champion, raised_split)
    gains = table["gain, $"]
    assert gains["older test rows, as recorded"] < -10_000
    assert gains["recent test rows"] > 10_000
    assert gains["older test rows, at today's prices"] > 10_000


def test_no_better_on_recent_rows_is_refused(raised_split):
    champion, candidate = (NoisyTruth(raised_split, 0.3, seed) for seed in (0, 1))
    promoted, reason = judge(raised_split, candidate, champion)
    assert not promoted
    assert "the gain on the recent test rows may be chance" in reason


def test_a_region_that_got_lost_is_refused_whatever_the_recent_rows_say(raised_split):
    def harm(frame):
        in_region = (geography.assign_regions(frame) == "Bay Area").to_numpy()
        return np.where(in_region & (len(frame) != 300), 1.0, 0.0)

    champion = NoisyTruth(raised_split, 0.3, 0, factor=1 / 1.2)
    candidate = NoisyTruth(raised_split, 0.2, 1, extra=harm)
    promoted, reason = judge(raised_split, candidate, champion)
    assert not promoted
    assert "RMSE increase of older rows at today's prices: region Bay Area" in reason


def test_a_model_of_shuffled_values_is_refused(raised_split):
    """It is better than the champion on shuffled recent rows, as it predicts about their mean."""
    generator = np.random.default_rng(0)
    recent = raised_split.recent_test
    shuffled = recent.assign(**{TARGET: generator.permutation(recent[TARGET])})
    split = raised_split._replace(recent_test=shuffled)

    class MeanModel:
        def predict(self, rows):
            return np.full(len(rows), recent[TARGET].mean()) + 0.01 * rows.MedInc.to_numpy()

    champion = NoisyTruth(raised_split, 0.3, 0)
    promoted, reason = judge(split, MeanModel(), champion)
    assert not promoted
    assert recent_gate.SPREAD_CHECK in reason


def test_worse_ranks_of_the_recorded_rows_are_refused(raised_split):
    champion = NoisyTruth(raised_split, 0.3, 0, factor=1 / 1.2)
    candidate = NoisyTruth(raised_split, 0.3, 1)
    keys = list(map(tuple, raised_split.test[FEATURE_NAMES].to_numpy()))
    values = np.array([candidate.values[key] for key in keys])
    swapped = np.random.default_rng(0).permutation(len(keys))[: len(keys) // 5]
    values[swapped] = np.roll(values[swapped], 1)
    candidate.values |= dict(zip(keys, values, strict=True))
    assert recent_gate.RANK_CHECK in judge(raised_split, candidate, champion)[1]


def test_a_champion_may_not_have_seen_what_it_is_judged_by(raised_split):
    manifest = raised_split.manifest

    def has_seen(**tags):
        return recent_gate.has_seen_test_rows(tags, manifest)

    assert not has_seen(train_sha256="older")  # the data alone
    assert not has_seen(train_sha256="labelled")
    assert has_seen(train_sha256="another split")
    earlier = {"train_sha256": "earlier", "older_train_sha256": "older"}
    assert not has_seen(**earlier, labelled_until=UNTIL)
    assert has_seen(**earlier, labelled_until=RECENT_SINCE)
    assert has_seen(**earlier | {"older_train_sha256": "another split"}, labelled_until=UNTIL)


def test_a_champion_of_labelled_rows_is_not_followed_by_a_model_without():
    """On test rows of the data alone, whoever does not know today's prices would win."""
    manifest = {"sha256": {"train": "older"}}
    tags = {"train_sha256": "x", "older_train_sha256": "older", "labelled_rows": "400"}
    assert not recent_gate.has_seen_test_rows(tags, manifest)
    count = recent_gate.count_missing_labelled_rows(tags, manifest)
    checks = gate.check_labelled_rows(gate.Baseline(None, "", count))
    assert gate.verdict(checks).reason == (
        "the champion has learnt from 400 labelled rows of the prediction log, and the candidate "
        "from none: train with labelled=yes"
    )
    assert gate.check_labelled_rows(gate.Baseline(None, "")) == []


def test_the_origin_of_labelled_rows_is_traced(home, raised_split):

    sha256 = {"raw": "a", "train": "b", "older_train": "c", "origins": "d" * 64}
    manifest = raised_split.manifest | {"source": "sample", "sha256": sha256}
    tags = run_tags.lineage_tags(manifest)
    assert tags["labelled_rows"] == "400"
    [entry] = [entry for entry in provenance.data_entries(tags) if entry.label == "labelled rows"]
    assert entry.text.startswith(
        "400 labelled rows of 2026-09-01 to 2026-10-01 to train on and 300 newer ones to test; "
        "older values × 1.200; sha256 dddddddddddd…: their list is not here"
    )
    without = {name: value for name, value in manifest.items() if name != "labelled"}
    assert not [name for name in run_tags.lineage_tags(without) if "labelled" in name]
