"""Of processes with one instance name the one that began first goes on; how two of them meet: `tests/simulation`."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError, for_code

from workers.errors import BrokerError, Unsuitable
from workers.stream.connection.static_members import (
    STABLE,
    FencedInstanceIdError,
    Holder,
    StillRebalancing,
    holder,
    is_fenced,
    saying,
)
from workers.stream.displacement import Claim, StaticMembership

EARLIER, OURS, LATER = (Claim.of_process("one") for _ in range(3))


def held_by(claim: Claim) -> Holder:
    return Holder("/10.0.0.7", claim.mark)


def test_behind_an_earlier_process_this_one_ends_and_says_where_the_other_is_and_what_to_set() -> None:
    words = (
        r"another process runs the same stage as 'one' \(TESSERA_INSTANCE, --instance\): it is at 10\.0\.0\.7, "
        r"began at 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ, earlier, and keeps the place; .* a name of its own"
    )
    with pytest.raises(Unsuitable, match=words):
        OURS.check(held_by(EARLIER))


@pytest.mark.parametrize("found", [None, held_by(OURS), held_by(LATER)])
def test_nobody_a_later_process_and_this_very_one_are_displaced(found: Holder | None) -> None:
    OURS.check(found)


@pytest.mark.parametrize(
    "said",
    [b"", b"began yesterday", b"\xff", LATER.mark + b" and more"],
    ids=["nothing", "words", "no text", "more than that"],
)
def test_whoever_does_not_say_when_it_began_keeps_the_place(said: bytes) -> None:
    with pytest.raises(Unsuitable, match=re.escape("began earlier and keeps the place")):
        OURS.check(Holder("/10.0.0.7", said))


class Answering:
    """Clients that know one group, or none of them answers."""

    def __init__(self, found: Claim | None = None, state: str = STABLE, trouble: Exception | None = None) -> None:
        subscription = saying(found.mark).metadata(["a-topic"]).encode() if found else b""
        other = ("id-2", "stage-two", "client", "/10.0.0.8", b"", b"")
        self.rows = [other, ("id-1", "stage-one", "client", "/10.0.0.7", subscription, b"")][: 2 if found else 1]
        self.state, self.trouble, self.asked = state, trouble, 0

    async def coordinator(self, *_: Any) -> int:
        return 0

    async def ask(self, *_: Any) -> Any:
        return SimpleNamespace(groups=[(0, "group", self.state, "consumer", "roundrobin", self.rows, 0)])

    async def retry(self, attempt: Any) -> Any:
        return await attempt()

    @asynccontextmanager
    async def cluster(self, within_s: float) -> AsyncIterator["Answering"]:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        yield self


def place(clients: Answering, claim: Claim = OURS) -> StaticMembership:
    return StaticMembership(clients, claim, "stage", "group", 3.0)  # type: ignore[arg-type]


async def test_a_process_that_lost_its_place_to_an_earlier_one_does_not_join_again() -> None:
    ours = place(Answering(EARLIER))
    ours.claimed()
    with pytest.raises(Unsuitable, match="TESSERA_INSTANCE"):
        await ours.check(member_id="")


@pytest.mark.parametrize("clients", [Answering(), Answering(LATER), Answering(trouble=BrokerError("no answer"))])
async def test_a_process_that_lost_its_place_to_a_later_one_or_to_nobody_joins_again(clients: Answering) -> None:
    ours = place(clients)
    ours.claimed()
    await ours.check(member_id="")
    assert clients.asked == 1


@pytest.mark.parametrize(
    ("claim", "was_claimed", "member_id"),
    [(OURS, False, ""), (OURS, True, "an-id"), (Claim.of_process(""), True, "")],
    ids=["a first join", "an ordinary rebalance", "no name"],
)
async def test_who_has_lost_no_place_asks_for_nobody(claim: Claim, was_claimed: bool, member_id: str) -> None:
    """A restarted process takes the place of the one that died at once."""
    clients = Answering(EARLIER)
    ours = place(clients, claim)
    if was_claimed:
        ours.claimed()
    await ours.check(member_id)
    assert clients.asked == 0


async def test_a_group_that_rebalances_is_asked_again_because_it_does_not_tell_what_members_said() -> None:
    with pytest.raises(StillRebalancing) as found:
        await holder(Answering(EARLIER, state="PreparingRebalance"), "group", "stage-one")  # type: ignore[arg-type]
    assert found.value.retriable
    assert await holder(Answering(state="PreparingRebalance"), "group", "stage-one") is None  # type: ignore[arg-type]


def test_the_assignor_is_aiokafkas_own_but_for_what_it_says() -> None:
    ours, theirs = saying(b"words").metadata(["a"]), RoundRobinPartitionAssignor.metadata(["a"])
    assert (ours.version, ours.subscription, ours.user_data) == (theirs.version, theirs.subscription, b"words")
    assert saying(b"words").name == RoundRobinPartitionAssignor.name


def test_a_fenced_instance_is_known_from_every_other_error() -> None:
    """aiokafka knows no such code of Kafka's, and passes on the text of what it does not know."""
    assert for_code(82) is FencedInstanceIdError
    assert is_fenced(KafkaError(repr(FencedInstanceIdError())))
    assert not is_fenced(KafkaError(repr(for_code(-1)())))
