"""Parse a response as the strictest JSON readers do."""

import json


def parse_strict_json(text):
    """Return the parsed JSON; fail on NaN, Infinity and half characters (lone surrogates)."""

    def reject_constant(constant):
        raise AssertionError(f"{constant} in a response")

    value = json.loads(text, parse_constant=reject_constant)
    json.dumps(value, ensure_ascii=False).encode()  # fails on a lone surrogate
    return value
