"""compose.yaml's services, started by hand with the commands, settings and mounts that it says."""

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
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
import yaml
from psycopg import sql

from housing.paths import PROJECT_ROOT
from tests.conftest import register_candidate, train_candidates
from tests.system.conftest import (
    free_port,
    managed_process,
    post_predict,
    running_service,
    wait_for_response,
)
from tests.test_compose import BOARD, PANELS, SERVICES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed here"),
]
PASSWORD = "it's: 100% p@ss/word"  # no address could hold it
NAME = "california-housing-sample"
ROW = {"MedInc": 8.3252, "HouseAge": 41, "AveRooms": 6.9841, "AveBedrms": 1.0238,
       "Population": 322, "AveOccup": 2.5556, "Latitude": 37.88, "Longitude": -122.23}  # fmt: skip
VARIABLES = {"$__rate_interval": "10s", "$instance": ".*", "$feature": "MedInc"}
QUESTIONS = {
    f"{one['title']}, {it['refId']}": (it["expr"], it["legendFormat"])
    for one in PANELS
    for it in one["targets"]
} | {
    f"the annotation {one['name']}": (one["expr"], one["titleFormat"] + one["textFormat"])
    for one in BOARD["annotations"]["list"]
}


def swapped(told, places):
    """A text of compose.yaml, with this machine's places for the containers'."""
    for theirs, ours in places.items():
        told = told.replace(theirs, str(ours))
    return re.sub(r"\$\{POSTGRES_PASSWORD:\?.+?\}", lambda _: PASSWORD, told)


def settings(name, places):
    found = SERVICES[name]["environment"].items()
    return {key: re.sub(r"\$\{\w+:-(.*)\}", r"\1", swapped(it, places)) for key, it in found}


def command(name, places):
    one = SERVICES[name]
    return [swapped(it, places) for it in one.get("entrypoint", []) + one["command"]]


def let_in_with_password_alone(uri):
    """The database's owner is mlflow, as the image's first start makes it."""
    rules = ["local mlflow mlflow scram-sha-256", "local all all trust"]
    with psycopg.connect(uri, autocommit=True) as to:
        to.execute(sql.SQL("CREATE ROLE mlflow LOGIN PASSWORD {}").format(PASSWORD))
        to.execute("ALTER DATABASE mlflow OWNER TO mlflow")
        [file] = to.execute("SHOW hba_file").fetchone()
        lines = sql.SQL("COPY (SELECT unnest({}::text[])) TO {}").format(rules, file)
        to.execute(lines)
        to.execute("SELECT pg_reload_conf()")


def prometheus_folder(folder, app):
    """What is mounted, but each second, and with a target that is away."""
    for mount in SERVICES["prometheus"]["volumes"]:
        source, target, *_ = mount.split(":")
        if source[0] != ".":
            continue
        said = (PROJECT_ROOT / source).read_text().replace("app:8081", app.removeprefix("http://"))
        said = re.sub(r"interval: \w+", "interval: 1s", re.sub(r"for: \w+\n", "for: 0s\n", said))
        made = folder / target.removeprefix("/")
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(said)
    config = folder / "etc" / "prometheus" / "prometheus.yml"
    told = yaml.safe_load(config.read_text())
    away = {"targets": [f"127.0.0.1:{free_port()}"], "labels": {"instance": "away"}}
    told["scrape_configs"][0]["static_configs"].append(away)
    config.write_text(yaml.safe_dump(told))


def keep_asking(app, over):
    """What clients ask: rows, a list, a row far from all, and a mistake."""
    while not over.wait(0.3):
        post_predict(app, ROW)
        post_predict(app, [ROW, {**ROW, "Population": 30_000}])
        with contextlib.suppress(urllib.error.HTTPError):
            post_predict(app, {**ROW, "HouseAge": -1})


@pytest.fixture(scope="module")
def stack(create_postgres_database, tmp_path_factory):
    """All but Grafana: MLflow, in which a champion was registered, the app, and Prometheus."""
    folder = tmp_path_factory.mktemp("stack")
    for name in ("empty", "app"):
        (folder / name).mkdir()
    database = create_postgres_database("mlflow").replace("+psycopg", "")
    let_in_with_password_alone(database)
    port, listens = free_port(), f"127.0.0.1:{free_port()}"
    mlflow = f"127.0.0.1:{port}"
    kept = {"@postgres/mlflow": "@" + database.split("@")[1], "/srv/housing/var": folder}
    plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    asked = command("mlflow", {"0.0.0.0": "127.0.0.1", "5000": port})
    told = plain | settings("mlflow", kept)
    with (
        managed_process(sys.executable, "-m", *asked, env=told, cwd=folder / "empty"),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("HOUSING_HOME", str(folder / "trainer"))
        patch.setenv("MLFLOW_TRACKING_URI", f"http://{mlflow}")
        wait_for_response(f"http://{mlflow}/health")
        register_candidate(train_candidates(["tree"], rows=1_000, trials=1), "tree")
        with running_service(folder / "app", **settings("app", {"mlflow:5000": mlflow})) as app:
            wait_for_response(f"{app}/ready")
            prometheus_folder(folder, app)
            asked = command("prometheus", {"=/etc": f"={folder}/etc", "=/p": f"={folder}/p"})
            asked += [f"--web.listen-address={listens}"]
            over = threading.Event()
            asks = threading.Thread(target=keep_asking, args=(app, over))
            with managed_process("prometheus", *asked, stderr=subprocess.DEVNULL):
                wait_for_response(f"http://{listens}/-/ready")
                asks.start()
                yield SimpleNamespace(app=app, mlflow=mlflow, prometheus=f"http://{listens}",
                                      database=database, folder=folder)  # fmt: skip
                over.set()
                asks.join()


def answered(stack, path, **parameters):
    url = f"{stack.prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
    try:
        return json.loads(wait_for_response(url, 0))["data"]
    except urllib.error.HTTPError as failed:
        pytest.fail(failed.read().decode())


def until(asked, holds, seconds=20):
    """What is asked again until it holds, or the last of it."""
    end = time.monotonic() + seconds
    while not holds(found := asked()) and time.monotonic() < end:
        time.sleep(0.3)
    return found


def test_a_prediction_comes_from_the_champion_that_mlflow_keeps(stack):
    answer = post_predict(stack.app, ROW)
    assert (answer["model"], answer["model_version"]) == (NAME, "1")
    assert list((stack.folder / "artifacts").rglob("model.onnx"))
    assert not list((stack.folder / "empty").iterdir())  # MLflow's root is read-only


def test_mlflow_answers_to_its_name_and_to_no_other(stack):
    def status(host):
        asked = urllib.request.Request(
            f"http://{stack.mlflow}/api/2.0/mlflow/experiments/get-by-name?experiment_name=none",
            headers={"Host": host},
        )
        try:
            return urllib.request.urlopen(asked, timeout=10).status
        except urllib.error.HTTPError as refused:
            return refused.code

    names = ("mlflow:5000", "localhost:5000", "127.0.0.1:5000")
    assert {status(one) for one in names} == {404}  # there is no such experiment
    assert status("elsewhere.example") == 403


def test_the_database_wants_the_password_and_no_command_line_shows_it(stack):
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(stack.database.replace("me:hush@", "mlflow@"))
    lines = [one.read_bytes() for one in Path("/proc").glob("[0-9]*/cmdline") if one.exists()]
    assert any(b"mlflow" in one for one in lines)
    assert not [one for one in lines if PASSWORD.encode() in one]


def test_mlflow_s_health_check_tells_whether_it_answers(stack):
    [kind, _, *check] = SERVICES["mlflow"]["healthcheck"]["test"]
    assert kind == "CMD"
    port = stack.mlflow.split(":")[1]
    for there, code in ((port, 0), (str(free_port()), 1)):
        asked = [one.replace("5000", there) for one in check]
        assert (
            subprocess.run([sys.executable, *asked], stderr=subprocess.DEVNULL).returncode == code
        )


def test_prometheus_evaluates_every_rule_and_wakes_somebody_for_what_is_away(stack):
    def rules():
        return [one for group in answered(stack, "rules")["groups"] for one in group["rules"]]

    found = until(rules, lambda them: all(one["health"] == "ok" for one in them))
    written = yaml.safe_load((PROJECT_ROOT / "app" / "prometheus" / "alerts.yml").read_text())
    assert len(found) == sum(len(group["rules"]) for group in written["groups"])
    assert {one["health"] for one in found} == {"ok"}, [one.get("lastError") for one in found]

    def alerts():
        them = answered(stack, "query", query='ALERTS{alertstate="firing"}')["result"]
        return {(one["metric"]["alertname"], one["metric"]["instance"]) for one in them}

    assert until(alerts, bool) == {("HousingDown", "away")}


@pytest.mark.parametrize("title", QUESTIONS)
def test_the_dashboard_s_question_has_an_answer(stack, title):
    expression, legend = QUESTIONS[title]
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression.replace('"$1"', "")

    def finite(them):
        return [one for one in them if math.isfinite(float(one["value"][1]))]

    found = until(lambda: answered(stack, "query", query=expression)["result"], finite)
    assert finite(found), found
    for one in found:
        assert set(re.findall(r"{{(\w+)}}", legend)) <= set(one["metric"]), (
            "a legend without a name"
        )


def test_the_dashboard_s_lists_have_their_values(stack):
    listed = {one["name"]: one["query"]["query"] for one in BOARD["templating"]["list"]}
    assert {f"${name}" for name in listed} == set(VARIABLES) - {"$__rate_interval"}
    found = {}
    for name, asked in listed.items():
        series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", asked).groups()
        found[name] = answered(stack, f"label/{label}/values", **{"match[]": series})
    assert found["instance"] == ["127.0.0.1:8081", "away"]
    assert set(found["feature"]) == set(ROW)
