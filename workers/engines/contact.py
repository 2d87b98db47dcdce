"""Whether an engine was asked, and whether it answered, while one event was worked on.

Written down where every engine's calls pass (calls.py), read by whoever must know whether an engine is back: that a
worker is done with an event does not tell, for it may have asked nobody.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Contact:
    """With the engines, of one task and of those that it starts."""

    asked: bool = False
    answered: bool = False


_contact: ContextVar[Contact | None] = ContextVar("contact", default=None)


@contextmanager
def watched_contact() -> Iterator[Contact]:
    """What becomes known of the engines inside."""
    contact = Contact()
    token = _contact.set(contact)
    try:
        yield contact
    finally:
        _contact.reset(token)


def engine_asked() -> None:
    """A request is sent."""
    if (contact := _contact.get()) is not None:
        contact.asked = True


def engine_answered() -> None:
    """A request was answered with what was asked for."""
    if (contact := _contact.get()) is not None:
        contact.answered = True
