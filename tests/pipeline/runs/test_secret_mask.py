"""No secret is left in what a notebook leaves, however an output spells it."""

import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runs.secret_mask import MIN_SECRET_PREFIX_CHARS, SECRET_MASK, SecretMask

SECRETS = st.text(min_size=6, max_size=80).filter(lambda secret: secret.strip() == secret)
SPELLINGS = st.sampled_from([str, repr, json.dumps, html.escape, quote])


@given(secret=SECRETS, spell=SPELLINGS, before=st.text(max_size=10), after=st.text(max_size=10))
def test_no_spelling_of_a_secret_is_left(secret, spell, before, after):
    try:
        text = before + spell(secret) + after
    except UnicodeEncodeError:  # a lone surrogate has no address
        return
    masked = SecretMask([secret]).mask({"outputs": [{"text": text}], text: 1})
    assert secret not in str(masked)
    assert SECRET_MASK in masked["outputs"][0]["text"]


@given(st.text(max_size=100))
def test_a_text_without_the_secret_is_left_as_it_is(text):
    assert SecretMask(["a-secret-that-no-text-contains"]).mask([text, 1, None]) == [text, 1, None]


@given(length=st.integers(MIN_SECRET_PREFIX_CHARS, 199), ellipsis=st.sampled_from(["...", "…"]))
def test_a_secret_that_a_table_cuts_is_masked(length, ellipsis):
    secret = "".join(chr(97 + number * number % 26) for number in range(200))
    assert SecretMask([secret]).mask(secret[:length] + ellipsis) == SECRET_MASK


@pytest.mark.parametrize("secret", ["hush-hush", 'a"b<c>&d', "p\\w'd", "ümläut pass"])
def test_a_file_is_masked_in_place(tmp_path, secret):
    path = tmp_path / "one.stderr"
    path.write_bytes(f"{secret} {secret!r} {quote(secret)}".encode() + b"\xff")
    SecretMask([secret]).mask_file(path)
    assert path.read_bytes().count(SECRET_MASK.encode()) == 3
    assert path.read_bytes().endswith(b"\xff")
