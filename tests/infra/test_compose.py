"""docker-compose.yml: the schema of the Compose specification, real commands, real settings, nothing open to others."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml
from pydantic import SecretStr

from workers.cli import COMMANDS, cli
from workers.pipeline import STAGES, sampling_secret
from workers.settings import MIN_KEY_CHARACTERS, PREFIX, Settings

TOP = Path(__file__).parents[2]
# The schema of the Compose specification as check-jsonschema 0.39.0 ships it (Apache-2.0).
SCHEMA = json.loads((Path(__file__).parent / "compose-spec.json").read_text(encoding="utf-8"))
COMPOSE: dict[str, Any] = yaml.safe_load((TOP / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("tessera")}
FOREIGN = {name: service for name, service in SERVICES.items() if name not in OURS}


def settings_of(service: dict[str, Any]) -> dict[str, str]:
    """The service's TESSERA_ variables by setting, defaults of `${NAME:-default}` put in."""
    return {
        name.removeprefix(PREFIX).lower(): re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", value)
        for name, value in service["environment"].items()
        if name.startswith(PREFIX)
    }


def host_paths() -> Iterator[str]:
    for service in SERVICES.values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            if source.startswith("."):
                yield source


def test_the_compose_file_follows_the_compose_schema() -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(COMPOSE)


def test_the_compose_schema_finds_a_misspelt_key() -> None:
    broken = {**COMPOSE, "services": {"kafka": {**SERVICES["kafka"], "port": ["9092:9092"]}}}

    with pytest.raises(jsonschema.ValidationError, match="port"):
        jsonschema.Draft202012Validator(SCHEMA).validate(broken)


def test_every_stage_has_a_service_of_its_name() -> None:
    assert set(OURS) == {"topics", "ledger", "load", *STAGES}
    assert all(OURS[stage]["command"] == ["run", stage] for stage in STAGES)


@pytest.mark.parametrize("name", OURS)
def test_each_command_is_one_that_tessera_has(name: str) -> None:
    command, *arguments = OURS[name]["command"]
    assert command in COMMANDS
    context = click.Context(cli)
    found = cli.get_command(context, command)
    assert found is not None
    parse(found, arguments, context)


def parse(command: click.Command, arguments: list[str], parent: click.Context) -> None:
    """Raise click.UsageError unless the command, or the subcommand named first, takes these arguments."""
    if isinstance(command, click.Group):
        subcommand = command.get_command(parent, arguments[0])
        assert subcommand is not None, f"{command.name} has no {arguments[0]}"
        command, arguments = subcommand, arguments[1:]
    command.make_context(command.name, arguments, parent=parent)


@pytest.mark.parametrize("name", OURS)
def test_each_variable_is_a_setting_and_its_value_is_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings_of(OURS[name])
    for setting, value in given.items():
        monkeypatch.setenv(PREFIX + setting.upper(), value)

    settings = Settings.read()  # refuses TESSERA_ variables that are not settings

    assert set(given) <= set(Settings.model_fields)
    assert settings.bootstrap_servers == "kafka:19092"


def test_the_brokers_inner_address_is_the_one_that_workers_use() -> None:
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")

    assert {settings_of(service)["bootstrap_servers"] for service in OURS.values()} == {"kafka:19092"}
    assert "PLAINTEXT://kafka:19092" in advertised
    assert f"PLAINTEXT_HOST://{Settings.model_fields['bootstrap_servers'].default}" in advertised


def test_only_settlement_has_the_draw_key_and_the_default_says_what_it_is() -> None:
    keys = {name: settings_of(service).get("draw_key") for name, service in OURS.items()}

    key = keys.pop("settlement")
    assert key and "development-only" in key and len(key) >= MIN_KEY_CHARACTERS
    assert Settings(draw_key=SecretStr(key))
    assert set(keys.values()) == {None}


def test_only_generation_has_the_sampling_key_and_it_is_another_secret_setting() -> None:
    keys = {name: settings_of(service).get("sampling_key") for name, service in OURS.items()}

    key = keys.pop("generation")
    assert key and "development-only" in key
    assert sampling_secret(Settings(sampling_key=SecretStr(key))) == key.encode()
    assert set(keys.values()) == {None}


def test_settled_ids_outlive_the_container() -> None:
    volume, target = SERVICES["settlement"]["volumes"][0].split(":")

    assert volume in COMPOSE["volumes"]
    assert Path(target) in Path(settings_of(OURS["settlement"])["state_folder"]).parents
    assert f"--group=tessera {target}" in (TOP / OURS["settlement"]["build"]["dockerfile"]).read_text(encoding="utf-8")


def test_stages_serve_metrics_where_prometheus_and_the_health_check_look() -> None:
    scrape = yaml.safe_load((TOP / "infra/prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    discovery = scrape[0]["dns_sd_configs"][0]

    assert set(discovery["names"]) == {"ledger", *STAGES}
    for stage in discovery["names"]:
        assert settings_of(OURS[stage])["metrics_host"] == "0.0.0.0"  # noqa: S104  # inside the compose network
        assert settings_of(OURS[stage])["metrics_port"] == str(discovery["port"])
        path = "metrics" if stage == "ledger" else "readyz"
        assert f"http://127.0.0.1:{discovery['port']}/{path}" in OURS[stage]["healthcheck"]["test"][-1]


def test_the_health_checks_program_is_python() -> None:
    for stage in STAGES:
        kind, interpreter, option, program = OURS[stage]["healthcheck"]["test"]
        assert (kind, interpreter, option) == ("CMD", "python", "-c")
        compile(program, stage, "exec")


def test_nothing_is_published_beyond_the_loopback_address() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]

    assert published and all(port.startswith("127.0.0.1:") for port in published)


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_more_rights_than_they_need(name: str) -> None:
    service = OURS[name]

    assert service["read_only"] is True
    assert service["user"] == "10001:10001"
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


def test_stages_wait_for_the_topics_and_the_topics_for_the_broker() -> None:
    assert SERVICES["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert SERVICES["topics"]["restart"] == "no"
    for stage in STAGES:
        assert SERVICES[stage]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}


def test_stages_may_finish_what_they_have_before_they_are_killed() -> None:
    deadline_s = Settings.model_fields["deadline_s"].default

    assert all(int(OURS[stage]["stop_grace_period"].removesuffix("s")) >= deadline_s + 15 for stage in STAGES)


def test_process_1_hears_a_signal_from_the_first_moment_on() -> None:
    assert all(service["init"] is True for service in OURS.values())


def test_images_of_others_are_pinned() -> None:
    assert SERVICES["kafka"]["image"] == "apache/kafka:4.2.2"  # 4.3 and 4.4 lose transaction markers
    assert all(re.search(r":v?\d+\.\d+\.\d+$", service["image"]) for service in FOREIGN.values())


def test_files_that_compose_mounts_or_builds_from_exist() -> None:
    assert list(host_paths())
    assert all((TOP / path).exists() for path in host_paths())
    assert all((TOP / service["build"]["dockerfile"]).is_file() for service in OURS.values())


def test_grafana_finds_its_data_source_and_dashboards() -> None:
    provisioning = TOP / "infra/grafana/provisioning"
    source = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text(encoding="utf-8"))["datasources"][0]
    provider = yaml.safe_load((provisioning / "dashboards/tessera.yml").read_text(encoding="utf-8"))["providers"][0]
    mounts = dict(mount.split(":")[:2] for mount in SERVICES["grafana"]["volumes"])

    assert source["url"] == "http://prometheus:9090"
    assert mounts["./infra/grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./infra/grafana/provisioning"] == "/etc/grafana/provisioning"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (TOP / "infra/grafana/dashboards" / Path(home).name).is_file()
