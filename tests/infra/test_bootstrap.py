"""Setting up a checkout: what cannot be installed leaves its tests out at home, and fails where all is tested."""

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


@pytest.mark.parametrize("fails", FAILURES, indirect=True)
def test_at_home_the_other_tests_go_on(
    fails: str | int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CI", raising=False)

    assert bootstrap.test_vllm() == 0

    (line,) = capsys.readouterr().err.splitlines()
    assert "left out: pytest -m 'vllm" in line and str(fails) in line and "x86-64" in line


@pytest.mark.parametrize("fails", FAILURES, indirect=True)
def test_where_everything_is_tested_it_fails(fails: str | int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")

    with pytest.raises(SystemExit) as ended:
        bootstrap.test_vllm()

    assert ended.value.code == fails


@pytest.mark.parametrize("fails", [bootstrap.INTERRUPTED], indirect=True)
def test_an_interruption_ends_it(fails: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(SystemExit):
        bootstrap.test_vllm()
