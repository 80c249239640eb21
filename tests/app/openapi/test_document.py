"""The OpenAPI document: valid, complete, and true of what the service answers."""

import re
from functools import partial

import pytest
import schemathesis
from jsonschema import Draft202012Validator

from app import create_app
from app.auth.api_keys import PUBLIC_PATHS
from app.openapi.document import openapi_document
from app.openapi.endpoints import ENDPOINTS

PAGE_BLUEPRINTS = ("pages", "reports", "static", "swagger_ui")  # for people, in HTML
OPERATIONS = [
    pytest.param(path, method, operation, id=operation["operationId"])
    for path, operations in openapi_document()["paths"].items()
    for method, operation in operations.items()
]


def validator(schema):
    """Return a validator of a schema that may refer to the document's components."""
    return Draft202012Validator(schema | {"components": openapi_document()["components"]})


def subschemas(value):
    """Yield each object of the document."""
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value:
        if isinstance(child, (dict, list)):
            yield from subschemas(child)


def test_each_route_of_the_app_is_in_the_table_and_the_reverse():
    routes = {
        (method, re.sub(r"<(?:\w+:)?\w+>", "{}", rule.rule))
        for rule in create_app().url_map.iter_rules()
        if rule.endpoint.partition(".")[0] not in PAGE_BLUEPRINTS
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert routes == {(row.method, re.sub(r"{\w+}", "{}", row.path)) for row in ENDPOINTS}
    assert len(routes) == len(ENDPOINTS)


def test_the_document_is_openapi_3_1():
    schemathesis.openapi.from_dict(openapi_document()).validate()
    assert openapi_document()["openapi"] == "3.1.0"


def test_operations_have_ids_of_their_own_that_are_names():
    ids = [row.operation_id for row in ENDPOINTS]
    assert len(set(ids)) == len(ids)
    assert all(operation_id.isidentifier() for operation_id in ids)


def test_each_reference_leads_to_a_schema_and_each_schema_is_an_object():
    """Schemas that are true or false, which JSON Schema allows, stop generators of clients."""
    schemas = openapi_document()["components"]["schemas"]
    for value in subschemas(openapi_document()):
        if "$ref" in value:
            assert value["$ref"].removeprefix("#/components/schemas/") in schemas
        if isinstance(value.get("properties"), dict):
            assert all(isinstance(schema, dict) for schema in value["properties"].values())
        assert "nullable" not in value
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_each_response_has_a_description_and_a_schema(path, method, operation):
    for response in operation["responses"].values():
        assert response["description"]
        [media] = response["content"].values()
        assert media["schema"]
    has_key_errors = {"401", "429"} <= operation["responses"].keys()
    assert has_key_errors == bool(operation["security"]) == (path not in PUBLIC_PATHS)
    for requirement in operation["security"]:
        assert requirement.keys() <= openapi_document()["components"]["securitySchemes"].keys()


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_examples_and_defaults_are_valid(path, method, operation):
    for parameter in operation["parameters"]:
        assert parameter["required"] == (parameter["in"] == "path")
    for media in operation.get("requestBody", {"content": {}})["content"].values():
        validator(media["schema"]).validate(media["example"])
    for schema in subschemas(openapi_document()["components"]):
        for example in schema.get("examples", []):
            validator(schema).validate(example)
        if "default" in schema:
            validator(schema).validate(schema["default"])


def test_only_one_form_of_mlflow_s_protocol_may_be_in_a_body(block_group):
    [media] = openapi_document()["paths"]["/invocations"]["post"]["requestBody"]["content"].values()
    body_validator, rows = validator(media["schema"]), [block_group | {"ocean_proximity": 1}]
    for name in ("dataframe_records", "instances", "inputs"):
        assert body_validator.is_valid({name: rows, "params": {}})
        assert not body_validator.is_valid({name: None})
    assert not body_validator.is_valid({"instances": rows, "inputs": rows})
    assert not body_validator.is_valid({"instances": rows, "dataframe_split": {}})
    assert not body_validator.is_valid({"instances": [{"MedInc": 1}]})
    assert not body_validator.is_valid({})


def test_answers_are_as_the_document_says(api):
    """For the example, if there is a body; schemathesis sends what else the document allows."""
    prediction_id = ""
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{id}", prediction_id)
        send = api.get if endpoint.method == "GET" else partial(api.post, json=endpoint.example)
        response = send(path)
        operation = openapi_document()["paths"][endpoint.path][endpoint.method.lower()]
        [(media_type, media)] = operation["responses"]["200"]["content"].items()
        assert (response.status_code, response.mimetype) == (200, media_type)
        content = response.text if media_type == "text/plain" else response.json
        validator(media["schema"]).validate(content)
        prediction_id = content["id"] if endpoint.operation_id == "predict" else prediction_id


def test_refusals_are_as_the_document_says(api):
    for path, status in (("/predict", "422"), ("/invocations", "400"), ("/predictions/x", "404")):
        response = api.get(path) if "x" in path else api.post(path, json={})
        documented_path = path.replace("/x", "/{id}")
        [operation] = openapi_document()["paths"][documented_path].values()
        media = operation["responses"][status]["content"][response.mimetype]
        assert response.status_code == int(status)
        validator(media["schema"]).validate(response.json)
