"""What any stage must do: the rows of `workers.pipeline.STAGES`, each with its worker built as in a process."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas.envelope import Event
from schemas.topics import BY_NAME, GENERATED, QUERIES, SCORED
from tests.contracts.test_bus import Journal
from tests.support.builders import Keys, make_generated, make_query, make_record, make_scored
from workers.engines.null import NullEngine
from workers.operations.principals import principals
from workers.pipeline import STAGES, Means, build_stages
from workers.settings import DEMO_DRAW_KEY, Settings
from workers.stage import Stage
from workers.stream.deduplication.deduplicator import Once
from workers.stream.processing import process

#: An event of each topic that a stage may read.
MADE: dict[str, Callable[[], Event[Any]]] = {
    QUERIES.name: make_query,
    GENERATED.name: make_generated,
    SCORED.name: make_scored,
}


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest) -> Stage:
    settings = Settings.read(incentive_sample=1.0, draw_key=DEMO_DRAW_KEY)
    (stage,) = build_stages([request.param], Means(settings, engine=NullEngine(), keys=Keys()))
    return stage


def test_a_stage_reads_and_writes_topics_of_the_table(stage: Stage) -> None:
    assert {stage.spec.consumes.name, *(topic.name for topic in stage.spec.publishes)} <= BY_NAME.keys()


def test_a_stage_has_a_group_and_a_principal_of_its_own(stage: Stage) -> None:
    assert [spec.name for spec in STAGES.values() if spec.group == stage.spec.group] == [stage.spec.name]
    (principal,) = [one for one in principals() if one.name == stage.spec.group]
    assert {topic.name for topic in stage.spec.publishes} <= {right.name for right in principal.rights}


async def test_a_stage_publishes_to_the_topics_of_its_row_and_to_no_other(stage: Stage) -> None:
    record = make_record(MADE[stage.spec.consumes.name](), stage.spec.consumes)

    result = await process(stage, record, Journal(), Once(None))

    assert result.refusal is None
    assert {outgoing.topic for outgoing in result.outgoing} <= {topic.name for topic in stage.spec.publishes}
    assert list(result.outgoing)


async def test_an_unreadable_record_is_one_dead_letter_or_nothing_where_a_stage_only_watches(stage: Stage) -> None:
    result = await process(stage, make_record(b"nonsense", stage.spec.consumes), Journal(), Once(None))

    expected = [] if stage.spec.watches else [stage.spec.consumes.dead_letters]
    assert [outgoing.topic for outgoing in result.outgoing] == expected
