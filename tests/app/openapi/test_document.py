"""The OpenAPI document: valid, complete, and true of what the service answers."""

import re
from functools import partial
from pathlib import Path

import openapi_spec_validator
import pytest
import schemathesis
from openapi_schema_validator import OAS30ReadValidator

from app import create_app
from app.auth.api_keys import PUBLIC_PATHS
from app.codecs import tables
from app.messages import JSON_MEDIA_TYPE
from app.openapi.document import openapi_document
from app.openapi.endpoints import ENDPOINTS, EXAMPLE_FEEDBACK
from housing.monitoring.verdict import write_verdict
from tests.support.monitoring_verdicts import RETRAIN

PAGE_BLUEPRINTS = ("pages", "reports", "static", "swagger_ui")  # for people, in HTML
OPERATIONS = [
    pytest.param(path, method, operation, id=operation["operationId"])
    for path, operations in openapi_document()["paths"].items()
    for method, operation in operations.items()
]


def validator(schema):
    """Return a validator of a schema that may refer to the document's components."""
    return OAS30ReadValidator(schema | {"components": openapi_document()["components"]})


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


def test_the_document_is_valid_and_of_a_version_that_all_generators_read():
    schemathesis.openapi.from_dict(openapi_document()).validate()
    openapi_spec_validator.validate(openapi_document())
    assert openapi_document()["openapi"] == "3.0.3"


def test_operations_have_ids_of_their_own_that_are_names():
    ids = [row.operation_id for row in ENDPOINTS]
    assert len(set(ids)) == len(ids)
    assert all(operation_id.isidentifier() for operation_id in ids)


def test_no_schema_has_what_generators_of_clients_reject():
    """Schemas that are true or false, and the words that are new in OpenAPI 3.1."""
    for value in subschemas(openapi_document()):
        assert not {"const", "examples", "prefixItems", "$defs", "contentMediaType"} & value.keys()
        assert value.get("type") != "null"
        assert not isinstance(value.get("type"), list)
        assert not isinstance(value.get("items"), bool)
        if isinstance(value.get("properties"), dict):
            assert all(isinstance(schema, dict) for schema in value["properties"].values())


def test_each_tag_of_an_operation_is_described():
    described = {tag["name"] for tag in openapi_document()["tags"] if tag["description"]}
    assert described == {row.tag for row in ENDPOINTS}


def test_a_field_that_may_be_absent_is_never_null_and_the_reverse():
    schemas = openapi_document()["components"]["schemas"]
    prediction, logged = schemas["Prediction"], schemas["LoggedPrediction"]
    assert "low" not in prediction["required"]
    assert prediction["properties"]["low"].keys() == {"type", "description"}
    assert "low" in logged["required"]
    assert logged["properties"]["low"] == {"type": "number", "nullable": True}


def test_the_bodies_are_those_that_the_service_takes():
    """The service names the formats that it takes when it refuses another one."""
    paths = openapi_document()["paths"]
    for path in ("/predict", "/invocations", "/feedback"):
        content = paths[path]["post"]["requestBody"]["content"]
        assert [*content] == [JSON_MEDIA_TYPE, *tables.TABLE_FORMATS]
    answers = paths["/predict"]["post"]["responses"]["200"]["content"]
    assert [*answers] == [JSON_MEDIA_TYPE, *tables.TABLE_FORMATS]


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_each_response_has_a_description_and_a_schema(path, method, operation):
    for response in operation["responses"].values():
        assert response["description"]
        assert response["headers"]["X-Request-ID"]["required"]
        assert all(media["schema"] for media in response["content"].values())
    has_key_errors = {"401", "429"} <= operation["responses"].keys()
    assert has_key_errors == bool(operation["security"]) == (path not in PUBLIC_PATHS)
    for requirement in operation["security"]:
        assert requirement.keys() <= openapi_document()["components"]["securitySchemes"].keys()


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_examples_and_defaults_are_valid(path, method, operation):
    for parameter in operation["parameters"]:
        assert parameter["required"] == (parameter["in"] == "path")
    for media in operation.get("requestBody", {"content": {}})["content"].values():
        if media["schema"].get("format") != "binary":
            validator(media["schema"]).validate(media["example"])
    for schema in subschemas(openapi_document()["components"]):
        for value in (schema[name] for name in ("example", "default") if name in schema):
            validator(schema).validate(value)


def test_only_one_form_of_mlflow_s_protocol_may_be_in_a_body(block_group):
    body = openapi_document()["paths"]["/invocations"]["post"]["requestBody"]
    body_validator = validator(body["content"][JSON_MEDIA_TYPE]["schema"])
    rows = [block_group | {"ocean_proximity": 1}]
    for name in ("dataframe_records", "instances", "inputs"):
        assert body_validator.is_valid({name: rows, "params": {}})
        assert not body_validator.is_valid({name: None})
    assert not body_validator.is_valid({"instances": rows, "inputs": rows})
    assert not body_validator.is_valid({"instances": [{"MedInc": 1}]})
    assert not body_validator.is_valid({})


def test_answers_are_as_the_document_says(api):
    """For each example; schemathesis sends what else the document allows."""
    write_verdict(Path(api.settings["VERDICT"]), RETRAIN)
    prediction_id = ""
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{id}", prediction_id)
        body = example(endpoint) if endpoint.request else None
        if endpoint.path == "/feedback":
            body = body | {"id": prediction_id}
        send = api.get if endpoint.method == "GET" else partial(api.post, json=body)
        response = send(path)
        check_response(endpoint, response, endpoint.success)
        prediction_id = response.json["id"] if endpoint.path == "/predict" else prediction_id
    Path(api.settings["VERDICT"]).unlink()


def test_answers_to_tables_are_as_the_document_says(api, block_group):
    prediction_id = api.post("/predict", json=block_group).json["id"]
    for endpoint in ENDPOINTS:
        if endpoint.request:
            csv = endpoint.examples[tables.CSV_MEDIA_TYPE]
            csv = csv.replace(EXAMPLE_FEEDBACK["id"], prediction_id).encode()
            response = api.post(endpoint.path, csv, tables.CSV_MEDIA_TYPE)
            check_response(endpoint, response, endpoint.success)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/predict", 422),
        ("/invocations", 400),
        ("/predictions/{id}", 404),
        ("/feedback", 422),
        ("/monitoring", 404),
    ],
)
def test_refusals_are_as_the_document_says(api, path, status):
    [endpoint] = [row for row in ENDPOINTS if row.path == path]
    response = api.post(path, json={}) if endpoint.request else api.get(path.format(id="x"))
    check_response(endpoint, response, status)


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/model", "/ready"])
def test_a_service_without_a_model_answers_as_the_document_says(start_api, tmp_path, path):
    api = start_api(SERVING=str(tmp_path / "nothing"))
    [endpoint] = [row for row in ENDPOINTS if row.path == path]
    response = api.post(path, json=example(endpoint)) if endpoint.request else api.get(path)
    check_response(endpoint, response, 503)


def example(endpoint):
    """Return the JSON example of an endpoint's request."""
    return endpoint.examples[JSON_MEDIA_TYPE]


def check_response(endpoint, response, status):
    """Fail if a response is not of that status, or is not one that the document describes."""
    operation = openapi_document()["paths"][endpoint.path][endpoint.method.lower()]
    documented = operation["responses"][str(status)]
    assert response.status_code == status
    assert all(response.headers.get(name) for name in documented["headers"])
    media = documented["content"][response.mimetype]
    is_json = response.mimetype.endswith("json")
    validator(media["schema"]).validate(response.json if is_json else response.text)
