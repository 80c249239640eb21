"""The bodies and query parameters that only the OpenAPI document describes."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.json_schema import SkipJsonSchema

from app.codecs import json_body
from app.codecs.mlflow_invocations import INPUT_KEYS

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
OptionalRows = Annotated[
    Annotated[list[BlockGroupRow], ListLength] | SkipJsonSchema[None],
    Field(json_schema_extra=lambda schema: schema.pop("default")),  # absent, never null
]

# what is not allowed, as generators of clients take a oneOf for a choice of types
_INVALID_FORMS: Any = {
    "anyOf": [
        {"required": [INPUT_KEYS[0]]},
        {"not": {"oneOf": [{"required": [key]} for key in INPUT_KEYS[1:]]}},
    ]
}


class InvocationInput(BaseModel):
    """The block groups in one of the forms of MLflow's scoring protocol."""

    model_config = ConfigDict(json_schema_extra={"not": _INVALID_FORMS})
    dataframe_records: OptionalRows = None
    instances: OptionalRows = None
    inputs: OptionalRows = None


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
    model: str
    model_version: str
    problem: str = Field("", description="why a newer champion does not serve")
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
