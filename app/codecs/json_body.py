"""JSON bodies and their pydantic models, derived from the schema of the eight features."""

from functools import cache
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from app import body_errors
from app.codecs.content_encoding import GZIP_MAGIC
from app.codecs.feedback_models import LoggedTruth
from app.problem_details import (
    MAX_REPORTED_ERRORS,
    RequestError,
    check_row_count,
    request_error,
    to_field_error,
    truncate_errors,
)
from housing.schema import FEATURE_NAMES, FEATURES

MAX_JSON_ROWS = 10_000  # of one request
MAX_EXPLAINED_ROWS = 100  # the first ones of a list; each costs as much as 128 others
DEFAULT_RECENT_PREDICTIONS, MAX_RECENT_PREDICTIONS = 20, 1_000  # rows of GET /predictions
MAX_START_BYTES = 10  # of a body, in an error
MIN_HTTP_STATUS, MAX_HTTP_STATUS = 100, 599


def _feature_field(feature_name: str) -> Any:
    feature = FEATURES[feature_name]
    field = Field(
        ge=feature.low,
        le=feature.high,
        description=f"{feature.meaning}, {feature.unit}",
        json_schema_extra={"example": feature.example},
    )
    return Annotated[float, field], ...


BlockGroup = create_model(
    "BlockGroup",
    __config__=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False),
    __doc__="One block group: the eight features of the model.",
    **{name: _feature_field(name) for name in FEATURE_NAMES},
)


class Prediction(BaseModel):
    """The house value of one block group."""

    id: str = Field(description="identifies this prediction in the log")
    prediction: float = Field(description="median house value, $100,000")
    prediction_usd: float = Field(description="the same in dollars")
    low: float | None = Field(
        None,
        description="nine of ten true values lie from low to high, $100,000; "
        "unless interval_calibrated is false",
    )
    low_usd: float | None = Field(None, description="the same in dollars")
    high: float | None = Field(
        None, description="the end of that interval; 5.00001 means $500,000 or more"
    )
    high_usd: float | None = Field(None, description="the same in dollars")
    interval_calibrated: bool | None = Field(
        None,
        description="false if there are warnings: nothing is known of how many true values lie "
        "from low to high for a block group unlike the training rows; absent without an interval",
    )
    model: str = Field(description="the registered model that predicted")
    model_version: str
    warnings: list[str] = Field(description="how the block group is unlike the training rows")
    contributions_usd: dict[str, float] | None = Field(
        None, description="what each feature adds to base_usd; they sum to prediction_usd"
    )
    base_usd: float | None = Field(None, description="the prediction for an ordinary block group")
    notice: str | None = Field(None, description="present if the model learnt from generated data")


class PredictionList(BaseModel):
    """The predictions for a list, in its order."""

    predictions: list[Prediction]


class LoggedPrediction(BaseModel):
    """A prediction or a refused request, as it was logged."""

    id: str
    request_id: str
    asked_at: str = Field(description="UTC, ISO 8601")
    status: int
    input: Any = Field(description="the block group; for a refused request the body as received")
    prediction: float | None
    prediction_usd: float | None
    low: float | None
    low_usd: float | None
    high: float | None
    high_usd: float | None
    interval_calibrated: bool | None = Field(description="as in the answer; null if it had none")
    warnings: list[str]
    truth: float | None = Field(description="the true value, if it was sent to /feedback, $100,000")
    truth_usd: float | None
    model_name: str | None
    model_version: str | None
    run_id: str | None = Field(description="the MLflow run of the model")
    caller_id: str | None = Field(description="X-Request-ID, as the client sent it")
    traceparent: str | None = Field(description="W3C Trace Context, as the client sent it")
    caller: str | None = Field(description="the name of the API key")
    latency_ms: float
    problem: str | None


class ShadowAnswer(BaseModel):
    """What the challenger answered in place of the champion, for comparison only."""

    model_name: str
    model_version: str
    prediction: float | None = Field(description="in $100,000; null if the challenger failed")
    prediction_usd: float | None
    low: float | None
    high: float | None
    latency_us: float = Field(description="microseconds, of its batch divided by the rows")
    answered_at: str = Field(description="UTC, ISO 8601")
    problem: str | None = Field(description="why the challenger failed")


class LoggedPredictionDetail(LoggedPrediction):
    """The same, with the history of its true value, the lineage of its model and challengers."""

    feedback: list[LoggedTruth] = Field(description="the true values, the current one last")
    lineage: dict[str, Any] | None = Field(description="as /model returns it, for that version")
    shadow: list[ShadowAnswer]


_BLOCK_GROUP_ADAPTER: TypeAdapter = TypeAdapter(BlockGroup)


def parse_block_groups(body: bytes, max_rows: int) -> tuple[np.ndarray, bool]:
    """Return the block groups of a JSON body, and whether they came as a list.

    The block groups are (n, 8) in the order of `schema.FEATURE_NAMES`. Raises RequestError.
    """
    as_list = starts_as_list(body)
    try:
        block_groups = (
            _block_group_list_adapter(max_rows).validate_json(body)
            if as_list
            else [_BLOCK_GROUP_ADAPTER.validate_json(body)]
        )
    except ValidationError as error:
        raise _to_request_error(error, body, max_rows) from None
    check_row_count(len(block_groups), max_rows)
    # of a repeated field pydantic takes the last value, which may not be the one that is meant
    if body.count(b":") != len(FEATURE_NAMES) * len(block_groups):
        raise request_error(422, "a field is given twice in one block group, expected each once")
    rows = [list(block_group.__dict__.values()) for block_group in block_groups]
    return np.array(rows), as_list


def starts_as_list(body: bytes) -> bool:
    """Return whether a body is a list and no object. Raises RequestError (400) if it is neither."""
    start = body.lstrip()[:1]
    if start not in (b"{", b"["):
        raise request_error(
            400, f"the body {_describe_start(body)}, expected a JSON object or a list of them"
        )
    return start == b"["


def _describe_start(body: bytes) -> str:
    if body.startswith(GZIP_MAGIC):
        return "is gzip data without the header Content-Encoding: gzip"
    start = body.lstrip()[:MAX_START_BYTES]
    return f"starts with {start.decode(errors='replace')!r}" if start else "is empty"


@cache
def _block_group_list_adapter(max_rows: int) -> TypeAdapter:
    """Return the adapter of a list; a longer list is refused before its rows are validated."""
    list_type: Any = list[BlockGroup]  # type: ignore[valid-type]  # made by create_model
    return TypeAdapter(Annotated[list_type, Field(max_length=max_rows)])


def _to_request_error(
    validation_error: ValidationError, body: bytes, max_rows: int
) -> RequestError:
    pydantic_errors = body_errors.first_validation_errors(
        validation_error, _block_group_list_adapter(max_rows), body, MAX_REPORTED_ERRORS
    )
    first = pydantic_errors[0]
    if first["type"] == "json_invalid":
        return request_error(400, f"the body is not JSON: {first['ctx']['error']}")
    if first["type"] == "too_long":
        check_row_count(first["ctx"]["actual_length"], max_rows)  # raises
    errors = [to_field_error(error) for error in pydantic_errors[:MAX_REPORTED_ERRORS]]
    return RequestError(422, truncate_errors(errors, validation_error.error_count()))
