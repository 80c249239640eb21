"""The process that reads Arrow and Parquet: what it reads, and what it does when it is harmed."""

import io
import os
import signal
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.codecs import sandbox, tables
from app.codecs.sandbox import SandboxedReader
from app.codecs.tables import ARROW_MEDIA_TYPE, PARQUET_MEDIA_TYPE
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
)
@settings(max_examples=30, deadline=None)
def test_a_stream_is_read_as_it_was_written(row_count, batch_rows, compression, seed):
    """In batches of any size, compressed or not, with its columns in any order."""
    random = np.random.default_rng(seed)
    rows = EXAMPLE * random.uniform(0.999, 1.001, (row_count, len(FEATURE_NAMES)))
    table = pa.table(dict(zip(FEATURE_NAMES, rows.T, strict=True)))
    table = table.select([*random.permutation(FEATURE_NAMES)])
    body = encode_stream(table, compression, batch_rows)
    assert (tables.decode_table(ARROW_MEDIA_TYPE, body, 300) == rows).all()


def test_a_stream_without_rows_or_with_too_many_is_refused():
    assert refusal(encode_stream(feature_table(1).slice(0, 0))) == (
        422, "the list has 0 rows, expected 1 to 100"
    )  # fmt: skip
    many = encode_stream(feature_table(150), batch_rows=60)
    assert refusal(many) == (422, "the list has 120 rows, expected 1 to 100")


@pytest.mark.parametrize("body", [b"", b"ARROW1\0\0", b"{}", b"\xff" * 1_000])
def test_what_is_no_stream_is_refused_in_words(body):
    assert refusal(body) == (400, "the body is not an Arrow IPC stream that can be read")


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
    assert refusal(body)[0] == 400
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
