"""Analyses of hand-made traffic: clean, with prices that have risen, and none at all."""

from dataclasses import replace

import pandas as pd
import pytest

from housing.monitoring.analysis import signals
from tests.housing.monitoring.traffic import make_counts, make_reference

N_DAYS, ROWS_PER_DAY, CHANGED_DAY = 49, 40, 35
PRICE_FACTOR = 1.3


@pytest.fixture(scope="package")
def reference():
    """The reference of a model of the sample."""
    return make_reference(1_000)


def add_tables(counts, refused=0):
    """Return counts with the tables of refusals, latencies and places; `refused` rows a day."""
    days = counts.days if counts.requests.rows.any() else ()
    problem = "MedInc is …, expected a number from 0 to 20"
    refusals = [(day, "acme", problem, refused) for day in days if refused]
    requests = [(day, None, "acme", 422, refused) for day in days if refused]
    latencies = [(day, upper_ms, rows) for day in days for upper_ms, rows in ((1, 90), (8, 10))]
    cells = [(day, *place) for day in days for place in ((34.125, -118.125, 9), (41.6, -120.1, 1))]
    answered = counts.requests[counts.requests.rows > 0]
    columns = ["day", "version", "caller", "status", "rows"]
    return replace(
        counts,
        requests=pd.concat([answered, pd.DataFrame(requests, columns=columns)])
        if requests
        else answered,
        refusals=pd.DataFrame(refusals, columns=["day", "caller", "problem", "rows"]),
        latencies=pd.DataFrame(latencies, columns=["day", "upper_ms", "rows"]),
        cells=pd.DataFrame(cells, columns=["day", "latitude", "longitude", "rows"]),
    )


@pytest.fixture(scope="package")
def risen_prices(reference):
    """Seven weeks in which all true values are higher in the last two."""

    def raise_prices(rows):
        return rows.assign(truth=rows.truth * PRICE_FACTOR)

    counts = make_counts(reference, N_DAYS, ROWS_PER_DAY, raise_prices, CHANGED_DAY)
    return signals.analyze(add_tables(counts, refused=2), reference)


@pytest.fixture(scope="package")
def unlabelled(reference):
    """Two weeks of clean traffic whose true values nobody knows."""
    counts = make_counts(reference, 14, 4, labelled=False)
    return signals.analyze(add_tables(counts), reference)


@pytest.fixture(scope="package")
def no_traffic(reference):
    """Seven weeks without a request."""
    counts = make_counts(reference, N_DAYS, 0)
    return signals.analyze(add_tables(counts), reference)
