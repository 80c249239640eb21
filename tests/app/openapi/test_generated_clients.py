"""Clients that two generators make of `/openapi.json`, used with a service that runs.

openapi-python-client is written in Python, for Python; openapi-generator is the most used one, in
Java, for 60 languages.
"""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.auth.api_keys import hash_key
from app.codecs.tables import TABLE_FORMATS
from app.openapi.endpoints import ENDPOINTS
from tests.support.api_client import run_server, state_settings

pytestmark = pytest.mark.slow

API_KEY = "a key of 32 random bytes"
PYTHON_CLIENT, GENERATOR_CLIENT = "client_by_openapi_python_client", "client_by_openapi_generator"
TOO_OLD = {"HouseAge": 101.0}


@pytest.fixture(scope="module")
def open_url(served_champion, tmp_path_factory):
    """The address of a service that needs no API key."""
    settings = state_settings(tmp_path_factory.mktemp("open"), served_champion.folder)
    with run_server(settings) as started_settings:
        yield f"http://127.0.0.1:{started_settings['PORT']}"


@pytest.fixture(scope="module")
def protected_url(served_champion, tmp_path_factory):
    """The address of a service that needs API_KEY."""
    settings = state_settings(tmp_path_factory.mktemp("protected"), served_champion.folder)
    keys = [{"name": "ann", "sha256": hash_key(API_KEY), "per_minute": 0}]
    Path(settings["KEYS"]).write_text(json.dumps(keys))
    with run_server(settings) as started_settings:
        yield f"http://127.0.0.1:{started_settings['PORT']}"


def generate(*command):
    """Run a generator of this environment; return what it printed. Fails if the generator does."""
    folder = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    completed = subprocess.run(
        [folder / command[0], *command[1:]], env=environment, capture_output=True, text=True
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout + completed.stderr


@pytest.fixture(scope="module")
def generated(open_url, tmp_path_factory):
    """The folder in which both clients are, importable, and what the generators printed."""
    folder = tmp_path_factory.mktemp("clients")
    document = f"{open_url}/openapi.json"
    outputs = {
        PYTHON_CLIENT: generate(
            "openapi-python-client", "generate", "--url", document, "--meta", "none",
            "--output-path", folder / PYTHON_CLIENT,
        ),
        GENERATOR_CLIENT: generate(
            "openapi-generator-cli", "generate", "-i", document, "-g", "python",
            "--package-name", GENERATOR_CLIENT, "-o", folder,
        ),
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield SimpleNamespace(folder=folder, outputs=outputs)


@pytest.fixture(scope="module")
def python_client(generated):
    """The client of openapi-python-client: its classes, and a module for each operation."""
    api = f"{PYTHON_CLIENT}.api"
    operations = {
        row.operation_id: importlib.import_module(f"{api}.{row.tag}.{row.operation_id}")
        for row in ENDPOINTS
    }
    classes = vars(importlib.import_module(PYTHON_CLIENT))
    models = vars(importlib.import_module(f"{PYTHON_CLIENT}.models"))
    return SimpleNamespace(**(classes | models | operations))


@pytest.fixture(scope="module")
def generator_client(generated):
    """The client of openapi-generator: its classes."""
    return importlib.import_module(GENERATOR_CLIENT)


def test_the_generators_reject_nothing_but_formats_of_bodies_that_they_do_not_know(generated):
    output = generated.outputs[PYTHON_CLIENT]
    unsupported = re.findall(r"Unsupported content type (\S+)", output)
    assert set(unsupported) == set(TABLE_FORMATS)
    assert output.count("WARNING parsing") == len(unsupported)
    assert "ERROR" not in output
    assert not re.search("ERROR|Exception|3.1", generated.outputs[GENERATOR_CLIENT])


def test_openapi_python_client_predicts_and_finds_the_prediction(
    python_client, open_url, block_group
):
    client = python_client.Client(open_url, raise_on_unexpected_status=True)
    row = python_client.BlockGroup.from_dict(block_group)
    prediction = python_client.predict.sync(
        client=client, body=row, explain=True, x_request_id="mine"
    )
    assert isinstance(prediction, python_client.Prediction)
    assert prediction.low <= prediction.prediction <= prediction.high
    assert "MedInc" in prediction.contributions_usd
    answer = python_client.predict.sync(client=client, body=[row, row])
    assert [each.prediction for each in answer.predictions] == [prediction.prediction] * 2
    logged = python_client.get_prediction.sync(prediction.id, client=client)
    assert (logged.prediction, logged.caller_id) == (prediction.prediction, "mine")
    assert logged.input_ == block_group
    recent = python_client.list_predictions.sync(client=client, limit=1, request_id="mine")
    assert [each.id for each in recent.predictions] == [prediction.id]
    rows = python_client.InvocationRecords([python_client.BlockGroupRow.from_dict(block_group)])
    assert python_client.invoke.sync(client=client, body=rows).predictions == [
        prediction.prediction
    ]
    row = python_client.Feedback(id=prediction.id, truth_usd=452_600.0)
    assert python_client.send_feedback.sync(client=client, body=[row]).accepted == 1
    logged = python_client.get_prediction.sync(prediction.id, client=client)
    assert [(each.truth, each.superseded_at) for each in logged.feedback] == [(4.526, None)]
    assert python_client.ready.sync(client=client).model == prediction.model
    assert python_client.get_model.sync(client=client).version == prediction.model_version


def test_openapi_python_client_returns_a_refusal_with_its_type(
    python_client, open_url, block_group
):
    client = python_client.Client(open_url, raise_on_unexpected_status=True)
    row = python_client.BlockGroup.from_dict(block_group | TOO_OLD)
    response = python_client.predict.sync_detailed(client=client, body=[row])
    assert (response.status_code, response.headers["X-Request-ID"]) == (422, response.parsed.id)
    assert isinstance(response.parsed, python_client.ProblemDetails)
    assert [(error.field, error.row) for error in response.parsed.errors] == [("HouseAge", 0)]
    assert python_client.get_prediction.sync("nothing", client=client).status == 404


def test_openapi_python_client_sends_an_api_key(python_client, protected_url, block_group):
    row = python_client.BlockGroup.from_dict(block_group)
    without_key = python_client.Client(protected_url, raise_on_unexpected_status=True)
    assert python_client.predict.sync(client=without_key, body=row).status == 401
    assert python_client.ready.sync(client=without_key).status == "ready"
    for options in ({}, {"prefix": "", "auth_header_name": "X-API-Key"}):
        client = python_client.AuthenticatedClient(protected_url, API_KEY, **options)
        assert python_client.predict.sync(client=client, body=row).prediction_usd > 0


def test_openapi_generator_predicts_and_finds_the_prediction(
    generator_client, open_url, block_group
):
    api_client = generator_client.ApiClient(generator_client.Configuration(open_url))
    api = generator_client.PredictionsApi(api_client)
    row = generator_client.BlockGroup.from_dict(block_group)
    request = generator_client.PredictRequest(row)
    prediction = api.predict(request, explain=True, x_request_id="mine").actual_instance
    assert isinstance(prediction, generator_client.Prediction)
    assert prediction.low <= prediction.prediction <= prediction.high
    assert "MedInc" in prediction.contributions_usd
    answer = api.predict(generator_client.PredictRequest([row, row])).actual_instance
    assert [each.prediction for each in answer.predictions] == [prediction.prediction] * 2
    logged = api.get_prediction(prediction.id)
    assert (logged.prediction, logged.caller_id) == (prediction.prediction, "mine")
    assert logged.input == block_group
    recent = api.list_predictions(limit=1, request_id="mine")
    assert [each.id for each in recent.predictions] == [prediction.id]
    rows = [generator_client.BlockGroupRow.from_dict(block_group)]
    records = generator_client.InvocationRecords(dataframe_records=rows)
    answer = api.invoke(generator_client.InvokeRequest(records))
    assert answer.predictions == [prediction.prediction]
    row = generator_client.Feedback(id=prediction.id, truth_usd=452_600.0)
    request = generator_client.SendFeedbackRequest([row])
    assert api.send_feedback(request).accepted == 1
    assert api.get_prediction(prediction.id).truth == 4.526
    assert generator_client.OperationsApi(api_client).ready().model == prediction.model
    assert generator_client.ModelApi(api_client).get_model().version == prediction.model_version


def test_openapi_generator_raises_a_refusal_with_its_type(generator_client, open_url, block_group):
    api_client = generator_client.ApiClient(generator_client.Configuration(open_url))
    api = generator_client.PredictionsApi(api_client)
    row = generator_client.BlockGroup.model_construct(None, **block_group | TOO_OLD)
    request = generator_client.PredictRequest.model_construct(actual_instance=row)
    with pytest.raises(generator_client.ApiException) as refusal:
        api.predict(request)
    assert isinstance(refusal.value.data, generator_client.ProblemDetails)
    assert refusal.value.status == refusal.value.data.status == 422
    assert refusal.value.headers["X-Request-ID"] == refusal.value.data.id
    assert [error.var_field for error in refusal.value.data.errors] == ["HouseAge"]
    with pytest.raises(generator_client.ApiException) as refusal:
        api.get_prediction("nothing")
    assert refusal.value.data.status == 404


def test_openapi_generator_sends_an_api_key(generator_client, protected_url, block_group):
    request = generator_client.PredictRequest(generator_client.BlockGroup.from_dict(block_group))
    without_key = generator_client.ApiClient(generator_client.Configuration(protected_url))
    with pytest.raises(generator_client.ApiException) as refusal:
        generator_client.PredictionsApi(without_key).predict(request)
    assert refusal.value.data.status == 401
    assert generator_client.OperationsApi(without_key).ready().status == "ready"
    for credentials in ({"api_key": {"apiKey": API_KEY}}, {"access_token": API_KEY}):
        configuration = generator_client.Configuration(protected_url, **credentials)
        api = generator_client.PredictionsApi(generator_client.ApiClient(configuration))
        assert api.predict(request).actual_instance.prediction_usd > 0
