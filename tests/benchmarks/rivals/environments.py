"""Virtual environments for the libraries that settlement is compared with: never ours, their dependencies clash."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from workers.user_folders import cache_folder

LIMIT_S = 600
DECODE_AND_SETTLE = (
    "numpy>=2.0",
    "pydantic>=2.12",
)  # what our schemas and mechanism need; our package is on PYTHONPATH
REQUIREMENTS = {
    "quix": ("quixstreams==3.28.1", *DECODE_AND_SETTLE),
    "faust": ("faust-streaming==0.15.3", *DECODE_AND_SETTLE),
}


def python_of(name: str) -> Path:
    """The interpreter of the environment, made in the cache folder on first use, which takes a minute."""
    wanted = REQUIREMENTS[name]
    digest = sha256(repr((sys.version, wanted)).encode()).hexdigest()[:16]
    folder = cache_folder() / "benchmarks" / f"{name}-{digest}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if not complete.exists():
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        _run(str(python), "-m", "pip", "install", "--quiet", *wanted)
        complete.touch()
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2_000:]}"
