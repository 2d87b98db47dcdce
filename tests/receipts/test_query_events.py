"""A query's events are put together in any order, each once, and a contradiction is refused."""

from itertools import permutations

import pytest

from schemas.billing import AdvertiserCharged
from schemas.envelope import Event
from schemas.record import Record
from schemas.topics import CHARGED
from tests.support.builders import envelop, make_query, make_record, make_scored, make_settled, settle
from workers.errors import ReceiptError
from workers.receipts.query_events import QueryEvents
from workers.receipts.query_result import Collector

SCORED = make_scored(1)
SETTLED, BILLS = make_settled(SCORED)
QUERY_ID = SETTLED.data.query_id


def assembled(*events: Event) -> QueryEvents:  # type: ignore[type-arg]  # of any payload
    query = QueryEvents(QUERY_ID, "the log")
    for event in events:
        query.add(event)
    return query


def test_the_order_of_a_querys_events_does_not_matter() -> None:
    assert len(BILLS) == 2
    for events in permutations([SCORED, SETTLED, *BILLS]):
        query = assembled(*events)

        assert query.is_complete
        assert (query.settled_from, query.charges, query.missing_bills) == (SCORED, tuple(BILLS), [])


def test_a_query_is_complete_with_the_last_bill_that_its_reply_names_and_not_before() -> None:
    first, second = BILLS

    assert not assembled(*BILLS).is_complete
    assert not assembled(SETTLED, first).is_complete
    assert assembled(SETTLED, first).missing_bills == [second.data.charge_id]
    assert assembled(SETTLED, first, second).is_complete


def test_the_same_event_twice_counts_once() -> None:
    query = assembled(SCORED, SETTLED, *BILLS, SCORED, SETTLED, *BILLS)

    assert (len(query.scored), query.charges) == (1, tuple(BILLS))


def test_other_events_of_the_query_are_passed_over() -> None:
    assert assembled(make_query(1)) == assembled()


def test_two_different_replies_or_bills_of_one_query_are_refused() -> None:
    contradictions = settle(SCORED, b"another secret of the draw, as long")[0], with_another_charge(BILLS[0])

    for other in contradictions:
        with pytest.raises(ReceiptError, match=f"two different {other.type} events of {QUERY_ID}.*tessera audit"):
            assembled(SETTLED, *BILLS, other)


def with_another_charge(bill: Event[AdvertiserCharged]) -> Event[AdvertiserCharged]:
    """The same charge id, and another amount."""
    return envelop(bill.data.model_copy(update={"charge_micros": bill.data.charge_micros + 1}))


def test_the_scored_event_is_the_one_that_the_reply_names_not_the_first_that_was_read() -> None:
    again = make_scored(1, log_ref=(-1.0, -2.0, -3.0, -4.0))
    elsewhere = make_scored(2)

    assert assembled(again, elsewhere, SCORED, SETTLED).settled_from == SCORED
    assert assembled(again, SETTLED).settled_from == again  # what it names is gone: the first of its auction
    assert assembled(elsewhere, SETTLED).settled_from is None


def test_a_contradiction_ends_the_wait_for_a_reply_instead_of_replacing_it() -> None:
    collector = Collector({QUERY_ID})
    collector.add(as_record(BILLS[0]))

    with pytest.raises(ReceiptError, match=r"Kafka has two different auction\.billing\.charged\.v1 events"):
        collector.add(as_record(with_another_charge(BILLS[0])))


def as_record(event: Event[AdvertiserCharged]) -> Record:
    return make_record(event, CHARGED)
