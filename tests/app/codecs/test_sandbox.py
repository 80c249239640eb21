"""The process that reads Arrow and Parquet: what it reads, and what it does when it is harmed."""

import decimal
import io
import os
import signal
import struct

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.codecs import sandbox, sandbox_worker, tables
from app.codecs.feedback import FEEDBACK_COLUMNS
from app.codecs.sandbox import SandboxedReader
from app.codecs.tables import ARROW_FILE_MEDIA_TYPE, ARROW_MEDIA_TYPE, PARQUET_MEDIA_TYPE
from app.problem_details import RequestError
from housing.schema import FEATURE_NAMES, FEATURES

EXAMPLE = np.array([float(feature.example) for feature in FEATURES.values()])
COMPRESSIONS = (None, "lz4", "zstd")


def feature_table(row_count=40):
    return pa.table(
        {
            name: [value] * row_count
            for name, value in zip(FEATURE_NAMES, EXAMPLE.tolist(), strict=True)
        }
    )


def encode_stream(table, compression=None, batch_rows=None):
    file = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(file, table.schema, options=options) as stream:
        stream.write_table(table, max_chunksize=batch_rows)
    return file.getvalue()


def encode_file(table, compression=None, batch_rows=None):
    file = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression, unify_dictionaries=True)
    with pa.ipc.new_file(file, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=batch_rows)
    return file.getvalue()


def encode_parquet(table, **options):
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file, **options)
    return file.getvalue()


ENCODERS = {
    ARROW_MEDIA_TYPE: encode_stream,
    ARROW_FILE_MEDIA_TYPE: encode_file,
    PARQUET_MEDIA_TYPE: encode_parquet,
}


def decode(media_type, table):
    """Return the rows of a table that was sent in a format."""
    return tables.decode_table(media_type, ENCODERS[media_type](table), 100)


def refusal(body, media_type=ARROW_MEDIA_TYPE, max_rows=100):
    """Return the status and the first sentence with which a table is refused."""
    with pytest.raises(RequestError) as raised:
        tables.decode_table(media_type, body, max_rows)
    return raised.value.status, raised.value.errors[0].problem


@given(
    row_count=st.integers(1, 300),
    batch_rows=st.integers(1, 300),
    compression=st.sampled_from(COMPRESSIONS),
    seed=st.integers(0, 2**32 - 1),
    media_type=st.sampled_from([ARROW_MEDIA_TYPE, ARROW_FILE_MEDIA_TYPE]),
)
@settings(max_examples=60, deadline=None)
def test_arrow_is_read_as_it_was_written(row_count, batch_rows, compression, seed, media_type):
    """In batches of any size, compressed or not, with its columns in any order."""
    random = np.random.default_rng(seed)
    rows = EXAMPLE * random.uniform(0.999, 1.001, (row_count, len(FEATURE_NAMES)))
    table = pa.table(dict(zip(FEATURE_NAMES, rows.T, strict=True)))
    table = table.select([*random.permutation(FEATURE_NAMES)])
    body = ENCODERS[media_type](table, compression, batch_rows)
    assert (tables.decode_table(media_type, body, 300) == rows).all()


def test_a_stream_without_rows_or_with_too_many_is_refused():
    assert refusal(encode_stream(feature_table(1).slice(0, 0))) == (
        422, "the list has 0 rows, expected 1 to 100"
    )  # fmt: skip
    for media_type in (ARROW_MEDIA_TYPE, ARROW_FILE_MEDIA_TYPE):
        many = ENCODERS[media_type](feature_table(150), batch_rows=60)
        assert refusal(many, media_type) == (422, "the list has 120 rows, expected 1 to 100")


@pytest.mark.parametrize("body", [b"", b"ARROW1\0\0", b"{}", b"\xff" * 1_000])
def test_what_is_no_stream_is_refused_in_words(body):
    assert refusal(body) == (400, "the body is not an Arrow IPC stream that can be read")


def test_a_file_may_come_as_a_stream_or_a_stream_as_a_file_but_no_other_format():
    table = feature_table()
    assert len(tables.decode_table(ARROW_MEDIA_TYPE, encode_file(table), 100)) == 40
    assert len(tables.decode_table(ARROW_FILE_MEDIA_TYPE, encode_stream(table), 100)) == 40
    status, problem = refusal(encode_parquet(table), ARROW_FILE_MEDIA_TYPE)
    assert status == 400
    assert problem.startswith("the body is a Parquet file, not an Arrow IPC file")
    status, problem = refusal(encode_file(table), PARQUET_MEDIA_TYPE)
    assert "its media type is application/vnd.apache.arrow.file" in problem
    status, problem = refusal(b"FEA1" + b"\0" * 100, ARROW_FILE_MEDIA_TYPE)
    assert (status, problem.rpartition("; ")[2]) == (400, "write version 2")


@pytest.mark.parametrize("compression", ["lz4", "zstd", "uncompressed"])
def test_feather_is_read(compression):
    file = io.BytesIO()
    frame = pd.DataFrame([EXAMPLE] * 3, columns=FEATURE_NAMES)
    pyarrow.feather.write_feather(frame, file, compression=compression)
    assert (tables.decode_table(ARROW_FILE_MEDIA_TYPE, file.getvalue(), 3) == EXAMPLE).all()


@given(
    data=st.data(),
    kind=st.sampled_from([
        pa.decimal32(9, 4), pa.decimal64(18, 4), pa.decimal128(38, 4), pa.decimal128(38, 30),
        pa.decimal256(76, 20)
    ]),
    media_type=st.sampled_from([*ENCODERS]),
)  # fmt: skip
@settings(max_examples=50, deadline=None)
def test_a_decimal_is_the_float_that_its_digits_name(data, kind, media_type):
    """As it is in JSON and CSV; a cast of pyarrow is off by a bit for every third."""
    values = data.draw(st.lists(st.decimals(0, 20, places=4), min_size=1, max_size=20))
    table = feature_table(len(values)).set_column(0, "MedInc", pa.array(values, kind))
    assert decode(media_type, table)[:, 0].tolist() == [float(value) for value in values]


@pytest.mark.parametrize("media_type", ENCODERS)
def test_decimals_of_every_column_are_read(media_type):
    columns = {
        name: pa.array([decimal.Decimal(str(feature.example)), None])
        for name, feature in FEATURES.items()
    }
    table = pa.table(columns)
    assert (decode(media_type, table.slice(0, 1)) == EXAMPLE).all()
    with pytest.raises(RequestError) as raised:
        decode(media_type, table)
    assert [(error.row, error.field) for error in raised.value.errors] == [
        (1, name) for name in FEATURE_NAMES
    ]


@pytest.mark.parametrize("media_type", ENCODERS)
@pytest.mark.parametrize("index_names", [
    ["id"], ["id", "county"], [None], ["Latitude"], ["Latitude", "Longitude"], ["id", "Latitude"]
])  # fmt: skip
def test_an_index_of_pandas_is_ignored_unless_it_is_a_feature(media_type, index_names):
    frame = pd.DataFrame([EXAMPLE] * 3, columns=FEATURE_NAMES)
    frame = frame.assign(id=["a", "b", "c"], county=[1, 2, 3])
    if index_names == [None]:
        frame = frame.set_index("id").rename_axis(None)
    else:
        frame = frame.set_index(index_names)
    frame = frame.drop(columns=["id", "county"], errors="ignore")
    assert (decode(media_type, pa.Table.from_pandas(frame)) == EXAMPLE).all()


@pytest.mark.parametrize("metadata", [
    b"{}", b"not JSON", b"[]", b'{"index_columns": 1}', b"\xff",
    b'{"index_columns": [["id"], {"kind": "range"}]}',
])  # fmt: skip
@pytest.mark.parametrize("media_type", ENCODERS)
def test_a_column_that_pandas_does_not_call_an_index_is_refused_by_name(media_type, metadata):
    table = feature_table(3).append_column("id", pa.array([1, 2, 3]))
    body = ENCODERS[media_type](table.replace_schema_metadata({b"pandas": metadata}))
    status, problem = refusal(body, media_type)
    assert (status, problem.partition(";")[0]) == (422, "'id' is not a field of a block group")
    assert len(tables.decode_table(media_type, body, 3, allow_extra_columns=True)) == 3


@pytest.mark.parametrize("media_type", ENCODERS)
def test_numbers_are_read_however_they_are_encoded(media_type):
    table = feature_table(3)
    for values in (pa.array([41, 41, 41], pa.uint64()), pa.array([41, 41, 41], pa.int8()),
                   pa.array([41.0] * 3).dictionary_encode(), pa.array([41.0] * 3, pa.float16()),
                   pa.array([41, 41, 41]).dictionary_encode()):  # fmt: skip
        assert (decode(media_type, table.set_column(1, "HouseAge", values)) == EXAMPLE).all()
    rooms = pa.array([decimal.Decimal("6.9841")] * 3).dictionary_encode()
    assert (decode(media_type, table.set_column(2, "AveRooms", rooms)) == EXAMPLE).all()
    for values in (
        pa.array([True] * 3),
        pa.array(["41"] * 3),
        pa.array([[41.0]] * 3),
        pa.array(["41"] * 3).dictionary_encode(),
        pa.array([41] * 3, pa.date32()),
    ):
        body = ENCODERS[media_type](table.set_column(1, "HouseAge", values))
        status, problem = refusal(body, media_type)
        assert (status, problem[:24]) == (422, "HouseAge is a column of ")


@pytest.mark.parametrize("compression", ["snappy", "gzip", "zstd", "lz4", "brotli", "none"])
@pytest.mark.parametrize("options", [
    {"flavor": "spark", "version": "1.0"}, {"row_group_size": 3, "data_page_version": "2.0"},
    {"use_dictionary": False, "use_byte_stream_split": True}, {"store_decimal_as_integer": True},
])  # fmt: skip
def test_parquet_is_read_with_any_compression_and_encoding(compression, options):
    body = encode_parquet(feature_table(10), compression=compression, **options)
    assert (tables.decode_table(PARQUET_MEDIA_TYPE, body, 10) == EXAMPLE).all()


@pytest.mark.parametrize("encoder", [encode_stream, encode_file])
def test_batches_without_rows_are_no_rows(encoder):
    table = pa.Table.from_batches(
        [*feature_table(2).slice(0, 0).to_batches(), *feature_table(2).to_batches()]
    )
    table = pa.concat_tables([table, feature_table(1).slice(0, 0), table])
    assert len(tables.decode_table(ARROW_MEDIA_TYPE, encoder(table), 4)) == 4


def repeat_first_batch(body, batch_count):
    """Return an Arrow file whose footer names the first batch in the place of each other one."""
    schema_size = struct.unpack_from("<i", body, 12)[0]
    start = 16 + schema_size  # after the magic and the message of the schema
    footer = body[len(body) - 10 - struct.unpack_from("<i", body, len(body) - 10)[0] :]
    first = footer.index(struct.pack("<q", start))
    block = footer[first : first + 24]
    _, metadata_size, body_size = struct.unpack("<qixxxxq", block)
    blocks_end = first + 24 * batch_count
    footer = footer[:first] + block * batch_count + footer[blocks_end:]
    return body[: start + metadata_size + body_size] + footer


def test_a_file_that_names_a_batch_very_often_is_refused():
    """Its footer says where each batch stands; many may stand in one place."""
    body = repeat_first_batch(encode_file(feature_table(60_000), "zstd", batch_rows=60), 1_000)
    assert len(body) < 30_000
    assert pa.ipc.open_file(body).num_record_batches == 1_000
    status, problem = refusal(body, ARROW_FILE_MEDIA_TYPE)
    assert (status, problem) == (422, "the list has 120 rows, expected 1 to 100")
    assert len(tables.decode_table(ARROW_FILE_MEDIA_TYPE, body, 60_000)) == 60_000


@pytest.mark.slow
def test_a_table_that_takes_too_much_memory_is_refused_and_the_next_is_read():
    expected = (400, "the table cannot be read in 1,024 MB of memory and 3 seconds; it may be "
                     "damaged, or send fewer rows")  # fmt: skip
    zeros = pa.table(dict.fromkeys(FEATURE_NAMES, pa.array(np.zeros(20_000_000))))
    assert refusal(encode_stream(zeros, "zstd")) == expected
    assert refusal(encode_file(zeros, "zstd"), ARROW_FILE_MEDIA_TYPE) == expected
    assert len(tables.decode_table(ARROW_MEDIA_TYPE, encode_stream(feature_table()), 100)) == 40


@pytest.mark.parametrize("claimed_bytes", [2**31, 2**40, 2**62, -1, -2, -(2**63), 0, 1])
def test_a_compressed_buffer_that_claims_another_size_is_refused(claimed_bytes):
    """The size of an unpacked buffer stands before it, and memory is taken for as much."""
    body = bytearray(encode_stream(feature_table(), "zstd"))
    size, magic = struct.pack("<q", 8 * 40), b"\x28\xb5\x2f\xfd"
    offset = body.index(size + magic)
    struct.pack_into("<q", body, offset, claimed_bytes)
    assert refusal(bytes(body))[0] == 400
    assert len(tables.decode_table(ARROW_MEDIA_TYPE, encode_stream(feature_table()), 100)) == 40


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_no_damaged_stream_ends_more_than_its_reader(compression):
    random = np.random.default_rng(0)
    body = encode_stream(feature_table(), compression)
    statuses = set()
    for attempt in range(200):
        damaged = bytearray(body)
        for _ in range(1 + attempt % 4):
            damaged[random.integers(len(damaged))] = random.integers(256)
        try:
            tables.decode_table(ARROW_MEDIA_TYPE, bytes(damaged), 100)
        except RequestError as error:
            statuses.add(error.status)
    assert statuses == {400, 422}
    assert len(tables.decode_table(ARROW_MEDIA_TYPE, body, 100)) == 40


@pytest.mark.parametrize("media_type", [ARROW_MEDIA_TYPE, PARQUET_MEDIA_TYPE])
def test_a_reader_that_has_ended_is_replaced(media_type, monkeypatch):
    file = io.BytesIO()
    pyarrow.parquet.write_table(feature_table(), file)
    body = encode_stream(feature_table()) if media_type == ARROW_MEDIA_TYPE else file.getvalue()
    monkeypatch.setattr(sandbox, "_sandboxed_reader", SandboxedReader())
    for _ in range(2):
        assert len(tables.decode_table(media_type, body, 100)) == 40
        process = sandbox._sandboxed_reader._process
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_table_that_stops_its_reader_is_refused_and_the_next_is_read(monkeypatch):
    body = encode_stream(feature_table())
    monkeypatch.setattr(sandbox, "_sandboxed_reader", SandboxedReader())
    monkeypatch.setattr(sandbox, "SANDBOX_TIMEOUT_SECONDS", 3.0)
    assert len(tables.decode_table(ARROW_MEDIA_TYPE, body, 100)) == 40
    process = sandbox._sandboxed_reader._process
    os.kill(process.pid, signal.SIGSTOP)
    status, problem = refusal(body)
    assert (status, problem[:24]) == (400, "the table cannot be read")
    assert process.wait() == -signal.SIGKILL
    assert len(tables.decode_table(ARROW_MEDIA_TYPE, body, 100)) == 40


def test_a_reader_that_does_not_start_is_the_service_s_fault_and_the_next_may(
    monkeypatch, tmp_path
):
    body = encode_stream(feature_table())
    monkeypatch.setattr(sandbox, "_sandboxed_reader", SandboxedReader())
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nsleep 60\n")
    silent.chmod(0o755)
    for executable in ("/bin/false", "/no/such/file", str(silent)):
        with monkeypatch.context() as patch:
            patch.setattr(sandbox, "SANDBOX_TIMEOUT_SECONDS", 0.5)
            patch.setattr("sys.executable", executable)
            status, problem = refusal(body)
        assert (status, problem) == (
            503, "the process that reads tables does not start; try again, or send JSON"
        )  # fmt: skip
    assert len(tables.decode_table(ARROW_MEDIA_TYPE, body, 100)) == 40


def read_feedback(table):
    return sandbox.read_table(encode_stream(table), False, 100_000, FEEDBACK_COLUMNS)


def test_texts_are_read_whatever_their_encoding_and_cut_if_they_are_long():
    texts = ["a", None, "x" * 5_000]
    for data_type in (pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())):
        table = read_feedback(pa.table({"id": pa.array(texts).cast(data_type)}))
        assert table.texts == {"id": ["a", None, "x" * sandbox_worker.MAX_TEXT_LENGTH]}
        assert table.numbers == {}


@pytest.mark.parametrize(
    "column",
    [[["a"]], [{"a": 1}], [b"a"], [1.5], [True]],
    ids=["list", "struct", "bytes", "float", "bool"],
)
def test_what_is_no_text_is_refused(column):
    with pytest.raises(RequestError, match=r"id is a column of .+, expected text"):
        read_feedback(pa.table({"id": column, "truth": [4.5]}))


@pytest.mark.slow
def test_a_dictionary_that_unpacks_to_gigabytes_is_refused():
    long_text = pa.array(["x" * 1_000_000])
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), long_text)
    with pytest.raises(RequestError, match="the table cannot be read in 1,024 MB of memory"):
        read_feedback(pa.table({"id": column}))
    assert read_feedback(pa.table({"id": ["a"]})).texts == {"id": ["a"]}
