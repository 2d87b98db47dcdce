"""The images' locks: every file has its hash, every need its pin, and the pins are those that the tests ran with."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parents[2]
REQUIREMENTS = TOP / "infra" / "requirements"
DOCKER = TOP / "infra" / "docker"
LOCKS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((REQUIREMENTS / "hashed").glob("*.txt"))}
IMAGE_OF = {"worker": "slim", "vllm-cpu": "vllm-cpu", "vllm-gpu": "vllm-gpu"}
MADE_FROM = {"worker": "lock", "vllm-cpu": "vllm-cpu"}
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))


def entries(lock: str) -> dict[str, list[str]]:
    """The lines behind each requirement, by that requirement."""
    found: dict[str, list[str]] = {}
    for line in lock.splitlines():
        if line.startswith(" "):
            found[next(reversed(found))].append(line)
        elif not line.startswith("#"):
            found[line.removesuffix(" \\")] = []
    return found


def pins(lines: str) -> dict[str, str]:
    """The version of each package."""
    requirements = [Requirement(one) for one in entries(lines)]
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in requirements}


@pytest.mark.parametrize("lock", LOCKS)
def test_each_requirement_is_one_release_with_its_hashes(lock: str) -> None:
    for requirement, lines in entries(LOCKS[lock]).items():
        assert re.match(r"[a-zA-Z0-9_.-]+==[^ ;]+( ; .+)?$", requirement), requirement
        assert lines and all(HASH.fullmatch(line) for line in lines), requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_says_by_which_command_it_was_made_and_names_no_index(lock: str) -> None:
    head = [line for line in LOCKS[lock].splitlines() if line.startswith("#")]

    assert head[1].startswith("#    uv pip compile ") and head[1].endswith(f"-o infra/requirements/hashed/{lock}.txt")
    assert "--generate-hashes" in head[1]
    assert "://" not in LOCKS[lock] and "index-url" not in LOCKS[lock] and "find-links" not in LOCKS[lock]


@pytest.mark.parametrize("lock", LOCKS)
def test_all_that_the_project_needs_is_in_the_lock(lock: str) -> None:
    needed = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    needed += PROJECT["project"]["optional-dependencies"]["vllm"] if lock == "vllm-gpu" else []
    locked = pins(LOCKS[lock])

    for need in map(Requirement, needed):
        again = f"{need}: make {lock}.txt again, by the command in its head"
        assert need.specifier.contains(locked.get(canonicalize_name(need.name), "0"), prereleases=True), again


@pytest.mark.parametrize(("lock", "source"), MADE_FROM.items())
def test_the_pins_are_those_that_the_tests_ran_with(lock: str, source: str) -> None:
    tested = pins((REQUIREMENTS / f"{source}.txt").read_text(encoding="utf-8"))
    locked = pins(LOCKS[lock])

    other = {name: (locked[name], tested[name]) for name in locked if name in tested and locked[name] != tested[name]}

    assert not other, f"make {lock}.txt again, by the command in its head"
    assert lock != "vllm-cpu" or locked.keys() == tested.keys()


@pytest.mark.parametrize(("lock", "image"), IMAGE_OF.items())
def test_an_image_installs_nothing_without_a_hash(lock: str, image: str) -> None:
    text = (DOCKER / f"{image}.Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    installs = [" ".join(one.split()) for one in re.findall(r"pip install (.*)", text)]

    from_lock, itself = installs
    assert "--require-hashes" in from_lock and from_lock.endswith(f"-r infra/requirements/hashed/{lock}.txt")
    assert "--only-binary :all:" in from_lock
    assert itself == "--no-cache-dir --no-deps --no-build-isolation ."
    assert IMAGE_OF.keys() == LOCKS.keys()


@pytest.mark.parametrize("path", sorted((REQUIREMENTS / "extras").glob("*.txt")), ids=lambda path: path.stem)
def test_an_extras_lock_is_the_workers_with_what_the_extra_needs(path: Path) -> None:
    lock = path.read_text(encoding="utf-8")
    needed = list(map(Requirement, PROJECT["project"]["optional-dependencies"][path.stem]))
    locked, tested = pins(lock), pins((REQUIREMENTS / "lock.txt").read_text(encoding="utf-8"))

    again = f"make {path.name} again, by the command in its head"
    assert f" --extra {path.stem} " in lock.splitlines()[1] and "--generate-hashes" in lock.splitlines()[1]
    assert all(lines and all(HASH.fullmatch(line) for line in lines) for lines in entries(lock).values())
    assert pins(LOCKS["worker"]).items() <= locked.items(), again
    assert all(need.specifier.contains(locked[canonicalize_name(need.name)]) for need in needed), again
    assert all(version == tested.get(name, version) for name, version in locked.items()), again
    assert "://" not in lock and "index-url" not in lock
