"""Samples on disk, one file for each instance and proposal, named by what they depend on: a stopped run goes on."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from workers.experiments.paper.sampling import Samples


class SampleFile:
    """The samples of one instance and proposal, a JSON line for each seed. One process writes a file at a time."""

    def __init__(self, folder: Path, address: str) -> None:
        self.path = folder / f"{address}.jsonl"

    def read(self) -> dict[int, Samples]:
        """What is there, by seed. A last line that a killed process left unfinished is not."""
        return dict(_parse(line) for line in self._whole_lines())

    def append(self, seed: int, samples: Samples) -> None:
        """Add the samples of one seed, behind whole lines only. OSError: the disk is full, or the folder read-only."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._cut_unfinished_line()
        with self.path.open("ab") as file:
            file.write(_line(seed, samples))

    def _whole_lines(self) -> Iterator[bytes]:
        if self.path.exists():
            with self.path.open("rb") as file:
                yield from (line for line in file if line.endswith(b"\n"))

    def _cut_unfinished_line(self) -> None:
        if self.path.exists():
            whole = sum(map(len, self._whole_lines()))
            if whole < self.path.stat().st_size:
                with self.path.open("r+b") as file:
                    file.truncate(whole)


def _line(seed: int, samples: Samples) -> bytes:
    row = {
        "seed": seed,
        "texts": samples.texts,
        "tokens": samples.tokens,
        "log_q": samples.log_q.tolist(),
        "log_ref": samples.log_ref.tolist(),
        "log_context": samples.log_context.tolist(),
        "log_own": samples.log_own.tolist(),
    }
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _parse(line: bytes) -> tuple[int, Samples]:
    row = json.loads(line)
    logs = (np.array(row[name]) for name in ("log_q", "log_ref", "log_context", "log_own"))
    return row["seed"], Samples(tuple(row["texts"]), tuple(row["tokens"]), *logs)
