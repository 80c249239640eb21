"""What compose.yaml and the dashboard promise, as far as their text tells."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from housing.paths import PROJECT_ROOT

TEXT = (PROJECT_ROOT / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
BOARD = json.loads(
    (PROJECT_ROOT / "deploy" / "grafana" / "dashboards" / "housing.json").read_text()
)
PANELS = [one for one in BOARD["panels"] if one["type"] != "row"]
ALERTS = {
    rule["alert"]: rule["expr"]
    for group in yaml.safe_load((PROJECT_ROOT / "app/prometheus/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_reached_from_this_machine_alone_and_may_do_little(name):
    one = SERVICES[name]
    assert all(port.startswith("127.0.0.1:") for port in one.get("ports", []))
    assert one["read_only"] or name == "pipeline"  # which ends, and is reached by nobody
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in one
    assert one["mem_limit"]
    assert {"max-size", "max-file"} <= set(one["logging"]["options"])


def test_only_mlflow_reaches_the_database():
    on_it = {name for name, one in SERVICES.items() if "store" in one.get("networks", [])}
    assert on_it == {"mlflow", "postgres"}
    assert SERVICES["postgres"]["networks"] == ["store"]
    assert COMPOSE["networks"]["store"] == {"internal": True}
    assert "ports" not in SERVICES["postgres"]


def test_an_image_is_built_once():
    """Of two that build the same at once Compose lets one fail."""
    built = [one["image"] for one in SERVICES.values() if "build" in one]
    assert len(set(built)) == len(built) == 2


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_of_others_is_one_version(name):
    ours = {one["image"] for one in SERVICES.values() if "build" in one}
    if SERVICES[name]["image"] not in ours:
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+[.\w-]*", SERVICES[name]["image"])


def test_a_password_comes_from_the_environment_and_has_no_default():
    secrets = {
        f"{name}.{key}": value
        for name, one in SERVICES.items()
        for key, value in one.get("environment", {}).items()
        if re.search("PASSWORD|SECRET|TOKEN|KEY$", key)
    }
    assert set(secrets) == {"mlflow.PGPASSWORD", "postgres.POSTGRES_PASSWORD"}
    assert all(re.fullmatch(r"\$\{POSTGRES_PASSWORD:\?.+\}", one) for one in secrets.values())
    assert not re.search(r"//\w+:.+@", TEXT)  # none in an address, which is shown and logged
    grafana = SERVICES["grafana"]["environment"]
    assert grafana["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert grafana["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_what_compose_reads_is_told_and_stays_out_of_git():
    told = (PROJECT_ROOT / ".env.example").read_text()
    read = set(re.findall(r"\$\{(\w+)", TEXT))
    assert set(re.findall(r"^#?([A-Z_]+)=", told, re.MULTILINE)) == read
    assert re.search(r"^POSTGRES_PASSWORD=$", told, re.MULTILINE)
    if shutil.which("git") and (PROJECT_ROOT / ".git").exists():
        ignored = ["git", "check-ignore", "--quiet", ".env"]
        assert subprocess.run(ignored, cwd=PROJECT_ROOT).returncode == 0


def test_the_readme_s_line_makes_a_password_that_only_its_owner_reads(tmp_path):
    [line] = re.findall(r"^\(umask .*\)", (PROJECT_ROOT / "README.md").read_text(), re.MULTILINE)
    subprocess.run(["bash", "-c", line], cwd=tmp_path, check=True)
    assert re.fullmatch(r"POSTGRES_PASSWORD=[0-9a-f]{48}\n", (tmp_path / ".env").read_text())
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0


def test_what_is_mounted_is_there():
    mounts = [one.split(":") for it in SERVICES.values() for one in it.get("volumes", [])]
    for source, *_ in mounts:
        assert (
            (PROJECT_ROOT / source).exists() if source[0] == "." else source in COMPOSE["volumes"]
        )


def test_a_panel_says_what_is_normal_and_its_unit_and_where_it_is():
    assert len({one["id"] for one in BOARD["panels"]}) == len(BOARD["panels"])
    taken = set()
    for one in PANELS:
        assert one["description"].endswith("."), one["title"]
        assert one["datasource"] == {"type": "prometheus", "uid": "prometheus"}
        assert all(it["expr"] and it["legendFormat"] for it in one["targets"]), one["title"]
        shown = (
            one["options"]["yAxis"] if one["type"] == "heatmap" else one["fieldConfig"]["defaults"]
        )
        assert "unit" in shown or one["type"] == "stat", one["title"]
        at = one["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, f"{one['title']} lies over another"
        taken |= cells


def test_the_panels_limits_are_the_alerts():
    named = set()
    for one in PANELS:
        alerts = re.findall(r"Housing\w+", one["description"])
        assert set(alerts) <= set(ALERTS), one["title"]
        named |= set(alerts)
        defaults = one["fieldConfig"]["defaults"]
        if "custom" in defaults and "thresholdsStyle" in defaults["custom"]:
            limit = defaults["thresholds"]["steps"][-1]["value"]
            [alert] = alerts
            numbers = map(float, re.findall(r"> ([\d.e]+)", ALERTS[alert]))
            assert limit in numbers, one["title"]
    assert named == set(ALERTS)  # each alert has a panel that shows what it saw


def test_the_dashboard_asks_the_source_that_is_provisioned():
    folder = PROJECT_ROOT / "deploy" / "grafana" / "provisioning"
    [source] = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    asked = {
        one["datasource"]["uid"]
        for kind in ("templating", "annotations")
        for one in BOARD[kind]["list"]
    }
    assert asked == {source["uid"]}
    assert source["url"].removeprefix("http://").split(":")[0] in SERVICES
    [provider] = yaml.safe_load((folder / "dashboards" / "housing.yml").read_text())["providers"]
    mounted = [one.split(":")[1] for one in SERVICES["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounted
