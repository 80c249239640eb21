"""Tables over the whole period, and the sentences about each signal."""

import pandas as pd
import pytest

from housing.monitoring.analysis import alarms
from housing.monitoring.quantities import Signal
from housing.monitoring.report import sentences, tables
from housing.registry.artifacts import ModelVersion

VERSION = ModelVersion("california-housing-sample", "1", "", {"data_source": "sample"}, "")


@pytest.fixture(scope="module")
def verdict(risen_prices):
    return alarms.summarize(risen_prices, VERSION.name, VERSION.version)


def test_refusals_are_counted_by_problem_and_caller(risen_prices):
    table = tables.refusals(risen_prices.counts)
    assert table.rows.to_list() == [98]
    assert table.caller.to_list() == ["acme"]


def test_callers_without_a_key_are_named(risen_prices):
    table = tables.callers(risen_prices.counts)
    assert table.index.to_list() == ["without a key", "acme"]
    assert table.refused.to_list() == [0, 98]


def test_clean_features_have_the_density_and_the_mean_rank_of_the_held_out_rows(risen_prices):
    densities, held_out, ticks = tables.distributions(risen_prices)
    assert held_out.mean(axis=1).to_numpy() == pytest.approx(1, abs=0.1)
    assert densities.index.equals(ticks.index)
    assert ticks.loc["prediction", 0.5].startswith("$")
    features = tables.features(risen_prices)
    assert features["mean rank"].to_numpy() == pytest.approx(0.5, abs=0.05)
    assert features.loc["MedInc", "now"] == pytest.approx(
        features.loc["MedInc", "held out"], rel=0.1
    )


def test_a_cell_far_from_all_training_rows_is_marked(risen_prices):
    cells = tables.cells(risen_prices).set_index("latitude")
    assert cells.rows.to_dict() == {34.125: 441, 41.6: 49}
    assert cells.km[34.125] < tables.FAR_KM
    assert not cells.is_far[34.125]


def test_the_changes_that_last_and_matter_come_first(risen_prices):
    table = tables.changes(risen_prices)
    assert len(table) == 8
    assert (table.matters == "yes").all()
    assert "too low on average" in table.change.iloc[0]
    assert tables.change_days(risen_prices, "absolute_error")


def test_the_strongest_evidence_of_each_signal_is_shown(risen_prices):
    table = tables.evidence(risen_prices)
    assert len(table) == 5
    assert table.iloc[0].max() >= 1
    assert isinstance(table.columns, pd.DatetimeIndex)


def test_a_signal_is_summed_up_by_its_alarms(risen_prices, verdict):
    text = sentences.describe_signal(risen_prices, verdict, Signal.ERROR)
    assert " alarms.** \n\n- predictions are \\$" in text
    assert text.count("\n- ") == sentences.MAX_SENTENCES + 1
    assert sentences.describe_signal(risen_prices, verdict, Signal.LOCATION) == "**No alarm.**"


def test_the_traffic_is_counted_in_words(risen_prices, no_traffic):
    text = sentences.describe_traffic(risen_prices, VERSION, ["costs $5"])
    assert "1,960 predictions, 1,960 true values, 98 refused rows" in text
    assert "*costs \\$5.*" in text
    assert sentences.describe_traffic(no_traffic, VERSION).startswith("**No traffic yet.** ")


def test_without_rows_each_table_is_empty_and_each_signal_says_so(no_traffic):
    verdict = alarms.summarize(no_traffic, VERSION.name, VERSION.version)
    for signal in Signal:
        text = sentences.describe_signal(no_traffic, verdict, signal)
        assert text == "**Nothing to judge by yet.**"
    counts = no_traffic.counts
    for table in (
        tables.refusals(counts),
        tables.callers(counts),
        tables.features(no_traffic),
        tables.cells(no_traffic),
        tables.evidence(no_traffic),
        tables.changes(no_traffic),
        *tables.distributions(no_traffic),
    ):
        assert table.empty
    assert sentences.describe_joint_drift(no_traffic) == "**Nothing to judge by yet.**"
