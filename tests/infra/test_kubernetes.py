"""Kubernetes: what kustomize renders follows the real schemas, and keeps each promise that the stages need."""

import importlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import jsonschema
import pytest
import yaml

from workers.cli import COMMANDS, cli
from workers.operations.principals import named
from workers.pipeline import STAGES
from workers.settings import PREFIX, Settings

FOLDER = Path(__file__).parents[2] / "infra" / "kubernetes"
VERSIONS = ("1.29", "1.35")
SCALED_OBJECT = json.loads((Path(__file__).parent / "keda-scaledobject.json").read_text(encoding="utf-8"))
Manifest = dict[str, Any]
RENDERED: dict[str, list[Manifest]] = {
    path.stem: list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    for path in sorted((FOLDER / "rendered").glob("*.yaml"))
}
ALL = [(overlay, manifest) for overlay, manifests in RENDERED.items() for manifest in manifests]


@pytest.fixture
def schemas() -> ModuleType:
    """Not installed in vLLM's environment, which collects these tests and runs others."""
    return importlib.import_module("kubernetes_validate")


def of_kind(kind: str) -> list[Any]:
    """Each manifest of the kind in each overlay, as parameters with a name."""
    found = [(overlay, one) for overlay, one in ALL if one["kind"] == kind]
    return [pytest.param(overlay, one, id=f"{overlay}-{one['metadata']['name']}") for overlay, one in found]


def container_of(manifest: Manifest) -> Manifest:
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    return dict(container)


def settings_of(overlay: str, manifest: Manifest) -> dict[str, str]:
    """TESSERA_ variables by setting: those of the config map, and the container's own, without what is referred to."""
    (source,) = container_of(manifest)["envFrom"]
    (data,) = [
        one["data"]
        for one in RENDERED[overlay]
        if one["kind"] == "ConfigMap" and one["metadata"]["name"] == source["configMapRef"]["name"]
    ]
    own = {one["name"]: one["value"] for one in container_of(manifest).get("env", ()) if "value" in one}
    return {name.removeprefix(PREFIX).lower(): value for name, value in {**data, **own}.items()}


def test_what_is_rendered_was_made_from_the_sources_that_are_there() -> None:
    spec = importlib.util.spec_from_file_location("render", FOLDER / "render.py")
    assert spec is not None and spec.loader is not None
    render = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(render)

    assert sorted(RENDERED) == sorted(render.OVERLAYS)
    for overlay in render.OVERLAYS:
        head = (FOLDER / "rendered" / f"{overlay}.yaml").read_text(encoding="utf-8").splitlines()[0]
        assert head == f"# sources: {render.digest()}", "run python infra/kubernetes/render.py"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", RENDERED)
def test_manifests_follow_the_schema_of_each_kubernetes_version(
    overlay: str, version: str, schemas: ModuleType
) -> None:
    for manifest in RENDERED[overlay]:
        if not manifest["apiVersion"].startswith("keda.sh/"):
            schemas.validate(manifest, version, strict=True)


def test_the_schema_finds_a_misspelt_key(schemas: ModuleType) -> None:
    manifest = next(one for _, one in ALL if one["kind"] == "StatefulSet")

    with pytest.raises(schemas.ValidationError, match="serviceNam"):
        schemas.validate({**manifest, "spec": {**manifest["spec"], "serviceNam": "x"}}, VERSIONS[0], strict=True)


@pytest.mark.parametrize(("overlay", "scaled"), of_kind("ScaledObject"))
def test_stages_are_scaled_by_the_lag_of_their_own_group(overlay: str, scaled: Manifest) -> None:
    jsonschema.Draft202012Validator(SCALED_OBJECT).validate(scaled)
    stage = STAGES[scaled["spec"]["scaleTargetRef"]["name"]]
    (trigger,) = scaled["spec"]["triggers"]
    (settings,) = {tuple(settings_of(overlay, one).items()) for _, one in _stages(overlay, stage.name)}

    assert trigger["metadata"]["consumerGroup"] == stage.group
    assert trigger["metadata"]["topic"] == stage.consumes.name
    assert trigger["metadata"]["bootstrapServers"] == dict(settings)["bootstrap_servers"]
    assert trigger["metadata"]["allowIdleConsumers"] == "false"
    assert scaled["spec"]["maxReplicaCount"] == int(dict(settings)["partitions"])
    assert ("authenticationRef" in trigger) == (dict(settings).get("security_protocol") == "SASL_SSL")


def _stages(overlay: str, name: str) -> list[tuple[str, Manifest]]:
    return [
        (of, one) for of, one in ALL if (of, one["kind"], one["metadata"]["name"]) == (overlay, "StatefulSet", name)
    ]


@pytest.mark.parametrize("overlay", RENDERED)
def test_every_stage_runs_and_may_lose_one_replica_at_a_time(overlay: str) -> None:
    names = {kind: {one["metadata"]["name"] for one in RENDERED[overlay] if one["kind"] == kind} for kind in KINDS}

    assert names["StatefulSet"] == names["PodDisruptionBudget"] == set(STAGES)
    assert names["ScaledObject"] == set(STAGES) - {"incentives"}


KINDS = ("StatefulSet", "PodDisruptionBudget", "ScaledObject")


@pytest.mark.parametrize(("overlay", "manifest"), [*of_kind("StatefulSet"), *of_kind("Job")])
def test_commands_and_variables_are_those_that_tessera_has(
    overlay: str, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, *arguments = container_of(manifest)["args"]
    given = settings_of(overlay, manifest)
    for setting, value in given.items():
        monkeypatch.setenv(PREFIX + setting.upper(), value)

    assert command in COMMANDS
    found = cli.get_command(click.Context(cli), command)
    while isinstance(found, click.Group):
        name, *arguments = arguments
        found = found.get_command(click.Context(found), name)
    assert found is not None
    found.make_context(command, arguments)
    settings = Settings.read()  # refuses variables that are not settings
    assert ("allow_plaintext" in given) == (overlay == "cpu")
    assert overlay == "cpu" or named(settings.sasl_username).name == settings.sasl_username


@pytest.mark.parametrize(("overlay", "manifest"), of_kind("StatefulSet"))
def test_a_stage_has_the_time_and_the_name_that_it_needs(overlay: str, manifest: Manifest) -> None:
    pod, container = manifest["spec"]["template"]["spec"], container_of(manifest)
    (instance,) = [one for one in container["env"] if one["name"] == f"{PREFIX}INSTANCE"]
    settings = Settings(**settings_of(overlay, manifest))  # type: ignore[arg-type]

    assert container["args"] == ["run", manifest["metadata"]["name"]]
    assert instance["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert pod["terminationGracePeriodSeconds"] >= settings.deadline_s + 15
    assert container["ports"] == [{"containerPort": settings.metrics_port, "name": "metrics"}]
    assert settings.metrics_host == "0.0.0.0"  # noqa: S104  # of the pod
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}


@pytest.mark.parametrize(("overlay", "manifest"), of_kind("StatefulSet"))
def test_only_settlement_has_the_draw_key_and_a_disk_for_its_ids(overlay: str, manifest: Manifest) -> None:
    is_settlement = manifest["metadata"]["name"] == "settlement"
    variables = {one["name"] for one in container_of(manifest)["env"]}
    claims = {one["metadata"]["name"] for one in manifest["spec"].get("volumeClaimTemplates", ())}

    assert (f"{PREFIX}DRAW_KEY" in variables) == ("state" in claims) == is_settlement, overlay
    assert (f"{PREFIX}SAMPLING_KEY" in variables) == (manifest["metadata"]["name"] == "generation"), overlay


@pytest.mark.parametrize(("overlay", "manifest"), [*of_kind("StatefulSet"), *of_kind("Job")])
def test_pods_have_no_more_rights_than_they_need(overlay: str, manifest: Manifest) -> None:
    pod, container = manifest["spec"]["template"]["spec"], container_of(manifest)

    assert pod["automountServiceAccountToken"] is False, overlay
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 10001
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("overlay", RENDERED)
def test_no_secret_is_written_down(overlay: str) -> None:
    assert not [one for one in RENDERED[overlay] if one["kind"] == "Secret"]
