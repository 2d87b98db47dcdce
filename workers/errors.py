"""Every error the workers raise on purpose.

TesseraError
├── Refused             a record that cannot be worked on becomes a dead letter (decoding raises schemas.BadRecord)
├── AuctionVoid         no auction can be held: the user gets the advert-free reply, nobody pays
├── EngineError
│   ├── EngineRejected      the input is at fault; the same call fails again
│   ├── EngineUnavailable   the engine is down; the input is not at fault, and the same call works when it is back
│   ├── EngineGone          the engine inside this process is gone: only a new process has one again
│   │   └── NotANumber          what it computes is no number; LoRA weights of one advertiser may be the reason
│   ├── EngineTimeout       no answer within the time allowed
│   ├── OwnModelDown        one advertiser's own model is down, gone or too slow: it abstains, nobody waits for it
│   └── RetriesExhausted    it timed out again and again, and the deadline allows no more attempts
├── SettingsError       a setting is missing or wrong; the message names the variable
├── ReceiptError        a query has no receipt, or its events do not fit together
├── MissingProgram      something that must be installed is not; the message says how to get it
├── BrokerError         Kafka cannot be reached, or is not set up for the workers
│   ├── NotRetriable        somebody must act: the same start fails again
│   │   ├── UpgradeFirst        a newer release wrote what is to be read: this one has to be replaced by it
│   │   ├── OffsetLost          where a stage goes on is unknown, or what comes there is no longer stored
│   │   ├── OffsetsUndecided    committed offsets are gone of stages that have worked before
│   │   ├── MemoryLost          the memory of settled queries is gone: what comes again would be billed again
│   │   ├── Misplaced           a remembered query id lies in another partition than its query's records
│   │   └── Unsuitable          Kafka's settings and ours do not fit: the message names both, and what to change
│   ├── StalePosition       Kafka answers with an older committed offset than this process committed
│   └── Stalled             records wait, and nothing is done
└── AccessDenied        Kafka refuses this user: asking again does not help
"""

from schemas.reasons import DeadLetterReason, VoidReason


class TesseraError(Exception):
    """Base of all of them: `str(error)` is meant for the person who has to act."""


class Refused(TesseraError):
    """The record cannot be worked on, now or later."""

    def __init__(self, reason: DeadLetterReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class AuctionVoid(TesseraError):
    """No auction can be held with these candidates."""

    def __init__(self, reason: VoidReason) -> None:
        super().__init__(reason.name)
        self.reason = reason


class EngineError(TesseraError):
    """A language model did not do what it was asked."""


class EngineRejected(EngineError):
    """The input is at fault: too long, empty, or a token outside the vocabulary."""


class EngineUnavailable(EngineError):
    """The engine is down; the same call works when it is back."""


class EngineGone(EngineError):
    """The engine inside this process is gone for good; end the process without committing."""


class NotANumber(EngineGone):
    """A log-probability is not one: no number of this model can be used."""


class EngineTimeout(EngineError):
    """The engine gave no answer within the time allowed."""


class OwnModelDown(EngineError):
    """The model that one advertiser brought is down, gone, or slower than its time allows."""


class RetriesExhausted(EngineError):
    """The engine timed out again and again."""


class SettingsError(TesseraError):
    """A setting is missing or has a value that cannot be used."""


class ReceiptError(TesseraError):
    """A query has no receipt, or its events do not fit together."""


class MissingProgram(TesseraError):
    """A program or optional package is not installed."""


class BrokerError(TesseraError):
    """Kafka cannot be reached, or its topics and offsets are not as the workers need them."""


class NotRetriable(BrokerError):
    """Somebody must act: asking again, or starting again, fails the same way."""


class UpgradeFirst(NotRetriable):
    """An event has a value that decides something and that only a newer release knows: nothing is guessed."""


class OffsetLost(NotRetriable):
    """Where a stage goes on is unknown, or what comes there is no longer stored: somebody must decide."""


class OffsetsUndecided(NotRetriable):
    """Committed offsets are gone of stages that have worked before: somebody must say where they go on."""


class MemoryLost(NotRetriable):
    """The stage has settled before and remembers nothing: it would bill again what comes again."""


class Misplaced(NotRetriable):
    """A remembered query id lies in another partition than its query's records: its owner does not know it."""


class Unsuitable(NotRetriable):
    """A setting of Kafka's, or of ours, keeps the stages from working; the message names it and what to change."""


class StalePosition(BrokerError):
    """Kafka answers with an older committed offset than this process itself committed: it has to be asked again."""


class Stalled(BrokerError):
    """Records wait, nothing is in work and nothing is committed: a new process may do better."""


class AccessDenied(TesseraError):
    """Kafka does not let this user in, or not do what it asks for; only an administrator of Kafka can change that."""
