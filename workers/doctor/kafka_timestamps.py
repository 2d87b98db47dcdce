"""Check of who stamps queries: what a producer writes there must not delete them."""

from schemas.topics import QUERIES
from workers.doctor.kafka_cluster import Findings, Inspected, no_topics
from workers.doctor.verdict import State
from workers.stream.admin.timestamps import BY_BROKER, TYPE, danger, deletes_at_once, remedies
from workers.stream.connection.clients import Clients


async def stamps(kafka: Inspected) -> Findings:
    if QUERIES.name not in kafka.present:
        return no_topics()
    configs = kafka.configs[QUERIES.name]
    if deletes_at_once(configs):
        return State.WARNING, danger(), remedies(Clients(kafka.settings))
    if configs[TYPE] == BY_BROKER:
        return State.OK, "queries are stamped by the broker", ""
    return State.OK, "the broker refuses a query whose stamp is older than its retention", ""
