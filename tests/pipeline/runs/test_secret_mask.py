"""No secret is left in what a notebook leaves, however an output spells it."""

import base64
import html
import io
import json
import pprint
import re
import shlex
import textwrap
from urllib.parse import quote, quote_plus, urlencode
from xml.sax import saxutils

import nbformat
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.runs.secret_forms import MIN_SECRET_PREFIX_CHARS
from pipeline.runs.secret_mask import SECRET_MASK, MaskedStream, SecretMask
from pipeline.secret_marks import SecretMarks

PEM = (
    "-----BEGIN KEY-----\n"
    + "\n".join(["MIIEvQ+/aB" * 6, "Zx9/Kw==AA" * 6])
    + "\n-----END KEY-----"
)
HOSTILE_SECRETS = {
    "plain": "hush-hush-4711",
    "newline": "hush-hush-4711\n",
    "lines": PEM,
    "windows lines": 'first "line"\r\n  second <line>\r\n',
    "short lines": "ab1\ncd2\nef3",
    "quotes": """a"b'c"d'e""",
    "markup": "a<b>&c;d</b>",
    "umlauts": "gehört ßo übel",
    "emoji": "key 🔑 of 😀 joy",
    "backslashes": r"C:\new\table\x41",
    "percent and plus": "50% + 7+8=% 20",
    "blanks": "correct horse battery",
    "long": "".join(chr(97 + number * number % 26) + str(number % 7) for number in range(100)),
    "digits": "8213370042",
    "address": "https://me:p%40ss@host/path?a=1&b=2",
    "json": '{"type": "account",\n "private_key": "a\\nb\\nc"}',
}


def html_numbers(text):
    return html.escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def lower_percent(text):
    return re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), quote(text, safe=""))


def unicode_escapes(text):
    """Escape each character that is no letter, as JavaScript does it for pages."""
    return re.sub(r"[^A-Za-z0-9]", lambda match: json.dumps(f"é{match[0]}")[7:-1], text)


SPELLINGS = {
    "value": str,
    "stripped": str.strip,
    "indented": lambda text: textwrap.indent(text, "\t  "),
    "repr": repr,
    "repr of repr": lambda text: repr(repr(text)),
    "bytes": lambda text: repr(text.encode()),
    "json": json.dumps,
    "json of json": lambda text: json.dumps(json.dumps(text)),
    "json in unicode": lambda text: json.dumps(text, ensure_ascii=False),
    "json upper-case": lambda text: re.sub(
        r"\\u[0-9a-f]{4}", lambda match: "\\u" + match[0][2:].upper(), json.dumps(text)
    ),
    "unicode escapes": unicode_escapes,
    "unicode_escape": lambda text: text.encode("unicode_escape").decode(),
    "html": html.escape,
    "html without quotes": lambda text: html.escape(text, quote=False),
    "html numbers": html_numbers,
    "html twice": lambda text: html.escape(html.escape(text)),
    "html ascii": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace").decode(),
    "xml": saxutils.escape,
    "xml attribute": saxutils.quoteattr,
    "quote": quote,
    "quote all": lambda text: quote(text, safe=""),
    "quote plus": quote_plus,
    "quote lower-case": lower_percent,
    "quote twice": lambda text: quote(quote(text)),
    "urlencode": lambda text: urlencode({"key": text}),
    "shell": shlex.quote,
    "csv": lambda text: '"' + text.replace('"', '""') + '"',
    "sql": lambda text: "'" + text.replace("'", "''") + "'",
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of stripped": lambda text: base64.b64encode(text.strip().encode()).decode(),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "base64 in json": lambda text: json.dumps(base64.encodebytes(text.encode()).decode()),
    "basic auth": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "basic auth of another": lambda text: base64.b64encode(f"me:{text}:x".encode()).decode(),
    "bearer": lambda text: base64.urlsafe_b64encode(f"üser:{text}".encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "hex upper-case": lambda text: text.encode().hex().upper(),
    "pretty": lambda text: pprint.pformat({"key": [text]}, width=10_000),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_masked_in_each_form(spelling):
    for value in HOSTILE_SECRETS.values():
        assert_masked(value, SPELLINGS[spelling](value))


def assert_masked(value, spelled):
    masked = SecretMask([value]).mask(f"before {spelled} after")
    assert SECRET_MASK in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    clear = masked.replace(SECRET_MASK, "").removeprefix("before ").removesuffix(" after")
    words = re.findall(r"[A-Za-z0-9]{4,}", value)
    encoded_words = [base64.b64encode(word.encode()).decode()[1:5] for word in words]
    assert [word for word in (*words, *encoded_words) if word in clear and word not in "user"] == []
    assert len(clear) <= 24


@settings(deadline=None)  # a pattern is compiled for each secret
@given(
    secret=st.text(min_size=6, max_size=80).filter(lambda secret: len(secret.strip()) >= 6),
    spelling=st.sampled_from(["value", "repr", "json", "html", "quote", "quote plus", "bytes"]),
    before=st.text(max_size=10),
    after=st.text(max_size=10),
)
@example(secret="\b00000", spelling="json", before="", after="")
def test_no_spelling_of_a_secret_is_left(secret, spelling, before, after):
    try:
        text = before + SPELLINGS[spelling](secret) + after
    except UnicodeEncodeError:  # a lone surrogate has no address
        return
    masked = SecretMask([secret]).mask({"outputs": [{"text": text}], text: 1})
    assert secret not in str(masked)
    assert SECRET_MASK in masked["outputs"][0]["text"]


@given(st.text(max_size=100))
def test_a_text_without_the_secret_is_left_as_it_is(text):
    assert SecretMask(["a-secret-that-no-text-contains"]).mask([text, 1, None]) == [text, 1, None]


@settings(deadline=None)
@given(length=st.integers(MIN_SECRET_PREFIX_CHARS, 199), ellipsis=st.sampled_from(["...", "…"]))
def test_a_secret_that_a_table_cuts_is_masked(length, ellipsis):
    secret = "".join(chr(97 + number * number % 26) for number in range(200))
    assert SecretMask([secret]).mask(secret[:length] + ellipsis) == SECRET_MASK + ellipsis


def test_a_secret_that_contains_another_is_masked_as_a_whole():
    mask = SecretMask(["inner-secret", "outer-inner-secret-outer", "secret-and-more"])
    assert mask.mask("a outer-inner-secret-outer b inner-secret c") == "a ••• b ••• c"
    assert mask.mask("overlapping: inner-secret-and-more") == "overlapping: •••"


def test_numbers_are_masked_where_they_are_the_secret():
    mask = SecretMask(["8213370042"])
    assert mask.mask([8213370042, 8213370042.0, 821337004, True]) == ["•••", "•••", 821337004, True]


def every_word_of(notebook):
    """Return all names and short texts of a notebook's JSON."""
    words = set(re.findall(r"[\w./+-]{3,}", json.dumps(notebook)))
    return sorted(words - {"quiet"})


def test_the_structure_of_a_notebook_is_never_masked():
    output = nbformat.v4.new_output
    outputs = [
        output("stream", name="stderr", text="quiet"),
        output("display_data", {"text/html": "quiet", "application/json": {"quiet": "quiet"}}),
        output("execute_result", {"text/plain": "quiet"}, execution_count=3),
        output("error", ename="quiet", evalue="quiet", traceback=["quiet"]),
    ]
    cell = nbformat.v4.new_code_cell("quiet", outputs=outputs, execution_count=3)
    cell.metadata.update(tags=["injected-parameters"], papermill={"status": "completed"})
    notebook = nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_markdown_cell("quiet")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    notebook.metadata["papermill"] = {"parameters": {"key": "quiet"}}
    cell.outputs[1]["metadata"] = {"quiet": {"quiet": 1}, "text/html": {"isolated": True}}
    for word in every_word_of(notebook):
        assert SecretMask([word]).mask_notebook(notebook) == notebook, word
    masked = SecretMask(["quiet"]).mask_notebook(notebook)
    nbformat.validate(nbformat.from_dict(masked))
    assert "quiet" not in json.dumps(masked)
    assert masked["cells"][0]["metadata"] == cell.metadata


def test_published_results_keep_their_fields_and_paths(monkeypatch):
    monkeypatch.setenv("TOKEN", "hush-hush")
    metric = {"value": 1.5, "text": "hush-hush", "better": "lower"}
    results = {
        "headline": {"of hush-hush": metric},
        "input_files": ["/data/hush-hush/a.csv"],
        "pages": {"card": {"title": "hush-hush", "markdown": "[](hush-hush)"}},
    }
    masked = SecretMask(["hush-hush"]).mask_results(json.dumps(results), SecretMarks(["TOKEN"]))
    assert json.loads(masked) == {
        "headline": {"of •••": metric | {"text": "•••"}},
        "input_files": ["/data/{env:TOKEN}/a.csv"],
        "pages": {"card": {"title": "•••", "markdown": "[](•••)"}},
    }
    for word in ("headline", "value", "better", "title", "markdown", "pages"):
        renamed = SecretMask([word]).mask_results(json.dumps(results), SecretMarks())
        assert json.loads(renamed) == results
    assert SecretMask(["hush-hush"]).mask_results("{hush-hush", SecretMarks()) == "{•••"


@pytest.mark.parametrize("chunk_chars", [7, 64, 100_000])
@pytest.mark.parametrize("secret", ["newline", "short lines", "long", "markup", "emoji"])
def test_a_stream_is_masked_wherever_it_is_cut(secret, chunk_chars):
    value = HOSTILE_SECRETS[secret]
    text = f"{'noise ' * 400}{value!r} and {value}\nand {quote(value)}{' noise' * 40}"
    file = io.StringIO()
    stream = MaskedStream(file, SecretMask([value]))
    for start in range(0, len(text), chunk_chars):
        stream.write(text[start : start + chunk_chars])
    assert value.strip() not in file.getvalue()
    stream.finish()
    assert file.getvalue() == SecretMask([value]).mask(text)
