"""Who may bid on a query: each rule, their order, and that none of them reads a bid."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.advertiser import Schedule
from schemas.query import QuerySubmitted
from schemas.reasons import AbstentionReason as Reason
from tests.support.builders import envelop, make_profile, make_query
from workers.advertisers.admission import NOBODY, Admission
from workers.advertisers.eligibility import exclusion, is_open
from workers.advertisers.registry import Registered, register

SUNDAY = datetime(2026, 11, 29, 13, 30, tzinfo=UTC)


def query(**changes: Any) -> QuerySubmitted:
    return make_query(advertisers=0, **changes).data


def registered(*changes: Mapping[str, Any]) -> dict[str, Registered]:
    profiles = [make_profile(number, **change) for number, change in enumerate(changes)]
    return {one.advertiser_id: register(None, envelop(one)) for one in profiles}


RULES: dict[Reason, tuple[dict[str, Any], dict[str, Any]]] = {
    Reason.NOT_APPROVED: ({"status": "paused"}, {}),
    Reason.OTHER_CURRENCY: ({"currency": "EUR"}, {}),
    Reason.OUTSIDE_SCHEDULE: ({"schedule": Schedule(hours=(14,))}, {}),
    Reason.BLOCKED_CATEGORY: ({"categories": ("gambling", "gardening")}, {"blocked_categories": ("gambling",)}),
    Reason.BLOCKED_BY_ADVERTISER: ({"blocked_categories": ("gardening",)}, {}),
    Reason.OTHER_CATEGORY: ({"categories": ("baking",)}, {}),
    Reason.SENSITIVE_QUESTION: ({}, {"sensitive": True}),
}


@pytest.mark.parametrize("reason", RULES)
def test_each_rule_excludes_with_a_reason_of_its_own(reason: Reason) -> None:
    profile, asked = RULES[reason]

    assert exclusion(make_profile(**profile), query(**asked), SUNDAY, "USD") is reason


def test_an_advertiser_whom_no_rule_excludes_bids() -> None:
    profile = make_profile(categories=("gardening",), accepts_sensitive=True, blocked_categories=("health",))

    assert exclusion(profile, query(sensitive=True, blocked_categories=("gambling",)), SUNDAY, "USD") is None
    assert exclusion(make_profile(categories=("baking",)), query(category=None), SUNDAY, "USD") is None


@pytest.mark.parametrize(
    ("schedule", "holds"),
    [
        ({}, True),
        ({"starts_at": SUNDAY}, True),
        ({"ends_at": SUNDAY}, False),
        ({"starts_at": datetime(2026, 11, 29, 13, 31, tzinfo=UTC)}, False),
        ({"weekdays": (7,)}, True),
        ({"weekdays": (1, 2, 3, 4, 5, 6)}, False),
        ({"hours": (13,)}, True),
        ({"hours": (12, 14)}, False),
    ],
)
def test_a_schedule_holds_its_start_and_not_its_end(schedule: dict[str, Any], holds: bool) -> None:
    assert is_open(Schedule(**schedule), SUNDAY) is holds


@given(value=st.integers(0, 10**12), least=st.integers(-(10**9), 0), most=st.integers(0, 10**9))
@settings(max_examples=50, deadline=None)
def test_no_bid_decides_who_bids(value: int, least: int, most: int) -> None:
    others = [{"rivals": ("advertiser-02",)}, {}, {}, {"status": "draft"}]
    bids = [{"value_micros_per_nat": value, "reward_range_micros": (least, most)}, *[{}] * 3]
    asked = query(advertiser_ids=tuple(f"advertiser-{n:02}" for n in (3, 0, 2, 1)) if value % 2 else None)

    plain, bidding = (
        Admission(registered(*given), "USD", find=find_all, most=2).admit(asked, "query-0", SUNDAY)
        for given in (others, [one | bid for one, bid in zip(others, bids, strict=True)])
    )

    assert [one.advertiser_id for one in plain.profiles] == [one.advertiser_id for one in bidding.profiles]
    assert plain.reasons == bidding.reasons


def find_all(text: str, most: int) -> list[tuple[str, int]]:
    """Everybody, equally well."""
    return [(f"advertiser-{number:02}", 0) for number in range(4)]


def admit(profiles: dict[str, Registered], asked: QuerySubmitted, query_id: str = "query-0", **options: Any) -> Any:
    return Admission(profiles, "USD", **options).admit(asked, query_id, SUNDAY)


def test_those_whom_a_query_names_bid_in_its_order_and_unknown_ones_have_a_reason() -> None:
    admitted = admit(registered({}, {}), query(advertiser_ids=("advertiser-01", "nobody", "advertiser-00")))

    assert [one.advertiser_id for one in admitted.profiles] == ["advertiser-01", "advertiser-00"]
    assert admitted.reasons == {"nobody": Reason.UNKNOWN_ADVERTISER}


def test_without_a_registry_whoever_is_named_is_unknown() -> None:
    admitted = NOBODY.admit(query(advertiser_ids=("advertiser-00",)), "query-0", SUNDAY)

    assert (admitted.profiles, admitted.reasons) == ((), {"advertiser-00": Reason.UNKNOWN_ADVERTISER})


@pytest.mark.parametrize("says_so", [0, 1])
def test_of_two_rivals_the_first_bids_whichever_of_them_says_so(says_so: int) -> None:
    changes: list[dict[str, Any]] = [{}, {}]
    changes[says_so] = {"rivals": (f"advertiser-{1 - says_so:02}",)}

    admitted = admit(registered(*changes), query(advertiser_ids=("advertiser-01", "advertiser-00")))

    assert admitted.reasons == {"advertiser-00": Reason.RIVAL_PRESENT}


def test_a_rival_that_is_excluded_itself_excludes_nobody() -> None:
    profiles = registered({"rivals": ("advertiser-01",), "status": "paused"}, {})

    admitted = admit(profiles, query(advertiser_ids=("advertiser-00", "advertiser-01")))

    assert [one.advertiser_id for one in admitted.profiles] == ["advertiser-01"]


def test_a_query_that_names_nobody_finds_some_and_those_behind_the_first_have_a_reason() -> None:
    ranks = {"advertiser-00": 2, "advertiser-01": 0, "advertiser-02": 1}

    admitted = admit(registered({}, {}, {}), query(), find=lambda text, most: list(ranks.items()), most=2)

    assert [one.advertiser_id for one in admitted.profiles] == ["advertiser-01", "advertiser-02"]
    assert admitted.reasons == {"advertiser-00": Reason.NOT_AMONG_FIRST}


def test_nobody_is_always_last_among_equals_and_the_same_query_gives_the_same_order() -> None:
    profiles = registered({}, {}, {}, {})

    orders = [
        [one.advertiser_id for one in admit(profiles, query(), f"query-{n % 40}", find=find_all).profiles]
        for n in range(80)
    ]

    assert orders[:40] == orders[40:]
    for id_ in profiles:
        assert 2 <= sum(order[0] == id_ for order in orders[:40]) <= 20
        assert 2 <= sum(order[-1] == id_ for order in orders[:40]) <= 20


@pytest.mark.parametrize("changes", [{"advertiser_ids": ()}, {"advertisers": 1}])
def test_a_query_that_names_nobody_on_purpose_or_brings_its_own_finds_nobody(changes: dict[str, Any]) -> None:
    asked = make_query(**{"advertisers": 0, **changes}).data

    assert admit(registered({}), asked, find=find_all).profiles == ()


def test_whoever_may_not_be_advertised_to_finds_nobody_and_those_it_names_are_told_why() -> None:
    admission = Admission(registered({}), "USD", find=find_all)

    for asked, reasons in ((query(), {}), (query(advertiser_ids=("a",)), {"a": Reason.NO_CONSENT})):
        admitted = admission.admit(asked, "query-0", SUNDAY, Reason.NO_CONSENT)
        assert (admitted.profiles, dict(admitted.reasons)) == ((), reasons)
