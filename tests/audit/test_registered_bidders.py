"""A registered advertiser takes part where its query names it, or names nobody and so finds some."""

import json
from typing import Any

import pytest

from tests.support.builders import make_bidder, make_generated
from workers.audit.lineage import Break
from workers.audit.log.lineage import Lineage

BIDDER, OTHER = (make_bidder(index, profile_version=2) for index in range(2))


@pytest.mark.parametrize(
    ("query", "breaks"),
    [
        ({"advertiser_ids": [BIDDER.advertiser_id, OTHER.advertiser_id]}, []),
        ({}, []),
        ({"advertiser_ids": [OTHER.advertiser_id]}, [Break.UNKNOWN_BIDDER]),
        ({"advertiser_ids": []}, [Break.UNKNOWN_BIDDER, Break.UNKNOWN_BIDDER]),
    ],
    ids=["named", "found", "one is not named", "nobody is named"],
)
def test_a_registered_bidder_is_one_whom_the_query_names_or_finds(query: dict[str, Any], breaks: list[Break]) -> None:
    generated = json.loads(make_generated(0, advertisers=(BIDDER, OTHER)).value)
    asked = {name: generated["question"].get(name) for name in ("text", "language", "category")}
    value = {**{name: said for name, said in asked.items() if said is not None}, "advertising_consent": True, **query}
    generated["consent"] = {"advertising": True, "gpp": None, "tcf": None}
    generated.pop("query_record", None)
    lineage = Lineage()
    lineage.add("query", json.dumps(value).encode())
    lineage.add("generated", json.dumps(generated).encode())

    assert [one.kind for one in lineage.differences()] == breaks
