"""Bodies of requests that are packed, and answers that are."""

import gzip
import json
import tracemalloc
import zlib

import pytest

from app.codecs import content_encoding
from app.codecs.content_encoding import MIN_PACKED_BYTES, accepts_gzip
from app.messages import HttpRequest
from app.problem_details import RequestError

MAX_BYTES = 10_000
LIMITS = {"MAX_CONTENT_LENGTH": MAX_BYTES}


def raw_deflate(data):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def in_members(data, size=50):
    return b"".join(gzip.compress(data[at : at + size]) for at in range(0, len(data), size))


PACKERS = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "upper case": ("GZip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "identity": ("identity", bytes),
    "an empty name": (" , ", bytes),
    "gzip and identity": ("identity, gzip,, identity", gzip.compress),
    "gzip twice": ("gzip, gzip", lambda data: gzip.compress(gzip.compress(data))),
    "deflate, then gzip": ("deflate,gzip", lambda data: gzip.compress(zlib.compress(data))),
    "several members": ("gzip", in_members),
    "an empty member": ("gzip", lambda data: gzip.compress(b"") + gzip.compress(data)),
    "null bytes after it": ("gzip", lambda data: gzip.compress(data) + b"\0" * 512),
    "stored blocks": ("gzip", lambda data: gzip.compress(data, 0)),
}


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("row_count", [1, 100])
def test_a_packed_body_is_answered_as_the_plain_one(api, block_group, path, packer, row_count):
    coding, pack = PACKERS[packer]
    rows = [block_group] * row_count
    content = {"instances": rows} if path == "/invocations" else rows
    body = json.dumps(content).encode()
    response = api.post(path, pack(body), "application/json", headers={"Content-Encoding": coding})
    assert response.status_code == 200, response.text
    predictions = [
        prediction["prediction"] if path == "/predict" else prediction
        for prediction in response.json["predictions"]
    ]
    assert len(predictions) == row_count
    plain = api.post("/invocations", json={"instances": [block_group]}).json["predictions"]
    assert predictions == plain * row_count


@pytest.mark.parametrize(
    ("coding", "body", "message"),
    [
        ("gzip", gzip.compress(b'{"MedInc": 8.3}')[:-9], "ends before its gzip data does"),
        ("gzip", b'{"MedInc": 8.3}', "is not gzip data, which its Content-Encoding says it is"),
        ("gzip", zlib.compress(b"{}"), "is not gzip data"),
        ("gzip", gzip.compress(b"{}") + b"{}", "is not gzip data"),
        ("gzip", gzip.compress(b"{}")[:-8] + b"\0" * 8, "is not gzip data"),  # its checksum
        ("gzip", b"\x1f", "ends before its gzip data does"),
        ("deflate", zlib.compress(b"{}")[:-1], "ends before its deflate data does"),
        ("deflate", zlib.compress(b"{}") + b"{}", "goes on after the end of its deflate data"),
        ("deflate", b"{}", "deflate data"),
        ("gzip, gzip", gzip.compress(b"{}"), "is not gzip data"),
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_a_damaged_body_is_refused_in_words(api, path, coding, body, message):
    response = api.post(path, body, "application/json", headers={"Content-Encoding": coding})
    assert response.status_code == 400
    assert message in response.text
    assert message in api.log_rows()[-1]["problem"]


def test_an_empty_body_is_empty_in_any_coding(api):
    for headers in ({}, {"Content-Encoding": "gzip"}, {"Content-Encoding": "deflate"}):
        response = api.post("/predict", b"", "application/json", headers)
        assert (response.status_code, "the body is empty" in response.text) == (400, True)


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
@pytest.mark.parametrize(
    "coding", ["br", "zstd", "compress", "gzip, br", "utf-8", "*", "gzip;q=1", "gzip," * 4]
)
def test_an_unknown_coding_is_named_with_those_that_are_read(api, block_group, path, coding):
    response = api.post(path, json=block_group, headers={"Content-Encoding": coding})
    assert response.status_code == 415
    assert response.headers["Accept-Encoding"] == "gzip, deflate"
    actual = "4 codings" if coding.count("gzip,") > 1 else repr(coding.removeprefix("gzip, "))
    assert f"the content encoding is {actual}" in response.text


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
@pytest.mark.parametrize("packer", ["gzip", "deflate", "raw deflate", "gzip twice"])
def test_a_body_that_is_too_large_when_unpacked_is_refused(start_api, path, packer):
    api, (coding, pack) = start_api(**LIMITS), PACKERS[packer]
    for size, status in ((MAX_BYTES, 400), (MAX_BYTES + 1, 413)):
        response = api.post(
            path, pack(b"?" * size), "application/json", headers={"Content-Encoding": coding}
        )
        assert response.status_code == status
    assert "the body is larger than 10,000 bytes when it is unpacked" in response.text
    assert api.log_rows()[-1]["input"].startswith("????")


def test_what_a_refused_body_held_can_be_read_in_the_log(api, block_group):
    body = json.dumps(block_group | {"MedInc": "much"}).encode()
    for coding, packed in (
        ("gzip", gzip.compress(body)),
        ("gzip", gzip.compress(body + b" " * 10_000)),  # long ones are answered elsewhere
        ("gzip", gzip.compress(body)[:-8]),
        ("deflate", zlib.compress(body)),
    ):
        response = api.post("/predict", packed, "application/json", {"Content-Encoding": coding})
        assert response.status_code in (400, 422)
        assert api.log_rows()[-1]["input"].startswith('{"MedInc": "much", ')


def test_a_refused_body_of_a_service_without_a_champion_can_be_read_too(start_api, home):
    api = start_api(SERVING=str(home / "empty"))
    packed = gzip.compress(b'{"MedInc": 8.3}')
    response = api.post("/predict", packed, "application/json", {"Content-Encoding": "gzip"})
    assert response.status_code == 503
    assert api.log_rows()[-1]["input"] == '{"MedInc": 8.3}'


@pytest.mark.parametrize("layers", [1, 2])
def test_a_bomb_costs_no_more_than_the_limit(layers):
    packed = zlib.compress(b" " * 100_000_000, 9)
    if layers == 2:
        packed = zlib.compress(packed, 9)
    request = HttpRequest(
        "POST", "/predict", "", {"content-encoding": ", ".join(["deflate"] * layers)}, packed
    )
    tracemalloc.start()
    try:
        with pytest.raises(RequestError) as error:
            content_encoding.decode_body(request, 1_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.value.status == 413
    assert peak < 5_000_000


def test_a_body_of_very_many_members_is_refused_soon():
    member = gzip.compress(b"")
    request = HttpRequest("POST", "/", "", {"content-encoding": "gzip"}, member * 400_000)
    with pytest.raises(RequestError, match="goes on after"):
        content_encoding.decode_body(request, 8_000_000)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("gzip", True), ("GZIP", True), ("x-gzip", True), ("br, gzip;q=0.1", True), ("*", True),
        ("gzip, deflate, br, zstd", True), ("identity;q=0.5, gzip;q=0.5", True),
        ("gzip;q=1.0", True),
        ("", False), ("identity", False), ("br", False), ("gzip;q=0", False), ("*;q=0", False),
        ("gzip;q=0, *", False), ("gzip;q=0.000", False), ("identity, gzip;q=0.5", False),
        ("gzip;q=0.5, *;q=0", True), ("gzipped", False), ("gzip;q=x", False),
    ],
)  # fmt: skip
def test_gzip_is_sent_to_who_prefers_it(header, expected):
    assert accepts_gzip(header) == expected


def test_long_answers_are_packed_and_short_ones_are_not(api, block_group):
    headers = {"Accept-Encoding": "gzip"}
    for path in ("/predict", "/invocations"):
        rows = [block_group] * 1_000
        content = {"instances": rows} if path == "/invocations" else rows
        plain = api.post(path, json=content)
        assert len(plain.data) >= MIN_PACKED_BYTES
        assert plain.headers.get("Content-Encoding") is None
        assert plain.headers["Vary"] == "Accept-Encoding"
        packed = api.post(path, json=content, headers=headers)
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.headers["Vary"] == "Accept-Encoding"
        assert int(packed.headers["Content-Length"]) == len(packed.data) < len(plain.data) / 3
        unpacked = json.loads(gzip.decompress(packed.data))
        assert len(unpacked["predictions"]) == 1_000
    parquet = api.post(
        "/predict",
        json=[block_group] * 10_000,
        headers=headers | {"Accept": "application/vnd.apache.parquet"},
    )
    assert len(parquet.data) > MIN_PACKED_BYTES
    short = api.post("/predict", json=block_group, headers=headers)
    for response in (parquet, short):
        assert not {"content-encoding", "vary"} & {name.lower() for name, _ in response.headers}
