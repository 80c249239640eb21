"""A crafted table is refused in words: it ends no worker, tells no memory, takes no gigabytes."""

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
from tests.app.codecs.test_tables import ask, packed, said

ROWS = 40
SCHEMA = pa.schema([(name, pa.float64()) for name in FEATURE_NAMES])


@pytest.fixture
def table():
    """The example block group, over and over."""
    columns = {name: [float(feature.example)] * ROWS for name, feature in FEATURES.items()}
    return pa.table(columns, schema=SCHEMA)


def batch_of(stream):
    """Where a stream's last record batch begins: its message, its metadata and its body."""
    starts, at = [], 0
    while at < len(stream):
        size = struct.unpack_from("<i", stream, at + 4)[0]
        if size == 0:
            break
        message = pa.ipc.read_message(stream[at:])
        starts.append((at, at + 8, at + 8 + size))
        at += 8 + size + (len(message.body) if message.body else 0)
    return starts[-1]


def with_number(stream, old, new, form="<q", which=slice(None)):
    """Streams in which one number of the last batch's metadata is another, one for each place at
    which it stands."""
    _, start, end = batch_of(stream)
    size = struct.calcsize(form)
    places = [at for at in range(start, end - size + 1)
              if struct.unpack_from(form, stream, at)[0] == old]  # fmt: skip
    for at in places[which]:
        torn = bytearray(stream)
        struct.pack_into(form, torn, at, new)
        yield bytes(torn)


@pytest.mark.parametrize("claimed", [ROWS + 1, 1_000, 90_000, 2**40, -1, -(2**63), 2**63 - 1])
def test_a_batch_that_claims_more_rows_than_it_holds_tells_nothing(client, table, claimed):
    stream = packed(ARROW_MEDIA_TYPE, table)
    torn = list(with_number(stream, ROWS, claimed))
    assert len(torn) >= 9  # the batch's own count, and each column's
    every = bytearray(stream)
    _, start, end = batch_of(stream)
    for at in range(start, end - 7):
        if struct.unpack_from("<q", stream, at)[0] == ROWS:
            struct.pack_into("<q", every, at, claimed)
    for one in [*torn, bytes(every)]:
        answer = ask(client, ARROW_MEDIA_TYPE, one)
        assert answer.status_code in (400, 422)
        [problem] = [one["problem"] for one in answer.json["errors"]]
        assert "not an Arrow IPC stream" in problem or "rows, expected 1 to 100,000" in problem


@pytest.mark.parametrize("place", [1, 8, 312, 10_000, 2**40, 2**62, -8, -(2**63)])
def test_a_buffer_that_lies_elsewhere_tells_nothing(client, table, place):
    stream = packed(ARROW_MEDIA_TYPE, table)
    sizes = {8 * ROWS} | {8 * ROWS * at for at in range(1, len(FEATURE_NAMES))}
    for old in sizes:
        for one in with_number(stream, old, place):
            answer = ask(client, ARROW_MEDIA_TYPE, one)
            assert answer.status_code in (200, 400, 422)
            if answer.status_code == 200:  # another place within the body
                assert 0 <= place <= 8 * ROWS * len(FEATURE_NAMES)


def test_missing_values_are_found_whatever_their_count_says(client, table):
    void = table.set_column(0, "MedInc", pa.array([1.0] * (ROWS - 1) + [None]))
    stream = packed(ARROW_MEDIA_TYPE, void)
    for count in (0, 1, -1, ROWS):
        for torn in with_number(stream, 1, count):
            answer = ask(client, ARROW_MEDIA_TYPE, torn)
            assert answer.status_code in (400, 422), answer.text
    whole = packed(ARROW_MEDIA_TYPE, table)
    _, start, _ = batch_of(whole)
    claims = bytearray(whole)
    at = next(at for at in range(start, len(whole)) if struct.unpack_from("<qq", whole, at)
              == (ROWS, 0))  # fmt: skip
    struct.pack_into("<q", claims, at + 8, 3)
    assert "not an Arrow IPC stream" in said(ask(client, ARROW_MEDIA_TYPE, bytes(claims)), 400)[0]


@pytest.mark.parametrize("size", [0, -1, -8, -(2**31), 2**31 - 1])
def test_a_message_of_no_size_ends_the_reading(client, table, size):
    stream = packed(ARROW_MEDIA_TYPE, table)
    for at in (4, batch_of(stream)[0] + 4):
        torn = bytearray(stream)
        struct.pack_into("<i", torn, at, size)
        started = time.perf_counter()
        assert ask(client, ARROW_MEDIA_TYPE, bytes(torn)).status_code in (400, 422)
        assert time.perf_counter() - started < 1


@pytest.mark.parametrize("length", [0, -1, -320, -(2**63), 2**62])
def test_a_body_of_less_than_nothing_does_not_keep_the_reader_in_a_circle(client, table, length):
    stream = packed(ARROW_MEDIA_TYPE, table)
    for torn in with_number(stream, 8 * ROWS * len(FEATURE_NAMES), length):
        started = time.perf_counter()
        assert ask(client, ARROW_MEDIA_TYPE, torn).status_code in (400, 422)
        assert time.perf_counter() - started < 1


def test_an_arrow_stream_cut_or_changed_anywhere_is_answered_in_no_time(table):
    stream = packed(ARROW_MEDIA_TYPE, table.slice(0, 3))
    started, answered, refusals = time.perf_counter(), 0, []
    bodies = [stream[:end] for end in range(len(stream))]
    for at in range(len(stream)):
        bodies += [stream[:at] + bytes([value]) + stream[at + 1 :] for value in (0, 1, 127, 255)]
    for body in bodies:
        try:
            rows = tables.read(ARROW_MEDIA_TYPE, body, 100)
            answered += 1
            assert rows.shape[1] == len(FEATURE_NAMES)
            assert rows.shape[0] <= 3
        except RequestError as why:
            refusals.append(why)
    assert {one.status for one in refusals} <= {400, 413, 415, 422}
    assert max(len(str(one)) for one in refusals) < 20_000
    assert answered
    assert time.perf_counter() - started < len(bodies) * 0.002


def test_kinds_of_streams_that_hold_no_plain_numbers_are_named(client, table):
    def status(made, **options):
        answer = ask(client, ARROW_MEDIA_TYPE, packed(ARROW_MEDIA_TYPE, made, **options))
        return answer.status_code, answer.json["errors"][0]["problem"]

    codes = table.set_column(0, "MedInc", table["MedInc"].dictionary_encode())
    assert status(codes) == (
        422, "MedInc is a column of dictionary, expected numbers ($10,000 a year)"
    )  # fmt: skip
    nested = table.set_column(0, "MedInc", pa.array([[1.0]] * ROWS))
    assert status(nested)[1].startswith("MedInc is a column of list, expected numbers")
    beside = table.append_column("__index_level_0__", pa.array([{"a": 1}] * ROWS))
    assert status(beside) == (
        422, "__index_level_0__ is a column of struct, expected numbers"
    )  # fmt: skip
    index = table.append_column("__index_level_0__", pa.array(["x"] * ROWS).dictionary_encode())
    assert status(index)[0] == 422
    names = table.append_column("__index_level_0__", pa.array(["x"] * ROWS))
    assert ask(client, ARROW_MEDIA_TYPE, packed(ARROW_MEDIA_TYPE, names)).status_code == 200
    packs = pa.ipc.IpcWriteOptions(compression="lz4")
    assert status(table, options=packs)[0] == 415


@pytest.mark.parametrize("kind", [ARROW_MEDIA_TYPE, PARQUET_MEDIA_TYPE, CSV_MEDIA_TYPE])
def test_thousands_of_columns_are_refused_at_once(client, table, kind):
    more = table.slice(0, 1)
    wide = pa.table([*more.columns, *[more["MedInc"]] * 5_000],
                    names=[*FEATURE_NAMES, *[f"c{at}" for at in range(5_000)]])  # fmt: skip
    content = packed(kind, wide)
    started = time.perf_counter()
    assert said(ask(client, kind, content)) == [
        "the table has 5,008 columns, expected at most 1,000"
    ]
    assert time.perf_counter() - started < 2


def test_thousands_of_batches_are_refused(client, table):
    file = io.BytesIO()
    with pa.ipc.new_stream(file, table.schema) as stream:
        for _ in range(2_000):
            stream.write_table(table.slice(0, 1))
    started = time.perf_counter()
    [problem] = said(ask(client, ARROW_MEDIA_TYPE, file.getvalue()))
    assert problem == "the stream has more than 1,000 record batches"
    assert time.perf_counter() - started < 2


def test_columns_of_every_width_are_read_as_pyarrow_reads_them(client, table):
    kinds = [pa.float32(), pa.int16(), pa.float64(), pa.uint8(), pa.uint32(), pa.float16(),
             pa.int8(), pa.float64()]  # fmt: skip
    mixed = pa.table([column.cast(kind, safe=False) for column, kind
                      in zip(table.columns, kinds, strict=True)], names=FEATURE_NAMES)  # fmt: skip
    file = io.BytesIO()
    with pa.ipc.new_stream(file, mixed.schema) as stream:
        for batch in mixed.to_batches(max_chunksize=7):
            stream.write_batch(batch)
    expected = np.column_stack([one.to_numpy().astype(float) for one in mixed.columns])
    assert (tables.read(ARROW_MEDIA_TYPE, file.getvalue(), 100) == expected).all()
    assert (
        tables.read(PARQUET_MEDIA_TYPE, packed(PARQUET_MEDIA_TYPE, mixed), 100) == expected
    ).all()


def test_a_parquet_file_that_ends_its_reader_is_refused_and_the_next_is_read(client, table):
    whole = packed(PARQUET_MEDIA_TYPE, table)
    assert ask(client, PARQUET_MEDIA_TYPE, whole).status_code == 200
    child = sandbox._sandboxed_reader._process
    resource.prlimit(child.pid, resource.RLIMIT_AS, (1, 1))  # whatever it needs, it cannot have
    assert ask(client, PARQUET_MEDIA_TYPE, packed(PARQUET_MEDIA_TYPE, pa.concat_tables([table] * 2_000))).status_code in (
        400, 413,
    )  # fmt: skip
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert ask(client, PARQUET_MEDIA_TYPE, whole).status_code == 200
    assert sandbox._sandboxed_reader._process.pid != child.pid


def test_no_parquet_file_however_torn_ends_more_than_its_reader(client, table):
    random = np.random.default_rng(0)
    wholes = [packed(PARQUET_MEDIA_TYPE, table)]
    for options in ({"compression": "gzip"}, {"use_dictionary": False},
                    {"data_page_version": "2.0", "compression": "zstd"}):  # fmt: skip
        file = io.BytesIO()
        pyarrow.parquet.write_table(table, file, **options)
        wholes.append(file.getvalue())
    for at in range(400):
        torn = bytearray(wholes[at % len(wholes)])
        for _ in range(1 + at % 4):
            torn[random.integers(len(torn))] = random.integers(256)
        answer = ask(client, PARQUET_MEDIA_TYPE, bytes(torn))
        assert answer.status_code in (200, 400, 413, 422), answer.text
    assert ask(client, PARQUET_MEDIA_TYPE, wholes[0]).status_code == 200


def test_a_parquet_file_that_unpacks_to_gigabytes_is_refused(client, table):
    many = pa.table({name: np.zeros(3_000_000) for name in FEATURE_NAMES})
    assert said(ask(client, PARQUET_MEDIA_TYPE, packed(PARQUET_MEDIA_TYPE, many)))[0].startswith(
        "the list has 3,000,000"
    )
    file = io.BytesIO()
    pyarrow.parquet.write_table(table.append_column("__index_level_0__", pa.array(
        ["x" * 5_000_000] * ROWS)), file, compression="zstd", use_dictionary=False)  # fmt: skip
    assert len(file.getvalue()) < 1_000_000
    assert ask(client, PARQUET_MEDIA_TYPE, file.getvalue()).status_code == 413


def test_the_reader_of_parquet_has_little_memory_and_time(client, table):
    assert ask(client, PARQUET_MEDIA_TYPE, packed(PARQUET_MEDIA_TYPE, table)).status_code == 200
    pid = sandbox._sandboxed_reader._process.pid
    assert resource.prlimit(pid, resource.RLIMIT_AS)[0] <= 1 << 30
    assert resource.prlimit(pid, resource.RLIMIT_CPU)[0] < 60


HEADER = ",".join(FEATURE_NAMES)
PLAIN = ",".join(str(feature.example) for feature in FEATURES.values())


def test_a_value_of_csv_that_is_no_number_is_named_with_its_field_and_row(client):
    values = PLAIN.split(",")
    bad = ",".join([values[0], "old", *values[2:]])
    answer = ask(client, CSV_MEDIA_TYPE, f"{HEADER}\n{PLAIN}\n{bad}\n".encode())
    assert answer.status_code == 422
    [problem] = answer.json["errors"]
    assert (problem["field"], problem["row"]) == ("HouseAge", 1)
    assert problem["problem"].startswith("row 1: HouseAge is 'old', expected a number from 0 to")


@pytest.mark.parametrize("text", [
    b"", b"\n", b"\r", b",", b"\n" * 90_000, b"," * 5_000_000, b'"' * 1_000_000, b"\x00" * 10_000,
    b"\xff\xfe" + HEADER.encode("utf-16-le"), HEADER.encode(), HEADER.encode() + b"\n",
    HEADER.encode() + b"\n" + b"1" * 7_000_000, HEADER.encode() + b"\n" + b"," * 7_000_000,
    HEADER.encode() + b'\n"' + b"1,\n" * 90_000, f"{HEADER}\n{PLAIN}\x00\n".encode(),
    f"{HEADER}\n{PLAIN},1\n".encode(), f"{HEADER}\n{PLAIN[:-8]}\n".encode(),
    f"{HEADER}\n\xe9{PLAIN}\n".encode("latin-1"), f"{HEADER}\n0x1{PLAIN}\n".encode(),
    f"{HEADER}\n{PLAIN}\n".encode("utf-16"), HEADER.encode() + b"\r" + b"1\r" * 1_000_000,
    f'{HEADER}\n"{PLAIN}\n'.encode(), f"{HEADER},{HEADER}\n{PLAIN},{PLAIN}\n".encode(),
])  # fmt: skip
def test_odd_csv_is_refused_quickly(client, text):
    started = time.perf_counter()
    answer = ask(client, CSV_MEDIA_TYPE, text)
    assert answer.status_code in (400, 422), answer.text
    assert len(answer.data) < 60_000
    assert time.perf_counter() - started < 3


def test_csv_as_spreadsheets_write_it_is_answered(client):
    for text in (f"\ufeff{HEADER}\r\n{PLAIN}\r\n", f"{HEADER}\n{PLAIN}",
                 HEADER.replace("MedInc", '"MedInc"') + f"\n{PLAIN}\n"):  # fmt: skip
        assert ask(client, CSV_MEDIA_TYPE, text.encode()).status_code == 200


def test_without_pyarrow_a_table_is_refused_in_words(client, table, block_group, monkeypatch):
    """As where only what the service itself needs is installed."""
    content = {
        kind: packed(kind, table) for kind in (ARROW_MEDIA_TYPE, PARQUET_MEDIA_TYPE, CSV_MEDIA_TYPE)
    }
    monkeypatch.setattr("app.codecs.tables.find_spec", lambda name: None)
    for kind, body in content.items():
        assert "has no pyarrow" in said(ask(client, kind, body), 415)[0]
        one = client.post("/predict", json=block_group, headers={"Accept": kind})
        assert "has no pyarrow" in said(one, 415)[0]
        if kind != ARROW_MEDIA_TYPE:
            scored = client.post("/invocations", data=body, content_type=kind)
            assert scored.status_code == 415
    assert client.post("/predict", json=block_group).status_code == 200
