"""Where the command `tessera` begins: it finds its own packages, whatever else is called `workers` or `schemas`.

Both are names that a user's own folders have, and a folder on PYTHONPATH comes before what is installed.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

OWN = ("schemas", "workers")
HOME = str(Path(__file__).parent)


class OwnPackages:
    """Finds the two packages beside this file, and nothing else."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [HOME]) if name in OWN else None


def main() -> None:
    """Entry point of the installed command."""
    sys.meta_path.insert(0, OwnPackages)
    from workers.start import main as start

    start()
