"""Tables as finance joins them: a row for each reply, charge and credit, with the place that it was read at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.envelope import Event
from schemas.record import Record
from schemas.topics import CHARGED, CREDITED, SETTLED, Topic

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SinkTable:
    """One table: which topic it copies, and its columns beside the place (name -> kind), in their order."""

    name: str
    topic: Topic
    columns: Mapping[str, str]  # text, integer, real or time
    row: Callable[[Event[Any]], Row]

    def placed(self, event: Event[Any], record: Record) -> Row:
        """The row of a record: its own columns, where it stands in the topic, and when the broker took it."""
        place = {"partition": record.partition, "offset": record.offset, "taken_at": event.taken_at}
        return {**self.row(event), **place}


def _fields(names: Mapping[str, str]) -> Callable[[Event[Any]], Row]:
    def row(event: Event[Any]) -> Row:
        return {name: getattr(event.data, name) for name in names}

    return row


CHARGE = {
    "charge_id": "text",
    "query_id": "text",
    "auction_id": "text",
    "advertiser_id": "text",
    "name": "text",
    "charge_micros": "integer",
    "currency": "text",
    "payment_rule": "text",
    "tau_micros_per_nat": "integer",
    "link_group": "text",
    "bound_micros": "integer",
    "probability_with": "real",
    "probability_without": "real",
    "scored_sha256": "text",
    "settled_sha256": "text",
    "submitted_at": "time",
}
CREDIT = {
    "credit_id": "text",
    "credit_key": "text",
    "charge_id": "text",
    "charged_sha256": "text",
    "query_id": "text",
    "auction_id": "text",
    "advertiser_id": "text",
    "credit_micros": "integer",
    "currency": "text",
    "reason": "text",
    "issued_at": "time",
}
REPLY = {
    "query_id": "text",
    "auction_id": "text",
    "outcome": "text",
    "reply": "text",
    "sponsored": "text",
    "total_charge_micros": "integer",
    "currency": "text",
    "effective_sample_size": "real",
    "submitted_at": "time",
}


def _reply(event: Event[Any]) -> Row:
    return {**_fields(REPLY)(event), "sponsored": ",".join(one.advertiser_id for one in event.data.sponsors)}


TABLES = (
    SinkTable("charges", CHARGED, CHARGE, _fields(CHARGE)),
    SinkTable("credits", CREDITED, CREDIT, _fields(CREDIT)),
    SinkTable("replies", SETTLED, REPLY, _reply),
)
BY_TOPIC = {table.topic.name: table for table in TABLES}
