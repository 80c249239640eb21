"""The pydantic models of POST /feedback, and of the true values in the log."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from app.problem_details import FieldError
from housing.prediction_log.feedback_rows import MAX_INDEX, MAX_TRUTH, MIN_TRUTH
from housing.schema import USD_PER_UNIT


class Feedback(BaseModel):
    """The true value of a prediction: its id, or request_id and index; and its value, once."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(None, description="of the prediction, as the answer of /predict has it")
    request_id: str | None = Field(
        None, description="of its request, or the X-Request-ID that the client sent; instead of id"
    )
    index: int | None = Field(
        None,
        ge=0,
        le=MAX_INDEX,
        description="the prediction's place in its request, from 0; may be absent if it is the "
        "only one",
    )
    truth: float | None = Field(
        None, ge=MIN_TRUTH, le=MAX_TRUTH, description="the true median house value, $100,000"
    )
    truth_usd: float | None = Field(
        None,
        ge=MIN_TRUTH * USD_PER_UNIT,
        le=MAX_TRUTH * USD_PER_UNIT,
        description="the same in dollars, instead of truth",
    )
    actual: float | None = Field(
        None, ge=MIN_TRUTH, le=MAX_TRUTH, description="another name of truth, in $100,000"
    )
    observed_at: str | None = Field(
        None,
        description="when the value was observed: ISO 8601, UTC unless it names its zone; it may "
        "be before the prediction, and not in the future",
    )


class FeedbackResult(BaseModel):
    """What became of the rows of a request."""

    accepted: int = Field(description="true values of predictions that had none")
    unchanged: int = Field(description="those that were there already, with the same value")
    corrected: int = Field(description="those that replace another value, which is kept")
    refused: int = Field(description="rows that have a problem and were left out")
    errors: list[FieldError] = Field(description="the problem of each refused row")


class LoggedTruth(BaseModel):
    """A true value, as it was received."""

    truth: float = Field(description="$100,000")
    truth_usd: float = Field(description="the same in dollars")
    received_at: str = Field(description="UTC, ISO 8601")
    observed_at: str | None = Field(description="the same; null if the sender did not say")
    caller: str | None = Field(description="the name of the API key")
    superseded_at: str | None = Field(
        description="when a correction arrived; null for the current value"
    )
