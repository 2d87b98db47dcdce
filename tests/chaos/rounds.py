"""A long campaign in rounds: each on a broker of its own, each verified by itself, each one line of a file."""

import json
import platform
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil

from tests.chaos.campaign import Round
from tests.chaos.plan import Plan
from tests.chaos.schedule import BROKERS, EVERYTHING, share
from workers.devkafka.jars import kafka_version

GIBIBYTE = 1024**3
ROUND_LIMIT_S = 1_800.0


@dataclass(frozen=True)
class Campaign:
    """What a long campaign is to be. What its folder has begun with stays: another seed is another folder."""

    auctions: int
    seed: int
    per_round: int
    is_static: bool
    folder: Path
    profile: str = EVERYTHING
    nodes: int = 1
    without: str = ""  # see walls.py

    @property
    def kind(self) -> dict[str, Any]:
        """What all its rounds have in common."""
        names = ("seed", "per_round", "is_static", "profile", "nodes", "without")
        return {f"campaign_{name}": getattr(self, name) for name in names}

    @property
    def lines(self) -> Path:
        return self.folder / "rounds.jsonl"

    def done(self) -> list[dict[str, Any]]:
        """The rounds that are complete. ValueError: they belong to another campaign."""
        if not self.lines.exists():
            return []
        rounds = [json.loads(line) for line in self.lines.read_text().splitlines()]
        for one in rounds:
            if (found := {name: one[name] for name in self.kind}) != self.kind:
                raise ValueError(f"{self.lines} has rounds of another campaign: {found}, not {self.kind}")
        return rounds


def run(campaign: Campaign, note: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """The rounds that are still missing, each as it is written to the file."""
    campaign.folder.mkdir(parents=True, exist_ok=True)
    rounds = campaign.done()
    asked = sum(one["asked"] for one in rounds)
    for number in range(len(rounds), len(rounds) + _missing(campaign, asked)):
        size = min(campaign.per_round, campaign.auctions - asked)
        note(f"round {number}: {size} records")
        line = _round(campaign, number, size, asked)
        with campaign.lines.open("a") as file:
            file.write(json.dumps(line) + "\n")
        asked += size
        yield line


def _missing(campaign: Campaign, asked: int) -> int:
    return -(-max(0, campaign.auctions - asked) // campaign.per_round)


def _round(campaign: Campaign, number: int, size: int, before: int) -> dict[str, Any]:
    """Run one; its folder stays only where something was found. A round that comes to no end is a finding too."""
    seed = int(sha256(f"{campaign.seed}/{number}".encode()).hexdigest()[:12], 16)
    folder = campaign.folder / f"round-{number:03}"
    shutil.rmtree(folder, ignore_errors=True)
    plan = Plan(
        size,
        seed,
        share(size, before, campaign.profile),
        is_static=campaign.is_static,
        nodes=campaign.nodes,
        fills_offsets=campaign.profile == BROKERS,
        has_strangers=campaign.profile == EVERYTHING,
        without=campaign.without,
        limit_s=ROUND_LIMIT_S,
    )
    began, head = time.time(), revision()
    try:
        outcome = Round(plan, folder).run().as_json()
    except AssertionError as error:
        outcome = {"seed": seed, "auctions": 0, "findings": [f"the round did not end: {error}"]}
    if not outcome["findings"]:
        shutil.rmtree(folder)
    return {
        "round": number,
        **campaign.kind,
        "asked": size,
        "commit": head,
        "kafka": kafka_version(),
        "machine": machine(),
        "began": int(began),
        "took_s": round(time.time() - began, 1),
        **outcome,
    }


def machine() -> str:
    """The class of this machine."""
    memory_gib = round(psutil.virtual_memory().total / GIBIBYTE)
    return f"{psutil.cpu_count()} cores, {memory_gib} GiB, {platform.system()} {platform.machine()}"


def revision() -> str:
    """The revision under test, with a mark when files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain") else "")


def summed(rounds: list[dict[str, Any]], name: str) -> Counter[str]:
    """The counts of all rounds under one name."""
    total: Counter[str] = Counter()
    for one in rounds:
        total.update(one.get(name, {}))
    return total
