"""Sales to receipt: a scored event settled under the tests' key, its bills, the commitment, the key or none."""

from collections.abc import Sequence
from typing import Any

from schemas.auction import Bidder, CandidatesScored
from schemas.envelope import Event
from schemas.receipt import AdvertiserReceipt, AuditorReceipt
from tests.support.builders import DRAW_KEY, SUBMITTED_AT, make_bidder, make_scored, make_settled
from workers.draw_keys import Committed
from workers.mechanism.epochs import epoch_key
from workers.receipts.build import advertiser_receipt, auditor_receipt
from workers.receipts.sale import KnownKey, Sale


def make_sale(seed: int = 0, *, public: bool | None = True, **changes: Any) -> Sale:
    """The sale of auction `seed`; `public` None: nobody knows the key yet."""
    return sale_of(make_scored(seed, **changes), public=public)


def sale_of(scored: Event[CandidatesScored], *, public: bool | None = True) -> Sale:
    settled, bills = make_settled(scored)
    key = epoch_key(DRAW_KEY, scored.data.draw_epoch)
    committed = Committed(str(key.epoch), key.sha256, SUBMITTED_AT) if key.epoch else None
    known = None if public is None else KnownKey(key, public)
    return Sale(scored, settled, tuple(bills), committed, known)


def receipts_of(sale: Sale) -> list[AuditorReceipt | AdvertiserReceipt]:
    """The auditor's, then each advertiser's."""
    own = [advertiser_receipt(sale, bill.data.advertiser_id) for bill in sale.bills]
    return [auditor_receipt(sale), *own]


def linked(groups: Sequence[str | None]) -> list[Bidder]:
    """A bidder for each group; None: alone."""
    return [make_bidder(index, link_group=group) for index, group in enumerate(groups)]
