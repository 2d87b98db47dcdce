"""The statement's page in a browser: nothing is fetched, nothing runs over its frame, wide and narrow and on paper."""

from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.ledger.test_statement import DAYS, EVENTS, log_of, own_bill
from tests.support.builders import make_credit
from tests.web.test_receipt_in_browser import BEYOND
from workers.web.statement.page import page

pytestmark = pytest.mark.chromium


@pytest.mark.parametrize("width", [1000, 390])
async def test_the_page_opens_without_requests_and_nothing_is_cut(
    chromium: Browser, tmp_path: Path, width: int
) -> None:
    file, complaints, requests = tmp_path / "statement.html", list[str](), list[str]()
    found = log_of(*EVENTS, make_credit(own_bill(DAYS[0]), 2)).statement("USD")
    file.write_text(page(found), encoding="utf-8")
    context = await chromium.new_context(viewport={"width": width, "height": 900})
    shown = await context.new_page()
    shown.on("request", lambda request: requests.append(request.url))
    shown.on("console", lambda message: complaints.append(message.text))
    await shown.goto(file.as_uri())

    assert await shown.evaluate(BEYOND) == []
    assert "Reconciled to the bills" in await shown.inner_text("#summary")
    assert await shown.locator("tbody.charge").count() == len(found.lines)
    assert (requests, complaints) == ([file.as_uri()], [])
    await context.close()
