"""Runs inside a process that has the frozen release of `cc146cd.zip` on its path, and this release nowhere.

`settle FILE` prints the events that it makes of scored lines, `score FILE` those of generated lines, `audit FILE` the
kinds of discrepancy that it finds; each a line.
"""

import asyncio
import sys
from datetime import UTC, datetime
from typing import Any

import schemas
from schemas.lines import read_event, to_line
from schemas.topics import GENERATED, SCORED, Topic

SECRET = b"the public key of the tests"


def events(topic: Topic) -> list[Any]:
    with open(sys.argv[2], "rb") as file:
        return [event for line in file if (event := read_event(line, topic)) is not None]


def settle() -> None:
    from workers.mechanism.epochs import epoch_key
    from workers.settlement import settle_event

    for event in events(SCORED):
        for settled in settle_event(event, epoch_key(SECRET, event.data.draw_epoch)):
            print(to_line(settled).decode())


def score() -> None:
    from workers.engines.null import NullEngine
    from workers.rewards.log_ratio import LogRatio
    from workers.scoring import Scoring, Terms

    engine = NullEngine()
    worker = Scoring(engine, LogRatio(engine), Terms(1_000, "USD", "offset"), lambda: datetime.now(UTC))
    for event in events(GENERATED):
        (scored,) = asyncio.run(worker.handle(event))
        print(to_line(scored).decode())


def audit() -> None:
    from workers.audit.reading import read_line  # as that release names it

    from workers.audit.auditor import Audit

    judge = Audit(lambda finding: print(finding.kind.value), [SECRET])
    with open(sys.argv[2], "rb") as file:
        for number, line in enumerate(file, 1):
            if (entry := read_line(line, number)) is not None:
                judge.add(entry)
    judge.finish()


if __name__ == "__main__":
    assert "cc146cd.zip" in str(schemas.__file__), schemas.__file__
    {"settle": settle, "score": score, "audit": audit}[sys.argv[1]]()
