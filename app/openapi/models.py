"""The bodies and query parameters that only the OpenAPI document describes."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, create_model

from app.codecs import json_body
from app.codecs.feedback_models import Feedback

ONE_OF = Field(json_schema_extra=lambda schema: schema.update(oneOf=schema.pop("anyOf")))
ListLength = Field(min_length=1, max_length=json_body.MAX_JSON_ROWS)
BlockGroups: Any = Annotated[list[json_body.BlockGroup], ListLength]  # type: ignore[valid-type]
_row_fields: dict[str, Any] = {
    name: (float, field) for name, field in json_body.BlockGroup.model_fields.items()
}
BlockGroupRow: Any = create_model(
    "BlockGroupRow",
    __doc__="A block group; columns that the model does not use are ignored.",
    **_row_fields,
)
BlockGroupRows: Any = Annotated[list[BlockGroupRow], ListLength]


FeedbackList: Any = Annotated[list[Feedback], ListLength]


class InvocationRecords(BaseModel):
    """The block groups as `dataframe_records`, a form of MLflow's scoring protocol."""

    dataframe_records: BlockGroupRows


class InvocationInstances(BaseModel):
    """The block groups as `instances`, a form of MLflow's scoring protocol."""

    instances: BlockGroupRows


class InvocationInputs(BaseModel):
    """The block groups as `inputs`, a form of MLflow's scoring protocol."""

    inputs: BlockGroupRows


# exactly one of the three, which a client's generator takes for a choice of types
InvocationInput: Any = Annotated[InvocationRecords | InvocationInstances | InvocationInputs, ONE_OF]


class InvocationOutput(BaseModel):
    """The predictions in the order of the rows, in $100,000."""

    predictions: list[float]


class InvocationError(BaseModel):
    """An error in MLflow's form."""

    error_code: str
    message: str


class ExplainQuery(BaseModel):
    """The query parameters of POST /predict."""

    explain: bool = Field(
        False,
        description="add what each feature contributes, for the first "
        f"{json_body.MAX_EXPLAINED_ROWS} rows",
    )


class LogQuery(BaseModel):
    """The query parameters of GET /predictions."""

    limit: int = Field(
        json_body.DEFAULT_RECENT_PREDICTIONS,
        ge=1,
        le=json_body.MAX_RECENT_PREDICTIONS,
        description="how many rows at most",
    )
    status: int = Field(
        ge=json_body.MIN_HTTP_STATUS,
        le=json_body.MAX_HTTP_STATUS,
        description="only rows of this HTTP status",
    )
    request_id: str = Field(description="only rows of this X-Request-ID")


class LoggedPredictionList(BaseModel):
    """The last predictions and rejected requests, newest first."""

    predictions: list[json_body.LoggedPrediction]


class Health(BaseModel):
    """The process is alive."""

    status: Literal["alive"]


class Readiness(BaseModel):
    """The service can answer."""

    status: Literal["ready"]
    state: str = Field(
        description="current if the model is the registry's champion; else why not, for example "
        "refused, unreachable or baked"
    )
    model: str
    model_version: str
    problem: str = Field("", description="why a newer champion does not serve")
    refused_version: str = Field("", description="name and version of that newer champion")
    registry: str = Field("", description="why the registry is not followed")


class ModelDetails(BaseModel):
    """The model that serves, and where it comes from."""

    name: str
    version: str
    alias: str
    run_id: str = Field(description="the MLflow run that trained it")
    source: str = Field(description="the data that it learnt from: sample or california")
    family: str
    metrics: dict[str, float] = Field(description="errors in $100,000")
    data_sha256: str
    report: str = Field(description="the path of the report on its promotion")
    commit: str
    reason: str = Field(description="why it was promoted")


class MonitoringAlarm(BaseModel):
    """A change that was detected and is large enough to matter."""

    signal: str = Field(description="what changed, for example error, coverage or features")
    quantity: str
    group: str = Field(description='such as "region: Bay Area"; empty for all rows')
    sentence: str
    first_day: str = Field(description="on which it most probably began, ISO 8601")
    alarm_day: str = Field(description="on which the evidence was enough, ISO 8601")
    is_current: bool
    effect_usd: float | None = Field(None, description="on the prediction, or on the error")


class Monitoring(BaseModel):
    """The verdict of the last monitoring run."""

    verdict: Literal["fine", "look", "retrain"]
    sentence: str = Field(description="the verdict and its reason")
    model_name: str
    model_version: str = Field(description="the newest that answered in the period")
    since: str = Field(description="first day of the period, ISO 8601")
    until: str = Field(description="last day of the period, ISO 8601")
    created_at: str = Field(description="when the monitoring ran, ISO 8601")
    alarms_per_year: float = Field(description="false alarms that are accepted in a year")
    row_count: int = Field(description="predictions in the period")
    labelled_count: int = Field(description="of which the true value is known")
    alarms: list[MonitoringAlarm]
    run: str = Field(description="of the pipeline, that the report belongs to")
    mean_absolute_error_usd: float | None = Field(None, description="of the labelled rows")
    estimated_error_usd: float | None = Field(None, description="of all rows, without labels")
    promised_error_usd: float | None = Field(None, description="of the held-out rows")
    coverage: float | None = Field(
        None, description="share of the labelled rows whose true value is in its interval"
    )
    report: str = Field(description="the path of the report; empty if it is not here")
