"""A model of the hub is named with its revision: what lies under a name alone may be another model tomorrow."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.engines import bundled
from workers.engines.vllm_local.weights import find_model
from workers.errors import SettingsError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the hub is asked for; it gives the bundled model."""
    asked: list[dict[str, Any]] = []

    def snapshot_download(name: str, **how: Any) -> str:
        asked.append({"name": name, **how})
        return str(bundled.FOLDER)

    hub, errors = ModuleType("huggingface_hub"), ModuleType("huggingface_hub.errors")
    hub.snapshot_download = snapshot_download  # type: ignore[attr-defined]
    errors.HFValidationError = ValueError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)
    return asked


@pytest.mark.parametrize(
    "revision", ["", "@", "@main", "@v1.0", f"@{COMMIT[:12]}", f"@{COMMIT.upper()}", f"@{COMMIT}0"]
)
def test_a_name_without_a_commit_is_refused_with_the_remedy(fetched: list[dict[str, Any]], revision: str) -> None:
    with pytest.raises(SettingsError, match=r"vllm:NAME@COMMIT.*git ls-remote https://\S+/maker/model HEAD"):
        find_model(f"maker/model{revision}")

    assert not fetched


def test_a_name_with_a_commit_is_fetched_at_it(fetched: list[dict[str, Any]]) -> None:
    assert find_model(f"maker/model@{COMMIT}") == Path(bundled.FOLDER)

    assert [(one["name"], one["revision"]) for one in fetched] == [("maker/model", COMMIT)]


def test_a_folder_needs_no_revision(fetched: list[dict[str, Any]], tmp_path: Path) -> None:
    folder = tmp_path / "model@home"
    folder.symlink_to(bundled.FOLDER, target_is_directory=True)

    assert find_model(str(folder)) == folder
    assert not fetched
