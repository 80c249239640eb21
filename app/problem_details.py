"""Why a request is refused: the problems as the answer tells them, and their sentences."""

import math
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, Field

from housing.schema import FEATURES, NAMES

MOST_PROBLEMS = 100  # named in one answer; more would be no help
MOST_OF_A_NAME = 100  # characters of a field that is told back


class OneProblem(BaseModel):
    """One thing that is wrong with a request."""

    field: str | None = Field(description="the field it is about")
    row: int | None = Field(description="its place in the list, from 0")
    problem: str = Field(description="one sentence: what is wrong and what was expected")


class Problem(BaseModel):
    """Why there is no answer (RFC 9457)."""

    type: str = Field("about:blank", description="nothing beyond the status: errors say it")
    title: str = Field(description="the status in words")
    status: int
    detail: str = Field(description="the first problem")
    instance: str = Field(description="names the request; its path, if it is in the log")
    id: str = Field(description="names the request in the log")
    errors: list[OneProblem] = Field(description="every problem that was found")


class Refused(Exception):
    """Raised for a body that is no request: the status to answer with and the problems."""

    def __init__(self, status: int, errors: list[OneProblem], wait: float = 1) -> None:
        """wait: the seconds after which it may be worth another try, where it may be at all."""
        super().__init__("; ".join(one.problem for one in errors))
        self.status, self.errors = status, errors
        self.headers: list[tuple[str, str]] = []
        if status == 401:  # Basic as well, so that a browser asks for the key
            self.headers = [("www-authenticate", 'Bearer realm="housing", Basic realm="housing"')]
        elif status in (429, 503):
            self.headers = [("retry-after", f"{math.ceil(wait)}")]


def refused(status: int, sentence: str) -> Refused:
    """A refusal with one problem that is about no field."""
    return Refused(status, [OneProblem(field=None, row=None, problem=sentence)])


def check_count(rows: int, most_rows: int) -> None:
    """Raises Refused for an empty list, or one that is too long."""
    if not 1 <= rows <= most_rows:
        raise miscounted(rows, most_rows)


def miscounted(rows: int, most_rows: int) -> Refused:
    """The refusal of an empty list, or one that is too long."""
    return refused(422, f"the list has {rows:,} rows, expected 1 to {most_rows:,}")


def unlike(name: str, row: int, found: str) -> OneProblem:
    """The problem of a row whose field holds what it may not; found: in words."""
    return OneProblem(field=name, row=row, problem=f"row {row}: {_expected(name, found)}")


def unknown(name: str) -> OneProblem:
    """The problem of a field that a block group has not."""
    return OneProblem(field=name[:MOST_OF_A_NAME], row=None, problem=_unknown(name))


def cut(problems: list[OneProblem], found: int) -> list[OneProblem]:
    """The problems, and a last one that counts those left out."""
    if found > MOST_PROBLEMS:
        more = f"and {found - MOST_PROBLEMS:,} more problems"
        problems.append(OneProblem(field=None, row=None, problem=more))
    return problems


def problem(error: dict[str, Any]) -> OneProblem:
    """What an error of pydantic says, in our words."""
    row = next((one for one in error["loc"] if isinstance(one, int)), None)
    field = next((one for one in error["loc"] if isinstance(one, str)), None)
    sentence = _sentence(error, field)
    return OneProblem(
        field=field and field[:MOST_OF_A_NAME],
        row=row,
        problem=sentence if row is None else f"row {row}: {sentence}",
    )


def _sentence(error: dict[str, Any], field: str | None) -> str:
    if error["type"] == "extra_forbidden":
        return _unknown(field)
    if field not in FEATURES:
        return f"{short(error['input'])} is not an object with the fields of a block group"
    return _expected(field, "missing" if error["type"] == "missing" else short(error["input"]))


def _unknown(field: str) -> str:
    near = get_close_matches(field[:MOST_OF_A_NAME], NAMES, 1)
    hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(NAMES)}"
    return f"{short(field)} is not a field of a block group; {hint}"


def _expected(field: str, found: str) -> str:
    feature = FEATURES[field]
    wanted = f"a number from {feature.low:,g} to {feature.high:,g}"
    return f"{field} is {found}, expected {wanted} ({feature.meaning}; {feature.unit})"


def short(value: Any) -> str:
    """A value as JSON names it, in at most 60 characters."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
