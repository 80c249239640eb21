import numpy as np
import pandas as pd
import pytest

from housing import geography
from housing.data.synthetic import generate_sample


def locations(*points):
    """Return a frame of (latitude, longitude) points."""
    return pd.DataFrame(points, columns=["Latitude", "Longitude"])


def test_a_degree_is_as_long_as_on_a_globe():
    distances_km = geography.distance_to_nearest_km(
        locations((34.0, -118.0), (34.0, -119.0)), locations((35.0, -118.0))
    )
    assert distances_km[0] == pytest.approx(111.2, abs=0.1)
    [eastward_km] = geography.distance_to_nearest_km(
        locations((34.0, -119.0)), locations((34.0, -118.0))
    )
    assert eastward_km == pytest.approx(111.2 * np.cos(np.radians(34)), abs=0.1)  # not 111.2


def test_los_angeles_is_559_km_from_san_francisco():
    [distance_km] = geography.distance_to_nearest_km(
        locations(geography.TOWNS["Los Angeles"]), locations(geography.TOWNS["San Francisco"])
    )
    assert distance_km == pytest.approx(559, abs=1)


def test_the_distance_is_that_to_the_nearest_of_several():
    reference = locations((38.0, -122.0), (34.01, -118.0), (33.0, -117.0))
    assert geography.distance_to_nearest_km(locations((34.0, -118.0)), reference) == pytest.approx(
        1.11, abs=0.01
    )


def test_a_distance_to_no_block_group_is_an_error():
    with pytest.raises(ValueError, match="no block group to measure the distance to"):
        geography.distance_to_nearest_km(locations((34.0, -118.0)), locations())


def test_a_location_is_described_by_its_nearest_town():
    descriptions = geography.describe_locations(locations((36.75, -119.80), (37.2, -119.80)))
    assert list(descriptions) == ["near Fresno", "50 km from Fresno"]


def test_every_block_group_has_one_region():
    regions = geography.assign_regions(generate_sample(5_000))
    assert regions.notna().all()
    assert set(regions) == set(geography.REGIONS)


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
def test_a_town_is_in_the_region_a_californian_would_name(town, point, region):
    assert list(geography.assign_regions(locations(point))) == [region]
