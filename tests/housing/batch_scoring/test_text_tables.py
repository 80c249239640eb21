"""CSV files as they are scored: what is a number, what stays text, what is wrong with a row."""

import gzip

import pandas as pd
import pyarrow as pa
import pytest

from housing.batch_scoring import formats, source_tables
from housing.data.files import table_files
from housing.data.synthetic import generate_sample
from housing.schema import FEATURE_NAMES

CSV, PARQUET = formats.FORMATS[".csv"], formats.FORMATS[".parquet"]
VALUES = ["8.3252", "41", "6.98", "1.02", "322", "2.55", "37.88", "-122.23"]
CENSUS_HEADER = (
    "longitude,latitude,housing_median_age,total_rooms,total_bedrooms,population,households,"
    "median_income,median_house_value,ocean_proximity\n"
)


def read_all(path, target_format=CSV, rows=100):
    """Return the table that is written again, and the batches."""
    with source_tables.open_table(path, rows, target_format) as table:
        batches = list(table.batches)
    columns = [batch.columns for batch in batches]
    return pa.Table.from_batches(columns, table.schema), batches


@pytest.fixture
def write_csv(tmp_path):
    """Return a function that writes a CSV of the eight columns and one or more others."""

    def write(other_header, *rows, separator=","):
        file = tmp_path / "rows.csv"
        lines = [[*FEATURE_NAMES, *other_header], *rows]
        file.write_text("".join(separator.join(line) + "\n" for line in lines))
        return file

    return write


def test_text_is_written_again_as_it_was(write_csv):
    others = ["007", "1e3", "+5", '"x,y"', "NA", " pad "]
    file = write_csv(["id", "a", "b", "c", "d", "e"], [*VALUES, *others])
    table, [batch] = read_all(file)
    assert [column[0].as_py() for column in table.columns] == [
        *VALUES, "007", "1e3", "+5", "x,y", "NA", " pad ",
    ]  # fmt: skip
    assert [column[0].as_py() for column in batch.features.columns] == [
        float(value) for value in VALUES
    ]


def test_columns_of_numbers_are_numbers_in_parquet(write_csv):
    header = ["id", "count", "gap", "share", "code", "long", "mixed", "nothing"]
    rows = [
        ["007", "1", "5", "0.25", "1", "12345678901234567890", "1", ""],
        ["010", "-2", "", "1e-3", "x", "1", "1.5", ""],
    ]
    file = write_csv(header, *([*VALUES, *row] for row in rows))
    table, _ = read_all(file, PARQUET, rows=1)
    types = [str(table.schema.field(name).type) for name in header]
    assert types == ["string", "int64", "int64", "double", "string", "string", "double", "string"]
    assert table["gap"].to_pylist() == [5, None]
    assert table["share"].to_pylist() == [0.25, 0.001]
    assert table["id"].to_pylist() == ["007", "010"]
    assert table["nothing"].to_pylist() == [None, None]
    assert table["MedInc"].to_pylist() == [8.3252, 8.3252]


def test_decimal_commas_become_points(write_csv):
    values = [value.replace(".", ",") for value in VALUES]
    file = write_csv(["share", "name"], [*values, "0,5", "a,b"], separator=";")
    table, [batch] = read_all(file)
    assert [column[0].as_py() for column in table.columns] == [*VALUES, "0.5", "a,b"]
    assert batch.features.columns["MedInc"].to_pylist() == [8.3252]
    assert read_all(file, PARQUET)[0]["share"].to_pylist() == [0.5]


def test_a_value_that_is_no_number_is_a_problem_of_its_row(write_csv):
    file = write_csv([], VALUES, ["8", "old", "", *VALUES[3:]])
    for target_format, written in ((CSV, ["41", "old"]), (PARQUET, [41, None])):
        table, [batch] = read_all(file, target_format)
        assert table["HouseAge"].to_pylist() == written
        assert list(batch.features.problems.values) == ["HouseAge"]
        assert batch.features.problems.values["HouseAge"].to_pylist() == [
            None, "HouseAge is 'old', expected a number (years)",
        ]  # fmt: skip
        assert batch.features.columns["AveRooms"].to_pylist() == [6.98, None]


def test_a_row_with_too_few_or_too_many_values_keeps_them(write_csv):
    rows = [[*VALUES, "1"], VALUES[:7], [*VALUES, "2", "x", "y"], [*VALUES, "3"]]
    file = write_csv(["number"], *rows)
    table, [batch] = read_all(file)
    assert table["number"].to_pylist() == ["1", "", "2", "3"]
    assert table["Latitude"].to_pylist() == ["37.88"] * 4
    assert batch.features.problems.rows.to_pylist() == [
        None,
        "the row has 7 values, expected 9",
        "the row has 11 values, expected 9, 'x', 'y' left over",
        None,
    ]
    assert batch.features.columns["MedInc"].to_pylist() == [8.3252, None, None, 8.3252]
    assert read_all(file, PARQUET)[0]["number"].to_pylist() == [1, None, 2, 3]


def test_a_long_file_is_read_in_batches_that_say_how_far_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, "CSV_BLOCK_BYTES", 1 << 13)
    frame = generate_sample(1_000)
    frame.to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    frame.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "utf16.csv").write_text((tmp_path / "a.csv").read_text(), encoding="utf-16")
    with pa.CompressedOutputStream(tmp_path / "a.csv.zst", "zstd") as stream:
        stream.write((tmp_path / "a.csv").read_bytes())
    for name in ("a.csv", "a.csv.gz", "a.csv.zst", "utf16.csv", "a.parquet"):
        _, batches = read_all(tmp_path / name, rows=300)
        assert [len(batch.columns) for batch in batches] == [300, 300, 300, 100]
        shares = [batch.share_read for batch in batches]
        # of packed content the whole size is estimated, by how far it happens to be read ahead
        tolerance = 0.4 if name.endswith((".gz", ".zst")) else 0.15
        assert shares[:3] == pytest.approx([0.3, 0.6, 0.9], abs=tolerance), name
        assert shares[3] == pytest.approx(1, abs=0.1), name
        rows = pa.Table.from_batches([batch.features.columns for batch in batches])
        assert rows.select(FEATURE_NAMES).to_pandas().equals(frame[FEATURE_NAMES])


def test_packed_parquet_is_read_too(tmp_path):
    frame = generate_sample(50)
    frame.to_parquet(tmp_path / "a.parquet")
    packed_file = tmp_path / "a.parquet.gz"
    packed_file.write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))
    assert read_all(packed_file)[0].to_pandas().equals(frame)
    packed_file.write_bytes(packed_file.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"a.parquet.gz.*cannot be unpacked"):
        source_tables.read_columns(packed_file)


def test_the_census_form_is_converted_and_its_gaps_named(tmp_path):
    file = tmp_path / "housing.csv"
    file.write_text(
        CENSUS_HEADER + "-122.23,37.88,41.0,880.0,129.0,322.0,126.0,8.3252,452600.0,NEAR BAY\n"
        "-122.22,37.86,21.0,7099.0,,2401.0,1138.0,8.3014,358500.0,NEAR BAY\n"
        "-122.22,37.86,21.0,7099.0,1106.0,2401.0,0,8.3014,358500.0,NEAR BAY\n"
        "-122.22,37.86,21.0,7099.0,1106.0,many,1138.0,8.3014,,NEAR BAY\n"
    )
    table, [batch] = read_all(file)
    assert table.schema.names == CENSUS_HEADER.strip().split(",")
    assert table["total_rooms"].to_pylist() == ["880.0", "7099.0", "7099.0", "7099.0"]
    features = batch.features.columns.to_pandas()
    assert features.iloc[0].to_dict() == {
        "MedInc": 8.3252, "HouseAge": 41.0, "AveRooms": 880 / 126, "AveBedrms": 129 / 126,
        "Population": 322.0, "AveOccup": 322 / 126, "Latitude": 37.88, "Longitude": -122.23,
    }  # fmt: skip
    assert features.AveBedrms.isna().tolist() == [False, True, False, False]
    problems = batch.features.problems
    assert problems.labels["AveBedrms"] == "AveBedrms (total_bedrooms / households)"
    texts = [texts.to_pylist() for texts in problems.values.values()]
    assert any(row[2] and "households is 0" in row[2] for row in texts)
    assert any(row[3] and "'many', expected a number" in row[3] for row in texts)
    pd.read_csv(file).to_parquet(tmp_path / "housing.parquet")
    _, [batch] = read_all(tmp_path / "housing.parquet")
    assert batch.features.columns["AveRooms"][0].as_py() == 880 / 126
