"""What the texts of compose.yaml and of the dashboard promise."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from housing.paths import PROJECT_ROOT

COMPOSE_TEXT = (PROJECT_ROOT / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
SERVICES = COMPOSE["services"]
DASHBOARD = json.loads(
    (PROJECT_ROOT / "deploy" / "grafana" / "dashboards" / "housing.json").read_text()
)
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ALERTS = {
    rule["alert"]: rule["expr"]
    for group in yaml.safe_load((PROJECT_ROOT / "app/prometheus/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_reached_from_this_machine_alone_with_few_privileges(name):
    service = SERVICES[name]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert service["read_only"] or name == "pipeline"  # which ends, and listens on no port
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service["mem_limit"]
    assert {"max-size", "max-file"} <= set(service["logging"]["options"])


def test_only_mlflow_reaches_the_database():
    services_on_store = {
        name for name, service in SERVICES.items() if "store" in service.get("networks", [])
    }
    assert services_on_store == {"mlflow", "postgres"}
    assert SERVICES["postgres"]["networks"] == ["store"]
    assert COMPOSE["networks"]["store"] == {"internal": True}
    assert "ports" not in SERVICES["postgres"]


def test_an_image_is_built_once():
    """If two services build the same image at the same time, Compose lets a build fail."""
    built = [service["image"] for service in SERVICES.values() if "build" in service]
    assert len(set(built)) == len(built) == 2


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_of_others_is_pinned_to_a_version(name):
    built_images = {service["image"] for service in SERVICES.values() if "build" in service}
    if SERVICES[name]["image"] not in built_images:
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+[.\w-]*", SERVICES[name]["image"])


def test_a_password_comes_from_the_environment_and_has_no_default():
    secrets = {
        f"{name}.{key}": value
        for name, service in SERVICES.items()
        for key, value in service.get("environment", {}).items()
        if re.search("PASSWORD|SECRET|TOKEN|KEY$", key)
    }
    assert set(secrets) == {"mlflow.PGPASSWORD", "postgres.POSTGRES_PASSWORD"}
    assert all(re.fullmatch(r"\$\{POSTGRES_PASSWORD:\?.+\}", secret) for secret in secrets.values())
    assert not re.search(
        r"//\w+:.+@", COMPOSE_TEXT
    )  # no password in an address, which is shown and logged
    grafana = SERVICES["grafana"]["environment"]
    assert grafana["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert grafana["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_the_variables_of_compose_are_in_the_example_and_dot_env_stays_out_of_git():
    example = (PROJECT_ROOT / ".env.example").read_text()
    read = set(re.findall(r"\$\{(\w+)", COMPOSE_TEXT))
    assert set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)) == read
    assert re.search(r"^POSTGRES_PASSWORD=$", example, re.MULTILINE)
    if shutil.which("git") and (PROJECT_ROOT / ".git").exists():
        ignored = ["git", "check-ignore", "--quiet", ".env"]
        assert subprocess.run(ignored, cwd=PROJECT_ROOT).returncode == 0


def test_the_readme_s_line_makes_a_password_that_only_its_owner_can_read(tmp_path):
    [line] = re.findall(r"^\(umask .*\)", (PROJECT_ROOT / "README.md").read_text(), re.MULTILINE)
    subprocess.run(["bash", "-c", line], cwd=tmp_path, check=True)
    assert re.fullmatch(r"POSTGRES_PASSWORD=[0-9a-f]{48}\n", (tmp_path / ".env").read_text())
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0


def test_each_mounted_file_or_volume_exists():
    mounts = [
        volume.split(":") for service in SERVICES.values() for volume in service.get("volumes", [])
    ]
    for source, *_ in mounts:
        assert (
            (PROJECT_ROOT / source).exists() if source[0] == "." else source in COMPOSE["volumes"]
        )


def test_a_panel_has_a_description_a_unit_and_a_place_of_its_own():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    occupied_cells = set()
    for panel in PANELS:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}
        assert all(target["expr"] and target["legendFormat"] for target in panel["targets"]), panel[
            "title"
        ]
        field_settings = (
            panel["options"]["yAxis"]
            if panel["type"] == "heatmap"
            else panel["fieldConfig"]["defaults"]
        )
        assert "unit" in field_settings or panel["type"] == "stat", panel["title"]
        position = panel["gridPos"]
        assert position["x"] + position["w"] <= 24
        cells = {
            (x, y)
            for x in range(position["x"], position["x"] + position["w"])
            for y in range(position["y"], position["y"] + position["h"])
        }
        assert not cells & occupied_cells, f"{panel['title']} overlaps with another panel"
        occupied_cells |= cells


def test_the_limits_of_the_panels_are_those_of_the_alerts():
    named_alerts = set()
    for panel in PANELS:
        alerts = re.findall(r"Housing\w+", panel["description"])
        assert set(alerts) <= set(ALERTS), panel["title"]
        named_alerts |= set(alerts)
        defaults = panel["fieldConfig"]["defaults"]
        if "custom" in defaults and "thresholdsStyle" in defaults["custom"]:
            limit = defaults["thresholds"]["steps"][-1]["value"]
            [alert] = alerts
            numbers = map(float, re.findall(r"> ([\d.e]+)", ALERTS[alert]))
            assert limit in numbers, panel["title"]
    assert named_alerts == set(ALERTS)  # each alert has a panel that shows its values


def test_the_dashboard_queries_the_source_that_is_provisioned():
    folder = PROJECT_ROOT / "deploy" / "grafana" / "provisioning"
    [source] = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    queried_sources = {
        entry["datasource"]["uid"]
        for kind in ("templating", "annotations")
        for entry in DASHBOARD[kind]["list"]
    }
    assert queried_sources == {source["uid"]}
    assert source["url"].removeprefix("http://").split(":")[0] in SERVICES
    [provider] = yaml.safe_load((folder / "dashboards" / "housing.yml").read_text())["providers"]
    mounted = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounted
