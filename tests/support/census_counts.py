"""The data set in the form of Géron's book and of Kaggle, made from scikit-learn's cache."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from housing import paths

CACHE_FILE = Path("shared") / "scikit_learn_data" / "cal_housing_py3.pkz"  # beside the checkout
CACHE_COLUMNS = ["median_house_value", "median_income", "housing_median_age", "total_rooms",
                 "total_bedrooms", "population", "households", "latitude", "longitude"]  # fmt: skip
CSV_COLUMNS = ["longitude", "latitude", "housing_median_age", "total_rooms", "total_bedrooms",
               "population", "households", "median_income", "median_house_value",
               "ocean_proximity"]  # fmt: skip
PROXIMITIES = ["NEAR BAY", "<1H OCEAN", "INLAND", "NEAR OCEAN", "ISLAND"]
GAP_COUNT = 207  # of total_bedrooms, in the book's file


def load_census_counts(gap_count: int = GAP_COUNT) -> pd.DataFrame:
    """Return the original counts, (20640, 10), in the order of the file, with gaps in bedrooms.

    Skips the test where scikit-learn's cache is not beside the checkout.
    """
    cache_file = paths.PROJECT_ROOT.parent / CACHE_FILE
    if not cache_file.exists():
        pytest.skip(reason="no scikit-learn cache beside the checkout")
    import joblib

    frame = pd.DataFrame(joblib.load(cache_file), columns=CACHE_COLUMNS)
    rng = np.random.default_rng(0)
    frame["ocean_proximity"] = rng.choice(PROXIMITIES, len(frame))
    frame.loc[rng.choice(len(frame), gap_count, replace=False), "total_bedrooms"] = np.nan
    return frame[CSV_COLUMNS]


def make_census_counts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return counts of 400 households a block group, for a frame in this project's columns."""
    households = 400.0
    return pd.DataFrame(
        {
            "longitude": frame.Longitude,
            "latitude": frame.Latitude,
            "housing_median_age": frame.HouseAge,
            "total_rooms": frame.AveRooms * households,
            "total_bedrooms": frame.AveBedrms * households,
            "population": frame.AveOccup * households,
            "households": households,
            "median_income": frame.MedInc,
            "median_house_value": frame.MedHouseVal * 100_000,
            "ocean_proximity": "<1H OCEAN",
        }
    )
