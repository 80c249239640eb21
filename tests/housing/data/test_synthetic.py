import pytest

from housing.data.synthetic import generate_sample
from housing.data.validation import find_problems
from housing.schema import COLUMNS, HOUSE_VALUE_CAP


def test_the_same_seed_gives_the_same_rows():
    assert generate_sample(500, seed=1).equals(generate_sample(500, seed=1))
    assert not generate_sample(500, seed=1).equals(generate_sample(500, seed=2))


@pytest.mark.parametrize("rows", [1, 7, 5_000])
def test_a_sample_of_any_size_is_valid(rows):
    frame = generate_sample(rows)
    assert len(frame) == rows
    assert list(frame) == COLUMNS
    assert find_problems(frame) == []


def test_a_sample_resembles_california():
    frame = generate_sample(20_000)
    is_capped = frame.MedHouseVal == HOUSE_VALUE_CAP
    assert 0.01 < is_capped.mean() < 0.1
    assert 1.8 < frame.MedHouseVal.mean() < 2.4
    assert frame.MedInc.corr(frame.MedHouseVal) > 0.5
    in_los_angeles = frame.Latitude.between(33.7, 34.4) & frame.Longitude.between(-118.6, -117.8)
    assert 0.15 < in_los_angeles.mean() < 0.45
    coast = frame[frame.Latitude.between(37, 38) & (frame.Longitude < -122)]
    inland = frame[frame.Latitude.between(37, 38) & (frame.Longitude > -121)]
    assert coast.MedHouseVal.median() > 1.5 * inland.MedHouseVal.median()


def test_a_sample_without_rows_is_an_error():
    with pytest.raises(ValueError, match="rows is 0, expected at least 1"):
        generate_sample(0)
