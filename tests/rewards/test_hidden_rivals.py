"""A model that is shown no rival's name: which replies it is asked of, and what the others are worth."""

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.auction import Bidder
from tests.rewards.models import Fake, on_shelf
from tests.support.builders import make_bidder
from workers.engines.base import Reply
from workers.engines.options import EngineOptions
from workers.rewards.base import Candidates
from workers.rewards.hidden_rivals import HiddenRivals
from workers.rewards.open import OpenEngines, open_sources

OWN, RIVAL, PARTNER = (
    make_bidder(0, name="Ovennest", link_group="bakers"),
    make_bidder(1, name="Crumbworks"),
    make_bidder(2, name="Doughpath", link_group="bakers"),
)
TEXTS = ("Ovennest bakes.", "CRUMBWORKS and Ovennest bake.", "Doughpath bakes.", "Bake.")


class Recorded:
    """A source that remembers the replies it was asked of; each is worth its length."""

    origin = "model:own@" + "a" * 64

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []

    async def rewards(self, candidates: Candidates, advertiser: Bidder) -> NDArray[np.float64]:
        assert len(candidates.log_ref) == len(candidates.replies)
        self.asked.append([reply.text for reply in candidates.replies])
        return np.array([float(len(reply.text)) for reply in candidates.replies])


def candidates(texts: Sequence[str] = TEXTS, bidders: Sequence[Bidder] = (OWN, RIVAL, PARTNER)) -> Candidates:
    replies = [Reply((index + 1,), text, -1.0, True) for index, text in enumerate(texts)]
    return Candidates("How do I bake?", replies, np.arange(float(len(texts))), bidders=bidders)


async def test_a_reply_that_names_a_rival_is_not_sent_and_is_worth_nothing() -> None:
    source = Recorded()

    rewards = await HiddenRivals(source).rewards(candidates(), OWN)

    assert source.asked == [[TEXTS[0], TEXTS[2], TEXTS[3]]]
    assert rewards.tolist() == [len(TEXTS[0]), 0.0, len(TEXTS[2]), len(TEXTS[3])]


async def test_who_is_in_no_link_group_has_everybody_for_a_rival() -> None:
    source = Recorded()

    await HiddenRivals(source).rewards(candidates(), RIVAL)

    assert source.asked == [[TEXTS[3]]]


async def test_where_a_rival_is_named_in_every_reply_the_model_is_not_asked() -> None:
    source = Recorded()

    rewards = await HiddenRivals(source).rewards(candidates(TEXTS[1:2]), OWN)

    assert rewards.tolist() == [0.0] and source.asked == []


@pytest.mark.parametrize("hide", [False, True])
async def test_only_a_choice_that_says_so_hides_rivals(hide: bool, tmp_path: Path) -> None:
    own, reference = Fake("own"), Fake("reference")
    choice = {"source": "model", "engine": "own", **({"hide_rivals": True} if hide else {})}
    (tmp_path / "rewards.json").write_text(json.dumps({"advertisers": {OWN.advertiser_id: choice}}))
    with on_shelf(own):
        async with AsyncExitStack() as stack:
            known = OpenEngines(reference, {"reference": reference}, EngineOptions())
            sources = await open_sources(tmp_path / "rewards.json", known, stack)
            rewards = await sources.rewards.rewards(candidates(), OWN)

    assert bool(rewards[1] == 0.0) is hide
    assert np.count_nonzero(rewards) == len(TEXTS) - hide
