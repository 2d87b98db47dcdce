"""`tessera audit --processes`: each process audits its share of the queries, and the sums are put together."""

import os
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from schemas.record import Record
from workers.audit.findings import CHECK_OF, Check, Finding, Kind, Tally
from workers.audit.terms import TermsByDay
from workers.cli.period import WHOLE
from workers.errors import TesseraError

QUERY = "ce_correlationid"
MOST_PROCESSES = 64


@dataclass(frozen=True, slots=True)
class Share:
    """One of `count` shares of the queries; what is said of days, not of queries, is every share's."""

    index: int = 0
    count: int = 1

    def holds(self, record: Record) -> bool:
        """By the query id: in a header, where an event has one, else in the key."""
        if self.count == 1 or record.topic in WHOLE:
            return True
        query_id = next((value for name, value in record.headers if name == QUERY), record.key)
        return zlib.crc32(query_id or b"") % self.count == self.index


@dataclass
class ShareTally:
    """What one process found, as it is sent to the others' parent. `waiting_since`: as `Audit.scored_since`."""

    checked: Counter[Check]
    unverifiable: Counter[Check]
    notes: Counter[str]
    terms: TermsByDay
    kinds: Counter[Kind]
    findings: list[Finding] = field(default_factory=list)
    waiting_since: int | None = None


AuditShare = Callable[[Share], ShareTally]


def merged(tallies: Sequence[ShareTally], keep: Callable[[Finding], None]) -> tuple[Tally, int | None]:
    """The sums. What several processes found of one day's key is one finding, where they say the same."""
    tally, seen = Tally(keep), set[Finding]()
    for one in tallies:
        tally.checked.update(one.checked)
        tally.unverifiable.update(one.unverifiable)
        tally.notes.update(one.notes)
        tally.terms.include(one.terms)
        tally.kinds.update(one.kinds)
        for kind, count in one.kinds.items():
            tally.wrong[CHECK_OF[kind]] += count
        for finding in one.findings:
            if finding in seen:
                tally.forget(finding)
            else:
                seen.add(finding)
                keep(finding)
    return tally, min((one.waiting_since for one in tallies if one.waiting_since is not None), default=None)


def in_processes(work: AuditShare, processes: int) -> list[ShareTally]:
    """Each share's, from a process of its own. TesseraError: what one of them could not do; the others are ended."""
    context = get_context("spawn")
    children: list[tuple[Any, Connection]] = []
    for index in range(processes):
        here, there = context.Pipe(duplex=False)
        child = context.Process(target=_work, args=(there, work, Share(index, processes)), daemon=True)
        child.start()
        there.close()
        children.append((child, here))
    try:
        return [_result(child, here) for child, here in children]
    finally:
        for child, here in children:
            here.close()
            child.terminate()
            child.join()


def _result(child: Any, here: Connection) -> ShareTally:
    try:
        found: ShareTally | str = here.recv()
    except EOFError:
        child.join()
        raise TesseraError(f"a process of the audit died with exit code {child.exitcode}: nothing is known") from None
    if isinstance(found, str):
        raise TesseraError(found)
    return found


def _work(there: Connection, work: AuditShare, share: Share) -> None:
    """In the process of a share: the screen is the parent's."""
    sys.stderr = open(os.devnull, "w")  # as long as the process lasts
    try:
        there.send(work(share))
    except TesseraError as error:
        there.send(str(error))
