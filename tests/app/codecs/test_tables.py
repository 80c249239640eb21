"""Tables are asked about as lists of JSON are, and answered the same."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from app import create_app
from app.codecs.tables import ARROW_MEDIA_TYPE, CSV_MEDIA_TYPE, PARQUET_MEDIA_TYPE
from housing.data import splitting
from housing.schema import FEATURE_NAMES


@pytest.fixture
def table(champion_home):
    """Some test rows."""
    return pa.Table.from_pandas(
        splitting.read_split().test[FEATURE_NAMES].head(30), preserve_index=False
    )


def packed(kind, table, **options):
    file = io.BytesIO()
    if kind == ARROW_MEDIA_TYPE:
        with pa.ipc.new_stream(file, table.schema, **options) as stream:
            stream.write_table(table)
    elif kind == PARQUET_MEDIA_TYPE:
        pyarrow.parquet.write_table(table, file)
    else:
        pyarrow.csv.write_csv(table, file)
    return file.getvalue()


def read(kind, content):
    if kind == ARROW_MEDIA_TYPE:
        return pa.ipc.open_stream(content).read_all()
    if kind == PARQUET_MEDIA_TYPE:
        return pyarrow.parquet.read_table(io.BytesIO(content))
    return pyarrow.csv.read_csv(io.BytesIO(content))


def ask(client, kind, content, **headers):
    return client.post("/predict", data=content, content_type=kind, headers=headers)


def said(answer, status=422):
    assert answer.status_code == status, answer.text
    return [one["problem"] for one in answer.json["errors"]]


@pytest.mark.parametrize("kind", [ARROW_MEDIA_TYPE, PARQUET_MEDIA_TYPE, CSV_MEDIA_TYPE])
def test_a_table_gets_a_table_with_the_answers_of_json(client, table, kind):
    expected = client.post("/predict", json=table.to_pylist()).json["predictions"]
    mixed = table.select([*reversed(FEATURE_NAMES)])
    mixed = mixed.set_column(0, "Longitude", mixed["Longitude"].cast(pa.float32()))
    mixed = mixed.set_column(0, "Longitude", table["Longitude"])
    answer = ask(client, kind, packed(kind, mixed))
    assert answer.content_type.partition(";")[0] == kind
    found = read(kind, answer.data)
    for name in ("prediction", "prediction_usd", "low", "high_usd"):
        assert found[name].to_pylist() == [one[name] for one in expected]
    assert set(found["model_version"].cast(pa.string()).to_pylist()) == {"1"}
    logged = client.get(f"/predictions/{found['id'][3].as_py()}").json
    assert logged["input"] == table.slice(3, 1).to_pylist()[0]


def test_another_format_is_answered_where_it_is_asked_for(client, table):
    answer = ask(
        client,
        CSV_MEDIA_TYPE,
        packed(CSV_MEDIA_TYPE, table),
        Accept=f"{ARROW_MEDIA_TYPE};q=0.9, */*",
    )
    assert len(read(ARROW_MEDIA_TYPE, answer.data)) == 30
    answer = ask(
        client, PARQUET_MEDIA_TYPE, packed(PARQUET_MEDIA_TYPE, table), Accept="application/json"
    )
    assert len(answer.json["predictions"]) == 30
    one = client.post("/predict", json=table.to_pylist()[0], headers={"Accept": CSV_MEDIA_TYPE})
    assert len(read(CSV_MEDIA_TYPE, one.data)) == 1


def test_a_table_is_explained_too(client, table):
    answer = client.post(
        "/predict?explain=true", data=packed(ARROW_MEDIA_TYPE, table), content_type=ARROW_MEDIA_TYPE
    )
    found = read(ARROW_MEDIA_TYPE, answer.data)
    added = [found[name].to_numpy() for name in found.column_names if "contribution" in name]
    assert len(added) == 7
    total = found["base_usd"].to_numpy() + np.sum(added, axis=0)
    assert total == pytest.approx(found["prediction"].to_numpy() * 100_000)


@pytest.mark.parametrize("kind", [ARROW_MEDIA_TYPE, PARQUET_MEDIA_TYPE, CSV_MEDIA_TYPE])
def test_what_is_wrong_with_a_table_is_named(client, table, kind):
    lacking = packed(kind, table.drop_columns("MedInc"))
    assert said(ask(client, kind, lacking))[0].startswith("the column MedInc is missing")
    more = packed(kind, table.append_column("HouseAg", table["HouseAge"]))
    assert "did you mean HouseAge?" in said(ask(client, kind, more))[0]
    high = table.set_column(0, "MedInc", pa.array([1.0] * 29 + [99.0]))
    assert said(ask(client, kind, packed(kind, high)))[0].startswith("row 29: MedInc is 99, expect")
    void = table.set_column(0, "MedInc", pa.array([1.0] * 29 + [None]))
    assert said(ask(client, kind, packed(kind, void)))[0].startswith("row 29: MedInc is missing")
    text = table.set_column(0, "MedInc", pa.array(["a lot"] * 30))
    assert "MedInc" in said(ask(client, kind, packed(kind, text)))[0]
    assert said(ask(client, kind, packed(kind, table.slice(0, 0))))[0].startswith("the list has 0")


@pytest.mark.parametrize("kind", [ARROW_MEDIA_TYPE, PARQUET_MEDIA_TYPE])
def test_numbers_that_are_none_are_refused(client, table, kind):
    odd = table.set_column(0, "MedInc", pa.array([float("nan"), float("inf")] + [1.0] * 28))
    problems = said(ask(client, kind, packed(kind, odd)))
    assert [one.partition(",")[0] for one in problems] == [
        "row 0: MedInc is not a finite number", "row 1: MedInc is not a finite number"
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [ARROW_MEDIA_TYPE, PARQUET_MEDIA_TYPE, CSV_MEDIA_TYPE])
def test_a_table_cut_short_anywhere_is_refused_or_whole(client, table, kind):
    whole = packed(kind, table)
    for end in range(0, len(whole), max(1, len(whole) // 60)):
        answer = ask(client, kind, whole[:end])
        assert answer.status_code in (
            (200, 400, 422) if kind != PARQUET_MEDIA_TYPE else (400, 422)
        ), end
        assert "Traceback" not in answer.text if answer.status_code != 200 else True
    random = np.random.default_rng(0)
    for _ in range(30):
        torn = bytearray(whole)
        for at in random.integers(len(whole), size=5):
            torn[at] = random.integers(256)
        assert ask(client, kind, bytes(torn)).status_code in (200, 400, 413, 415, 422)


def test_few_bytes_that_stand_for_many_rows_are_refused_before_they_are_unpacked(table, client):
    many = pa.table({name: np.zeros(3_000_000) for name in FEATURE_NAMES})
    packs = pa.ipc.IpcWriteOptions(compression="zstd")
    for content, kind, status in (
        (packed(ARROW_MEDIA_TYPE, many, options=packs), ARROW_MEDIA_TYPE, 422),
        (packed(PARQUET_MEDIA_TYPE, many), PARQUET_MEDIA_TYPE, 422),
        (packed(ARROW_MEDIA_TYPE, table, options=packs), ARROW_MEDIA_TYPE, 415),
    ):
        assert len(content) < 1_000_000
        [problem] = said(ask(client, kind, content), status)
        assert "3,000,000 rows, expected 1 to 100,000" in problem or "is compressed" in problem


def test_a_table_has_a_limit_of_its_own(champion_home, app, table):
    client = create_app({"MAX_TABLE_ROWS": 29}).test_client()
    for kind in (ARROW_MEDIA_TYPE, PARQUET_MEDIA_TYPE, CSV_MEDIA_TYPE):
        problems = said(ask(client, kind, packed(kind, table)))
        assert problems == ["the list has 30 rows, expected 1 to 29"]
