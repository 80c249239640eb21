"""The services of compose.yaml, started here with its commands, settings and mounts."""

import contextlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
import yaml
from psycopg import sql

from housing.monitoring.verdict import write_verdict
from housing.paths import PROJECT_ROOT
from tests.conftest import register_candidate, train_candidates
from tests.support.monitoring_verdicts import FINE
from tests.support.processes import (
    free_port,
    managed_process,
    post_predict,
    running_service,
    wait_for_response,
)
from tests.test_compose import DASHBOARD, PANELS, SERVICES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed here"),
]
PASSWORD = "it's: 100% p@ss/word"  # no address could hold it
MODEL_NAME = "california-housing-sample"
ROW = {"MedInc": 8.3252, "HouseAge": 41, "AveRooms": 6.9841, "AveBedrms": 1.0238,
       "Population": 322, "AveOccup": 2.5556, "Latitude": 37.88, "Longitude": -122.23}  # fmt: skip
VARIABLES = {"$__rate_interval": "10s", "$instance": ".*", "$feature": "MedInc"}
QUERIES = {
    f"{panel['title']}, {target['refId']}": (target["expr"], target["legendFormat"])
    for panel in PANELS
    for target in panel["targets"]
} | {
    f"the annotation {annotation['name']}": (
        annotation["expr"],
        annotation["titleFormat"] + annotation["textFormat"],
    )
    for annotation in DASHBOARD["annotations"]["list"]
}


def localize(text, replacements):
    """Return a text of compose.yaml with this machine's paths and addresses, and the password."""
    for container_value, local_value in replacements.items():
        text = text.replace(container_value, str(local_value))
    return re.sub(r"\$\{POSTGRES_PASSWORD:\?.+?\}", lambda _: PASSWORD, text)


def service_environment(name, replacements):
    """Return the environment of a service, localized, with the defaults of unset variables."""
    return {
        key: re.sub(r"\$\{\w+:-(.*)\}", r"\1", localize(value, replacements))
        for key, value in SERVICES[name]["environment"].items()
    }


def service_command(name, replacements):
    """Return the command of a service, localized."""
    service = SERVICES[name]
    words = service.get("entrypoint", []) + service["command"]
    return [localize(word, replacements) for word in words]


def require_password(uri):
    """Give the database to the role mlflow, which needs a password, as the image's first start."""
    rules = ["local mlflow mlflow scram-sha-256", "local all all trust"]
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE mlflow LOGIN PASSWORD {}").format(PASSWORD))
        connection.execute("ALTER DATABASE mlflow OWNER TO mlflow")
        [file] = connection.execute("SHOW hba_file").fetchone()
        lines = sql.SQL("COPY (SELECT unnest({}::text[])) TO {}").format(rules, file)
        connection.execute(lines)
        connection.execute("SELECT pg_reload_conf()")


def write_prometheus_files(folder, app):
    """Write the mounted files, with intervals of a second, and with a target that is down."""
    for mount in SERVICES["prometheus"]["volumes"]:
        source, target, *_ = mount.split(":")
        if source[0] != ".":
            continue
        text = (PROJECT_ROOT / source).read_text().replace("app:8081", app.removeprefix("http://"))
        text = re.sub(r"interval: \w+", "interval: 1s", re.sub(r"for: \w+\n", "for: 0s\n", text))
        path = folder / target.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    config = folder / "etc" / "prometheus" / "prometheus.yml"
    settings = yaml.safe_load(config.read_text())
    down_target = {"targets": [f"127.0.0.1:{free_port()}"], "labels": {"instance": "away"}}
    settings["scrape_configs"][0]["static_configs"].append(down_target)
    config.write_text(yaml.safe_dump(settings))


def send_requests(app, stop_event):
    """Send rows, lists, a row far from the training data and an invalid row until the event."""
    while not stop_event.wait(0.3):
        post_predict(app, ROW)
        post_predict(app, [ROW, {**ROW, "Population": 30_000}])
        with contextlib.suppress(urllib.error.HTTPError):
            post_predict(app, {**ROW, "HouseAge": -1})


@pytest.fixture(scope="module")
def stack(create_postgres_database, tmp_path_factory):
    """Run all services but Grafana, with a champion in MLflow and clients that send requests."""
    folder = tmp_path_factory.mktemp("stack")
    for name in ("empty", "app"):
        (folder / name).mkdir()
    database = create_postgres_database("mlflow").replace("+psycopg", "")
    require_password(database)
    port, prometheus = free_port(), f"127.0.0.1:{free_port()}"
    mlflow = f"127.0.0.1:{port}"
    replacements = {"@postgres/mlflow": "@" + database.split("@")[1], "/srv/housing/var": folder}
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    mlflow_command = service_command("mlflow", {"0.0.0.0": "127.0.0.1", "5000": port})
    environment = inherited | service_environment("mlflow", replacements)
    with (
        managed_process(
            sys.executable, "-m", *mlflow_command, env=environment, cwd=folder / "empty"
        ),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("HOUSING_HOME", str(folder / "trainer"))
        patch.setenv("MLFLOW_TRACKING_URI", f"http://{mlflow}")
        wait_for_response(f"http://{mlflow}/health")
        register_candidate(train_candidates(["tree"], rows=1_000, trials=1), "tree")
        verdict = replace(FINE, created_at=datetime.now(UTC).isoformat())
        write_verdict(folder / "app" / "var" / "monitoring" / "verdict.json", verdict)
        with running_service(
            folder / "app", **service_environment("app", {"mlflow:5000": mlflow})
        ) as app:
            wait_for_response(f"{app}/ready")
            write_prometheus_files(folder, app)
            replacements = {"=/etc": f"={folder}/etc", "=/p": f"={folder}/p"}
            prometheus_command = service_command("prometheus", replacements)
            prometheus_command += [f"--web.listen-address={prometheus}"]
            stop_event = threading.Event()
            client_thread = threading.Thread(target=send_requests, args=(app, stop_event))
            with managed_process("prometheus", *prometheus_command, stderr=subprocess.DEVNULL):
                wait_for_response(f"http://{prometheus}/-/ready")
                client_thread.start()
                yield SimpleNamespace(app=app, mlflow=mlflow, prometheus=f"http://{prometheus}",
                                      database=database, folder=folder)  # fmt: skip
                stop_event.set()
                client_thread.join()


def query_prometheus(stack, path, **parameters):
    """Return the data of a page of Prometheus' API; fail the test if it refuses the query."""
    url = f"{stack.prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
    try:
        return json.loads(wait_for_response(url, 0))["data"]
    except urllib.error.HTTPError as error:
        pytest.fail(error.read().decode())


def poll(query, condition, seconds=20):
    """Repeat a query until its result meets the condition; return the last result."""
    deadline = time.monotonic() + seconds
    while not condition(result := query()) and time.monotonic() < deadline:
        time.sleep(0.3)
    return result


def test_a_prediction_comes_from_the_champion_in_mlflow(stack):
    answer = post_predict(stack.app, ROW)
    assert (answer["model"], answer["model_version"]) == (MODEL_NAME, "1")
    assert list((stack.folder / "artifacts").rglob("model.onnx"))
    assert not list((stack.folder / "empty").iterdir())  # MLflow's root is read-only


def test_mlflow_answers_to_its_own_host_names_alone(stack):
    def status(host):
        request = urllib.request.Request(
            f"http://{stack.mlflow}/api/2.0/mlflow/experiments/get-by-name?experiment_name=none",
            headers={"Host": host},
        )
        try:
            return urllib.request.urlopen(request, timeout=10).status
        except urllib.error.HTTPError as error:
            return error.code

    hosts = ("mlflow:5000", "localhost:5000", "127.0.0.1:5000")
    assert {status(host) for host in hosts} == {404}  # there is no such experiment
    assert status("elsewhere.example") == 403


def test_the_database_requires_the_password_and_no_command_line_shows_it(stack):
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(stack.database.replace("me:hush@", "mlflow@"))
    files = Path("/proc").glob("[0-9]*/cmdline")
    command_lines = [file.read_bytes() for file in files if file.exists()]
    assert any(b"mlflow" in line for line in command_lines)
    assert not [line for line in command_lines if PASSWORD.encode() in line]


def test_mlflow_s_health_check_fails_where_no_server_answers(stack):
    [kind, _, *check] = SERVICES["mlflow"]["healthcheck"]["test"]
    assert kind == "CMD"
    port = stack.mlflow.split(":")[1]
    for checked_port, code in ((port, 0), (str(free_port()), 1)):
        arguments = [argument.replace("5000", checked_port) for argument in check]
        completed = subprocess.run([sys.executable, *arguments], stderr=subprocess.DEVNULL)
        assert completed.returncode == code


def test_prometheus_evaluates_every_rule_and_alerts_for_a_target_that_is_down(stack):
    def rules():
        return [
            rule for group in query_prometheus(stack, "rules")["groups"] for rule in group["rules"]
        ]

    evaluated = poll(rules, lambda rules: all(rule["health"] == "ok" for rule in rules))
    alerts_file = yaml.safe_load((PROJECT_ROOT / "app" / "prometheus" / "alerts.yml").read_text())
    assert len(evaluated) == sum(len(group["rules"]) for group in alerts_file["groups"])
    errors = [rule.get("lastError") for rule in evaluated]
    assert {rule["health"] for rule in evaluated} == {"ok"}, errors

    def alerts():
        firing = query_prometheus(stack, "query", query='ALERTS{alertstate="firing"}')["result"]
        return {(alert["metric"]["alertname"], alert["metric"]["instance"]) for alert in firing}

    assert poll(alerts, bool) == {("HousingDown", "away")}


@pytest.mark.parametrize("title", QUERIES)
def test_a_query_of_the_dashboard_has_a_result(stack, title):
    expression, legend = QUERIES[title]
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression.replace('"$1"', "")

    def finite(samples):
        return [sample for sample in samples if math.isfinite(float(sample["value"][1]))]

    samples = poll(lambda: query_prometheus(stack, "query", query=expression)["result"], finite)
    assert finite(samples), samples
    for sample in samples:
        assert set(re.findall(r"{{(\w+)}}", legend)) <= set(sample["metric"]), (
            "a label of the legend is missing"
        )


def test_the_dashboard_s_variables_have_their_values(stack):
    queries = {
        variable["name"]: variable["query"]["query"] for variable in DASHBOARD["templating"]["list"]
    }
    assert {f"${name}" for name in queries} == set(VARIABLES) - {"$__rate_interval"}
    values = {}
    for name, query in queries.items():
        series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()
        values[name] = query_prometheus(stack, f"label/{label}/values", **{"match[]": series})
    assert values["instance"] == ["127.0.0.1:8081", "away"]
    assert set(values["feature"]) == set(ROW)
