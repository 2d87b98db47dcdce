"""The wheel holds everything the product needs: weights, schemas, queries of the demo, the broker's recipe."""

import os
import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = (".json", ".jsonl", ".bin", ".safetensors", ".jinja", ".xml", ".properties", ".typed", ".html", ".css", ".js")
TIMEOUT_S = 300


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    source = tmp_path_factory.mktemp("source") / "checkout"
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, files.split("\0")):  # what is committed, so that nothing is written into the checkout
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    subprocess.run([*pip, "--wheel-dir", str(folder), str(source)], check=True, timeout=TIMEOUT_S)
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


def test_the_wheel_holds_the_two_packages_their_entry_and_nothing_else(wheel: Path) -> None:
    found = {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")}
    assert found == {"schemas", "workers", "tessera_auction.py"}


@pytest.mark.parametrize("file", ["__init__.py", "tasks.py"], ids=["a package", "a folder"])
def test_folders_of_the_user_with_our_names_do_not_take_our_place(wheel: Path, tmp_path: Path, file: str) -> None:
    for name in ("workers", "schemas"):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("raise ImportError('not ours')\n")
    command = "import sys; from tessera_auction import main; sys.argv = ['tessera', '--version']; main()"

    done = subprocess.run(
        [sys.executable, "-P", "-c", command],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{wheel}"},
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"tessera, version ")


def test_the_installed_command_begins_where_our_own_packages_are_found(wheel: Path) -> None:
    (entry,) = wheel.glob("*.dist-info/entry_points.txt")

    assert "tessera = tessera_auction:main" in entry.read_text()


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


def test_the_package_page_has_no_link_that_leads_nowhere(wheel: Path) -> None:
    """There is no folder behind that page: what is relative in a repository is dead there."""
    (metadata,) = wheel.glob("*.dist-info/METADATA")
    page = message_from_bytes(metadata.read_bytes())

    links = re.findall(r"\]\(([^)\s]+)|\]:\s*(\S+)|(?:href|src)=[\"']([^\"']+)", str(page.get_payload()))

    assert page["Description-Content-Type"].startswith("text/markdown")
    assert "tessera demo" in str(page.get_payload())
    assert [link for found in links for link in found if link and not link.startswith("https://")] == []
