"""What a release consists of: a wheel that anybody builds to the same bytes, what is in it, and under which licences.

`python infra/release.py FOLDER` builds the wheel of the last commit twice, in different folders, and fails where the
two differ. Beside it in FOLDER: the bill of materials (CycloneDX), the licences of all that is installed with it, and
the SHA-256 of each file. Packages come from pip's index, each under a hash of the project's locks.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "infra" / "requirements" / "hashed" / "worker.txt"
TOOLS = ROOT / "infra" / "requirements" / "release.txt"
SHA_FILE, SBOM, LICENCES = "SHA256SUMS", "sbom.cdx.json", "licences.md"
#: Licences that would bind whoever passes Tessera on; LGPL and MPL bind nobody who only uses what is under them.
BINDING = re.compile(r"AGPL|Affero|(?<!L)GPL|GNU General Public")


class NotReproducible(Exception):
    """Two builds of one commit differ."""


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        product, tools = environment(folder / "product", LOCK), environment(folder / "tools", TOOLS)
        wheel = reproducible_wheel(product, folder, out)
        run(pip(product), "install", "--no-deps", "--no-index", wheel)
        write_sbom(tools, product, out / SBOM)
        write_licences(tools, product, out / LICENCES)
    write_sums(out)
    print(f"{out}: {', '.join(sorted(path.name for path in out.iterdir()))}")


def reproducible_wheel(python: Path, folder: Path, out: Path) -> Path:
    """The wheel of the last commit, in `out`. NotReproducible: a second build has other bytes."""
    first = build(python, folder / "one")
    second = build(python, folder / "another-name", TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="7")
    if first.read_bytes() != second.read_bytes():
        raise NotReproducible(f"two builds of {first.name}: SHA-256 {sha256(first)} and {sha256(second)}")
    wheel = out / first.name
    wheel.write_bytes(first.read_bytes())
    return wheel


def build(python: Path, folder: Path, **variables: str) -> Path:
    """The wheel of the last commit, from files of that commit alone, stamped with its time, readable by all."""
    source, made = folder / "source", folder / "made"
    archive = folder / "commit.tar"
    source.mkdir(parents=True)
    run("git", "-C", ROOT, "archive", "--output", archive, "HEAD")
    with tarfile.open(archive) as files:
        files.extractall(source, filter="data")
    run(
        *(pip(python), "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", made, source),
        umask=0o022,  # it is in the wheel: the modes of its files
        SOURCE_DATE_EPOCH=committed_at(),
        **variables,
    )
    (wheel,) = made.glob("*.whl")
    return wheel


def committed_at() -> str:
    """Seconds since 1970."""
    command = ("git", "-C", str(ROOT), "log", "-1", "--format=%ct")
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603  # our own
    return told.stdout.strip()


def write_sbom(tools: Path, product: Path, path: Path) -> None:
    """Everything that is installed, with versions and licences; the same for the same releases."""
    about = ("--pyproject", ROOT / "pyproject.toml", "--output-reproducible", "--of", "JSON", "-o", path)
    run(tools.parent / "cyclonedx-py", "environment", *about, product)


def write_licences(tools: Path, product: Path, path: Path) -> None:
    """A table of packages and licences. ValueError: one of them would bind whoever passes Tessera on."""
    about = (
        "--python",
        product,
        "--from=mixed",
        "--with-urls",
        "--order=license",
        "--ignore-packages",
        "tessera-auction",
    )
    run(tools.parent / "pip-licenses", *about, "--format=markdown", f"--output-file={path}")
    run(tools.parent / "pip-licenses", *about, "--format=json", f"--output-file={path}.json")
    found = json.loads(Path(f"{path}.json").read_text(encoding="utf-8"))
    Path(f"{path}.json").unlink()
    if wrong := list(binding(found)):
        raise ValueError(f"licences that bind whoever passes the product on: {', '.join(wrong)}")


def binding(packages: Sequence[dict[str, str]]) -> Iterator[str]:
    """Packages that cannot be had under a licence without such words; "or" between licences is a choice."""
    for package in packages:
        choices = package["License"].replace(" or ", " OR ").split(" OR ")
        if all(BINDING.search(choice) for choice in choices):
            yield f"{package['Name']} {package['Version']} ({package['License']})"


def write_sums(out: Path) -> None:
    """As `sha256sum --check` reads them."""
    files = sorted(path for path in out.iterdir() if path.name != SHA_FILE)
    (out / SHA_FILE).write_text("".join(f"{sha256(path)}  {path.name}\n" for path in files), encoding="utf-8")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def environment(folder: Path, lock: Path) -> Path:
    """The interpreter of a new environment with what the lock names, and nothing else."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(pip(python), "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "-r", lock)
    return python


def pip(python: Path) -> Path:
    return python.parent / "pip"


def run(*command: object, umask: int = -1, **variables: str) -> None:
    """CalledProcessError: it failed; what it says is on the screen. `umask` -1: as it is."""
    words, environ = [str(word) for word in command], {**os.environ, **variables}
    subprocess.run(words, env=environ, umask=umask, check=True, timeout=1_800)  # noqa: S603  # our own


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python infra/release.py FOLDER")
    main(Path(sys.argv[1]))
