"""`tessera explain`: a query's receipt from a log, and one clear line for each reason why there is none."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from schemas.auction import Abstention
from schemas.billing import AdvertiserCharged
from schemas.envelope import Event, from_record
from schemas.lines import dead_letter_line, to_line
from schemas.payload import Payload
from schemas.reasons import AbstentionReason, VoidReason
from schemas.receipt import AdvertiserReceipt, AuditorReceipt
from schemas.record import Record
from schemas.topics import BY_NAME, QUERIES
from tests.cli.test_commands import refused
from tests.receipts.sales import make_sale
from tests.support.builders import DRAW_KEY, SUBMITTED_AT, make_bidder, make_candidate, make_scored, settle
from tests.support.forked_command import tessera
from tests.support.worker_process import worker
from workers.cli import receipt_view
from workers.cli.query_log import QueryLog, read_kafka, read_lines
from workers.draw_keys import commitment
from workers.errors import ReceiptError
from workers.mechanism.epochs import epoch_key
from workers.operations.monitor import Monitor
from workers.receipts.build import auditor_receipt
from workers.receipts.recheck import recheck
from workers.stream.memory import MemoryBus


def log_of(*seeds: int, reveal: bool = True) -> list[bytes]:
    """Commitment first, then the events of some auctions, as lines; in the end the key, if it is revealed."""
    scored = [make_scored(seed) for seed in seeds]
    key = epoch_key(DRAW_KEY, scored[0].data.draw_epoch)
    events: list[Event[Payload]] = [commitment(key, SUBMITTED_AT)]
    for one in scored:
        events += [one, *settle(one)]
    if reveal:
        events.append(commitment(key, SUBMITTED_AT, reveal=True))
    return [to_line(event) for event in events]


def why_not(lines: list[bytes], query_id: str = "query-1") -> str:
    with pytest.raises(ReceiptError) as error:
        read_lines(lines, query_id, "log").sale(())
    assert "\n" not in str(error.value)
    return str(error.value)


def test_explain_makes_the_receipt_of_a_demo(tmp_path: Path) -> None:
    # Given the log of a demo
    log, page = tmp_path / "log.jsonl", tmp_path / "receipt.html"
    log.write_bytes(tessera("demo", "--json", "--limit", "3").stdout)
    # When a query is explained for people, for machines and as a page
    people = tessera("explain", "demo-memory-003", "--from", str(log))
    machines = tessera("explain", "demo-memory-003", "--from", "-", "--json", given=log.read_bytes())
    paged = tessera("explain", "demo-memory-003", "--from", str(log), "--html", str(page))
    # Then each holds the same, everything recomputes, and the draw is verified with the demo's public key
    receipt = AuditorReceipt.model_validate_json(machines.stdout)
    assert recheck(receipt) == []
    assert (receipt.draw.verification, receipt.draw.committed_key_sha256) == ("verified", receipt.draw.key_sha256)
    text = people.stdout.decode()
    assert all(word in text for word in ("SPONSORED", "moved", "billed", "verified with its key", "everything fits"))
    assert paged.returncode == 0 and receipt.model_dump_json()[:80] in page.read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "receipt.html"]


@pytest.mark.parametrize("piped", [True, False])
def test_a_receipt_fits_eighty_columns(piped: bool) -> None:
    # Given a receipt with as many parties as there are bars, one with a name that is long
    name = "An Advertiser With A Long Name Ltd"
    names = [name, "烘焙工坊有限公司名字很长", "Crumb"]
    bidders = [make_bidder(index, name=one) for index, one in enumerate(names)]
    text = "Measure the flour and the sugar with care. " * 4
    candidates = [make_candidate(index, text=text) for index in range(3)]
    receipt = auditor_receipt(make_sale(1, advertisers=bidders, candidates=candidates))
    # When it is printed 80 columns wide
    output = io.StringIO()
    Console(file=output, width=80, force_terminal=not piped, color_system=None).print(receipt_view.receipt(receipt, []))
    # Then a candidate takes two lines, its bars and below them its text, cut between words
    lines = output.getvalue().split("candidates\n")[1].split("\n\n")[0].splitlines()
    heading, bars, texts = lines[:2], lines[2::2], lines[3::2]
    assert all(cell_len(line.rstrip()) <= 80 for line in lines)
    assert "An Advertiser W…" in heading[1] and "Crumb" in heading[1]
    assert len(bars) == len(texts) == 3
    assert all(line.count("%") == 4 for line in bars)
    assert all(re.fullmatch(r" {6}Measure .* [a-z]+\.?…", line.rstrip()) for line in texts)
    assert all(line.rstrip().removesuffix("…").strip() + " " in text for line in texts)


def test_explain_with_an_advertiser_makes_its_receipt_alone(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\n".join(log_of(1)))

    machines = tessera("explain", "query-1", "--advertiser", "advertiser-01", "--from", str(log), "--json")
    people = tessera("explain", "query-1", "--advertiser", "advertiser-01", "--from", str(log)).stdout.decode()

    receipt = AdvertiserReceipt.model_validate_json(machines.stdout)
    assert (receipt.advertiser.advertiser_id, recheck(receipt)) == ("advertiser-01", [])
    assert "Brand01 (advertiser-01) moved" in people and "Brand00" not in people


def test_an_overcharge_is_reported_in_every_format_and_by_the_exit_code(tmp_path: Path) -> None:
    # Given a log in which one bill was raised
    log, page = tmp_path / "log.jsonl", tmp_path / "receipt.html"
    scored = make_scored(1)
    settled, first, second = settle(scored)
    assert isinstance(second.data, AdvertiserCharged)
    owed = second.data.charge_micros
    raised = second.value.replace(b'"charge_micros":%d,' % owed, b'"charge_micros":%d,' % (owed + 8_000))
    assert raised != second.value
    events = (scored, settled, first, replace(second, value=raised))
    log.write_bytes(b"\n".join(map(to_line, events)))
    said = f"Brand01 is billed {owed + 8_000}, not {owed} micros"
    # When it is explained in each form
    for options in ([], ["--json"], ["--html", str(page)]):
        done = tessera("explain", "query-1", "--from", str(log), *options)
        # Then standard error says what does not fit, and the exit code is 1
        heading, *problems = done.stderr.decode().splitlines()
        assert (done.returncode, heading[:9], f"  {said}" in problems) == (1, "tessera: ", True)
        # And the receipt is made, with the bill as it is
        if "--json" in options:
            receipt = AuditorReceipt.model_validate_json(done.stdout)
            assert receipt.parties[1].members[0].bill.charge_micros == owed + 8_000
        else:
            text = page.read_text(encoding="utf-8") if options else done.stdout.decode()
            assert said in text and "everything fits" not in text


def test_errors_are_one_line_and_write_nothing(tmp_path: Path) -> None:
    log, page = tmp_path / "log.jsonl", tmp_path / "receipt.html"
    log.write_bytes(b"\n".join(log_of(1)))
    unknown = tessera("explain", "query-9", "--from", str(log), "--html", str(page))
    outsider = tessera("explain", "query-1", "--from", str(log), "--advertiser", "rival", "--html", str(page))

    assert "has no query 'query-9'" in refused(unknown)
    assert "rival took no part in the auction of query-1" in refused(outsider)
    assert "Brand0" not in refused(outsider) and "advertiser-0" not in refused(outsider)
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_other_queries_in_the_log_do_not_matter() -> None:
    sale = read_lines(log_of(1, 2, 3), "query-2", "log").sale(())

    assert sale.scored.data.query_id == "query-2"
    assert auditor_receipt(sale).draw.key is not None


def test_our_own_key_verifies_a_draw_and_stays_secret() -> None:
    log = read_lines(log_of(1, reveal=False), "query-1", "log")

    ours, nobodys = (auditor_receipt(log.sale(secrets)).draw for secrets in ((b"old one", DRAW_KEY), ()))

    assert (ours.verification, ours.key) == ("verified", None)
    assert (nobodys.verification, nobodys.key) == ("key_unknown", None)


def test_a_truncated_log_is_reported_as_truncated() -> None:
    lines = log_of(1)

    assert "has 1 of the 2 bills of query-1" in why_not(lines[:4])
    assert "has no reply to query-1 yet" in why_not(lines[:2])
    assert "not its auction.candidates.scored.v1 event" in why_not([lines[0], *lines[2:]])
    assert "log, line 4: BAD_JSON" in why_not([*lines[:3], lines[3][:-40]])
    assert "has no query 'query-1'" in why_not([])


def test_event_types_of_a_later_release_are_named() -> None:
    later = log_of(1)[1].replace(b"auction.candidates.scored.v1", b"auction.candidates.scored.v2")

    assert "line 1: BAD_HEADERS: the line has type 'auction.candidates.scored.v2'" in why_not([later])


def test_two_different_replies_to_one_query_give_no_receipt() -> None:
    lines = log_of(1)
    other = to_line(settle(make_scored(1), b"another secret of the draw, as long")[0])

    assert "two different auction.reply.settled.v1 events" in why_not([*lines, other])
    assert read_lines([*lines, *lines], "query-1", "log").sale(())  # the same twice is no contradiction


def test_an_auction_that_sold_nothing_says_why() -> None:
    out = (Abstention(advertiser_id="advertiser-00", reason=AbstentionReason.ENGINE_FAILED),)
    nobody = make_scored(1, advertisers=0, abstentions=out)
    void = make_scored(1, void_reason=VoidReason.ALL_ABSTAINED, rewards_micros={}, log_ref=())

    said = why_not([to_line(event) for event in (nobody, *settle(nobody))])
    assert "was not sold (no advertiser took part; advertiser-00 abstained: ENGINE_FAILED)" in said
    assert "void, ALL_ABSTAINED" in why_not([to_line(event) for event in (void, *settle(void))])


def refused_record() -> Record:
    headers = (("dlq.reason", b"EXPIRED"), ("dlq.message", b"the deadline had passed"))
    return Record(QUERIES.dead_letters, b"query-1", b"{}", headers)


def test_a_refused_query_says_why() -> None:
    assert "was refused (EXPIRED: the deadline had passed)" in why_not([dead_letter_line(refused_record())])


async def test_kafka_and_lines_give_the_same_receipt() -> None:
    scored = [make_scored(1), make_scored(2)]
    key = epoch_key(DRAW_KEY, scored[0].data.draw_epoch)
    events = [commitment(key, SUBMITTED_AT), *scored, *settle(scored[1]), *settle(scored[0])]
    bus = MemoryBus(Monitor(stages=(), currency="USD", engine="none"))
    await bus.publish([event.to_record() for event in events])

    from_bus = await read_kafka(bus, "query-1", "Kafka")
    stored = [record async for record in bus.stored(list({event.type for event in events}))]
    from_lines = read_lines([to_line(from_record(one, BY_NAME[one.topic])) for one in stored], "query-1", "log")

    assert auditor_receipt(from_bus.sale((DRAW_KEY,))) == auditor_receipt(from_lines.sale((DRAW_KEY,)))


def test_unreadable_lines_of_other_queries_are_reported_on_standard_error(tmp_path: Path) -> None:
    lines = log_of(1, 2)
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\n".join([b"no line at all", *lines, lines[-2][:-40]]))

    done = tessera("explain", "query-1", "--from", str(log), "--json")
    ours = tessera("explain", "query-2", "--from", str(log), "--json")

    assert done.returncode == 0
    assert AuditorReceipt.model_validate_json(done.stdout).query_id == "query-1"
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("tessera: 2 unreadable records that do not name query-1 were skipped; the first: ")
    assert f"{log}, line 1: BAD_JSON: " in line
    assert f"{log}, line {len(lines) + 2}: BAD_JSON: " in refused(ours)


async def test_a_refusal_is_found_on_kafka() -> None:
    bus = MemoryBus(Monitor(stages=(), currency="USD", engine="none"))
    await bus.publish([refused_record()])

    log: QueryLog = await read_kafka(bus, "query-1", "Kafka")

    with pytest.raises(ReceiptError, match="EXPIRED"):
        log.sale(())


@pytest.mark.kafka
def test_a_query_that_went_through_kafka_is_explained(topics: str, tmp_path: Path) -> None:
    # Given a query that running stages have answered
    advertisers = ["--advertiser", "OvenNest: selling ingredients", "--advertiser", "CrumbWorks: selling tools"]
    with worker(["generation", "scoring", "settlement"], topics, tmp_path / "log"):
        asked = tessera("ask", "How do I bake cookies?", *advertisers, "--json", kafka=topics)
    settled, *bills = [json.loads(line)["data"] for line in asked.stdout.splitlines()]
    # When it is explained from the broker
    explained = tessera("explain", settled["query_id"], "--json", kafka=topics)
    # Then the receipt is that of the reply and the bills on the topics, and the commitment was found
    receipt = AuditorReceipt.model_validate_json(explained.stdout)
    members = [member for party in receipt.parties for member in party.members]
    assert receipt.reply == settled["reply"]
    assert [member.bill.charge_micros for member in members] == [bill["charge_micros"] for bill in bills]
    assert (receipt.draw.verification, receipt.draw.committed_key_sha256) == ("verified", receipt.draw.key_sha256)
    assert recheck(receipt) == []
    assert "has no query 'nothing'" in refused(tessera("explain", "nothing", "--from", "2020-01-01", kafka=topics))
