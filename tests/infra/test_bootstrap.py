"""Setting up a checkout: what cannot be installed leaves its tests out at home, and fails where all is tested."""

from collections.abc import Callable
from pathlib import Path

import pytest

from infra import bootstrap

FAILURES = ("vLLM on CPUs needs libnuma1. As root: apt-get install libnuma1", 1)


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str | int:
    """vLLM cannot be installed here."""
    failure: str | int = request.param

    def install_vllm() -> None:
        raise SystemExit(failure)

    monkeypatch.setattr(bootstrap, "install_vllm", install_vllm)
    return failure


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options that all levels were run with; they pass."""
    options: list[str] = []

    def test_all(*given: str) -> int:
        options.extend(given)
        return 0

    monkeypatch.setattr(bootstrap, "get_programs", lambda: None)
    monkeypatch.setattr(bootstrap, "install", lambda _: None)
    monkeypatch.setattr(bootstrap, "test_all", test_all)
    return options


@pytest.mark.parametrize("fails", FAILURES, indirect=True)
def test_by_default_the_other_levels_run_without_vllm(
    fails: str | int, ran: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CI", raising=False)

    assert bootstrap.test([]) == 0

    assert ran == ["--without", "vllm"]
    (line,) = capsys.readouterr().err.splitlines()
    assert "left out" in line and str(fails) in line and "x86-64" in line


@pytest.mark.parametrize("fails", FAILURES, indirect=True)
def test_in_ci_a_missing_vllm_fails_after_the_other_levels_have_run(
    fails: str | int, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")

    assert bootstrap.test([]) == 1
    assert ran == ["--without", "vllm"]


@pytest.mark.parametrize("fails", [bootstrap.INTERRUPTED], indirect=True)
@pytest.mark.usefixtures("fails", "ran")
def test_an_interruption_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(SystemExit):
        bootstrap.test([])


@pytest.mark.parametrize("step", [lambda: bootstrap.create_environment(Path("new")), lambda: bootstrap.install("")])
def test_an_interruption_is_no_missing_package_and_nothing_is_done_after_it(
    step: Callable[[], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ctrl-C while an environment is made: Python comes without venv on Debian, and looks the same otherwise."""
    ran: list[object] = []

    def interrupted(command: list[str], **_: object) -> None:
        ran.append(command)
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap.subprocess, "run", interrupted)

    with pytest.raises(SystemExit) as ended:
        step()

    assert (ended.value.code, len(ran)) == (bootstrap.INTERRUPTED, 1)


def test_an_environment_that_was_interrupted_half_way_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Over what is left of it venv succeeds without making pip: it finds pip's package there."""
    folder = tmp_path / ".venv"
    folder.mkdir()
    (folder / "left").touch()

    def venv(*command: object, quiet: bool = False) -> int:
        if not folder.exists():
            (folder / "bin").mkdir(parents=True)
            (folder / "bin" / "pip").touch()
        return 0

    monkeypatch.setattr(bootstrap, "run", venv)

    bootstrap.create_environment(folder)

    assert (folder / "bin" / "pip").exists() and not (folder / "left").exists()


def test_a_server_that_debian_keeps_out_of_path_is_found_and_a_missing_one_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None if name == "initdb" else name)
    monkeypatch.setattr(bootstrap, "get_packages", lambda packages, **_: asked.extend(packages))
    monkeypatch.setattr(bootstrap, "OUT_OF_PATH", tmp_path)

    bootstrap.get_programs()
    assert asked == ["postgresql"]

    (tmp_path / "17" / "bin").mkdir(parents=True)
    (tmp_path / "17" / "bin" / "initdb").touch()
    bootstrap.get_programs()
    assert asked == ["postgresql"]


def test_smollm2_gets_more_time_than_a_small_model_and_what_the_user_sets_goes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At a minute for each auction the five never end on two cores that have other work."""
    given: dict[str, str] = {}

    def run(*_: object, environment: dict[str, str]) -> int:
        given.update(environment)
        return 0

    for folder in ("smollm2", "smollm2-at-0.8"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(bootstrap, "MODELS", tmp_path)
    monkeypatch.setattr(bootstrap, "install", lambda _: None)
    monkeypatch.setattr(bootstrap, "run", run)
    monkeypatch.setenv("TESSERA_MAX_TOKENS", "20")
    monkeypatch.delenv("TESSERA_DEADLINE_S", raising=False)

    assert bootstrap.smollm2([]) == 0

    assert given["TESSERA_MAX_TOKENS"] == "20"
    assert float(given["TESSERA_DEADLINE_S"]) >= 600


def test_what_is_missing_is_named_and_what_is_optional_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bootstrap.py"])

    with pytest.raises(SystemExit):
        bootstrap.main()

    assert capsys.readouterr().err.endswith("the following arguments are required: what\n")
