"""An engine's name in a rewards file: its folder lies beside the file, a name on the hub stays one."""

from pathlib import Path

import pytest

from workers.rewards.own_engines import located


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a rewards file, which has a model in it; the process works elsewhere."""
    (tmp_path / "rewards" / "models" / "own").mkdir(parents=True)
    (tmp_path / "here" / "organisation" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "rewards"


def test_a_folder_is_resolved_relative_to_the_rewards_file(beside: Path) -> None:
    assert located("vllm:models/own", beside, ()) == f"vllm:{beside / 'models' / 'own'}"
    assert located(f"vllm:{beside}/models/own", beside, ()) == f"vllm:{beside}/models/own"


@pytest.mark.parametrize(
    "name",
    [
        "vllm:organisation/name",
        "vllm:",
        "vllm:" + "x" * 400,
        "vllm:~nobody-of-that-name/models",
        "embedded",
        "http://127.0.0.1:8000#models/own",
    ],
)
def test_a_name_that_is_no_folder_beside_the_rewards_file_is_left_unchanged(beside: Path, name: str) -> None:
    assert located(name, beside, ()) == name


def test_a_model_that_is_open_is_not_opened_again_by_another_path(beside: Path) -> None:
    opened = ("vllm:organisation/name", "vllm:../rewards/models/own", "embedded")

    assert located("vllm:models/own", beside, opened) == "vllm:../rewards/models/own"
