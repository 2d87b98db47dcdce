"""Sets up this checkout and runs it: `python3 infra/bootstrap.py demo` or `... test`. All it needs is Python 3.11.

Everything goes into `.venv` beside this folder. Debian packages are installed only where something is missing, and only
as root or with sudo; otherwise the command to run is printed.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "infra" / "requirements" / "lock.txt"
OLDEST_PYTHON = (3, 11)
PROGRAMS = {
    "java": "openjdk-17-jre-headless",
    "mvn": "maven",
    "openssl": "openssl",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "chromium": "chromium",
}
CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "--quiet", "."),
    ("mypy",),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("demo", "test"), help="run the demo, or lint, types and all tests")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="options for `tessera demo` or pytest")
    given = parser.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        raise SystemExit(
            f"Python {'.'.join(map(str, OLDEST_PYTHON))} or newer is needed; this is {sys.version.split()[0]}"
        )
    os.chdir(ROOT)
    return demo(given.rest) if given.what == "demo" else test(given.rest)


def demo(options: Sequence[str]) -> int:
    install("")
    return run(program("tessera"), "demo", *options)


def test(options: Sequence[str]) -> int:
    """Lint, types, tests; the first that fails ends it. Pytest comes last, so its summary is the last line."""
    get_programs()
    install("[dev]")
    for check in CHECKS:
        say(" ".join(check))
        if code := run(program(check[0]), *check[1:]):
            return code
    return run(program("python"), "-m", "pytest", *options)


def install(extra: str) -> None:
    """Create `.venv` and install the project into it, unless just that was done before."""
    stamp, wanted = VENV / f"installed{extra}", fingerprint()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if not (VENV / "bin" / "pip").exists():
        say("creating .venv")
        create_environment()
    say("installing the project and what it needs; the first time takes a minute or two")
    must(program("pip"), "install", "--quiet", "--disable-pip-version-check", "-c", LOCK, "-e", f".{extra}")
    stamp.write_text(wanted)


def create_environment() -> None:
    if run(sys.executable, "-m", "venv", VENV, quiet=True) == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)  # Debian's Python comes without venv
    get_packages(["python3-venv"], needed_for="a virtual environment")
    must(sys.executable, "-m", "venv", VENV)


def fingerprint() -> str:
    """Of everything that decides what is installed."""
    digest = hashlib.sha256(sys.version.encode())
    for path in (ROOT / "pyproject.toml", LOCK):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def get_programs() -> None:
    """What the tests use beside Python. At home a missing one only skips its tests; with CI set they fail."""
    missing = sorted({package for name, package in PROGRAMS.items() if not shutil.which(name)})
    if missing:
        get_packages(missing, needed_for="the tests with a real Kafka, Prometheus and browser", required=False)


def get_packages(packages: Sequence[str], *, needed_for: str, required: bool = True) -> None:
    command = " ".join(["apt-get", "install", "--no-install-recommends", "-y", *packages])
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") and (not prefix or shutil.which("sudo")):
        say(f"installing {', '.join(packages)} for {needed_for}")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(*prefix, "apt-get", "update", "-qq", quiet=True, environment=environment)
        if run(*prefix, *command.split(), "-qq", quiet=True, environment=environment) == 0:
            return
    message = f"{needed_for} needs {', '.join(packages)}. As root: {command}"
    if required:
        raise SystemExit(message)
    say(f"not installed: {message}")


def program(name: str) -> Path:
    return VENV / "bin" / name


def say(text: str) -> None:
    print(f"-- {text}", file=sys.stderr, flush=True)


def must(*command: object) -> None:
    if code := run(*command):
        raise SystemExit(code)


def run(*command: object, quiet: bool = False, environment: dict[str, str] | None = None) -> int:
    """Exit status of a command; 130 when it is interrupted."""
    output = subprocess.DEVNULL if quiet else None
    try:
        return subprocess.run(  # noqa: S603  # our own commands
            [str(part) for part in command], stdout=output, stderr=output, env=environment, check=False
        ).returncode
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
