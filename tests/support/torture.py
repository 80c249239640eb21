"""Bodies that a JSON service may receive, named as in the test collections of JSON parsers.

y_: a block group or a list of them, which must be accepted. n_: anything else, which must be
refused. i_: the JSON standard leaves it to the parser; it is accepted with its meaning, or refused.
"""

import codecs
from collections.abc import Iterator
from typing import NamedTuple

from housing.schema import FEATURE_NAMES, FEATURES

EXAMPLE_BLOCK_GROUP = {name: feature.example for name, feature in FEATURES.items()}
NESTING_DEPTH = 100_000
LONG_TEXT_BYTES = 1_000_000


class BodyCase(NamedTuple):
    """A body, and the block groups that it stands for, if any."""

    name: str
    body: bytes
    block_groups: list[dict[str, float]]


def json_fields(**raw_values: bytes) -> list[bytes]:
    """Return the fields of the example as JSON; raw_values replace the values of some."""
    return [b'"%s": %s' % (name.encode(), raw_values.get(name, b"%r" % value))
            for name, value in EXAMPLE_BLOCK_GROUP.items()]  # fmt: skip


def json_row(**raw_values: bytes) -> bytes:
    """Return the example as JSON; raw_values replace the values of some fields."""
    return b"{" + b", ".join(json_fields(**raw_values)) + b"}"


def with_extra_field(extra_field: bytes) -> bytes:
    """Return the example as JSON with a further field."""
    return b"{" + b", ".join([*json_fields(), extra_field]) + b"}"


# ways to write a value of MedInc, and the number that each means
VALID_NUMBERS = {
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
# out of the range of any feature, or no JSON number
INVALID_VALUES = {
    "1e400": b"1e400", "minus_1e400": b"-1e400", "10_to_400": b"1" + b"0" * 400,
    "minus_10_to_400": b"-1" + b"0" * 400, "5000_digits": b"1" * 5_000,
    "1MB_digits": b"1" * LONG_TEXT_BYTES,
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
    "1MB_text": b'"' + b"x" * LONG_TEXT_BYTES + b'"',
    "object_with_value": b'{"$numberDouble": "8.3"}',
    "nested_900": b"[" * 900 + b"]" * 900, "nested_150": b"[" * 150 + b"1" + b"]" * 150,
    "nested_objects_150": b'{"a":' * 150 + b"1" + b"}" * 150,
    "proto": b'{"__proto__": 1}', "sql": b"\"'; DROP TABLE prediction; --\"",
}  # fmt: skip
# between the quotes of a JSON string, which is the name of a further field, or a value
STRING_CONTENTS = {
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
    "percent": b"%s%n%x", "format": b"{0.__class__}", "1MB": b"x" * LONG_TEXT_BYTES,
    "jndi": b"${jndi:x}",
}  # fmt: skip
# may stand around a JSON text
JSON_WHITESPACE = {
    "spaces": b"  ",
    "newline": b"\n",
    "crlf": b"\r\n",
    "tab": b"\t",
    "many": b" " * 10_000,
}
INVALID_SURROUNDINGS = {
    "form_feed": b"\x0c", "vertical_tab": b"\x0b", "nul": b"\x00", "nbsp": b"\xc2\xa0",
    "ff": b"\xff", "backspace": b"\x08", "utf8_bom": b"\xef\xbb\xbf", "xssi": b")]}'\n",
    "zero_width_space": b"\xe2\x80\x8b", "line_separator": b"\xe2\x80\xa8", "x": b"x",
    "record_separator": b"\x1e", "hash": b"# comment\n", "slashes": b"// comment\n",
    "comment": b"/* comment */", "half_comment": b"/*", "comma": b",", "brace": b"}",
    "bracket": b"]", "open_bracket": b"[", "number": b"1", "another": json_row(), "text": b'""',
    "null": b"null", "backslash": b"\\", "quote": b'"', "semicolon": b";", "name": b"data=",
}  # fmt: skip
INVALID_BODIES = {
    "empty": b"", "space": b" ", "spaces": b" \r\n\t " * 50, "form_feed": b"\x0c", "nul": b"\x00",
    "nuls": b"\x00" * 1000, "bom": b"\xef\xbb\xbf", "ff": b"\xff", "true": b"true", "null": b"null",
    "number": b"1", "text": b'"8.3"', "nan": b"NaN", "empty_object": b"{}", "empty_list": b"[]",
    "list_of_lists": b"[[8.3252, 41, 6.98, 1.02, 322, 2.55, 37.88, -122.23]]", "comma": b"[,]",
    "list_of_empty_objects": b"[{}]", "list_of_empty_list": b"[[]]", "numbers": b"[1, 2]",
    "list_of_null": b"[null]", "open_list": b"[", "open_object": b"{", "close": b"]", "colon": b":",
    "open_text": b'"', "escape": b"\\", "half_name": b'{"Med', "only_name": b'{"MedInc"}',
    "only_colon": b'{"MedInc":}', "no_colon": b'{"MedInc" 8.3}', "number_name": b"{1: 8.3}",
    "bare_name": b"{MedInc: 8.3}", "deep_lists": b"[" * NESTING_DEPTH + b"]" * NESTING_DEPTH,
    "open_deep_lists": b"[" * NESTING_DEPTH,
    "deep_objects": b'{"a":' * NESTING_DEPTH + b"1" + b"}" * NESTING_DEPTH,
    "open_deep_objects": b'{"MedInc":' * NESTING_DEPTH,
    "deep_mixed": b'[{"a":' * NESTING_DEPTH + b"}]" * NESTING_DEPTH,
    "closing_deep": b"]" * NESTING_DEPTH, "xml": b"<?xml version='1.0'?><a/>",
    "yaml": b"MedInc: 8.3",
    "form": b"MedInc=8.3&HouseAge=41", "csv": b"MedInc,HouseAge\n8.3,41\n", "gzip": b"\x1f\x8b\x08",
    "pickle": b"\x80\x04\x95\x00", "wrapped": b'{"instances": [' + json_row() + b"]}",
    "data": b'{"data": ' + json_row() + b"}", "text_of_json": b'"{}"', "many_ones": b"[" + b"1,"
    * 300_000 + b"1]", "many_empty_objects": b"[" + b"{}," * 300_000 + b"{}]",
}  # fmt: skip


def all_cases() -> Iterator[BodyCase]:
    """Yield all cases."""
    yield from _value_cases()
    yield from _string_cases()
    yield from _surrounding_cases()
    yield from _field_cases()
    yield from _list_cases()
    yield from _encoding_cases()
    body = json_row()
    for end in range(len(body)):
        yield BodyCase(f"n_truncated_at_{end}", body[:end], [])
        yield BodyCase(f"n_list_truncated_at_{end}", b"[" + body[:end], [])
    for name, body in INVALID_BODIES.items():
        yield BodyCase(f"n_body_{name}", body, [])


def _value_cases() -> Iterator[BodyCase]:
    for prefix, numbers in (("y", VALID_NUMBERS), ("i", BORDERLINE_NUMBERS)):
        for name, (text, value) in numbers.items():
            yield BodyCase(
                f"{prefix}_number_{name}",
                json_row(MedInc=text),
                [EXAMPLE_BLOCK_GROUP | {"MedInc": value}],
            )
    for name, text in INVALID_VALUES.items():
        yield BodyCase(f"n_value_{name}", json_row(MedInc=text), [])
        yield BodyCase(f"n_last_value_{name}", json_row(Longitude=text), [])


def _string_cases() -> Iterator[BodyCase]:
    for name, text in STRING_CONTENTS.items():
        yield BodyCase(f"n_name_{name}", with_extra_field(b'"%s": 1' % text), [])
        yield BodyCase(f"n_text_{name}", json_row(MedInc=b'"%s"' % text), [])


def _surrounding_cases() -> Iterator[BodyCase]:
    for name, text in JSON_WHITESPACE.items():
        yield BodyCase(f"y_space_before_{name}", text + json_row(), [EXAMPLE_BLOCK_GROUP])
        yield BodyCase(f"y_space_after_{name}", json_row() + text, [EXAMPLE_BLOCK_GROUP])
        yield BodyCase(
            f"y_space_inside_{name}", json_row().replace(b" ", text), [EXAMPLE_BLOCK_GROUP]
        )
    yield BodyCase("y_space_none", json_row().replace(b" ", b""), [EXAMPLE_BLOCK_GROUP])
    for name, text in INVALID_SURROUNDINGS.items():
        if text != codecs.BOM_UTF8:
            yield BodyCase(f"n_before_{name}", text + json_row(), [])
        yield BodyCase(f"n_after_{name}", json_row() + text, [])
    for name in ("form_feed", "nul", "nbsp", "utf8_bom", "slashes", "comment", "comma"):
        yield BodyCase(
            f"n_inside_{name}", json_row().replace(b", ", b", " + INVALID_SURROUNDINGS[name], 1), []
        )


def _field_cases() -> Iterator[BodyCase]:
    reversed_fields = b"{" + b",".join(reversed(json_fields())) + b"}"
    yield BodyCase("y_fields_in_another_order", reversed_fields, [EXAMPLE_BLOCK_GROUP])
    escaped = json_row().replace(b'"M', rb'"\u004d')
    yield BodyCase("y_field_escaped", escaped, [EXAMPLE_BLOCK_GROUP])
    yield BodyCase("n_field_twice", with_extra_field(b'"MedInc": 8.3252'), [])
    yield BodyCase("n_field_twice_other_value", with_extra_field(b'"MedInc": 1'), [])
    yield BodyCase("n_field_twice_escaped", with_extra_field(rb'"\u004dedInc": 8.3252'), [])
    yield BodyCase("n_field_twice_bad_first", json_row(MedInc=b'"x", "MedInc": 8.3252'), [])
    yield BodyCase("n_field_of_another_case", json_row().replace(b"MedInc", b"medinc"), [])
    yield BodyCase("n_field_with_space", json_row().replace(b"MedInc", b"MedInc "), [])
    yield BodyCase("n_field_with_nul", json_row().replace(b"MedInc", rb"MedInc\u0000"), [])
    yield BodyCase("n_field_look_alike", json_row().replace(b"MedInc", "\u041cedInc".encode()), [])
    yield BodyCase("n_fields_single_quoted", json_row().replace(b'"', b"'"), [])
    yield BodyCase("n_fields_bare", json_row().replace(b'"', b""), [])
    yield BodyCase("n_field_with_equals", json_row().replace(b": ", b"= ", 1), [])
    yield BodyCase("n_fields_without_comma", json_row().replace(b",", b"", 1), [])
    yield BodyCase("n_fields_two_commas", json_row().replace(b",", b",,", 1), [])
    yield BodyCase("n_fields_trailing_comma", json_row()[:-1] + b",}", [])
    yield BodyCase("n_fields_leading_comma", b"{," + json_row()[1:], [])
    for name in FEATURE_NAMES:
        other_fields = [
            field for field in json_fields() if not field.startswith(b'"%s"' % name.encode())
        ]
        yield BodyCase(f"n_without_{name}", b"{" + b",".join(other_fields) + b"}", [])
    unknown_fields = b",".join(b'"x%d": 1' % number for number in range(10_000))
    yield BodyCase("n_10000_unknown_fields", with_extra_field(unknown_fields), [])
    huge_names = b",".join(b'"%d%s": 1' % (number, b"x" * 50_000) for number in range(100))
    yield BodyCase("n_100_huge_names", with_extra_field(huge_names), [])


def _list_cases() -> Iterator[BodyCase]:
    yield BodyCase("y_list_of_one", b"[" + json_row() + b"]", [EXAMPLE_BLOCK_GROUP])
    yield BodyCase("y_list_of_two", b"[" + json_row() + b"," + json_row(MedInc=b"1") + b"]",
               [EXAMPLE_BLOCK_GROUP, EXAMPLE_BLOCK_GROUP | {"MedInc": 1}])  # fmt: skip
    yield BodyCase("n_list_of_10001", b"[" + b",".join([json_row()] * 10_001) + b"]", [])
    yield BodyCase("n_list_of_10001_bad", b"[" + b",".join([b"{}"] * 10_001) + b"]", [])
    yield BodyCase("n_list_in_a_list", b"[[" + json_row() + b"]]", [])
    bad_rows = {"null": b"null", "number": b"1", "text": b'"x"', "list": b"[]", "empty": b"{}",
           "nan": json_row(MedInc=b"NaN"), "out_of_range": json_row(MedInc=b"21"), "nothing": b"",
           "twice": with_extra_field(b'"MedInc": 1'), "deep": b"[" * NESTING_DEPTH}  # fmt: skip
    for name, row in bad_rows.items():
        yield BodyCase(
            f"n_list_with_{name}", b"[" + b",".join([json_row(), row, json_row()]) + b"]", []
        )
        yield BodyCase(f"n_list_ending_with_{name}", b"[" + json_row() + b"," + row + b"]", [])
    rows = with_extra_field(b'"MedInc": 8'), b"{" + b",".join(json_fields()[:-1]) + b"}"
    yield BodyCase("n_list_one_twice_one_missing", b"[" + b",".join(rows) + b"]", [])
    yield BodyCase("n_lists_two", (b"[" + json_row() + b"]") * 2, [])
    yield BodyCase("n_list_unclosed", b"[" + json_row(), [])
    yield BodyCase("n_list_closed_as_object", b"[" + json_row() + b"}", [])
    yield BodyCase("n_lines", json_row() + b"\n" + json_row() + b"\n", [])


def _encoding_cases() -> Iterator[BodyCase]:
    text = json_row().decode()
    for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"):
        yield BodyCase(f"y_encoding_{name}", text.encode(name), [EXAMPLE_BLOCK_GROUP])
    for name in ("utf-8", "utf-16-be", "utf-32-be"):
        body = ("\ufeff" + text).encode(name)
        yield BodyCase(f"y_encoding_{name}_bom", body, [EXAMPLE_BLOCK_GROUP])
    yield BodyCase("n_encoding_utf-7", text.replace('"', "+ACI-").encode(), [])
    yield BodyCase("n_encoding_ebcdic", text.encode("cp500"), [])
    yield BodyCase("n_utf16_after_utf8", json_row()[:-1] + ', "ä": 1}'.encode("utf-16-le"), [])
