"""Where rewards come from is told: in events, receipts and pages; the audit and the advertiser's page hold with it."""

import io
import json
import re
from contextlib import AsyncExitStack
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from schemas.auction import Engine
from schemas.receipt import AuditorReceipt, Receipt
from tests.audit.logs import kinds, make_log
from tests.receipts.sales import make_sale, receipts_of
from tests.rewards.models import Fake, on_shelf
from tests.support.forked_command import tessera
from tests.support.vllm_stand_in import FRAMING, TOKENIZER
from workers.cli import receipt_view
from workers.engines import embedders
from workers.engines.options import EngineOptions, HttpOptions
from workers.receipts.recheck import recheck
from workers.rewards.open import OpenEngines, open_sources
from workers.web.receipt.page import page

PAGE = Path(__file__).parents[2] / "docs" / "advertiser.md"
ORIGIN = f"lora:<b>easy&bake@{'a' * 64}"
LARGER = Engine(name="larger", version="1", model_sha256="e" * 64, tokenizer_sha256="b" * 64)
TOLD: dict[str, dict[str, Any]] = {
    "nothing": {},
    "an origin": {"reward_origins": {"advertiser-01": ORIGIN}},
    "another proposal": {"reference_engine": LARGER},
    "another scorer": {"scoring_engine": LARGER},
    "both": {"reward_origins": {"advertiser-01": ORIGIN}, "reference_engine": LARGER},
}


def in_terminal(receipt: Receipt) -> str:
    output = io.StringIO()
    Console(file=output, width=200, color_system=None).print(receipt_view.receipt(receipt, []))
    return output.getvalue()


@pytest.mark.parametrize("told", TOLD.values(), ids=TOLD)
def test_auctions_with_every_reward_source_pass_the_audit(told: dict[str, Any]) -> None:
    assert kinds(make_log(1, **told)) == []


@pytest.mark.parametrize("told", TOLD.values(), ids=TOLD)
def test_receipts_of_every_reward_source_recompute_and_state_it(told: dict[str, Any]) -> None:
    auditors, first, second = receipts = receipts_of(make_sale(1, **told))

    assert [recheck(type(one).model_validate_json(one.model_dump_json())) for one in receipts] == [[], [], []]
    origin = told.get("reward_origins", {}).get("advertiser-01")
    assert isinstance(auditors, AuditorReceipt)
    other = told.get("scoring_engine") or told.get("reference_engine")
    assert auditors.reference_engine == other
    assert [one.declaration.reward_origin for party in auditors.parties for one in party.members] == [None, origin]
    for receipt, tells in ((auditors, bool(origin)), (first, False), (second, bool(origin))):
        html = page(receipt, [])
        assert (escape(ORIGIN) in html) is tells
        assert "<b>easy" not in html
        assert ("Brand01 values replies by lora:<b>easy&bake@" in in_terminal(receipt)) is tells
    assert ("<dt>reference model</dt>" in page(auditors, [])) is (other is not None)
    assert ORIGIN not in first.model_dump_json()  # nothing of anybody else


def test_receipts_without_a_reward_origin_are_read(tmp_path: Path) -> None:
    for receipt in receipts_of(make_sale(1)):
        fields = json.loads(receipt.model_dump_json())
        fields.pop("reference_engine", None)
        fields.get("advertiser", {}).pop("reward_origin", None)
        assert type(receipt).model_validate_json(json.dumps(fields)) == receipt


def test_a_demo_with_a_probe_is_audited_and_explained(tmp_path: Path) -> None:
    # Given an advertiser of the demo that bids through a probe
    (tmp_path / "w.json").write_text(json.dumps({"w": [0.5] * 16, "b": -1.0}))
    file = tmp_path / "rewards.json"
    choice = {"source": "linear_probe", "weights_file": "w.json"}
    file.write_text(json.dumps({"advertisers": {"ovennest": choice}}))
    # When its log is audited and explained
    log = tessera("demo", "--json", "--limit", "2", engine="null", rewards_file=str(file)).stdout
    audited = tessera("audit", "-", given=log)
    explained = tessera("explain", "demo-memory-001", "--from", "-", "--json", given=log)
    # Then all is right, and the receipt says where the rewards come from
    assert audited.returncode == 0 and "2 auctions: everything is right" in audited.stdout.decode()
    receipt = AuditorReceipt.model_validate_json(explained.stdout)
    origins = {
        one.declaration.advertiser_id: one.declaration.reward_origin for p in receipt.parties for one in p.members
    }
    assert str(origins["ovennest"]).startswith("linear_probe:") and origins["crumbworks"] is None


def test_a_wrong_rewards_file_ends_the_start_with_one_line(tmp_path: Path) -> None:
    file = tmp_path / "rewards.json"
    file.write_text('{"advertisers": {"ovennest": {"source": "lora", "adapter": "ovennest"}}}')

    done = tessera("demo", "--limit", "1", rewards_file=str(file))

    assert done.returncode == 2
    assert f"{file}: advertisers.ovennest.adapter: " in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


async def test_the_readmes_rewards_file_opens(tmp_path: Path) -> None:
    # Given the advertiser page's file, its weights, and engines under the names in it
    block = re.search(r"<!-- test: rewards-file -->\n```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    (tmp_path / "rewards.json").write_text(block[1])
    (tmp_path / "doughpath.json").write_text(json.dumps({"w": [1.0] * 16, "b": 0}))
    own, vectors = (Fake(f"http://127.0.0.1:800{n}#{name}") for n, name in ((1, "crumbworks"), (2, "vectors")))
    reference = Fake("reference", adapters=["ovennest"])
    for fake in (own, vectors, reference):
        fake.identity = replace(fake.identity, tokenizer_sha256=FRAMING.sha256)
    options = EngineOptions(http=HttpOptions(tokenizer=str(TOKENIZER)))
    # When it is opened
    with on_shelf(own, vectors) as shelf, pytest.MonkeyPatch.context() as patch:
        patch.setitem(embedders.EMBEDDERS, "http", shelf.open)
        async with AsyncExitStack() as stack:
            known = OpenEngines(reference, {"reference": reference}, options)
            sources = await open_sources(tmp_path / "rewards.json", known, stack)
    # Then everyone has its source
    origins = {id_: (sources.rewards.origin(id_) or "").partition(":")[0] for id_ in sources.rewards.chosen}
    assert origins == {"ovennest": "lora", "crumbworks": "model", "doughpath": "linear_probe"}
    assert sources.unreached == ()
