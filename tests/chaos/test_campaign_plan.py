"""What a campaign asks and when it breaks what: seeded, bounded, in the proportions it promises."""

import json
from collections import Counter
from hashlib import sha256
from itertools import accumulate, pairwise

import pytest

from schemas.reasons import DeadLetterReason
from schemas.record import Record
from schemas.topics import QUERIES
from tests.chaos.poison import KINDS, Poison
from tests.chaos.queries import SETTLED, Queries
from tests.chaos.schedule import PROFILES, appointments, share
from workers.engines.null import NullEngine
from workers.operations.monitor import Monitor
from workers.pipeline import Means, build_stages
from workers.settings import DEMO_DRAW_KEY, Settings
from workers.stream.deduplication.deduplicator import Once
from workers.stream.processing import process

pytestmark = pytest.mark.chaos

NOW_MS = 1_790_000_000_000


def test_a_seed_determines_the_whole_campaign() -> None:
    first, again, other = (list(Queries(500, seed).batches()) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_the_shares_of_poison_and_duplicates_are_as_documented() -> None:
    batches = list(Queries(20_000, 3).batches())
    asked = [one for batch in batches if not batch.aborted for one in batch.records]
    ends = Counter(one.expect for one in asked)

    assert len(asked) == 20_000
    assert 0.04 < (len(asked) - ends[SETTLED] - ends["DUPLICATE_QUERY"]) / len(asked) < 0.06
    assert 0.005 < ends["DUPLICATE_QUERY"] / len(asked) < 0.015
    assert 0.15 < sum(batch.aborted for batch in batches) / len(batches) < 0.25


def test_an_aborted_batch_is_tried_again_whole() -> None:
    batches = list(Queries(5_000, 4).batches())

    for tried, again in pairwise(batches):
        assert not tried.aborted or (again.records == tried.records and not again.aborted)


def test_the_last_queries_come_in_small_batches_so_that_there_is_traffic_until_each_fault_has_happened() -> None:
    queries = Queries(1_500, 20_262)
    sizes = [len(batch.records) for batch in queries.batches() if not batch.aborted]

    tail = [size for size, end in zip(sizes, accumulate(sizes), strict=True) if end > queries.tail_from]

    assert sum(sizes) == 1_500
    assert sum(tail) == 1_500 - queries.tail_from == 75
    assert max(tail) <= 4


def test_a_second_use_of_an_id_comes_in_a_later_batch_than_the_first() -> None:
    batches = [batch for batch in Queries(5_000, 5).batches() if not batch.aborted]
    used = {one.query_id: at for at, batch in enumerate(batches) for one in batch.records if one.expect == SETTLED}

    again = [
        (at, one.query_id)
        for at, batch in enumerate(batches)
        for one in batch.records
        if one.expect == "DUPLICATE_QUERY"
    ]

    assert again
    assert all(used[id_] < at for at, id_ in again)


def test_the_plan_names_each_record_by_its_bytes() -> None:
    (batch, *_) = Queries(40, 6).batches()

    lines = [json.loads(one.plan()) for one in batch.records]

    assert [line["value_sha256"] for line in lines] == [sha256(one.value or b"").hexdigest() for one in batch.records]
    assert {line["expect"] for line in lines} <= {SETTLED, *DeadLetterReason.__members__}


def test_there_are_at_least_forty_kinds_of_poison() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 40


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_poison_is_refused_for_the_reason_it_names(kind: Poison) -> None:
    (stage,) = build_stages(["generation"], Means(Settings.read(draw_key=DEMO_DRAW_KEY), NullEngine()))
    monitor = Monitor(stages=["generation"], currency="USD", engine="null")
    body = Queries(1, 7).body(5, "p-5")

    record = Record(QUERIES.name, kind.key, kind.make(body), kind.headers, 0, 1, NOW_MS)
    result = await process(stage, record, monitor, Once(None))

    assert result.refusal == kind.reason


@pytest.mark.parametrize("profile", PROFILES)
def test_the_rounds_together_plan_what_a_whole_campaign_plans(profile: str) -> None:
    of, faults = PROFILES[profile]

    rounds = [share(of // 20, before, profile) for before in range(0, of, of // 20)]

    assert {name: sum(one[name] for one in rounds) for name in faults} == dict(faults)


def test_every_fault_is_scheduled_before_the_end() -> None:
    planned = share(10_000)

    made = appointments(planned, 10_000, seed=8)

    assert Counter(one.fault for one in made) >= Counter(planned)
    assert [one.after for one in made] == sorted(one.after for one in made)
    assert 0 < made[0].after and made[-1].after < 10_000
