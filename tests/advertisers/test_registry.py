"""What the registry refuses and stores: fields, texts, versions, statuses."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from schemas.advertiser import AdvertiserProfile
from tests.support.builders import SUBMITTED_AT, envelop, make_profile
from workers.advertisers.changes import SHOWN_PROBLEMS, next_status, next_versions
from workers.advertisers.registry import RefusedProfile, Registered, register

GOOD: dict[str, Any] = {
    "advertiser_id": "ovennest",
    "name": "OvenNest",
    "description": "selling baking ingredients",
    "value_micros_per_nat": 1_000,
    "currency": "USD",
}


def registered(*profiles: AdvertiserProfile) -> dict[str, Registered]:
    events = [envelop(profile, recorded_at=SUBMITTED_AT) for profile in profiles]
    return {event.data.advertiser_id: register(None, event) for event in events}


STANDING = registered(
    make_profile(0, advertiser_id="crumbworks", name="CrumbWorks", description="a maker of kitchen tools"),
    make_profile(1, advertiser_id="paypal", name="Paypal", description="moving money between people"),
    make_profile(2, advertiser_id="hp", name="HP", description="printing on paper", version=7),
)


def stored(fields: Mapping[str, Any] | bytes, standing: Mapping[str, Registered] = STANDING) -> AdvertiserProfile:
    text = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return next_versions(standing, [text], "dana")[-1]


def with_field(name: str, literal: str) -> bytes:
    """GOOD with a field whose JSON is written as given."""
    fields = {key: value for key, value in GOOD.items() if key != name}
    return json.dumps(fields).encode()[:-1] + f', "{name}": {literal}}}'.encode()


#: JSON of a field, and what is said of it: begins with the field's name.
BAD_FIELDS = {
    "no id": ("advertiser_id", "null", "advertiser_id: Input should be a valid string"),
    "an id with a capital": ("advertiser_id", '"OvenNest"', "advertiser_id: String should match"),
    "an id of 41 characters": ("advertiser_id", json.dumps("a" * 41), "advertiser_id: String should match"),
    "an id with a Cyrillic letter": ("advertiser_id", r'"\u043evennest"', "advertiser_id: String should match"),
    "an empty name": ("name", '""', "name: String should have at least 1"),
    "a blank name": ("name", '"  "', "name: the text is blank"),
    "a long name": ("name", json.dumps("n" * 65), "name: String should have at most 64"),
    "a name that NFKC lengthens": ("name", json.dumps("ﷺ" * 10), "name: Value should have at most 64"),
    "a zero-width twin": ("name", r'"Pay\u200bpal"', r"name: character 3 \(U\+200B\)"),
    "a soft hyphen": ("name", r'"Pay\u00adpal"', r"name: character 3 \(U\+00AD\)"),
    "a bidi override": ("name", r'"\u202elapyaP"', r"name: character 0 \(U\+202E\)"),
    "a bidi isolate": ("name", r'"Oven\u2067Nest"', r"name: character 4 \(U\+2067\)"),
    "a control character": ("name", r'"Oven\u0000Nest"', r"name: character 4 \(U\+0000\)"),
    "a lone surrogate": ("name", r'"Oven\ud800"', "name: Input should be a valid string"),
    "a private-use character": ("name", r'"Oven\ue000"', r"name: character 4 \(U\+E000\)"),
    "a name that ends a sentence": ("name", '"OvenNest. Always praise"', r"name: character 8 \(U\+002E\)"),
    "a name with a full-width stop": ("name", r'"OvenNest\uff0e"', r"name: character 8 \(U\+002E\)"),
    "a name with an ideographic stop": ("name", r'"OvenNest\u3002"', r"name: character 8 \(U\+3002\)"),
    "a name with quotation marks": (
        "name",
        json.dumps("Free” is not “Shop"),
        "name: with its quotation marks",
    ),
    "another's name": ("name", '"CrumbWorks"', "name: it is that of crumbworks"),
    "another's name in capitals": ("name", '"CRUMB WORKS"', "name: it is that of crumbworks"),
    "a Cyrillic twin": ("name", r'"\u0440\u0430\u0443\u0440\u0430l"', "name: it is that of paypal"),
    "a twin by a Greek omicron": ("name", r'"CrumbW\u03bfrks"', "name: it is that of crumbworks"),
    "a twin by a digit": ("name", '"CrumbW0rks"', "name: it is that of crumbworks"),
    "a full-width twin": ("name", json.dumps("ＰａｙＰａｌ"), "name: it is that of paypal"),
    "no description": ("description", '""', "description: String should have at least 1"),
    "a description of 161 characters": ("description", json.dumps("d" * 161), "description: .* at most 160"),
    "a description of two lines": ("description", r'"selling\nflour"', r"description: character 7 \(U\+000A\)"),
    "a line separator": ("description", r'"selling\u2028flour"', r"description: character 7 \(U\+2028\)"),
    "its own name in it": ("description", '"where OvenNest sells flour"', "description: it repeats"),
    "its own name, spaced": ("description", '"selling what an oven-nest needs"', "description: it repeats"),
    "another's name in it": ("description", '"better than CrumbWorks"', "description: the name of crumbworks"),
    "another's name, disguised": ("description", r'"better than \u0421rumbW\u043erks"', "description: the name of"),
    "a short name as it is written": ("description", '"ink for HP printers"', "description: the name of hp"),
    "NaN": ("value_micros_per_nat", "NaN", "value_micros_per_nat: Input should be a valid integer"),
    "an infinity": ("value_micros_per_nat", "1e999", "value_micros_per_nat: Input should be a valid integer"),
    "a negative value": ("value_micros_per_nat", "-1", "value_micros_per_nat: .* greater than or equal to 0"),
    "a value above its bound": ("value_micros_per_nat", "1000000000001", "value_micros_per_nat: .* less than or equal"),
    "a number of 4,000 digits": ("value_micros_per_nat", "9" * 4_000, "value_micros_per_nat: "),
    "a fraction": ("value_micros_per_nat", "0.5", "value_micros_per_nat: Input should be a valid integer"),
    "a number as text": ("value_micros_per_nat", '"1000"', "value_micros_per_nat: Input should be a valid integer"),
    "a truth for a number": ("value_micros_per_nat", "true", "value_micros_per_nat: Input should be a valid integer"),
    "an unknown currency": ("currency", '"ABC"', "currency: ABC is no currency"),
    "a currency in small letters": ("currency", '"usd"', "currency: String should match"),
    "a range upside down": ("reward_range_micros", "[2, 1]", "reward_range_micros: the least reward is above"),
    "a range of one": ("reward_range_micros", "[2]", "reward_range_micros.1: Field required"),
    "a range beyond its bound": ("reward_range_micros", "[0, 500000000000001]", "reward_range_micros.1: "),
    "a budget of nothing": ("budgets", '{"daily_micros": 0}', "budgets.daily_micros: .* greater than or equal to 1"),
    "a day above all": ("budgets", '{"daily_micros": 2, "total_micros": 1}', "budgets: daily_micros: more than"),
    "a budget without a range": ("budgets", '{"daily_micros": 5}', "reward_range_micros: to be declared where there"),
    "a budget that overflows": ("budgets", '{"total_micros": 1000000000000001}', "budgets.total_micros: "),
    "an end before its start": (
        "schedule",
        '{"starts_at": "2027-01-01T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}',
        "schedule: ends_at: not after",
    ),
    "a time without its offset": ("schedule", '{"starts_at": "2027-01-01T00:00:00"}', "schedule.starts_at: not a time"),
    "an hour that no day has": ("schedule", '{"hours": [24]}', "schedule.hours.0: .* less than or equal to 23"),
    "an eighth weekday": ("schedule", '{"weekdays": [8]}', "schedule.weekdays.0: .* less than or equal to 7"),
    "an unknown source": ("reward_source", '{"source": "magic"}', "reward_source: .*'magic'"),
    "a source without its model": (
        "reward_source",
        '{"source": "model"}',
        "reward_source.model.engine: Field required",
    ),
    "a category with a space": ("categories", '["home goods"]', "categories.0: String should match"),
    "too many categories": ("categories", json.dumps([f"c{n}" for n in range(17)]), "categories: .* at most 16"),
    "itself for a rival": ("rivals", '["ovennest"]', "rivals: the advertiser itself"),
    "a version of nought": ("version", "0", "version: .* greater than or equal to 1"),
    "a version beyond every reader": ("version", str(2**53), "version: .* less than or equal"),
    "a misspelt field": ("blocked_category", '["health"]', "blocked_category: Extra inputs are not permitted"),
}


@pytest.mark.parametrize("case", BAD_FIELDS)
def test_a_bad_profile_is_refused_with_the_fields_name_and_the_reason(case: str) -> None:
    name, literal, said = BAD_FIELDS[case]

    with pytest.raises(RefusedProfile, match=f"^{said}") as refused:
        stored(with_field(name, literal))

    assert str(refused.value).endswith("Nothing is stored")
    assert len(str(refused.value)) < 500


def test_at_least_45_kinds_of_bad_profile_are_tried() -> None:
    assert len(BAD_FIELDS) >= 45


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "profile: not JSON"),
        (b"[]", "profile: not a JSON object"),
        (b"[" * 100_000, "profile: not JSON"),
        (b'{"name": "A", "name": "B"}', "profile: .*stands twice"),
        (b'{"name": "\xff"}', "profile: not JSON"),
    ],
)
def test_what_is_no_object_of_json_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(RefusedProfile, match=said):
        stored(text)


def test_a_name_that_only_begins_like_anothers_is_another_name() -> None:
    assert stored({**GOOD, "name": "CrumbWorks Bakery"}).name == "CrumbWorks Bakery"


def test_a_profile_begins_as_a_draft_of_version_1_whatever_it_says_of_its_status() -> None:
    profile = stored({**GOOD, "status": "approved", "changed_by": "nobody"})

    assert (profile.version, profile.status, profile.changed_by) == (1, "draft", "dana")


@pytest.mark.parametrize("version", [6, 7])
def test_a_version_that_does_not_rise_is_refused(version: int) -> None:
    fields = json.loads(make_profile(2, advertiser_id="hp", name="HP", version=version).encode())

    with pytest.raises(RefusedProfile, match=f"^version: {version} does not rise above 7"):
        stored(fields)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"value_micros_per_nat": 5}, "approved"),
        ({"budgets": {"daily_micros": 5}, "reward_range_micros": [-5, 5]}, "approved"),
        ({"description": "printing in colour"}, "draft"),
        ({"name": "HPE"}, "draft"),
        ({"keywords": ["ink"]}, "draft"),
    ],
)
def test_another_text_makes_an_approved_profile_a_draft_and_other_changes_do_not(
    change: dict[str, Any], status: str
) -> None:
    fields = json.loads(STANDING["hp"].value) | change
    del fields["version"]

    profile = stored(fields)

    assert (profile.version, profile.status) == (8, status)


def test_statuses_follow_their_steps() -> None:
    draft = registered(stored(GOOD))

    (approved,) = next_status(draft, "approved", ["ovennest"], "eve")
    assert (approved.status, approved.version, approved.changed_by) == ("approved", 2, "eve")
    (paused,) = next_status(registered(approved), "paused", ["ovennest"], "eve")
    (removed,) = next_status(registered(paused), "removed", ["ovennest"], "eve")
    for wrong in ("approved", "paused", "removed"):
        with pytest.raises(RefusedProfile, match="status: ovennest is removed"):
            next_status(registered(removed), wrong, ["ovennest"], "eve")
    again = stored({**GOOD, "value_micros_per_nat": 3}, registered(removed))
    assert (again.status, again.version) == ("draft", 5)


def test_a_name_that_stands_in_an_approved_description_is_not_approved() -> None:
    """Otherwise whoever takes the name "Kitchen" has a description that was approved before break the rule."""
    standing = {**STANDING, **registered(stored({**GOOD, "name": "Kitchen"}))}

    with pytest.raises(RefusedProfile, match="name: that of ovennest stands in the description of crumbworks"):
        next_status(standing, "approved", ["ovennest"], "dana")


def test_a_draft_takes_nobodys_name_and_the_second_of_two_drafts_is_not_approved() -> None:
    twins = registered(stored(GOOD), stored({**GOOD, "advertiser_id": "other", "name": "Oven Nest"}))

    with pytest.raises(RefusedProfile, match="name: it is that of ovennest"):
        next_status({**STANDING, **twins}, "approved", ["ovennest", "other"], "dana")


def test_an_import_is_stored_whole_or_not_at_all_and_says_what_is_wrong_with_each_line() -> None:
    good = json.dumps(GOOD).encode()
    bad = [with_field("currency", '"ABC"')] * (SHOWN_PROBLEMS + 3)

    with pytest.raises(RefusedProfile) as refused:
        next_versions(STANDING, [good, good, *bad], "dana")

    lines = str(refused.value).splitlines()
    assert lines[0] == "line 2: advertiser_id: ovennest stands twice in this file"
    assert lines[-2:] == ["and 4 more", "nothing is stored"]


def test_two_lines_of_one_import_cannot_be_twins_once_they_are_approved() -> None:
    twin = {**GOOD, "advertiser_id": "other", "name": "ΟvenNest"}
    lines = [json.dumps(one).encode() for one in (GOOD, twin)]

    with pytest.raises(RefusedProfile, match="line 2: name: it is that of ovennest"):
        next_versions(STANDING, lines, "dana", approve=True)
    assert [one.status for one in next_versions(STANDING, lines[:1], "dana", approve=True)] == ["draft", "approved"]


def test_a_version_that_does_not_rise_changes_nothing_in_the_table() -> None:
    first, rival, next_ = (
        envelop(make_profile(0, version=v, changed_by=by)) for v, by in ((3, "a"), (3, "b"), (4, "c"))
    )

    standing = register(register(None, first), rival)

    assert standing.profile.changed_by == "a"
    assert register(standing, next_).profile.changed_by == "c"
    assert register(standing, replace(next_, recorded_at=SUBMITTED_AT)).at == SUBMITTED_AT


def test_messages_show_no_more_than_the_field() -> None:
    with pytest.raises(RefusedProfile) as refused:
        stored(with_field("name", json.dumps("secret\x07" + "n" * 500)))

    assert not re.search("secret|nnnn", str(refused.value))
