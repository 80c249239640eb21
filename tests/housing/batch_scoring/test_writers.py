"""The files that predictions are written to."""

import struct
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from housing.batch_scoring import formats, writers
from housing.data.files import table_files


def write(path, *tables):
    table_format = formats.find_format(path.name)
    with writers.open_writer(path, table_format, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)
    return path


@pytest.mark.parametrize("ending", formats.FORMATS)
def test_each_format_is_read_again_as_it_was_written(tmp_path, ending):
    table = pa.table({"id": ["a", 'b "c", d'], "value": [0.1 + 0.2, None]})
    path = write(tmp_path / f"out{ending}", table, table)
    frame = table_files.read_table(path).frame
    assert frame["id"].tolist() == ["a", 'b "c", d'] * 2
    assert frame["value"].isna().tolist() == [False, True] * 2
    assert frame["value"][0] == 0.1 + 0.2
    assert write(tmp_path / f"again{ending}", table, table).read_bytes() == path.read_bytes()


def test_a_number_in_csv_reads_as_the_same_number(tmp_path):
    random_bytes = np.random.default_rng(0).bytes(8 * 20_000)
    numbers = np.array(struct.unpack("20000d", random_bytes))
    numbers = np.append(numbers[np.isfinite(numbers)], [5e-324, 1.7976931348623157e308, -0.0])
    path = write(tmp_path / "out.csv", pa.table({"value": numbers}))
    texts = path.read_text().split()[1:]
    assert [float(text) for text in texts] == numbers.tolist()


def test_values_of_other_types_are_text(tmp_path):
    table = pa.table(
        {
            "place": pa.array(["b", None, "a"]).dictionary_encode(),
            "is_new": [True, None, False],
            "day": pa.array([date(2026, 3, 1), None, date(2026, 3, 2)]),
            "price": pa.array(["1.50", None, "2.00"]).cast(pa.decimal128(9, 2)),
            "share": [float("nan"), 1.0, -0.5],
        }
    )
    text = write(tmp_path / "out.tsv", table).read_text()
    assert text.splitlines() == [
        "place\tis_new\tday\tprice\tshare", "b\ttrue\t2026-03-01\t1.50\t", "\t\t\t\t1",
        "a\tfalse\t2026-03-02\t2.00\t-0.5",
    ]  # fmt: skip


def test_only_text_cannot_hold_lists(tmp_path):
    schema = pa.schema(
        [("a", pa.float64()), ("b", pa.list_(pa.int64())), ("c", pa.struct([("d", pa.int64())]))]
    )
    fields = writers.find_unwritable_columns(schema, formats.FORMATS[".csv"])
    assert [field.name for field in fields] == ["b", "c"]
    assert writers.find_unwritable_columns(schema, formats.FORMATS[".parquet"]) == []
    write(tmp_path / "out.parquet", schema.empty_table())
    assert pq.read_schema(tmp_path / "out.parquet").names == ["a", "b", "c"]
