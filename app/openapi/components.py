"""The parts that the operations of the OpenAPI document share: schemas, contents and responses."""

from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.codecs.json_body import (
    MAX_JSON_ROWS,
    BlockGroup,
    LoggedPrediction,
    LoggedPredictionDetail,
    Prediction,
    PredictionList,
)
from app.problem_details import ProblemDetails
from housing.schema import FEATURES

SCHEMA_REF_TEMPLATE = "#/components/schemas/{model}"
JSON_OBJECT_CONTENT = {"application/json": {"schema": {"type": "object"}}}
PLAIN_TEXT_CONTENT = {"text/plain": {"schema": {"type": "string"}}}
EXAMPLE_BLOCK_GROUP = {name: feature.example for name, feature in FEATURES.items()}


def component_schemas() -> dict[str, Any]:
    """Return the schemas of the pydantic models by name."""
    mode: Literal["validation"] = "validation"
    models: list[type[BaseModel]] = [
        BlockGroup,
        Prediction,
        PredictionList,
        LoggedPrediction,
        LoggedPredictionDetail,
        ProblemDetails,
    ]
    _, schemas = models_json_schema(
        [(model, mode) for model in models], ref_template=SCHEMA_REF_TEMPLATE
    )
    return schemas["$defs"]


def array_schema(item_schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a list of up to MAX_JSON_ROWS items."""
    return {"type": "array", "items": item_schema, "minItems": 1, "maxItems": MAX_JSON_ROWS}


def feature_schema(feature_name: str) -> dict[str, Any]:
    """Return the schema of a feature, with its range and unit."""
    feature = FEATURES[feature_name]
    return {
        "type": "number",
        "minimum": feature.low,
        "maximum": feature.high,
        "description": f"{feature.meaning}, {feature.unit}",
    }


def response(description: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return a response object with a description and its content by media type."""
    return {"description": description, "content": content}


def json_content(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a JSON response or request."""
    return {"application/json": {"schema": schema}}


def problem_response(description: str) -> dict[str, Any]:
    """Return the response object of an error, whose content is problem details."""
    return response(
        description, {"application/problem+json": {"schema": schema_ref(ProblemDetails)}}
    )


def schema_ref(model: type[BaseModel]) -> dict[str, str]:
    """Return a reference to the schema of a pydantic model."""
    return {"$ref": SCHEMA_REF_TEMPLATE.format(model=model.__name__)}
