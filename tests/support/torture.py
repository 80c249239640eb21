"""Bodies that a service of JSON may meet, in the manner of a JSON parser's test collection.

y_: a block group or a list of them, which is answered. n_: none, which is refused. i_: JSON leaves
it to the reader; it is answered as what it means, or refused.
"""

from collections.abc import Iterator
from typing import NamedTuple

from housing.schema import FEATURES, NAMES

PLAIN = {name: feature.example for name, feature in FEATURES.items()}
DEEP = 100_000
LONG = 1_000_000


class Case(NamedTuple):
    """A body, and the block groups that it means; none if it cannot mean any."""

    name: str
    body: bytes
    means: list[dict[str, float]]


def fields(**raw: bytes) -> list[bytes]:
    """The plain block group's fields as JSON, some with another value, as bytes."""
    return [b'"%s": %s' % (name.encode(), raw.get(name, b"%r" % value))
            for name, value in PLAIN.items()]  # fmt: skip


def row(**raw: bytes) -> bytes:
    """The plain block group as JSON, some values replaced."""
    return b"{" + b", ".join(fields(**raw)) + b"}"


def with_field(more: bytes) -> bytes:
    """The plain block group and a further field."""
    return b"{" + b", ".join([*fields(), more]) + b"}"


# a value of MedInc, written so, is that number
NUMBERS = {
    "plain": (b"8.3252", 8.3252), "integer": (b"8", 8), "whole": (b"8.0", 8),
    "exponent": (b"83252e-4", 8.3252), "capital_exponent": (b"83252E-4", 8.3252),
    "plus_exponent": (b"0.83252e+1", 8.3252), "exponent_of_zero": (b"8e0", 8),
    "leading_zeros_of_an_exponent": (b"8e0000000000", 8), "zero": (b"0", 0), "zero_e1": (b"0e1", 0),
    "zero_e_huge": (b"0e400", 0), "zero_capital": (b"0E+2", 0), "all_of_the_range": (b"2E+1", 20),
    "zeros_after_it": (b"8.3252" + b"0" * 300, 8.3252),
    "17_digits": (b"8.3252000000000001", 8.3252), "30_digits": (b"8." + b"3" * 30, 25 / 3),
}  # fmt: skip
BORDERLINE_NUMBERS = {
    "minus_zero": (b"-0", 0), "minus_zero_float": (b"-0.0", 0), "underflow": (b"1e-400", 0),
    "minus_underflow": (b"-1e-400", 0), "least_double": (b"5e-324", 5e-324),
    "subnormal": (b"2.2250738585072011e-308", 0), "10000_digits": (b"0." + b"0" * 9999 + b"1", 0),
    "10000_zeros_after": (b"8." + b"0" * 10_000, 8), "huge_exponent_down": (b"1e-99999999999", 0),
    "digits_and_exponent": (b"8" + b"0" * 500 + b"e-500", 8),
}  # fmt: skip
# out of every range, or no number of JSON
WRONG_VALUES = {
    "1e400": b"1e400", "minus_1e400": b"-1e400", "10_to_400": b"1" + b"0" * 400,
    "minus_10_to_400": b"-1" + b"0" * 400, "5000_digits": b"1" * 5_000, "1MB_digits": b"1" * LONG,
    "1e99999999999": b"1e99999999999", "2_to_63": b"9223372036854775808",
    "2_to_64": b"18446744073709551616", "1e308": b"1e308", "20.0001": b"20.0001", "minus_1": b"-1",
    "leading_zero": b"08.3", "two_zeros": b"00", "minus_leading_zero": b"-08", "plus": b"+8.3",
    "hex": b"0x8", "octal": b"0o7", "binary": b"0b1", "underscore": b"1_0", "nan": b"NaN",
    "minus_nan": b"-NaN", "nan_small": b"nan", "infinity": b"Infinity", "inf": b"inf",
    "minus_infinity": b"-Infinity", "plus_infinity": b"+Infinity", "dot_after": b"1.",
    "dot_before": b".5", "minus_dot": b"-.5", "e": b"1e", "e_plus": b"1e+", "e_minus": b"1e-",
    "dot_e": b"1.e1", "e_dot": b"1e1.5", "two_dots": b"1.2.3", "two_minus": b"--1", "minus": b"-",
    "minus_space": b"- 1", "space_inside": b"1 2", "comma": b"8,3", "f": b"8.3f", "d": b"8.3d",
    "percent": b"8%", "fullwidth": "\uff18".encode(), "arabic": "\u0668".encode(), "nothing": b"",
    "true": b"true", "false": b"false", "null": b"null", "True": b"True", "None": b"None",
    "undefined": b"undefined", "nul": b"nul", "TRUE": b"TRUE", "text": b'"8.3"', "list": b"[8.3]",
    "empty_text": b'""', "object": b"{}", "empty_list": b"[]", "single_quotes": b"'8.3'",
    "expression": b"4+4", "call": b"__import__('os')", "template": b'"{{7*7}}"', "date": b'"2026"',
    "1MB_text": b'"' + b"x" * LONG + b'"', "object_with_value": b'{"$numberDouble": "8.3"}',
    "nested_900": b"[" * 900 + b"]" * 900, "nested_150": b"[" * 150 + b"1" + b"]" * 150,
    "nested_objects_150": b'{"a":' * 150 + b"1" + b"}" * 150,
    "proto": b'{"__proto__": 1}', "sql": b"\"'; DROP TABLE prediction; --\"",
}  # fmt: skip
# the inside of a string of JSON, which is the name of a further field, or its value
STRINGS = {
    "plain": b"a", "empty": b"", "lone_surrogate": rb"\ud800", "lone_low_surrogate": rb"\udc00",
    "swapped_surrogates": rb"\udc00\ud800", "two_high_surrogates": rb"\ud800\ud800",
    "surrogate_and_text": rb"\ud800abc", "half_escape": rb"\ud83", "u_alone": rb"\u",
    "big_u": rb"\U0001F600", "x_escape": rb"\x41", "octal_escape": rb"\101", "bell_escape": rb"\a",
    "backslash_end": b"\\", "escaped_nul": rb"\u0000", "escaped_bom": rb"\uFEFF",
    "escaped_noncharacter": rb"\uFFFF", "emoji": "😀".encode(), "escaped_emoji": rb"\ud83d\ude00",
    "raw_nul": b"\x00", "raw_newline": b"\n", "raw_tab": b"\t", "raw_escape": b"\x1b[31m",
    "raw_delete": b"\x7f", "line_separator": "\u2028".encode(), "right_to_left": "\u202e".encode(),
    "surrogate_in_utf8": b"\xed\xa0\x80", "low_surrogate_in_utf8": b"\xed\xb0\x80",
    "pair_in_utf8": b"\xed\xa0\xbd\xed\xb8\x80", "overlong_slash": b"\xc0\xaf",
    "overlong_nul": b"\xc0\x80", "overlong_3": b"\xe0\x80\xaf", "overlong_4": b"\xf0\x80\x80\xaf",
    "overlong_5": b"\xf8\x80\x80\x80\xaf", "overlong_6": b"\xfc\x80\x80\x80\x80\xaf",
    "beyond_unicode": b"\xf4\x90\x80\x80", "five_bytes": b"\xf8\x88\x80\x80\x80", "fe": b"\xfe",
    "ff": b"\xff", "continuation": b"\x80", "truncated_2": b"\xc3", "truncated_3": b"\xe2\x82",
    "truncated_4": b"\xf0\x9f\x98", "latin_1": b"\xe9", "noncharacter": "\uffff".encode(),
    "script": b"<script>alert(1)</script>", "log_line": rb"\r\n{\u0022status\u0022: 200}",
    "percent": b"%s%n%x", "format": b"{0.__class__}", "1MB": b"x" * LONG, "jndi": b"${jndi:x}",
}  # fmt: skip
# what stands around a body and is no part of it
SPACES = {"spaces": b"  ", "newline": b"\n", "crlf": b"\r\n", "tab": b"\t", "many": b" " * 10_000}
NO_SPACES = {
    "form_feed": b"\x0c", "vertical_tab": b"\x0b", "nul": b"\x00", "nbsp": b"\xc2\xa0",
    "ff": b"\xff", "backspace": b"\x08", "utf8_bom": b"\xef\xbb\xbf", "xssi": b")]}'\n",
    "zero_width_space": b"\xe2\x80\x8b", "line_separator": b"\xe2\x80\xa8", "x": b"x",
    "record_separator": b"\x1e", "hash": b"# comment\n", "slashes": b"// comment\n",
    "comment": b"/* comment */", "half_comment": b"/*", "comma": b",", "brace": b"}",
    "bracket": b"]", "open_bracket": b"[", "number": b"1", "another": row(), "text": b'""',
    "null": b"null", "backslash": b"\\", "quote": b'"', "semicolon": b";", "name": b"data=",
}  # fmt: skip
WHOLE = {
    "empty": b"", "space": b" ", "spaces": b" \r\n\t " * 50, "form_feed": b"\x0c", "nul": b"\x00",
    "nuls": b"\x00" * 1000, "bom": b"\xef\xbb\xbf", "ff": b"\xff", "true": b"true", "null": b"null",
    "number": b"1", "text": b'"8.3"', "nan": b"NaN", "empty_object": b"{}", "empty_list": b"[]",
    "list_of_lists": b"[[8.3252, 41, 6.98, 1.02, 322, 2.55, 37.88, -122.23]]", "comma": b"[,]",
    "list_of_empty_objects": b"[{}]", "list_of_empty_list": b"[[]]", "numbers": b"[1, 2]",
    "list_of_null": b"[null]", "open_list": b"[", "open_object": b"{", "close": b"]", "colon": b":",
    "open_text": b'"', "escape": b"\\", "half_name": b'{"Med', "only_name": b'{"MedInc"}',
    "only_colon": b'{"MedInc":}', "no_colon": b'{"MedInc" 8.3}', "number_name": b"{1: 8.3}",
    "bare_name": b"{MedInc: 8.3}", "deep_lists": b"[" * DEEP + b"]" * DEEP,
    "open_deep_lists": b"[" * DEEP, "deep_objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "open_deep_objects": b'{"MedInc":' * DEEP, "deep_mixed": b'[{"a":' * DEEP + b"}]" * DEEP,
    "closing_deep": b"]" * DEEP, "xml": b"<?xml version='1.0'?><a/>", "yaml": b"MedInc: 8.3",
    "form": b"MedInc=8.3&HouseAge=41", "csv": b"MedInc,HouseAge\n8.3,41\n", "gzip": b"\x1f\x8b\x08",
    "pickle": b"\x80\x04\x95\x00", "wrapped": b'{"instances": [' + row() + b"]}",
    "data": b'{"data": ' + row() + b"}", "text_of_json": b'"{}"', "many_ones": b"[" + b"1,"
    * 300_000 + b"1]", "many_empty_objects": b"[" + b"{}," * 300_000 + b"{}]",
}  # fmt: skip


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _values()
    yield from _strings()
    yield from _surroundings()
    yield from _fields()
    yield from _lists()
    yield from _encodings()
    whole = row()
    for at in range(len(whole)):
        yield Case(f"n_truncated_at_{at}", whole[:at], [])
        yield Case(f"n_list_truncated_at_{at}", b"[" + whole[:at], [])
    for name, body in WHOLE.items():
        yield Case(f"n_body_{name}", body, [])


def _values() -> Iterator[Case]:
    for kind, known in (("y", NUMBERS), ("i", BORDERLINE_NUMBERS)):
        for name, (text, value) in known.items():
            yield Case(f"{kind}_number_{name}", row(MedInc=text), [PLAIN | {"MedInc": value}])
    for name, text in WRONG_VALUES.items():
        yield Case(f"n_value_{name}", row(MedInc=text), [])
        yield Case(f"n_last_value_{name}", row(Longitude=text), [])


def _strings() -> Iterator[Case]:
    for name, text in STRINGS.items():
        yield Case(f"n_name_{name}", with_field(b'"%s": 1' % text), [])
        yield Case(f"n_text_{name}", row(MedInc=b'"%s"' % text), [])


def _surroundings() -> Iterator[Case]:
    for name, text in SPACES.items():
        yield Case(f"y_space_before_{name}", text + row(), [PLAIN])
        yield Case(f"y_space_after_{name}", row() + text, [PLAIN])
        yield Case(f"y_space_inside_{name}", row().replace(b" ", text), [PLAIN])
    yield Case("y_space_none", row().replace(b" ", b""), [PLAIN])
    for name, text in NO_SPACES.items():
        yield Case(f"n_before_{name}", text + row(), [])
        yield Case(f"n_after_{name}", row() + text, [])
    for name in ("form_feed", "nul", "nbsp", "utf8_bom", "slashes", "comment", "comma"):
        yield Case(f"n_inside_{name}", row().replace(b", ", b", " + NO_SPACES[name], 1), [])


def _fields() -> Iterator[Case]:
    backwards = b"{" + b",".join(reversed(fields())) + b"}"
    yield Case("y_fields_in_another_order", backwards, [PLAIN])
    escaped = row().replace(b'"M', rb'"\u004d')
    yield Case("y_field_escaped", escaped, [PLAIN])
    yield Case("n_field_twice", with_field(b'"MedInc": 8.3252'), [])
    yield Case("n_field_twice_other_value", with_field(b'"MedInc": 1'), [])
    yield Case("n_field_twice_escaped", with_field(rb'"\u004dedInc": 8.3252'), [])
    yield Case("n_field_twice_bad_first", row(MedInc=b'"x", "MedInc": 8.3252'), [])
    yield Case("n_field_of_another_case", row().replace(b"MedInc", b"medinc"), [])
    yield Case("n_field_with_space", row().replace(b"MedInc", b"MedInc "), [])
    yield Case("n_field_with_nul", row().replace(b"MedInc", rb"MedInc\u0000"), [])
    yield Case("n_field_look_alike", row().replace(b"MedInc", "\u041cedInc".encode()), [])
    yield Case("n_fields_single_quoted", row().replace(b'"', b"'"), [])
    yield Case("n_fields_bare", row().replace(b'"', b""), [])
    yield Case("n_field_with_equals", row().replace(b": ", b"= ", 1), [])
    yield Case("n_fields_without_comma", row().replace(b",", b"", 1), [])
    yield Case("n_fields_two_commas", row().replace(b",", b",,", 1), [])
    yield Case("n_fields_trailing_comma", row()[:-1] + b",}", [])
    yield Case("n_fields_leading_comma", b"{," + row()[1:], [])
    for name in NAMES:
        left = [one for one in fields() if not one.startswith(b'"%s"' % name.encode())]
        yield Case(f"n_without_{name}", b"{" + b",".join(left) + b"}", [])
    many = b",".join(b'"x%d": 1' % at for at in range(10_000))
    yield Case("n_10000_unknown_fields", with_field(many), [])
    huge = b",".join(b'"%d%s": 1' % (at, b"x" * 50_000) for at in range(100))
    yield Case("n_100_huge_names", with_field(huge), [])


def _lists() -> Iterator[Case]:
    yield Case("y_list_of_one", b"[" + row() + b"]", [PLAIN])
    yield Case("y_list_of_two", b"[" + row() + b"," + row(MedInc=b"1") + b"]",
               [PLAIN, PLAIN | {"MedInc": 1}])  # fmt: skip
    yield Case("n_list_of_10001", b"[" + b",".join([row()] * 10_001) + b"]", [])
    yield Case("n_list_of_10001_bad", b"[" + b",".join([b"{}"] * 10_001) + b"]", [])
    yield Case("n_list_in_a_list", b"[[" + row() + b"]]", [])
    bad = {"null": b"null", "number": b"1", "text": b'"x"', "list": b"[]", "empty": b"{}",
           "nan": row(MedInc=b"NaN"), "out_of_range": row(MedInc=b"21"), "nothing": b"",
           "twice": with_field(b'"MedInc": 1'), "deep": b"[" * DEEP}  # fmt: skip
    for name, one in bad.items():
        yield Case(f"n_list_with_{name}", b"[" + b",".join([row(), one, row()]) + b"]", [])
        yield Case(f"n_list_ending_with_{name}", b"[" + row() + b"," + one + b"]", [])
    shifted = with_field(b'"MedInc": 8'), b"{" + b",".join(fields()[:-1]) + b"}"
    yield Case("n_list_one_twice_one_missing", b"[" + b",".join(shifted) + b"]", [])
    yield Case("n_lists_two", (b"[" + row() + b"]") * 2, [])
    yield Case("n_list_unclosed", b"[" + row(), [])
    yield Case("n_list_closed_as_object", b"[" + row() + b"}", [])
    yield Case("n_lines", row() + b"\n" + row() + b"\n", [])


def _encodings() -> Iterator[Case]:
    text = row().decode()
    for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-7"):
        body = text.encode(name) if name != "utf-7" else text.replace('"', "+ACI-").encode()
        yield Case(f"n_encoding_{name}", body, [])
    for name in ("utf-16-be", "utf-32-be"):
        yield Case(f"n_encoding_{name}_bom", ("\ufeff" + text).encode(name), [])
    yield Case("n_encoding_ebcdic", text.encode("cp500"), [])
    yield Case("n_utf16_after_utf8", row()[:-1] + ', "ä": 1}'.encode("utf-16-le"), [])
