"""The page as text: strangers' words stay words, nothing is fetched, and the receipt in it is the receipt."""

import json
import re
from typing import Literal

import pytest

from schemas.query import Question
from schemas.receipt import AdvertiserReceipt, AuditorReceipt
from tests.receipts.sales import linked, make_sale, receipts_of
from tests.support.builders import make_candidate, make_scored
from workers.receipts.build import advertiser_receipt, auditor_receipt
from workers.receipts.sale import Sale
from workers.web.receipt.page import page

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "<img src=x onerror=alert(1)>",
    "line\u2028and\u2029paragraph",
    "{{script}} {{receipt}} &amp; \" ' `${1}`",
    "‮right to left",
)


def hostile_sale(text: str) -> Sale:
    """The stranger's text is the query and every reply."""
    candidates = [make_candidate(index, text=text) for index in range(3)]
    return make_sale(1, candidates=candidates, question=Question(text=text))


def embedded(html: str) -> str:
    found = re.search(r'<script type="application/json" id="tessera-receipt">(.*?)</script>', html, re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_in_a_receipt_is_escaped(text: str) -> None:
    for receipt in receipts_of(hostile_sale(text)):
        html = page(receipt, [])

        assert html.count("<script") == html.count("</script") == 2  # the page's own
        assert "<img" not in html and "<!--" not in html
        assert "\u2028" not in embedded(html) and "\u2029" not in embedded(html)
        assert type(receipt).model_validate_json(embedded(html)) == receipt


def test_the_page_names_nothing_to_fetch_and_forbids_it() -> None:
    for receipt in receipts_of(make_sale(1)):
        html = page(receipt, [])

        assert not re.search(r"""(src|href|action|data)\s*=|url\(|@import|https?:|//[a-z]""", html.replace("// ", ""))
        assert "default-src &#x27;none&#x27;" in html
        assert "script-src &#x27;sha256-" in html and "unsafe-eval" not in html


def test_the_advertisers_page_has_no_sliders_and_nobody_elses_numbers() -> None:
    sale = make_sale(1, advertisers=3)
    html = page(advertiser_receipt(sale, "advertiser-01"), [])

    visible = html.split('<script type="application/json"')[0].split("</style>")[1]
    assert "<input" not in visible and 'id="what-if"' not in visible
    assert "log_q" not in embedded(html) and "log_ref" not in embedded(html)
    assert "Brand01" in visible and "Brand00" not in html and "Brand02" not in html
    assert "can still estimate" in visible


def test_the_auditors_page_shows_every_party() -> None:
    html = page(auditor_receipt(make_sale(1, advertisers=linked(["a", None, "a", None]))), [])

    assert all(f"What {name} moved" in html for name in ("Brand00 + Brand02", "Brand01", "Brand03"))
    assert html.count('class="what-if-value"') == 4


@pytest.mark.parametrize("public", [True, False, None])
def test_the_page_says_whether_the_draw_is_verified(public: bool | None) -> None:
    receipt = auditor_receipt(make_sale(1, public=public))
    html = page(receipt, [])

    said = (
        "not verifiable until the key of 2026-11-23 is revealed"
        if public is None
        else "verified with its key when this page was made"
    )
    assert said in html
    assert (f"<code>{receipt.draw.key}</code>" in html) == (public is True)


def test_problems_stand_at_the_top_of_the_page_escaped() -> None:
    receipt = auditor_receipt(make_sale(1))

    html = page(receipt, ["<b>Brand00</b> is billed 9", "the bills sum to 9"])

    assert "This receipt does not recompute" not in page(receipt, [])
    block = html.split('<section id="problems"')[1].split("</section>")[0]
    assert "This receipt does not recompute" in block
    assert "<li>&lt;b&gt;Brand00&lt;/b&gt; is billed 9</li><li>the bills sum to 9</li>" in block
    assert html.index('id="problems"') < html.index('id="query"')


@pytest.mark.parametrize("proposal", ["reference", "context_aware"])
def test_the_page_states_which_prompt_the_candidates_were_drawn_from(
    proposal: Literal["reference", "context_aware"],
) -> None:
    sampling = make_scored(1).data.sampling.model_copy(update={"proposal": proposal})
    auditors, advertisers, *_ = (page(receipt, []) for receipt in receipts_of(make_sale(1, sampling=sampling)))

    told = "before and independently of the amounts bid; the model was told who takes part."
    assert (told in auditors) == (proposal == "context_aware")
    assert ("independently of any bid" in auditors) == (proposal == "reference")
    assert "independently of the amounts bid; the model may have been told" in advertisers


def test_a_receipt_keeps_its_kind_in_a_round_trip() -> None:
    for receipt in receipts_of(make_sale(1)):
        kind = json.loads(embedded(page(receipt, [])))["kind"]
        assert kind == ("auditor" if isinstance(receipt, AuditorReceipt) else "advertiser")
        assert isinstance(receipt, AuditorReceipt | AdvertiserReceipt)
