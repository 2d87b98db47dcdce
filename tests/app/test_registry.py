"""The registry on its topic, on the memory bus: what stands after changes, and after two of them at once."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.advertiser import AdvertiserProfile
from schemas.topics import PROFILES
from tests.support.builders import make_profile
from workers.advertisers.registry import RefusedProfile
from workers.app.registry import Registry, profile_event, registry_table
from workers.stream.memory import MemoryBus

NOW = datetime(2026, 11, 29, 4, 0, tzinfo=UTC)


@pytest.fixture
def bus() -> MemoryBus:
    observer: Any = object()  # no stage runs
    return MemoryBus(observer)


async def opened(bus: MemoryBus) -> Registry:
    registry = Registry(bus, lambda: NOW)
    await registry.profiles.restore()
    return registry


async def held(bus: MemoryBus) -> dict[str, AdvertiserProfile]:
    """What whoever restores the topic now finds."""
    table = registry_table(bus)
    await table.restore()
    return {id_: one.profile for id_, one in table.items()}


async def test_each_version_is_an_event_with_who_and_when(bus: MemoryBus) -> None:
    registry = await opened(bus)
    versions = [make_profile(0, version=1, status="draft"), make_profile(0, version=2)]

    await registry.write(versions)

    assert await held(bus) == {"advertiser-00": versions[-1]}
    records = [record async for record in bus.stored([PROFILES.name])]
    assert [json.loads(record.value or b"")["changed_by"] for record in records] == ["tests", "tests"]
    assert [dict(record.headers)["ce_time"] for record in records] == [b"2026-11-29T04:00:00Z"] * 2
    assert all(record.stamped_by_broker for record in records)


async def test_of_two_changes_at_once_the_first_stands_and_the_other_is_told(bus: MemoryBus) -> None:
    mine, theirs = await opened(bus), await opened(bus)
    await theirs.write([make_profile(0, changed_by="them")])

    with pytest.raises(RefusedProfile, match="version: advertiser-00 changed at the same time"):
        await mine.write([make_profile(0, changed_by="me")])

    assert (await held(bus))["advertiser-00"].changed_by == "them"


async def test_what_stands_is_the_last_record_of_its_key_so_that_compaction_keeps_it(bus: MemoryBus) -> None:
    mine, theirs = await opened(bus), await opened(bus)
    await theirs.write([make_profile(0, changed_by="them")])
    with pytest.raises(RefusedProfile):
        await mine.write([make_profile(0, changed_by="me")])

    *_, last = [record async for record in bus.stored([PROFILES.name])]

    assert last.value == make_profile(0, changed_by="them").encode()


async def test_an_advertiser_that_is_forgotten_leaves_nothing_and_may_begin_anew(bus: MemoryBus) -> None:
    registry = await opened(bus)
    await registry.write([make_profile(0, version=9), make_profile(1)])

    await registry.forget("advertiser-00", "dana")

    assert list(await held(bus)) == ["advertiser-01"]
    *_, last = [record async for record in bus.stored([PROFILES.name])]
    assert (last.value, dict(last.headers)["changed_by"]) == (None, b"dana")
    await registry.write([make_profile(0, version=1, status="draft")])
    assert (await held(bus))["advertiser-00"].version == 1


async def test_the_same_version_has_the_same_event_id() -> None:
    one, other = profile_event(make_profile(0), NOW), profile_event(make_profile(0, version=3), NOW)

    assert one.id == profile_event(make_profile(0), NOW).id != other.id
