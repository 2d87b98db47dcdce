"""The file a run goes on from: whole or not there at all, and only for a run with the same arguments and corpus."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from .held_out import DEMO

#: Arguments that may change between two parts of one run. None changes a weight of the part that is done; `tokens`,
#: changed before so many are seen, gives what a run with the new number from its start would have given.
FREE = frozenset({"run", "threads", "stop_at", "compile", "tokens"})


#: What the drawn dialogues depend on.
CORPUS = (
    "batches corpus held_out names outside phrases questions replies subjects things turns vocabulary wording"
).split()


def corpus_sha256() -> str:
    """Digest of the sources of the dialogues: a run that goes on must draw from the same corpus."""
    folder = Path(__file__).parent
    files = [*(folder / f"{name}.py" for name in CORPUS), *sorted((folder / "subjects").glob("*.txt")), DEMO]
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _bound(args: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in args.items() if name not in FREE} | {"corpus": corpus_sha256()}


def save(path: Path, state: dict[str, Any], args: Mapping[str, Any]) -> None:
    """Write the state beside the old one, on the disk before it takes its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        torch.save(state | {"args": _bound(args)}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def load(path: Path, args: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state, or None where no run began; SystemExit where that run had other arguments."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True)
    if different := {name for name, value in _bound(args).items() if state["args"].get(name) != value}:
        kept = ", ".join(f"--{name.replace('_', '-')} {state['args'].get(name)}" for name in sorted(different))
        raise SystemExit(f"{path} belongs to a run with {kept}; give these, or another --run folder")
    return state
