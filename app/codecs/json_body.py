"""What a caller may send and what comes back: pydantic models, made from the one schema."""

from functools import cache
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from app import body_errors
from app.problem_details import (
    MAX_REPORTED_ERRORS,
    RequestError,
    check_row_count,
    invalid_value_error,
    request_error,
    row_count_error,
    shorten,
    to_field_error,
    truncate_errors,
)
from housing.schema import FEATURE_NAMES, FEATURES

MAX_JSON_ROWS = 10_000  # in one request
MAX_EXPLAINED_ROWS = 100  # of a list's rows, the first ones; each costs as much as 128 others


def _feature_field(feature_name: str) -> Any:
    feature = FEATURES[feature_name]
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
    **{name: _feature_field(name) for name in FEATURE_NAMES},
)


class Prediction(BaseModel):
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


class PredictionList(BaseModel):
    """The answers to a list, in its order."""

    predictions: list[Prediction]


class LoggedPrediction(BaseModel):
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


class LoggedPredictionDetail(LoggedPrediction):
    """The same, with what stands behind it."""

    lineage: dict[str, Any] | None = Field(description="as /model tells it, of that version")


LOWER_LIMITS, UPPER_LIMITS = (
    np.array([getattr(one, end) for one in FEATURES.values()], float) for end in ("low", "high")
)
_BLOCK_GROUP_ADAPTER = TypeAdapter(BlockGroup)


def parse(body: bytes, max_rows: int) -> tuple[np.ndarray, bool]:
    """The block groups in a body of JSON, (n, 8) in the order of `schema.NAMES`, and whether they
    came as a list. Raises Refused.
    """
    start = body.lstrip()[:1]
    if start not in (b"{", b"["):
        found = "empty" if not start else "neither"
        raise request_error(400, f"the body is {found}, expected a JSON object or a list of them")
    as_list = start == b"["
    try:
        rows = (
            _block_group_list_adapter(max_rows).validate_json(body)
            if as_list
            else [_BLOCK_GROUP_ADAPTER.validate_json(body)]
        )
    except ValidationError as wrong:
        raise _to_request_error(wrong, body, max_rows) from None
    check_row_count(len(rows), max_rows)
    if body.count(b":") != len(FEATURE_NAMES) * len(
        rows
    ):  # JSON would take the last, and who knows why
        raise request_error(422, "a field is given twice in one block group, expected each once")
    return np.array([list(one.__dict__.values()) for one in rows]), as_list


def check_ranges(rows: np.ndarray) -> None:
    """Raises Refused for (n, 8) numbers of which one is out of its range, or not finite."""
    wrong = ~((rows >= LOWER_LIMITS) & (rows <= UPPER_LIMITS))
    if not wrong.any():
        return
    places = np.argwhere(wrong)
    problems = []
    for row, column in places[:MAX_REPORTED_ERRORS].tolist():
        value = rows[row, column]
        found = f"{value:g}" if np.isfinite(value) else "not a finite number"
        problems.append(invalid_value_error(FEATURE_NAMES[column], row, found))
    raise RequestError(422, truncate_errors(problems, len(places)))


def parse_explain_flag(value: str | None) -> bool:
    """Whether the query parameter explain asks for contributions. Raises Refused."""
    if value not in (None, "true", "false"):
        raise request_error(422, f"explain is {shorten(value)}, expected true or false")
    return value == "true"


@cache
def _block_group_list_adapter(max_rows: int) -> TypeAdapter:
    """A list; one that is longer is not looked at row by row."""
    return TypeAdapter(Annotated[list[BlockGroup], Field(max_length=max_rows)])


def _to_request_error(
    validation_error: ValidationError, body: bytes, max_rows: int
) -> RequestError:
    found = body_errors.first_validation_errors(
        validation_error, _block_group_list_adapter(max_rows), body, MAX_REPORTED_ERRORS
    )
    if found[0]["type"] == "json_invalid":
        return request_error(400, f"the body is not JSON: {found[0]['ctx']['error']}")
    if found[0]["type"] == "too_long":
        return row_count_error(found[0]["ctx"]["actual_length"], max_rows)
    problems = [to_field_error(one) for one in found[:MAX_REPORTED_ERRORS]]
    return RequestError(422, truncate_errors(problems, validation_error.error_count()))
