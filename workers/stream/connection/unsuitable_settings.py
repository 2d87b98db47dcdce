"""Settings of Kafka's and of ours that do not fit: what its refusal means, where, and what to change."""

from aiokafka.errors import InvalidSessionTimeoutError, InvalidTransactionTimeout

from workers.errors import Unsuitable

SESSION = (
    "TESSERA_SESSION_TIMEOUT_S is {session_s:g}, and the brokers allow no such session: it must lie between their "
    "group.min.session.timeout.ms (Kafka's own: 6000) and group.max.session.timeout.ms (1800000). Change it, or theirs"
)
TRANSACTION = (
    "the brokers' transaction.max.timeout.ms is below the {transaction_ms} ms that a transaction of the workers may "
    "take: raise it in each broker's server.properties and restart them one by one; Kafka's own is 900000"
)


def unsuitable(error: BaseException | None, *, session_s: float = 0.0, transaction_ms: int = 0) -> Unsuitable | None:
    """The error for a time-out that the brokers do not allow, if it is that which Kafka's error, or its cause, says."""
    if error is None:
        return None
    for kind, words in ((InvalidSessionTimeoutError, SESSION), (InvalidTransactionTimeout, TRANSACTION)):
        if isinstance(error, kind) or kind.__name__ in str(error):  # aiokafka wraps some in a text
            return Unsuitable(words.format(session_s=session_s, transaction_ms=transaction_ms))
    return unsuitable(error.__cause__, session_s=session_s, transaction_ms=transaction_ms)
