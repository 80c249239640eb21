"""A crafted table is refused in words: it ends no worker, leaks no memory, takes no gigabytes."""

import io
import resource
import signal
import struct
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from app.codecs import sandbox, tables
from app.codecs.tables import ARROW_MEDIA_TYPE, CSV_MEDIA_TYPE, PARQUET_MEDIA_TYPE
from app.problem_details import RequestError
from housing.schema import FEATURE_NAMES, FEATURES
from tests.app.codecs.test_tables import encode, post_predict, problems

ROW_COUNT = 40
# for tests that reach into the process of the service
in_this_process = pytest.mark.parametrize("api_host", ["flask"], indirect=True)
TABLE_SCHEMA = pa.schema([(name, pa.float64()) for name in FEATURE_NAMES])


@pytest.fixture
def table():
    """The example block group, ROW_COUNT times."""
    columns = {name: [float(feature.example)] * ROW_COUNT for name, feature in FEATURES.items()}
    return pa.table(columns, schema=TABLE_SCHEMA)


def last_batch_offsets(stream):
    """Return where the last record batch of a stream starts: message, metadata and body."""
    batches, offset = [], 0
    while offset < len(stream):
        size = struct.unpack_from("<i", stream, offset + 4)[0]
        if size == 0:
            break
        message = pa.ipc.read_message(stream[offset:])
        batches.append((offset, offset + 8, offset + 8 + size))
        offset += 8 + size + (len(message.body) if message.body else 0)
    return batches[-1]


def number_offsets(stream, number):
    """Return where a 64-bit number stands in the metadata of the last record batch."""
    _, start, end = last_batch_offsets(stream)
    return [
        offset
        for offset in range(start, end - 7)
        if struct.unpack_from("<q", stream, offset)[0] == number
    ]


def with_number(stream, old, new):
    """Yield a stream for each offset of `number_offsets`, with another number there."""
    for offset in number_offsets(stream, old):
        damaged = bytearray(stream)
        struct.pack_into("<q", damaged, offset, new)
        yield bytes(damaged)


@pytest.mark.parametrize(
    "claimed_rows", [ROW_COUNT + 1, 1_000, 90_000, 2**40, -1, -(2**63), 2**63 - 1]
)
def test_a_batch_that_claims_more_rows_than_it_holds_leaks_nothing(client, table, claimed_rows):
    stream = encode(ARROW_MEDIA_TYPE, table)
    damaged_once = list(with_number(stream, ROW_COUNT, claimed_rows))
    assert len(damaged_once) >= 9  # the batch's own count, and that of each column
    damaged_everywhere = bytearray(stream)
    for offset in number_offsets(stream, ROW_COUNT):
        struct.pack_into("<q", damaged_everywhere, offset, claimed_rows)
    for content in [*damaged_once, bytes(damaged_everywhere)]:
        response = post_predict(client, ARROW_MEDIA_TYPE, content)
        assert response.status_code in (400, 422)
        [problem] = [error["problem"] for error in response.json["errors"]]
        assert "not an Arrow IPC stream" in problem or "rows, expected 1 to 100,000" in problem


@pytest.mark.parametrize("offset", [1, 8, 312, 10_000, 2**40, 2**62, -8, -(2**63)])
def test_a_buffer_outside_of_its_body_leaks_nothing(client, table, offset):
    stream = encode(ARROW_MEDIA_TYPE, table)
    column_bytes = 8 * ROW_COUNT
    for old_offset in [column_bytes * index for index in range(1, len(FEATURE_NAMES))]:
        for content in with_number(stream, old_offset, offset):
            response = post_predict(client, ARROW_MEDIA_TYPE, content)
            assert response.status_code in (200, 400, 422)
            if response.status_code == 200:  # another offset within the body, or nothing there
                rows = tables.decode_table(ARROW_MEDIA_TYPE, content, ROW_COUNT)
                assert set(rows.ravel()) <= {feature.example for feature in FEATURES.values()}


def test_missing_values_are_detected_whatever_their_count_says(client, table):
    incomplete = table.set_column(0, "MedInc", pa.array([1.0] * (ROW_COUNT - 1) + [None]))
    stream = encode(ARROW_MEDIA_TYPE, incomplete)
    for count in (0, 1, -1, ROW_COUNT):
        for damaged in with_number(stream, 1, count):
            response = post_predict(client, ARROW_MEDIA_TYPE, damaged)
            if count == 0 and response.status_code == 200:  # nothing is missing, says the stream
                rows = tables.decode_table(ARROW_MEDIA_TYPE, damaged, ROW_COUNT)
                assert set(rows[:, 0]) == {0.0, 1.0}  # what it holds there
            else:
                assert response.status_code in (400, 422), response.text
    complete = bytearray(encode(ARROW_MEDIA_TYPE, table))
    _, start, _ = last_batch_offsets(bytes(complete))
    first_column = next(
        offset
        for offset in range(start, len(complete))
        if struct.unpack_from("<qq", complete, offset) == (ROW_COUNT, 0)
    )
    struct.pack_into("<q", complete, first_column + 8, 3)
    response = post_predict(client, ARROW_MEDIA_TYPE, bytes(complete))
    assert "not an Arrow IPC stream" in problems(response, 400)[0]


@pytest.mark.parametrize("size", [0, -1, -8, -(2**31), 2**31 - 1])
def test_a_message_without_a_size_ends_the_reading(client, table, size):
    stream = encode(ARROW_MEDIA_TYPE, table)
    for offset in (4, last_batch_offsets(stream)[0] + 4):
        damaged = bytearray(stream)
        struct.pack_into("<i", damaged, offset, size)
        started = time.perf_counter()
        assert post_predict(client, ARROW_MEDIA_TYPE, bytes(damaged)).status_code in (400, 422)
        assert time.perf_counter() - started < 1


@pytest.mark.parametrize("length", [0, -1, -320, -(2**63), 2**62])
def test_a_body_of_negative_length_does_not_keep_the_reader_in_a_loop(client, table, length):
    stream = encode(ARROW_MEDIA_TYPE, table)
    for damaged in with_number(stream, 8 * ROW_COUNT * len(FEATURE_NAMES), length):
        started = time.perf_counter()
        assert post_predict(client, ARROW_MEDIA_TYPE, damaged).status_code in (400, 422)
        assert time.perf_counter() - started < 1


def test_an_arrow_stream_truncated_or_changed_anywhere_is_answered(table):
    stream = encode(ARROW_MEDIA_TYPE, table.slice(0, 3))
    answered_count, errors = 0, []
    bodies = [stream[:end] for end in range(len(stream))]
    for index in range(len(stream)):
        start, end = stream[:index], stream[index + 1 :]
        bodies += [start + bytes([value]) + end for value in (0, 1, 127, 255)]
    for body in bodies:
        try:
            rows = tables.decode_table(ARROW_MEDIA_TYPE, body, 100)
            answered_count += 1
            assert rows.shape[1] == len(FEATURE_NAMES)
            assert rows.shape[0] <= 3
        except RequestError as error:
            errors.append(error)
    assert {error.status for error in errors} <= {400, 413, 415, 422}
    assert max(len(str(error)) for error in errors) < 20_000
    assert answered_count


def test_columns_that_hold_no_plain_numbers_are_named(client, table):
    def refuse(table):
        content = encode(ARROW_MEDIA_TYPE, table)
        response = post_predict(client, ARROW_MEDIA_TYPE, content)
        return response.status_code, response.json["errors"][0]["problem"]

    encoded = table.set_column(0, "MedInc", pa.array(["a lot"] * ROW_COUNT).dictionary_encode())
    assert refuse(encoded) == (
        422,
        "MedInc is a column of dictionary<values=string, indices=int32, ordered=0>, "
        "expected numbers ($10,000 a year)",
    )
    nested = table.set_column(0, "MedInc", pa.array([[1.0]] * ROW_COUNT))
    assert refuse(nested)[1].startswith("MedInc is a column of list<item: double>, expected")
    texts = pa.array(["x"] * ROW_COUNT)
    for index in (texts, texts.dictionary_encode(), pa.array([{"a": 1}] * ROW_COUNT)):
        content = encode(ARROW_MEDIA_TYPE, table.append_column("__index_level_0__", index))
        assert post_predict(client, ARROW_MEDIA_TYPE, content).status_code == 200


@pytest.mark.parametrize("media_type", [ARROW_MEDIA_TYPE, PARQUET_MEDIA_TYPE, CSV_MEDIA_TYPE])
def test_thousands_of_columns_are_refused_with_one_sentence(client, table, media_type):
    row = table.slice(0, 1)
    columns = [*row.columns, *[row["MedInc"]] * 5_000]
    names = [*FEATURE_NAMES, *[f"c{index}" for index in range(5_000)]]
    content = encode(media_type, pa.table(columns, names=names))
    assert problems(post_predict(client, media_type, content)) == [
        "the table has 5,008 columns, expected at most 1,000"
    ]


def test_thousands_of_batches_are_a_table_too(table):
    file = io.BytesIO()
    with pa.ipc.new_stream(file, table.schema) as stream:
        for _ in range(2_000):
            stream.write_table(table.slice(0, 1))
    assert len(tables.decode_table(ARROW_MEDIA_TYPE, file.getvalue(), 2_000)) == 2_000


def test_columns_of_every_width_are_read_as_pyarrow_reads_them(client, table):
    types = [pa.float32(), pa.int16(), pa.float64(), pa.uint8(), pa.uint32(), pa.float16(),
             pa.int8(), pa.float64()]  # fmt: skip
    columns = [
        column.cast(data_type, safe=False)
        for column, data_type in zip(table.columns, types, strict=True)
    ]
    mixed = pa.table(columns, names=FEATURE_NAMES)
    file = io.BytesIO()
    with pa.ipc.new_stream(file, mixed.schema) as stream:
        for batch in mixed.to_batches(max_chunksize=7):
            stream.write_batch(batch)
    expected = np.column_stack([column.to_numpy().astype(float) for column in mixed.columns])
    assert (tables.decode_table(ARROW_MEDIA_TYPE, file.getvalue(), 100) == expected).all()
    assert (
        tables.decode_table(PARQUET_MEDIA_TYPE, encode(PARQUET_MEDIA_TYPE, mixed), 100) == expected
    ).all()


@in_this_process
def test_a_parquet_file_that_ends_its_reader_is_refused_and_the_next_is_read(client, table):
    content = encode(PARQUET_MEDIA_TYPE, table)
    assert post_predict(client, PARQUET_MEDIA_TYPE, content).status_code == 200
    reader_process = sandbox._sandboxed_reader._process
    resource.prlimit(reader_process.pid, resource.RLIMIT_AS, (1, 1))  # no memory to allocate
    long_file = encode(PARQUET_MEDIA_TYPE, pa.concat_tables([table] * 2_000))
    assert post_predict(client, PARQUET_MEDIA_TYPE, long_file).status_code in (400, 413)
    reader_process.send_signal(signal.SIGKILL)
    reader_process.wait()
    assert post_predict(client, PARQUET_MEDIA_TYPE, content).status_code == 200
    assert sandbox._sandboxed_reader._process.pid != reader_process.pid


def test_no_damaged_parquet_file_ends_more_than_its_reader(client, table):
    random = np.random.default_rng(0)
    files = [encode(PARQUET_MEDIA_TYPE, table)]
    for options in ({"compression": "gzip"}, {"use_dictionary": False},
                    {"data_page_version": "2.0", "compression": "zstd"}):  # fmt: skip
        file = io.BytesIO()
        pyarrow.parquet.write_table(table, file, **options)
        files.append(file.getvalue())
    for attempt in range(400):
        damaged = bytearray(files[attempt % len(files)])
        for _ in range(1 + attempt % 4):
            damaged[random.integers(len(damaged))] = random.integers(256)
        response = post_predict(client, PARQUET_MEDIA_TYPE, bytes(damaged))
        assert response.status_code in (200, 400, 413, 422), response.text
    assert post_predict(client, PARQUET_MEDIA_TYPE, files[0]).status_code == 200


@pytest.mark.slow
def test_a_parquet_file_that_unpacks_to_gigabytes_is_refused(client, table):
    long_table = pa.table({name: np.zeros(3_000_000) for name in FEATURE_NAMES})
    response = post_predict(client, PARQUET_MEDIA_TYPE, encode(PARQUET_MEDIA_TYPE, long_table))
    assert problems(response)[0].startswith("the list has 3,000,000")
    long_texts = pa.array(["x" * 5_000_000] * ROW_COUNT)
    wide_table = table.append_column("__index_level_0__", long_texts)
    file = io.BytesIO()
    pyarrow.parquet.write_table(wide_table, file, compression="zstd", use_dictionary=False)
    assert len(file.getvalue()) < 1_000_000
    assert post_predict(client, PARQUET_MEDIA_TYPE, file.getvalue()).status_code == 413


@in_this_process
def test_the_reader_of_parquet_has_little_memory_and_time(client, table):
    assert (
        post_predict(client, PARQUET_MEDIA_TYPE, encode(PARQUET_MEDIA_TYPE, table)).status_code
        == 200
    )
    pid = sandbox._sandboxed_reader._process.pid
    assert resource.prlimit(pid, resource.RLIMIT_AS)[0] <= 1 << 30
    assert resource.prlimit(pid, resource.RLIMIT_CPU)[0] < 60


CSV_HEADER = ",".join(FEATURE_NAMES)
CSV_ROW = ",".join(str(feature.example) for feature in FEATURES.values())


def test_a_value_of_csv_that_is_no_number_is_named_with_its_field_and_row(client):
    values = CSV_ROW.split(",")
    bad_row = ",".join([values[0], "old", *values[2:]])
    response = post_predict(
        client, CSV_MEDIA_TYPE, f"{CSV_HEADER}\n{CSV_ROW}\n{bad_row}\n".encode()
    )
    assert response.status_code == 422
    [problem] = response.json["errors"]
    assert (problem["field"], problem["row"]) == ("HouseAge", 1)
    assert problem["problem"].startswith("row 1: HouseAge is 'old', expected a number from 0 to")


@pytest.mark.parametrize("text", [
    b"", b"\n", b"\r", b",", b"\n" * 90_000, b"," * 5_000_000, b'"' * 1_000_000, b"\x00" * 10_000,
    b"\xff\xfe" + CSV_HEADER.encode("utf-16-le"), CSV_HEADER.encode(), CSV_HEADER.encode() + b"\n",
    CSV_HEADER.encode() + b"\n" + b"1" * 7_000_000, CSV_HEADER.encode() + b"\n" + b"," * 7_000_000,
    CSV_HEADER.encode() + b'\n"' + b"1,\n" * 90_000, f"{CSV_HEADER}\n{CSV_ROW}\x00\n".encode(),
    f"{CSV_HEADER}\n{CSV_ROW},1\n".encode(), f"{CSV_HEADER}\n{CSV_ROW[:-8]}\n".encode(),
    f"{CSV_HEADER}\n\xe9{CSV_ROW}\n".encode("latin-1"), f"{CSV_HEADER}\n0x1{CSV_ROW}\n".encode(),
    f"{CSV_HEADER}\n{CSV_ROW}\n".encode("utf-16-le"),
    CSV_HEADER.encode() + b"\r" + b"1\r" * 1_000_000,
    f'{CSV_HEADER}\n"{CSV_ROW}\n'.encode(),
    f"{CSV_HEADER},{CSV_HEADER}\n{CSV_ROW},{CSV_ROW}\n".encode(),
])  # fmt: skip
def test_malformed_csv_is_refused_in_few_words(client, text):
    response = post_predict(client, CSV_MEDIA_TYPE, text)
    assert response.status_code in (400, 422), response.text
    assert len(response.data) < 60_000


def test_csv_as_spreadsheets_write_it_is_answered(client):
    for text in (f"\ufeff{CSV_HEADER}\r\n{CSV_ROW}\r\n", f"{CSV_HEADER}\n{CSV_ROW}",
                 CSV_HEADER.replace("MedInc", '"MedInc"') + f"\n{CSV_ROW}\n"):  # fmt: skip
        assert post_predict(client, CSV_MEDIA_TYPE, text.encode()).status_code == 200


@in_this_process
def test_without_pyarrow_a_table_is_refused_in_words(client, table, block_group, monkeypatch):
    """As where only the dependencies of the service itself are installed."""
    media_types = (ARROW_MEDIA_TYPE, PARQUET_MEDIA_TYPE, CSV_MEDIA_TYPE)
    bodies = {media_type: encode(media_type, table) for media_type in media_types}
    monkeypatch.setattr("app.codecs.tables.find_spec", lambda name: None)
    for media_type, body in bodies.items():
        assert "has no pyarrow" in problems(post_predict(client, media_type, body), 415)[0]
        response = client.post("/predict", json=block_group, headers={"Accept": media_type})
        assert "has no pyarrow" in problems(response, 415)[0]
        if media_type != ARROW_MEDIA_TYPE:
            response = client.post("/invocations", data=body, content_type=media_type)
            assert response.status_code == 415
    assert client.post("/predict", json=block_group).status_code == 200
