"""Whether a server still serves what it served at the start: the numbers of another model are billed to nobody."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from workers.engines.openai_http.client import Client, Misdirected
from workers.engines.openai_http.completions import Drawn, Request
from workers.engines.openai_http.models import Card, listed
from workers.engines.openai_http.response import one_line
from workers.errors import EngineGone, EngineRejected

T = TypeVar("T")

EVERY_S = 180.0  # behind a balancer one model can follow another without a silence
ROUNDS = 2  # a comparison that is under way may have begun before the reason for this one; the next did not


@dataclass(frozen=True, slots=True)
class Baseline:
    """A model as it was at the start; `scored` gave `score`, nats, and may give `tolerance` more or less."""

    version: str
    card: Card
    drawn: Request[Drawn]
    scored: Request[float]
    score: float
    tolerance: float

    def change(self, version: str, card: Card, score: float) -> str:
        """What is not as it was; empty: it is the same."""
        if version != self.version:
            return f"version {self.version} became {version}"
        if card != self.card:
            return f"in /v1/models {one_line(str(self.card))} became {one_line(str(card))}"
        if abs(score - self.score) > self.tolerance:
            return f"a reply that it gave {self.score:.4g} nats has {score:.4g}"
        return ""


class Watch:
    """Compares the model with `known` whenever there is a reason, one comparison at a time for all that wait."""

    def __init__(self, client: Client, known: Baseline, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._known, self._clock = client, known, clock
        self._complaints = 0
        self._settled = 0  # reasons for which it has been compared; those of the opening are not
        self._compared_s = clock()
        self._gone = ""
        self._comparison: asyncio.Task[None] | None = None

    async def verify(self) -> None:
        """Before an answer is used. EngineGone: another model may have given it.

        A server that cannot be compared now raises as any request does. Who waits may be cancelled; the comparison
        goes on for the others and for the next.
        """
        for _ in range(ROUNDS):
            if self._is_due():
                await asyncio.shield(self._under_way())

    async def still_scores(self) -> None:
        """Nothing, where the server answers what it answered at the start. Else it is not the input's fault."""
        self._complaints += 1
        await self.verify()

    async def still_draws(self) -> None:
        """The same, where it fails to draw: a server may score and draw no more."""
        await self.still_scores()
        await _as_at_the_start(self._known.drawn.sent(self._client, ahead=True))

    async def close(self) -> None:
        if self._comparison is not None:
            self._comparison.cancel()
            await asyncio.wait([self._comparison])

    def _is_due(self) -> bool:
        if self._gone:
            raise EngineGone(self._gone)
        return self._reasons() != self._settled or self._clock() - self._compared_s >= EVERY_S

    def _reasons(self) -> int:
        return self._client.doubts + self._complaints

    def _under_way(self) -> asyncio.Task[None]:
        if self._comparison is None or self._comparison.done():
            self._comparison = asyncio.create_task(self._compare())
            self._comparison.add_done_callback(_retrieved)
        return self._comparison

    async def _compare(self) -> None:
        reasons, began_s = self._reasons(), self._clock()
        version, cards = await listed(self._client, ahead=True)
        name, url = self._known.card.id, self._client.url
        if name not in cards:
            raise Misdirected(f"{url} no longer lists the model {name!r} (--served-model-name, --lora-modules)")
        score = await _as_at_the_start(self._known.scored.sent(self._client, ahead=True))
        if change := self._known.change(version, cards[name], score):
            self._gone = (
                f"{url} now serves something else as {name!r}: {change}. Its numbers are not those of the model that "
                "was opened, so the process ends (an advertiser's own model abstains): a new start checks everything"
            )
            raise EngineGone(self._gone)
        self._settled, self._compared_s = reasons, began_s


async def _as_at_the_start(answer: Awaitable[T]) -> T:
    """The answer to what the server answered at the start. Misdirected: it refuses that now."""
    try:
        return await answer
    except EngineRejected as error:
        raise Misdirected(
            f"{error}; this is what the server answered when it was opened: was it started again with other settings "
            "(--max-model-len, --max-logprobs), or does something else answer at this URL?"
        ) from error


def _retrieved(comparison: asyncio.Task[None]) -> None:
    """Its error is known, even if all that waited for it were cancelled."""
    if not comparison.cancelled():
        comparison.exception()
