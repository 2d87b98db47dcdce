"""`tessera audit --processes`: each query is one share's, and the sums are those of one process."""

import pickle
import signal
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import pytest

from schemas.record import Record
from schemas.topics import CHARGED, COMMITMENTS, SCORED, SETTLED
from tests.audit.campaign_log import GOOD, SECRET, of, without
from workers.audit.auditor import Audit
from workers.audit.completeness import Completeness
from workers.audit.entries import NAMES, read_record
from workers.audit.findings import Finding, Kind, Tally
from workers.cli.audit_shares import Share, ShareTally, in_processes, merged
from workers.errors import TesseraError

WHOLE_LOG = Completeness(0, 2**62)


def tally_of(records: Sequence[Record], share: Share) -> ShareTally:
    found: list[Finding] = []
    with closing(Audit(found.append, [SECRET], WHOLE_LOG, credits_first=True)) as audit:
        for record in records:
            if record.topic in NAMES and share.holds(record) and (entry := read_record(record)) is not None:
                audit.add(entry)
        waiting_since, tally = audit.scored_since, audit.finish()
    return ShareTally(tally.checked, tally.unverifiable, tally.notes, tally.terms, tally.kinds, found, waiting_since)


def in_shares(records: Sequence[Record], count: int) -> tuple[Tally, list[Finding]]:
    found: list[Finding] = []
    tallies = [pickle.loads(pickle.dumps(tally_of(records, Share(index, count)))) for index in range(count)]  # noqa: S301
    return merged(tallies, found.append)[0], found


@pytest.mark.parametrize("count", [2, 3, 7])
def test_shares_add_up_to_the_audit_of_everything(log: list[Record], count: int) -> None:
    whole, _ = in_shares(log, 1)
    parts, found = in_shares(log, count)

    assert whole.notes["auctions"] == GOOD + 2 and found == []
    assert (+parts.checked, +parts.notes, +parts.unverifiable) == (+whole.checked, +whole.notes, +whole.unverifiable)
    assert parts.terms.rows() == whole.terms.rows() and parts.discrepancies == 0
    split = [tally_of(log, Share(index, 2)).notes["auctions"] for index in range(2)]
    assert min(split) > 0  # each does something


def test_what_is_wrong_is_found_once_whatever_the_shares(log: list[Record]) -> None:
    """Of a query in the share that has it; what is said of a day is in all of them."""
    reply, bill, scored = of(log, SETTLED.name)[1], of(log, CHARGED.name)[0], of(log, SCORED.name)[4]
    said = of(log, COMMITMENTS.name)[0]
    lied = [*without(log, reply, bill), scored, replace(said, value=_with_other_digest(said), offset=9)]

    whole, found = in_shares(lied, 1)
    parts, of_shares = in_shares(lied, 3)

    assert {Kind.MISSING_TERMINAL, Kind.MISSING_CHARGE, Kind.SECOND_COMMITMENT} <= set(+whole.kinds)
    assert +parts.kinds == +whole.kinds and +parts.wrong == +whole.wrong
    assert {*of_shares} == {*found} and len(of_shares) == len(found)


def _with_other_digest(record: Record) -> bytes:
    value = record.value or b""
    at = value.index(b'"key_sha256":"') + len(b'"key_sha256":"')
    return value[:at] + (b"0" if value[at : at + 1] != b"0" else b"1") + value[at + 1 :]


def refuses(share: Share) -> ShareTally:
    raise TesseraError(f"share {share.index} cannot read")


def dies(share: Share) -> ShareTally:
    signal.raise_signal(signal.SIGKILL)
    raise AssertionError


def test_what_a_process_cannot_do_is_an_error_of_all() -> None:
    with pytest.raises(TesseraError, match="share 0 cannot read"):
        in_processes(refuses, 1)
    with pytest.raises(TesseraError, match="died with exit code -9"):
        in_processes(dies, 1)
