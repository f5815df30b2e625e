"""The files of combination B, read: pinned, without secrets, and every name that one uses exists. Not run here."""

import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from kioskwatch.cli import COMMANDS
from kioskwatch.deployment import RIGHTS
from kioskwatch.errors import OPERATOR_MUST_ACT
from kioskwatch.folder import BUCKETS

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
PINNED = re.compile(r"docker\.io/(library|grafana)/[a-z0-9-]+:\d+\.\d+(\.\d+)?(-[a-z0-9-]+)?")


@pytest.fixture
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


def test_every_image_is_pinned_or_ours(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        else:
            assert PINNED.fullmatch(service["image"]), name
    bases = re.findall(r"^FROM (\S+)", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    assert bases
    assert all(PINNED.fullmatch(base) for base in bases)


def test_every_service_volume_and_secret_that_is_named_exists(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert set(service.get("depends_on", {})) <= compose["services"].keys()
        assert set(service.get("secrets", [])) <= compose["secrets"].keys()
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            made_by_the_operator = source.startswith("./secrets/") or source == "./district.toml"
            assert source in compose["volumes"] or made_by_the_operator or (DEPLOY / source).exists()


def test_a_dependency_that_must_be_healthy_has_a_health_check(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in compose["services"][needed]


def test_our_containers_run_commands_that_exist_without_any_privilege(compose: dict[str, Any]) -> None:
    ours = {name: service for name, service in compose["services"].items() if "build" in service}
    assert set(ours) == {"setup", "ingest", "analyse", "backend", "results"}
    for name, service in ours.items():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["user"] != "0"
        if name != "setup":
            assert any(command.words == service["command"][: len(command.words)] for command in COMMANDS)


def test_the_result_page_sees_no_settings_or_keys_of_the_others(compose: dict[str, Any]) -> None:
    results = compose["services"]["results"]
    assert {volume.split(":")[0] for volume in results["volumes"]} == {"public", "results", "./district.toml"}
    for name, service in compose["services"].items():
        if name != "results":
            assert not {"results-cert", "results-key"} & set(service.get("secrets", []))


def test_no_secret_stands_in_a_file_and_only_what_people_and_devices_need_is_published(compose: dict[str, Any]) -> None:
    services = compose["services"]
    published = {name for name in services if any(not p.startswith("127.") for p in services[name].get("ports", []))}
    assert published == {"backend", "broker", "results"}
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if any(word in name for word in ("PASSWORD", "TOKEN")):
                assert name.endswith("_FILE")
                assert value.startswith("/run/")
    assert all(secret["file"].startswith("secrets/") for secret in compose["secrets"].values())


def test_the_image_takes_only_what_the_wheel_is_built_from() -> None:
    lines = (DEPLOY / "Containerfile.dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    for rule in rules[1:]:
        assert rule == "**/__pycache__" or (ROOT / rule.removeprefix("!")).exists()


def test_each_bucket_has_one_writing_process_and_restricted_is_not_among_them() -> None:
    writers: dict[str, set[str]] = {bucket: set() for bucket in BUCKETS}
    for process, rights in RIGHTS.items():
        for bucket, actions in rights.items():
            if "write" in actions:
                writers[bucket].add(process)
    assert writers.pop("restricted") == set(), "not in this InfluxDB: any token of it could ask by the bucket's number"
    assert all(len(found) == 1 for found in writers.values())


def test_only_ingest_and_the_console_see_the_volume_of_restricted_readings() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    sees = {
        name
        for name, service in compose["services"].items()
        if any(str(volume).startswith("restricted:") for volume in service.get("volumes", []))
    }
    assert sees == {"ingest", "backend"}


def test_a_cabinets_unit_starts_its_agent_and_leaves_exit_code_2_to_a_person() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "kiosk.service")
    service = unit["Service"]
    assert shlex.split(service["ExecStart"])[1:] == ["edge", "--cabinet", "/etc/kioskwatch/cabinet.toml"]
    assert service["RestartPreventExitStatus"] == str(OPERATOR_MUST_ACT)
    assert service["LimitCORE"] == "0"
    assert service["User"] != "root"
