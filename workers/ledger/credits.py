"""Corrections of bills: a credit takes back some or all of one charge, once for each key, never more than it was."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from schemas.billing import AdvertiserCharged, AdvertiserCredited
from schemas.envelope import Event
from schemas.identity import derive
from workers.errors import TesseraError
from workers.ledger.amounts import money

SOURCE = "credit"


class CreditRefused(TesseraError):
    """Nothing can be credited so; the message says what can."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to be taken back of a charge. `micros` None: all that is left of it."""

    micros: int | None
    reason: str
    key: str


def credit_id(charge_id: str, key: str) -> str:
    """The idempotency key of a credit."""
    return derive("credit", charge_id, key)


def issue(
    bill: Event[AdvertiserCharged], earlier: Sequence[AdvertiserCredited], wanted: Correction, at: datetime
) -> Event[AdvertiserCredited] | None:
    """The credit to publish, or None where the very same was issued before. `earlier`: all credits of this charge.

    CreditRefused: more than is left of the charge, or another credit has the key.
    """
    charge, id_ = bill.data, credit_id(bill.data.charge_id, wanted.key)
    known = next((one for one in earlier if one.credit_id == id_), None)
    if known is not None:
        _require_same(known, wanted)
        return None
    data = AdvertiserCredited(
        credit_id=id_,
        credit_key=wanted.key,
        charge_id=charge.charge_id,
        charged_sha256=bill.digest,
        query_id=charge.query_id,
        auction_id=charge.auction_id,
        advertiser_id=charge.advertiser_id,
        name=charge.name,
        charge_micros=charge.charge_micros,
        credit_micros=_affordable(charge, earlier, wanted),
        currency=charge.currency,
        reason=wanted.reason,
        submitted_at=charge.submitted_at,
        issued_at=at,
    )
    event = bill.follow(data, source=SOURCE, auction_id=charge.auction_id, time=at)
    return replace(event, id=derive("event", data.event_type, id_), expiry_time=None)


def _require_same(known: AdvertiserCredited, wanted: Correction) -> None:
    if wanted.micros in (None, known.credit_micros) and wanted.reason == known.reason:
        return
    raise CreditRefused(
        f"charge {known.charge_id} has a credit under the key {known.credit_key!r}: "
        f"{money(known.credit_micros, known.currency)}, {known.reason!r}. It stands; for one more choose another --key"
    )


def _affordable(charge: AdvertiserCharged, earlier: Sequence[AdvertiserCredited], wanted: Correction) -> int:
    """The micros to credit: at least 1, at most what earlier credits left of the charge."""
    credited = sum({one.credit_id: one.credit_micros for one in earlier}.values())
    left = charge.charge_micros - credited
    micros = left if wanted.micros is None else wanted.micros
    if micros <= 0 < left:
        raise CreditRefused("a credit is of at least one micro: to credit nothing, do nothing")
    if not 0 < micros <= left:
        was = f"charge {charge.charge_id} was {money(charge.charge_micros, charge.currency)}"
        before = f", of which {money(credited, charge.currency)} were credited before" if credited else ""
        most = f"at most {money(left, charge.currency)} can be credited" if left > 0 else "there is nothing to credit"
        raise CreditRefused(f"{was}{before}: {most}")
    return micros
