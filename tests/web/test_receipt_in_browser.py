"""The page where it is read: in a browser that has nothing but the file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from playwright.async_api import Browser, Page

from schemas.query import Question
from schemas.receipt import AuditorReceipt, Receipt
from tests.receipts.sales import linked, make_sale, receipts_of
from tests.support.builders import make_bidder, make_candidate
from workers.mechanism.allocation import Allocation, allocate
from workers.receipts.build import advertiser_receipt, auditor_receipt
from workers.receipts.recheck import recheck
from workers.receipts.sale import Sale
from workers.web.receipt.page import page

pytestmark = pytest.mark.chromium

SET = "(input, value) => { input.value = value; input.dispatchEvent(new Event('input', { bubbles: true })); }"


#: What lies, even in part, to the right of the section that it is in, or is cut by its frame.
BEYOND = """() => [...document.querySelectorAll('section')].flatMap((section) => {
  const edge = section.getBoundingClientRect().right - parseFloat(getComputedStyle(section).paddingRight) + 0.5;
  const cells = [...section.querySelectorAll('table, td, th, dt, dd, output')].filter((one) => one.offsetWidth);
  return cells.filter((one) => one.getBoundingClientRect().right > edge || one.scrollWidth > one.clientWidth + 1)
    .filter((one) => getComputedStyle(one).display !== 'inline').map((one) => `${one.tagName} ${one.textContent}`);
})"""


#: Names beside the bars that are cut.
CUT = """() => [...document.querySelectorAll('.bars span:nth-child(3n + 1)')]
  .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)"""


@dataclass
class Opened:
    """A page, what it asked for and what it complained of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@asynccontextmanager
async def opened(
    browser: Browser, folder: Path, receipt: Receipt, scheme: Literal["light", "dark"] = "light", width: int = 1000
) -> AsyncIterator[Opened]:
    """The receipt's page; in the end it asked for nothing but its file, and complained of nothing."""
    file = folder / "receipt.html"
    file.write_text(page(receipt, recheck(receipt)), encoding="utf-8")
    context = await browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    shown = Opened(await context.new_page())
    shown.page.on("request", lambda request: shown.requests.append(request.url))
    shown.page.on("console", lambda message: shown.complaints.append(message.text))
    shown.page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    await shown.page.goto(file.as_uri())
    yield shown
    assert shown.requests == [file.as_uri()]
    assert shown.complaints == []
    await context.close()


def recomputed(receipt: AuditorReceipt, tau: float, factors: dict[str, float]) -> Allocation:
    """The same auction with another τ and scaled values, by the product's own arithmetic."""
    rows = [
        sum(
            factors.get(one.declaration.advertiser_id, 1.0) * np.array(one.declaration.rewards_micros)
            for one in party.members
        )
        for party in receipt.parties
    ]
    log_q = np.array([candidate.log_q for candidate in receipt.candidates])
    log_ref = np.array([candidate.log_ref for candidate in receipt.candidates])
    return allocate(log_q, log_ref, np.array(rows), tau)


async def numbers(shown: Opened, selector: str) -> list[float]:
    values: list[str] = await shown.page.eval_on_selector_all(selector, "cells => cells.map((cell) => cell.value)")
    return [float(value) for value in values]


async def test_the_page_opens_without_requests_or_errors_and_recomputes_the_charges(
    chromium: Browser, tmp_path: Path
) -> None:
    sale = make_sale(1, advertisers=linked(["a", None, "a"]))
    for receipt in receipts_of(sale):
        charges = (
            [party.charge.rounded_micros for party in receipt.parties]
            if isinstance(receipt, AuditorReceipt)
            else [receipt.charge.rounded_micros]
        )
        async with opened(chromium, tmp_path, receipt) as shown:
            found = await shown.page.eval_on_selector_all(
                "output.recomputed", "all => all.map((one) => [one.dataset.micros, one.className])"
            )
            assert found == [[str(charge), "recomputed good"] for charge in charges]


async def test_the_page_flags_a_charge_that_does_not_recompute(chromium: Browser, tmp_path: Path) -> None:
    receipt = advertiser_receipt(make_sale(1), "advertiser-00")
    charge = receipt.charge.model_copy(update={"rounded_micros": receipt.charge.rounded_micros + 1})

    async with opened(chromium, tmp_path, receipt.model_copy(update={"charge": charge})) as shown:
        assert f"NOT the {charge.rounded_micros:,} above" in await shown.page.inner_text("output.recomputed")


def overcharged(sale: Sale, advertiser_id: str, more_micros: int) -> Sale:
    """The same log with one bill raised; no other event is touched."""
    bills = [
        replace(bill, data=bill.data.model_copy(update={"charge_micros": bill.data.charge_micros + more_micros}))
        if bill.data.advertiser_id == advertiser_id
        else bill
        for bill in sale.bills
    ]
    return replace(sale, bills=tuple(bills))


@pytest.mark.parametrize(
    ("groups", "victim", "party", "owes"), [((None, None), 1, 1, True), (("a", None, "a"), 2, 0, False)]
)
async def test_the_page_flags_a_bill_that_differs_from_the_charge(
    chromium: Browser, tmp_path: Path, groups: tuple[str | None, ...], victim: int, party: int, owes: bool
) -> None:
    # Given a log in which one advertiser was billed more than it owes: a payer, or a member that owes nothing
    advertiser_id = f"advertiser-{victim:02}"
    sale = overcharged(make_sale(1, advertisers=linked(groups)), advertiser_id, 8_000)
    auditors, own = auditor_receipt(sale), advertiser_receipt(sale, advertiser_id)
    charge = own.charge.rounded_micros
    said = f"Brand{victim:02} was billed {own.bill.charge_micros:,} micros, NOT {charge if owes else 0:,}."
    # When either receipt is opened
    async with opened(chromium, tmp_path, own) as shown:
        # Then the page itself says so, under the sentences of whoever made it
        assert said in await shown.page.inner_text("output.recomputed.bad")
        assert await shown.page.locator("#problems li").count() > 0
    async with opened(chromium, tmp_path, auditors) as shown:
        verdicts = shown.page.locator("output.recomputed")
        assert said in await verdicts.nth(party).inner_text()
        assert "bad" in (await verdicts.nth(party).get_attribute("class") or "")
        assert "The bill agrees." in await verdicts.nth(1 - party).inner_text()
        assert "NOT the sum of the bills" in await shown.page.inner_text("#recomputed-total.bad")
        assert await shown.page.locator("#problems li").count() > 0
        # And what happened is what was billed
        billed = f"{(charge + 8_000) / 1e6:.6f} USD"
        assert await shown.page.locator("td.billed").nth(party).inner_text() == billed


async def test_the_page_flags_a_bill_above_its_bound(chromium: Browser, tmp_path: Path) -> None:
    receipt = advertiser_receipt(make_sale(1), "advertiser-00")
    bill = receipt.bill.model_copy(update={"bound_micros": receipt.bill.charge_micros - 1})

    async with opened(chromium, tmp_path, receipt.model_copy(update={"bill": bill})) as shown:
        assert f"NOT within {bill.bound_micros:,}." in await shown.page.inner_text("output.recomputed.bad")


async def test_the_page_flags_a_wrong_total(chromium: Browser, tmp_path: Path) -> None:
    receipt = auditor_receipt(make_sale(1))
    total = receipt.total_charge_micros + 1

    async with opened(chromium, tmp_path, receipt) as shown:
        assert await shown.page.inner_text("#recomputed-total.good") == "= the sum of the bills"
    async with opened(chromium, tmp_path, receipt.model_copy(update={"total_charge_micros": total})) as shown:
        assert "NOT the sum owed" in await shown.page.inner_text("#recomputed-total.bad")


@pytest.mark.parametrize(
    ("exponent", "factors"),
    [
        (0.0, {}),
        (4.0, {}),
        (-4.0, {}),
        (1.35, {"advertiser-00": 0.0}),
        (-0.6, {"advertiser-01": 2.45, "advertiser-02": 4.0}),
        (-4.0, {"advertiser-00": 4.0, "advertiser-01": 4.0, "advertiser-02": 4.0}),
    ],
)
async def test_the_sliders_show_what_the_mechanism_computes(
    chromium: Browser, tmp_path: Path, exponent: float, factors: dict[str, float]
) -> None:
    receipt = auditor_receipt(make_sale(7, candidates=8, advertisers=linked(["a", None, "a", None])))
    tau = receipt.tau_micros_per_nat * 2.0**exponent
    expected = recomputed(receipt, tau, factors)

    async with opened(chromium, tmp_path, receipt) as shown:
        await shown.page.locator("#what-if-tau").evaluate(SET, str(exponent))
        for advertiser_id, factor in factors.items():
            await shown.page.locator(f"[data-advertiser={advertiser_id}]").evaluate(SET, str(factor))

        assert await numbers(shown, ".what-if-pi") == pytest.approx(expected.pi.tolist(), abs=1e-9)
        charges = [round(tau * nats) for nats in expected.influence.tolist()]
        assert await numbers(shown, ".what-if-charge") == charges
        total = f"{sum(charges) / 1e6:.6f} USD"
        assert await shown.page.inner_text("#what-if-total") == total


async def test_sliders_move_by_keyboard_and_can_be_put_back(chromium: Browser, tmp_path: Path) -> None:
    receipt = auditor_receipt(make_sale(7))

    async with opened(chromium, tmp_path, receipt) as shown:
        slider = shown.page.get_by_label("τ, micros per nat")
        await slider.focus()
        await shown.page.keyboard.press("ArrowRight")
        expected = recomputed(receipt, receipt.tau_micros_per_nat * 2.0**0.05, {})
        assert await numbers(shown, ".what-if-pi") == pytest.approx(expected.pi.tolist(), abs=1e-9)
        assert await slider.get_attribute("aria-valuetext") == "1,035 (×1.04)"

        await shown.page.get_by_role("button", name="As it happened").click()
        assert await numbers(shown, ".what-if-pi") == pytest.approx(receipt.probabilities, abs=1e-12)
        assert await numbers(shown, ".what-if-charge") == [party.charge.rounded_micros for party in receipt.parties]


async def test_the_advertisers_page_has_no_sliders_and_no_log_q(chromium: Browser, tmp_path: Path) -> None:
    async with opened(chromium, tmp_path, advertiser_receipt(make_sale(1), "advertiser-00")) as shown:
        assert await shown.page.locator("input").count() == 0
        assert "log_q" not in await shown.page.inner_text("#tessera-receipt")
        assert await shown.page.locator("li.chosen").count() == 1


async def test_light_and_dark_colour_schemes_are_readable(chromium: Browser, tmp_path: Path) -> None:
    receipt = auditor_receipt(make_sale(1))
    ink = "([selector]) => getComputedStyle(document.querySelector(selector)).color"
    paper = "() => getComputedStyle(document.documentElement).backgroundColor"
    seen = {}
    for scheme in ("light", "dark"):
        async with opened(chromium, tmp_path, receipt, scheme) as shown:
            background = luminance(await shown.page.evaluate(paper))
            for selector in ("h1", ".note", ".label", ".good", "th", "dt"):
                text = luminance(await shown.page.evaluate(ink, [selector]))
                assert contrast(text, background) >= 4.5, (scheme, selector)
            seen[scheme] = background
    assert seen["light"] > 0.8 and seen["dark"] < 0.05


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)` (WCAG 2)."""
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


async def test_a_phone_scrolls_down_and_not_sideways(chromium: Browser, tmp_path: Path) -> None:
    async with opened(chromium, tmp_path, auditor_receipt(make_sale(1, advertisers=3)), width=360) as shown:
        assert await shown.page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("worth", [30_570.2, 123_456_789_012.3])
async def test_a_phone_cuts_no_number(chromium: Browser, tmp_path: Path, worth: float) -> None:
    # Given rewards with as many digits as they come with
    bidders = [make_bidder(index, reward_range_micros=(-(10**12), 10**12)) for index in range(2)]
    rewards = {bidder.advertiser_id: (worth, -worth, worth / 3, 12.5) for bidder in bidders}
    receipt = auditor_receipt(make_sale(1, advertisers=bidders, rewards_micros=rewards, tau_micros_per_nat=1_000))
    # When the page is opened on a phone
    async with opened(chromium, tmp_path, receipt, width=360) as shown:
        # Then no table is wider than its frame, and no cell reaches beyond its section
        assert await shown.page.locator("#moves-1 tfoot td").count() == 1
        assert await shown.page.evaluate(BEYOND) == []
        # And only what a row cannot hold takes two lines
        heights = await shown.page.eval_on_selector_all(
            "#moves-1 tr td.n:last-child", "all => all.map((one) => one.offsetHeight)"
        )
        assert (max(heights) < 40) == (worth < 1e6)


async def test_foreign_script_in_a_receipt_does_not_run(chromium: Browser, tmp_path: Path) -> None:
    hostile = "</script><script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">\u2028"
    candidates = [make_candidate(index, text=hostile) for index in range(3)]
    receipt = auditor_receipt(make_sale(1, candidates=candidates, question=Question(text=hostile)))

    async with opened(chromium, tmp_path, receipt) as shown:
        assert await shown.page.title() == "Auditor’s receipt, query-1"
        assert await shown.page.text_content(".reply") == hostile


async def test_on_a_phone_no_name_beside_a_bar_is_cut(chromium: Browser, tmp_path: Path) -> None:
    names = ("CrumbWorks and Daughters, makers of kitchen tools", "Donaudampfschifffahrtsgesellschaftskapitän", "A")
    bidders = [make_bidder(index, name=name) for index, name in enumerate(names)]

    async with opened(chromium, tmp_path, auditor_receipt(make_sale(1, advertisers=bidders)), width=420) as shown:
        assert await shown.page.locator(".bars").count() > 0
        assert await shown.page.evaluate(CUT) == []
