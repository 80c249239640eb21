"""The eight features and the target, defined once: meaning, unit, accepted range, example."""

from typing import NamedTuple


class Feature(NamedTuple):
    """The meaning of one column of a block group, its unit, and the range of accepted values."""

    meaning: str
    unit: str
    low: float
    high: float
    example: float


FEATURES = {
    "MedInc": Feature("median household income", "$10,000 a year", 0, 20, 8.3252),
    "HouseAge": Feature("median age of the houses", "years", 0, 100, 41),
    "AveRooms": Feature("average rooms per household", "rooms", 0, 200, 6.9841),
    "AveBedrms": Feature("average bedrooms per household", "bedrooms", 0, 50, 1.0238),
    "Population": Feature("people living in the block group", "people", 1, 50_000, 322),
    "AveOccup": Feature("average people per household", "people", 0, 1_500, 2.5556),
    "Latitude": Feature("latitude of the block group", "degrees north", 32, 42.5, 37.88),
    "Longitude": Feature("longitude of the block group", "degrees east", -125, -114, -122.23),
}
FEATURE_NAMES = list(FEATURES)
COORDINATE_NAMES = ["Latitude", "Longitude"]
COORDINATE_INDICES = [FEATURE_NAMES.index(name) for name in COORDINATE_NAMES]

TARGET = "MedHouseVal"
HOUSE_VALUE = Feature("median house value", "$100,000", 0, 5.1, 4.526)
# The census recorded no value above $500,000; 965 block groups have this number instead.
HOUSE_VALUE_CAP = 5.00001

COLUMNS = [*FEATURE_NAMES, TARGET]
USD_PER_UNIT = 100_000  # one unit of the target, in dollars
