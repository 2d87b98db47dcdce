"""The wheel holds everything the product needs: weights, schemas, queries of the demo, the broker's recipe."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = (".json", ".jsonl", ".bin", ".safetensors", ".jinja", ".xml", ".properties", ".typed", ".html", ".css", ".js")
TIMEOUT_S = 300


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder)]
    source = tmp_path_factory.mktemp("source") / "checkout"
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, files.split("\0")):  # what is committed, so that nothing is written into the checkout
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    subprocess.run([*pip, str(source)], check=True, timeout=TIMEOUT_S)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_wheel_holds_every_data_file_of_the_packages(wheel: Path) -> None:
    wanted = [
        path.relative_to(ROOT)
        for package in ("schemas", "workers")
        for path in (ROOT / package).rglob("*")
        if path.suffix in DATA
    ]
    assert len(wanted) > 15
    assert [str(path) for path in wanted if not (wheel / path).is_file()] == []


def test_the_wheel_holds_the_two_packages_and_nothing_else(wheel: Path) -> None:
    assert {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")} == {"schemas", "workers"}


def test_the_demo_runs_from_the_wheel(wheel: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "workers", "demo", "--limit", "1"],
        cwd=wheel.parent,
        env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"1 query: 1 sold" in done.stdout
