"""Logs for audits: right ones as the product writes them, and the same with one lie told consistently.

An operator who cheats keeps the digests right: `Log.reply` and `Log.bill` are encoded anew, and every bill names the
reply as it is then. So a fraud is caught for what it is, not for a hash that nobody cared to correct.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from schemas.auction import CandidatesScored
from schemas.billing import AdvertiserCharged
from schemas.draw import DrawCommitment
from schemas.lines import to_line
from schemas.payload import Payload
from schemas.reply import ReplySettled
from tests.support.builders import DRAW_KEY, SUBMITTED_AT, envelop, make_scored, settle
from workers.audit.auditor import Audit
from workers.audit.entries import read_line
from workers.audit.findings import Finding, Tally
from workers.draw_keys import commitment
from workers.mechanism.epochs import epoch_key

EPOCH = "2026-11-23"  # of SUBMITTED_AT


@dataclass(frozen=True)
class Log:
    """The events of one auction, and the commitment before it."""

    scored: CandidatesScored
    reply: ReplySettled
    bills: tuple[AdvertiserCharged, ...]
    before: tuple[Payload, ...] = field(default_factory=lambda: (committed(),))

    def change_reply(self, **changes: Any) -> "Log":
        """Another reply, which the bills name."""
        reply = ReplySettled(**(_fields(self.reply) | changes))
        digest = sha256(reply.encode()).hexdigest()
        bills = [AdvertiserCharged(**(_fields(bill) | {"settled_sha256": digest})) for bill in self.bills]
        return replace(self, reply=reply, bills=tuple(bills))

    def change_bill(self, place: int = 0, **changes: Any) -> "Log":
        """Another bill at that place; the reply's total stays the sum of the charges."""
        bills = list(self.bills)
        bills[place] = AdvertiserCharged(**(_fields(bills[place]) | changes))
        total = sum(bill.charge_micros for bill in bills)
        return replace(self, bills=tuple(bills)).change_reply(total_charge_micros=total)

    def change_scored(self, **changes: Any) -> "Log":
        """Another scored event than the one that was settled."""
        return replace(self, scored=CandidatesScored(**(_fields(self.scored) | changes)))

    def payloads(self) -> list[Payload]:
        return [*self.before, self.scored, self.reply, *self.bills]


def make_log(seed: int = 0, secret: bytes = DRAW_KEY, **changes: Any) -> Log:
    """An auction of `make_scored`, settled by the product."""
    scored = make_scored(seed, **changes)
    reply, *bills = settle(scored, secret)
    return Log(scored.data, reply.data, tuple(bill.data for bill in bills))  # type: ignore[arg-type]  # by position


def committed(secret: bytes = DRAW_KEY, *, reveal: bool = False) -> DrawCommitment:
    """The commitment to the key of EPOCH under a secret."""
    return commitment(epoch_key(secret, EPOCH), SUBMITTED_AT, reveal=reveal).data


def lines(payloads: Iterable[Payload]) -> list[bytes]:
    """The events as lines of a file."""
    return [to_line(envelop(payload, recorded_at=SUBMITTED_AT)) for payload in payloads]


def audited(
    *logs: Log | Sequence[Payload],
    secrets: Sequence[bytes] = (DRAW_KEY,),
    keep: Callable[[Finding], None] | None = None,
) -> Tally:
    """The verdict on the logs, one after the other, from their lines."""
    audit = Audit(keep or (lambda finding: None), secrets)
    payloads = [payload for log in logs for payload in (log.payloads() if isinstance(log, Log) else log)]
    for number, line in enumerate(lines(payloads), 1):
        entry = read_line(line, number)
        assert entry is not None
        audit.add(entry)
    return audit.finish()


def kinds(*logs: Log | Sequence[Payload], secrets: Sequence[bytes] = (DRAW_KEY,)) -> list[str]:
    """The kinds of discrepancy that are found, each once, in order."""
    found: list[Finding] = []
    audited(*logs, secrets=secrets, keep=found.append)
    return list(dict.fromkeys(finding.kind.value for finding in found))


def _fields(payload: Payload) -> dict[str, Any]:
    return {name: getattr(payload, name) for name in type(payload).model_fields}
