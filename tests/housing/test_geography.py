import numpy as np
import pandas as pd
import pytest

from housing import geography
from housing.data.synthetic import generate_sample


def at(*points):
    return pd.DataFrame(points, columns=["Latitude", "Longitude"])


def test_a_degree_is_as_many_kilometres_as_on_a_globe():
    south = geography.distance_to_nearest_km(at((34.0, -118.0), (34.0, -119.0)), at((35.0, -118.0)))
    assert south[0] == pytest.approx(111.2, abs=0.1)
    [west] = geography.distance_to_nearest_km(at((34.0, -119.0)), at((34.0, -118.0)))
    assert west == pytest.approx(111.2 * np.cos(np.radians(34)), abs=0.1)  # not 111.2


def test_los_angeles_is_559_km_from_san_francisco():
    [found] = geography.distance_to_nearest_km(
        at(geography.TOWNS["Los Angeles"]), at(geography.TOWNS["San Francisco"])
    )
    assert found == pytest.approx(559, abs=1)


def test_the_nearest_of_several_counts():
    known = at((38.0, -122.0), (34.01, -118.0), (33.0, -117.0))
    assert geography.distance_to_nearest_km(at((34.0, -118.0)), known) == pytest.approx(
        1.11, abs=0.01
    )


def test_where_nothing_is_known_nothing_is_nearest():
    with pytest.raises(ValueError, match="no block group is known"):
        geography.distance_to_nearest_km(at((34.0, -118.0)), at())


def test_a_place_is_named_after_the_nearest_town():
    found = geography.describe_locations(at((36.75, -119.80), (37.2, -119.80)))
    assert list(found) == ["near Fresno", "50 km from Fresno"]


def test_every_block_group_has_one_region():
    found = geography.region(generate_sample(5_000))
    assert found.notna().all()
    assert set(found) == set(geography.REGIONS)


@pytest.mark.parametrize(
    ("town", "point", "region"),
    [
        ("Palo Alto", (37.44, -122.14), "Bay Area"),
        ("Antioch", (38.00, -121.81), "Bay Area"),
        ("Pasadena", (34.15, -118.14), "Los Angeles and Orange"),
        ("Palmdale", (34.58, -118.12), "Los Angeles and Orange"),
        ("Irvine", (33.68, -117.83), "Los Angeles and Orange"),
        ("Oceanside", (33.20, -117.38), "San Diego"),
        ("San Bernardino", (34.11, -117.29), "Inland Empire and desert"),
        ("Temecula", (33.49, -117.15), "Inland Empire and desert"),
        ("Needles", (34.85, -114.61), "Inland Empire and desert"),
        ("Salinas", (36.68, -121.66), "Central Coast"),
        ("Watsonville", (36.91, -121.76), "Central Coast"),
        ("Visalia", (36.33, -119.29), "San Joaquin Valley"),
        ("Merced", (37.30, -120.48), "San Joaquin Valley"),
        ("Davis", (38.54, -121.74), "Sacramento Valley"),
        ("Yuba City", (39.14, -121.62), "Sacramento Valley"),
        ("Crescent City", (41.76, -124.20), "North and Sierra"),
        ("Mammoth Lakes", (37.65, -118.97), "North and Sierra"),
    ],
)
def test_a_town_is_in_the_region_a_californian_would_say(town, point, region):
    assert list(geography.region(at(point))) == [region]
