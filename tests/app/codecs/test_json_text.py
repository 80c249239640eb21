"""JSON bodies in other character encodings than UTF-8."""

import codecs
import json

import pytest

BODIES = {
    "UTF-8 with a mark": ("utf-8-sig", b""),
    "UTF-16 with a mark": ("utf-16", b""),
    "UTF-16LE": ("utf-16-le", b""),
    "UTF-16BE": ("utf-16-be", b""),
    "UTF-16BE with a mark": ("utf-16-be", codecs.BOM_UTF16_BE),
    "UTF-32 with a mark": ("utf-32", b""),
    "UTF-32LE": ("utf-32-le", b""),
    "UTF-32BE": ("utf-32-be", b""),
    "UTF-32BE with a mark": ("utf-32-be", codecs.BOM_UTF32_BE),
}
CHARSETS = {
    "utf-8": "utf-8-sig",
    "UTF8": "utf-8-sig",
    '"utf-8"': "utf-8",
    "'utf-8'": "utf-8",
    "": "utf-8",
    "utf-16": "utf-16-be",
    "UTF-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "utf-32": "utf-32",
    "us-ascii": "ascii",
    "ISO-8859-1": "latin-1",
    "windows-1252": "cp1252",
}


def encode(content, encoding, mark=b""):
    return mark + json.dumps(content).encode(encoding)


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
@pytest.mark.parametrize("name", BODIES)
def test_a_body_in_another_encoding_is_read(api, block_group, path, name):
    content = {"instances": [block_group]} if path == "/invocations" else block_group
    response = api.post(path, encode(content, *BODIES[name]), "application/json")
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("charset", CHARSETS)
def test_the_charset_of_the_content_type_is_respected(api, block_group, charset):
    body = encode([block_group], CHARSETS[charset])
    response = api.post("/predict", body, f"application/json; charset={charset}")
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("charset", "encoding", "status", "message"),
    [
        ("utf-16", "utf-8", 400, "the body is in UTF-8, and its content type says utf-16"),
        ("utf-8", "utf-16-le", 400, "the body is in UTF-16-LE, and its content type says utf-8"),
        ("utf-16be", "utf-16-le", 400, "the body is in UTF-16-LE, and its content type says"),
        ("latin-1", "utf-8-sig", 400, "the body is in UTF-8, and its content type says latin-1"),
        ("klingon", "utf-8", 415, "the charset of the body is 'klingon', expected UTF-8, UTF-16"),
        ("base64", "utf-8", 415, "the charset of the body is 'base64'"),
        ("utf-7", "utf-8", 415, "the charset of the body is 'utf-7'"),
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_a_wrong_charset_is_named(api, block_group, path, charset, encoding, status, message):
    body = encode(block_group, encoding)
    response = api.post(path, body, f"application/json;charset={charset}")
    assert response.status_code == status
    assert message in response.text


@pytest.mark.parametrize(
    "body",
    [
        codecs.BOM_UTF16_LE + b'{\0"', b'\0{\0"\xd8\x00\0}',
        b"{\0\0\0\0\0\x11\0", codecs.BOM_UTF32_LE + b"{",
    ],
    ids=["half a character", "half a pair", "beyond Unicode", "a quarter of a character"],
)  # fmt: skip
def test_a_body_that_is_no_text_is_refused(api, body):
    response = api.post("/predict", body, "application/json")
    assert response.status_code == 400
    assert "the body is no text in UTF-" in response.text


def test_a_refused_body_is_logged_as_text(api, block_group):
    wrong_values = block_group | {"MedInc": "Größe €"}
    for encoding in ("utf-8-sig", "utf-16", "utf-32-be"):
        body = json.dumps(wrong_values, ensure_ascii=False).encode(encoding)
        assert api.post("/predict", body, "application/json").status_code == 422
        assert json.loads(api.log_rows()[-1]["input"]) == wrong_values


def test_a_single_byte_charset_is_decoded_as_it_says(api):
    body = '{"straße": 1}'.encode("latin-1")
    response = api.post("/predict", body, "application/json; charset=iso-8859-1")
    assert "'straße' is not a field" in response.text
    assert api.post("/predict", body, "application/json").status_code == 400


@pytest.mark.parametrize("body", [b"", b" ", b"{", b"[", b"\0", b"\0\0", b"{\0", b"\0{", b"\xff"])
def test_a_body_of_a_byte_or_two_is_refused(api, body):
    assert api.post("/predict", body, "application/json").status_code == 400
