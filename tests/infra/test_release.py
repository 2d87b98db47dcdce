"""What a release is made of: builds that differ are refused, and so are licences that bind whoever passes it on."""

import hashlib
import re
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).parents[2]
VERSION = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


@pytest.fixture
def release() -> Any:
    spec = spec_from_file_location("release", TOP / "infra" / "release.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("differ", [False, True])
def test_a_wheel_is_released_only_if_two_builds_are_the_same_bytes(
    release: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, differ: bool
) -> None:
    def build(_: Path, folder: Path, **variables: str) -> Path:
        folder.mkdir()
        (folder / "one.whl").write_text(str(variables) if differ else "the same")
        return folder / "one.whl"

    monkeypatch.setattr(release, "build", build)
    out = tmp_path / "out"
    out.mkdir()
    if differ:
        with pytest.raises(release.NotReproducible, match=r"one\.whl: SHA-256 [0-9a-f]{64} and"):
            release.reproducible_wheel(Path("python"), tmp_path, out)
        assert list(out.iterdir()) == []
    else:
        assert release.reproducible_wheel(Path("python"), tmp_path, out).read_text() == "the same"


@pytest.mark.parametrize(
    ("licence", "binds"),
    [
        ("MIT", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("GNU General Public License v3 (GPLv3)", True),
        ("AGPL-3.0-only", True),
        ("GPL-2.0-or-later", True),
        ("MIT OR GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", True),
    ],
)
def test_a_licence_that_binds_whoever_passes_it_on_is_refused(release: Any, licence: str, binds: bool) -> None:
    assert list(release.binding([{"Name": "it", "Version": "1", "License": licence}])) == (
        [f"it 1 ({licence})"] if binds else []
    )


def test_sums_are_those_of_the_files(release: Any, tmp_path: Path) -> None:
    (tmp_path / "wheel.whl").write_bytes(b"wheel")
    release.write_sums(tmp_path)

    assert (tmp_path / "SHA256SUMS").read_text() == f"{hashlib.sha256(b'wheel').hexdigest()}  wheel.whl\n"


def test_the_tools_of_a_release_are_pinned_by_hash() -> None:
    lines = (TOP / "infra" / "requirements" / "release.txt").read_text(encoding="utf-8").splitlines()

    pins = [line for line in lines if re.match(r"[a-z0-9-]+==", line)]
    assert len(pins) > 20 and all(line.endswith("\\") for line in pins)
    assert not [line for line in lines if "://" in line]


def test_the_version_has_a_section_of_changes() -> None:
    assert f"\n## {VERSION}\n" in (TOP / "docs" / "changelog.md").read_text(encoding="utf-8")
