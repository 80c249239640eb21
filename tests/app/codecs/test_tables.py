"""Tables are sent as lists of JSON are, and get the same predictions."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from app.codecs.tables import (
    ARROW_FILE_MEDIA_TYPE,
    ARROW_MEDIA_TYPE,
    CSV_MEDIA_TYPE,
    MEDIA_TYPE_ALIASES,
    PARQUET_MEDIA_TYPE,
    SANDBOXED_MEDIA_TYPES,
    TABLE_FORMATS,
)
from housing.schema import FEATURE_NAMES

BINARY_MEDIA_TYPES = [media_type for media_type in TABLE_FORMATS if media_type != CSV_MEDIA_TYPE]


@pytest.fixture
def table(served_champion):
    """Thirty rows of the test split."""
    rows = served_champion.test[FEATURE_NAMES].head(30)
    return pa.Table.from_pandas(rows, preserve_index=False)


def encode(media_type, table, **options):
    file = io.BytesIO()
    if media_type == ARROW_MEDIA_TYPE:
        with pa.ipc.new_stream(file, table.schema, **options) as stream:
            stream.write_table(table)
    elif media_type == ARROW_FILE_MEDIA_TYPE:
        with pa.ipc.new_file(file, table.schema, **options) as writer:
            writer.write_table(table)
    elif media_type == PARQUET_MEDIA_TYPE:
        pyarrow.parquet.write_table(table, file)
    else:
        pyarrow.csv.write_csv(table, file)
    return file.getvalue()


def decode(media_type, content):
    if media_type == ARROW_MEDIA_TYPE:
        return pa.ipc.open_stream(content).read_all()
    if media_type == ARROW_FILE_MEDIA_TYPE:
        return pa.ipc.open_file(content).read_all()
    if media_type == PARQUET_MEDIA_TYPE:
        return pyarrow.parquet.read_table(io.BytesIO(content))
    return pyarrow.csv.read_csv(io.BytesIO(content))


def post_predict(client, media_type, content, **headers):
    return client.post("/predict", data=content, content_type=media_type, headers=headers)


def problems(response, status=422):
    assert response.status_code == status, response.text
    return [error["problem"] for error in response.json["errors"]]


@pytest.mark.parametrize("media_type", TABLE_FORMATS)
def test_a_table_gets_a_table_with_the_predictions_of_json(client, table, media_type):
    expected = client.post("/predict", json=table.to_pylist()).json["predictions"]
    reordered = table.select([*reversed(FEATURE_NAMES)])
    response = post_predict(client, media_type, encode(media_type, reordered))
    assert response.content_type.partition(";")[0] == media_type
    predictions = decode(media_type, response.data)
    for name in ("prediction", "prediction_usd", "low", "high_usd"):
        assert predictions[name].to_pylist() == [prediction[name] for prediction in expected]
    assert set(predictions["model_version"].cast(pa.string()).to_pylist()) == {"1"}
    logged = client.get(f"/predictions/{predictions['id'][3].as_py()}").json
    assert logged["input"] == table.slice(3, 1).to_pylist()[0]


@pytest.mark.parametrize("media_type", BINARY_MEDIA_TYPES)
def test_the_schema_of_an_answer_does_not_depend_on_the_warnings(client, table, media_type):
    unusual = table.set_column(
        table.schema.get_field_index("HouseAge"), "HouseAge", pa.array([99.0] * len(table))
    )
    usual, warned = (
        decode(media_type, post_predict(client, media_type, encode(media_type, rows)).data)
        for rows in (table.slice(0, 1), unusual)
    )
    assert usual["warnings"].to_pylist() == [[]]
    assert all(warned["warnings"].to_pylist())
    assert usual["interval_calibrated"].to_pylist() == [True]
    assert warned["interval_calibrated"].to_pylist() == [False] * len(table)
    assert pa.concat_tables([usual, warned]).num_rows == 1 + len(table)


def test_the_accept_header_chooses_the_format(client, table):
    response = post_predict(
        client,
        CSV_MEDIA_TYPE,
        encode(CSV_MEDIA_TYPE, table),
        Accept=f"{ARROW_MEDIA_TYPE};q=0.9, */*;q=0.8",
    )
    assert len(decode(ARROW_MEDIA_TYPE, response.data)) == 30
    response = post_predict(
        client, PARQUET_MEDIA_TYPE, encode(PARQUET_MEDIA_TYPE, table), Accept="application/json"
    )
    assert len(response.json["predictions"]) == 30
    response = client.post(
        "/predict", json=table.to_pylist()[0], headers={"Accept": CSV_MEDIA_TYPE}
    )
    assert len(decode(CSV_MEDIA_TYPE, response.data)) == 1


def test_a_table_is_explained_too(client, table):
    response = client.post(
        "/predict?explain=true", data=encode(ARROW_MEDIA_TYPE, table), content_type=ARROW_MEDIA_TYPE
    )
    predictions = decode(ARROW_MEDIA_TYPE, response.data)
    names = [name for name in predictions.column_names if "contribution" in name]
    assert len(names) == 7
    contributions = [predictions[name].to_numpy() for name in names]
    total = predictions["base_usd"].to_numpy() + np.sum(contributions, axis=0)
    assert total == pytest.approx(predictions["prediction"].to_numpy() * 100_000)


@pytest.mark.parametrize("media_type", TABLE_FORMATS)
def test_each_problem_of_a_table_is_named(client, table, media_type):
    def first_problem(table):
        return problems(post_predict(client, media_type, encode(media_type, table)))[0]

    def with_incomes(values):
        return table.set_column(0, "MedInc", pa.array(values))

    without_income = table.drop_columns("MedInc")
    assert first_problem(without_income).startswith("the column MedInc is missing")
    with_unknown_column = table.append_column("HouseAg", table["HouseAge"])
    assert "did you mean HouseAge?" in first_problem(with_unknown_column)
    out_of_range = with_incomes([1.0] * 29 + [99.0])
    assert first_problem(out_of_range).startswith("row 29: MedInc is 99, expect")
    incomplete = with_incomes([1.0] * 29 + [None])
    assert first_problem(incomplete).startswith("row 29: MedInc is missing")
    assert "MedInc" in first_problem(with_incomes(["a lot"] * 30))
    assert first_problem(table.slice(0, 0)).startswith("the list has 0")


@pytest.mark.parametrize("media_type", BINARY_MEDIA_TYPES)
def test_nan_and_infinity_are_refused(client, table, media_type):
    values = [float("nan"), float("inf")] + [1.0] * 28
    table = table.set_column(0, "MedInc", pa.array(values))
    response = post_predict(client, media_type, encode(media_type, table))
    assert [problem.partition(",")[0] for problem in problems(response)] == [
        "row 0: MedInc is not a finite number", "row 1: MedInc is not a finite number"
    ]  # fmt: skip


@pytest.mark.parametrize("media_type", TABLE_FORMATS)
def test_a_truncated_or_damaged_table_is_refused_or_answered(client, table, media_type):
    content = encode(media_type, table)
    # a stream or CSV cut between two rows is a shorter table
    is_file = media_type in (ARROW_FILE_MEDIA_TYPE, PARQUET_MEDIA_TYPE)
    expected_statuses = (400, 422) if is_file else (200, 400, 422)
    for end in range(0, len(content), max(1, len(content) // 60)):
        response = post_predict(client, media_type, content[:end])
        assert response.status_code in expected_statuses, end
        if response.status_code != 200:
            assert "Traceback" not in response.text
    random = np.random.default_rng(0)
    for _ in range(30):
        damaged = bytearray(content)
        for position in random.integers(len(content), size=5):
            damaged[position] = random.integers(256)
        response = post_predict(client, media_type, bytes(damaged))
        assert response.status_code in (200, 400, 413, 415, 422)


def test_few_bytes_that_stand_for_many_rows_are_refused(table, client):
    long_table = pa.table({name: np.zeros(3_000_000) for name in FEATURE_NAMES})
    compressed = pa.ipc.IpcWriteOptions(compression="zstd")
    for content, media_type in (
        (encode(ARROW_MEDIA_TYPE, long_table, options=compressed), ARROW_MEDIA_TYPE),
        (encode(ARROW_FILE_MEDIA_TYPE, long_table, options=compressed), ARROW_FILE_MEDIA_TYPE),
        (encode(PARQUET_MEDIA_TYPE, long_table), PARQUET_MEDIA_TYPE),
    ):
        assert len(content) < 1_000_000
        [problem] = problems(post_predict(client, media_type, content))
        assert "3,000,000 rows, expected 1 to 100,000" in problem
    content = encode(ARROW_MEDIA_TYPE, table, options=compressed)
    assert len(decode(ARROW_MEDIA_TYPE, post_predict(client, ARROW_MEDIA_TYPE, content).data)) == 30


def test_a_table_has_a_limit_of_its_own(start_api, table):
    client = start_api(MAX_TABLE_ROWS=29)
    for media_type in TABLE_FORMATS:
        response = post_predict(client, media_type, encode(media_type, table))
        assert problems(response) == ["the list has 30 rows, expected 1 to 29"]


@pytest.mark.parametrize("alias", MEDIA_TYPE_ALIASES)
def test_other_names_of_a_media_type_are_understood_in_both_directions(client, table, alias):
    media_type = MEDIA_TYPE_ALIASES[alias]
    content = encode(media_type, table)
    response = post_predict(client, f"{alias.upper()}; charset=utf-8", content)
    assert (response.status_code, response.mimetype) == (200, media_type)
    response = client.post("/predict", json=table.to_pylist(), headers={"Accept": alias})
    assert (response.mimetype, len(decode(media_type, response.data))) == (media_type, 30)
    assert client.post("/invocations", data=content, content_type=alias).status_code == 200
    assert (alias in SANDBOXED_MEDIA_TYPES) == (media_type != CSV_MEDIA_TYPE)


@pytest.mark.parametrize("media_type", BINARY_MEDIA_TYPES)
def test_every_wrong_value_of_a_table_is_named_by_both_protocols(client, table, media_type):
    incomes = pa.array([None, 99.0, float("nan")] + [1.0] * 26 + [None])
    ages = pa.array([-1, *[1] * 27, None, 101])
    table = table.set_column(0, "MedInc", incomes).set_column(1, "HouseAge", ages)
    content = encode(media_type, table)
    expected = [
        "row 0: MedInc is missing", "row 0: HouseAge is -1", "row 1: MedInc is 99",
        "row 2: MedInc is not a finite number", "row 28: HouseAge is missing",
        "row 29: MedInc is missing", "row 29: HouseAge is 101",
    ]  # fmt: skip
    sentences = problems(post_predict(client, media_type, content))
    assert [problem.partition(", exp")[0] for problem in sentences] == expected
    response = client.post("/invocations", data=content, content_type=media_type)
    assert (response.status_code, response.json["error_code"]) == (400, "BAD_REQUEST")
    assert all(problem in response.json["message"] for problem in expected)


@pytest.mark.parametrize("media_type", BINARY_MEDIA_TYPES)
def test_of_very_many_missing_values_the_first_are_named(client, table, media_type):
    incomplete = table.set_column(7, "Longitude", pa.nulls(30))
    incomplete = incomplete.set_column(3, "AveBedrms", pa.nulls(30, pa.float32()))
    incomplete = pa.concat_tables([incomplete] * 2)
    sentences = problems(post_predict(client, media_type, encode(media_type, incomplete)))
    assert len(sentences) == 101
    assert sentences[98:100] == [
        problem.replace("row 0:", "row 49:") for problem in sentences[:2]
    ]  # fmt: skip
    assert sentences[0].startswith("row 0: AveBedrms is missing")
    assert sentences[-1] == "and 20 more problems"
