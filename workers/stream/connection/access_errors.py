"""What Kafka's refusals mean: nobody answers, the wrong password, an unknown authority, or a right that is missing."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from workers.errors import AccessDenied, BrokerError, TesseraError
from workers.stream.connection.security import user_of

#: What is refused, and the right that would allow it. aiokafka names the topics, groups and ids in the error.
RIGHTS = {
    TopicAuthorizationFailedError: "topic",
    GroupAuthorizationFailedError: "group",
    TransactionalIdAuthorizationFailed: "transactional id",
    ClusterAuthorizationFailedError: "cluster",
}
READ, WRITE, USE = "read", "write to", "use"
REMEDY = "`tessera principals show` lists what each principal needs, `tessera principals create` grants it"


class LastWords(logging.Handler):
    """Keeps aiokafka's last complaint: the cause of a failed connection is logged, not raised."""

    said = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep its message in place of the one before."""
        self.said = record.getMessage()


@contextmanager
def last_words() -> Iterator[LastWords]:
    """What aiokafka complains of meanwhile."""
    words = LastWords(logging.WARNING)
    logging.getLogger("aiokafka").addHandler(words)
    try:
        yield words
    finally:
        logging.getLogger("aiokafka").removeHandler(words)


# Without a handler of its own, Python prints a library's warnings to standard error; ours are exceptions.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())


def unreachable(connection: Mapping[str, Any], why: str) -> TesseraError:
    """Why no connection came about, as an error for the user: aiokafka's own says "unable to bootstrap" of each."""
    servers, who = connection["bootstrap_servers"], user_of(connection)
    if "SaslAuthenticationFailed" in why:
        return AccessDenied(
            f"Kafka at {servers} does not let {who} in: no such user, or another password than TESSERA_SASL_PASSWORD"
        )
    if "SaslMechanism" in why:
        mechanism = connection.get("sasl_mechanism")
        return AccessDenied(f"Kafka at {servers} lets nobody in by {mechanism}: set another TESSERA_SASL_MECHANISM")
    if "CERTIFICATE_VERIFY_FAILED" in why:
        return AccessDenied(
            f"the certificate of Kafka at {servers} is not trusted (TESSERA_TLS_CA_FILE): {why}. Somebody else may be "
            "answering there, or the file is not the authority that signed it"
        )
    why += "no answer" if why.endswith(": ") else ""  # aiokafka quotes a timeout, which has no text
    return BrokerError(
        f"no Kafka broker answers at {servers} (--bootstrap-servers, TESSERA_BOOTSTRAP_SERVERS): {why or 'no answer'}. "
        f"{_protocol_hint(connection, why)}`tessera broker start` starts one on this machine"
    )


def _protocol_hint(connection: Mapping[str, Any], why: str) -> str:
    """A port that wants TLS hangs up without a word; one that does not know it lets the client wait for an answer."""
    protocol = connection.get("security_protocol", "PLAINTEXT")
    if "Connect call failed" in why or (protocol == "PLAINTEXT" and "closed" not in why):
        return ""
    return f"Perhaps that port speaks another TESSERA_SECURITY_PROTOCOL than {protocol}. "


def denied(error: BaseException | None, user: str, verb: str = USE) -> AccessDenied | None:
    """The error for a right that `user` lacks, if it is that which Kafka's error, or its cause, says."""
    for kind, resource in RIGHTS.items():
        if isinstance(error, kind):
            what = f"{verb if resource == 'topic' else 'use'} {resource} {', '.join(_names(error.args))}"
            if resource == "cluster":  # asked by every producer, and granted with the first topic
                what = "write to any topic" if verb == WRITE else "administer the cluster"
            return AccessDenied(f"Kafka does not let {user} {what}; {REMEDY}")
    return denied(error.__cause__, user, verb) if error is not None and error.__cause__ is not None else None


def _names(arguments: Any) -> list[str]:
    """Names in an error's arguments, however deep in tuples and sets; a message behind a name is left out."""
    if isinstance(arguments, str):
        return [arguments.partition(": ")[0]]
    return sorted({name for argument in arguments for name in _names(argument)})
