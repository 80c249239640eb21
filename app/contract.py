"""What a caller may send and what comes back: pydantic models, made from the one schema."""

import math
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from app import faults
from housing.schema import FEATURES, NAMES

MOST_ROWS = 10_000  # in one request
MOST_EXPLAINED = 100  # of a list's rows, the first ones; each costs as much as 128 others
MOST_PROBLEMS = 100  # named in one answer; more would be no help
MOST_OF_A_NAME = 100  # characters of a field that is told back


def _field(name: str) -> Any:
    feature = FEATURES[name]
    described = Field(
        ge=feature.low,
        le=feature.high,
        description=f"{feature.meaning}, {feature.unit}",
        examples=[feature.example],
    )
    return Annotated[float, described], ...


BlockGroup = create_model(
    "BlockGroup",
    __config__=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False),
    __doc__="One block group: the eight features of the model.",
    **{name: _field(name) for name in NAMES},
)


class Answer(BaseModel):
    """The house value of one block group."""

    id: str = Field(description="names this answer in the log")
    prediction: float = Field(description="median house value, $100,000")
    prediction_usd: float = Field(description="the same in dollars")
    low: float | None = Field(None, description="nine of ten true values lie between it, and")
    low_usd: float | None = Field(None, description="the same in dollars")
    high: float | None = Field(None, description="this one; 5.00001 means $500,000 or more")
    high_usd: float | None = Field(None, description="the same in dollars")
    model: str = Field(description="the registered model that answered")
    model_version: str
    warnings: list[str] = Field(description="in what the block group is unlike those learnt from")
    contributions_usd: dict[str, float] | None = Field(
        None, description="what each feature adds to base_usd; they sum to prediction_usd"
    )
    base_usd: float | None = Field(None, description="the answer for an ordinary block group")
    notice: str | None = Field(None, description="there if the model learnt from made-up data")


class Answers(BaseModel):
    """The answers to a list, in its order."""

    predictions: list[Answer]


class Recent(BaseModel):
    """An answer or a refusal as it was logged."""

    id: str
    request_id: str
    asked_at: str = Field(description="UTC, ISO 8601")
    status: int
    input: Any = Field(description="the block group; of a refused request what was received")
    prediction: float | None
    prediction_usd: float | None
    low: float | None
    low_usd: float | None
    high: float | None
    high_usd: float | None
    warnings: list[str]
    model_name: str | None
    model_version: str | None
    run_id: str | None = Field(description="the MLflow run of the model")
    caller_id: str | None = Field(description="X-Request-ID, as the caller gave it")
    traceparent: str | None = Field(description="W3C Trace Context, as the caller gave it")
    caller: str | None = Field(description="the name of the API key")
    latency_ms: float
    problem: str | None


class Logged(Recent):
    """The same, with what stands behind it."""

    lineage: dict[str, Any] | None = Field(description="as /model tells it, of that version")


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


LOW, HIGH = (
    np.array([getattr(one, end) for one in FEATURES.values()], float) for end in ("low", "high")
)
_ONE = TypeAdapter(BlockGroup)


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


def parse(body: bytes, most_rows: int) -> tuple[np.ndarray, bool]:
    """The block groups in a body of JSON, (n, 8) in the order of `schema.NAMES`, and whether they
    came as a list. Raises Refused.
    """
    start = body.lstrip()[:1]
    if start not in (b"{", b"["):
        found = "empty" if not start else "neither"
        raise refused(400, f"the body is {found}, expected a JSON object or a list of them")
    as_list = start == b"["
    try:
        rows = _many(most_rows).validate_json(body) if as_list else [_ONE.validate_json(body)]
    except ValidationError as wrong:
        raise _refusal(wrong, body, most_rows) from None
    check_count(len(rows), most_rows)
    if body.count(b":") != len(NAMES) * len(rows):  # JSON would take the last, and who knows why
        raise refused(422, "a field is given twice in one block group, expected each once")
    return np.array([list(one.__dict__.values()) for one in rows]), as_list


def check_count(rows: int, most_rows: int) -> None:
    """Raises Refused for an empty list, or one that is too long."""
    if not 1 <= rows <= most_rows:
        raise _miscounted(rows, most_rows)


def _miscounted(rows: int, most_rows: int) -> Refused:
    return refused(422, f"the list has {rows:,} rows, expected 1 to {most_rows:,}")


def check_ranges(rows: np.ndarray) -> None:
    """Raises Refused for (n, 8) numbers of which one is out of its range, or not finite."""
    wrong = ~((rows >= LOW) & (rows <= HIGH))
    if not wrong.any():
        return
    places = np.argwhere(wrong)
    problems = []
    for row, column in places[:MOST_PROBLEMS].tolist():
        value = rows[row, column]
        found = f"{value:g}" if np.isfinite(value) else "not a finite number"
        sentence = f"row {row}: {_expected(NAMES[column], found)}"
        problems.append(OneProblem(field=NAMES[column], row=row, problem=sentence))
    raise Refused(422, _cut(problems, len(places)))


def explained(given: str | None) -> bool:
    """Whether the query parameter explain asks for contributions. Raises Refused."""
    if given not in (None, "true", "false"):
        raise refused(422, f"explain is {_short(given)}, expected true or false")
    return given == "true"


def unlike(name: str, row: int, found: str) -> OneProblem:
    """The problem of a row whose field holds what it may not; found: in words."""
    return OneProblem(field=name, row=row, problem=f"row {row}: {_expected(name, found)}")


def unknown(name: str) -> OneProblem:
    """The problem of a field that a block group has not."""
    return OneProblem(field=name[:MOST_OF_A_NAME], row=None, problem=_unknown(name))


@cache
def _many(most_rows: int) -> TypeAdapter:
    """A list; one that is longer is not looked at row by row."""
    return TypeAdapter(Annotated[list[BlockGroup], Field(max_length=most_rows)])


def _refusal(wrong: ValidationError, body: bytes, most_rows: int) -> Refused:
    found = faults.first(wrong, _many(most_rows), body, MOST_PROBLEMS)
    if found[0]["type"] == "json_invalid":
        return refused(400, f"the body is not JSON: {found[0]['ctx']['error']}")
    if found[0]["type"] == "too_long":
        return _miscounted(found[0]["ctx"]["actual_length"], most_rows)
    problems = [_problem(one) for one in found[:MOST_PROBLEMS]]
    return Refused(422, _cut(problems, wrong.error_count()))


def _cut(problems: list[OneProblem], found: int) -> list[OneProblem]:
    """The problems, and a last one that counts those left out."""
    if found > MOST_PROBLEMS:
        more = f"and {found - MOST_PROBLEMS:,} more problems"
        problems.append(OneProblem(field=None, row=None, problem=more))
    return problems


def _problem(error: dict[str, Any]) -> OneProblem:
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
        return f"{_short(error['input'])} is not an object with the fields of a block group"
    return _expected(field, "missing" if error["type"] == "missing" else _short(error["input"]))


def _unknown(field: str) -> str:
    near = get_close_matches(field[:MOST_OF_A_NAME], NAMES, 1)
    hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(NAMES)}"
    return f"{_short(field)} is not a field of a block group; {hint}"


def _expected(field: str, found: str) -> str:
    feature = FEATURES[field]
    expected = f"a number from {feature.low:,g} to {feature.high:,g}"
    return f"{field} is {found}, expected {expected} ({feature.meaning}; {feature.unit})"


def _short(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
