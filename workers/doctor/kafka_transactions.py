"""Check of open transactions: one that does not end holds up every stage behind it."""

from aiokafka.errors import IncompatibleBrokerVersion

from workers.doctor.kafka_cluster import Findings, Inspected, few
from workers.doctor.verdict import State
from workers.stream.connection.open_transactions import OpenTransaction, open_transactions
from workers.stream.partition.producer import TRANSACTION_TIMEOUT_MS

LONGEST_OWN_S = TRANSACTION_TIMEOUT_MS / 1_000


async def transactions(kafka: Inspected) -> Findings:
    """The workers' own end within their time-out."""
    try:
        found = await open_transactions(kafka.cluster)
    except IncompatibleBrokerVersion:
        return State.UNKNOWN, "the brokers do not tell which transactions are open", ""
    ours = [one for one in found if any(topic in kafka.plans for topic, _ in one.places)]
    if long := [one for one in ours if one.age_s > LONGEST_OWN_S]:
        said = f"open for long, and nothing behind them can be read: {few(map(_named, long))}"
        return State.FAILED, said, few(_end(kafka, one) for one in long)
    return State.OK, f"none of those that this account may see is open for more than {LONGEST_OWN_S:g} s", ""


def _named(one: OpenTransaction) -> str:
    places = few(f"{topic} {number}" for topic, number in one.places)
    return f"{one.transactional_id!r} since {one.age_s:.0f} s in {places}"


def _end(kafka: Inspected, one: OpenTransaction) -> str:
    servers = kafka.settings.bootstrap_servers
    return (
        f"stop the producer {one.transactional_id!r}; Kafka aborts its transaction {one.timeout_s:g} s after it began, "
        f"or at once: `kafka-transactions.sh --bootstrap-server {servers} forceTerminateTransaction "
        "--transactionalId ID` (Kafka 4.2)"
    )
