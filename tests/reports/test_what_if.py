"""What-if against settlement itself, and against expectations by hand."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.auction import CandidatesScored
from schemas.envelope import Event
from schemas.lines import to_line
from schemas.reasons import VoidReason
from tests.receipts.sales import linked
from tests.support.builders import SUBMITTED_AT, make_scored, make_settled
from tests.support.forked_command import tessera
from workers.bids import bids, numbers
from workers.mechanism.payments import RULES
from workers.reports.what_if import OtherTerms, TermsSums, WhatIf, expected_prices, influence_of_all

AUCTIONS = [make_scored(seed, candidates=6, advertisers=3) for seed in range(8)]


def settled_again(events: Sequence[Event[CandidatesScored]], *alternatives: OtherTerms) -> list[TermsSums]:
    report = WhatIf(alternatives)
    for event in events:
        report.add(event)
    return report.currencies["USD"]


def billed(events: Sequence[Event[CandidatesScored]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for event in events:
        for bill in make_settled(event)[1]:
            sums[bill.data.advertiser_id] = sums.get(bill.data.advertiser_id, 0) + bill.data.charge_micros
    return sums


def changed(event: Event[CandidatesScored], **changes: Any) -> Event[CandidatesScored]:
    seed = int(event.data.query_id.removeprefix("query-"))
    return make_scored(seed, candidates=6, advertisers=3, **changes)


def test_under_the_terms_of_the_log_charges_are_the_bills_to_the_micro() -> None:
    (sums,) = settled_again(AUCTIONS)

    assert {id_: own.charged_micros for id_, own in sums.advertisers.items()} == billed(AUCTIONS)
    assert sums.revenue_micros == sum(billed(AUCTIONS).values()) > 0
    assert (sums.auctions, sums.unsold) == (8, 0)


def test_another_tau_charges_what_settlement_would_have_charged_with_it() -> None:
    _, sums = settled_again(AUCTIONS, OtherTerms(tau_micros_per_nat=250))

    expected = billed([changed(event, tau_micros_per_nat=250) for event in AUCTIONS])
    assert {id_: own.charged_micros for id_, own in sums.advertisers.items()} == expected


def test_whoever_stays_away_bids_nothing_and_the_others_are_settled_without_it() -> None:
    gone = "advertiser-01"
    _, sums = settled_again(AUCTIONS, OtherTerms(without=frozenset({gone})))

    others = [
        changed(event, rewards_micros={id_: row for id_, row in event.data.rewards_micros.items() if id_ != gone})
        for event in AUCTIONS
    ]
    assert {id_: own.charged_micros for id_, own in sums.advertisers.items()} == billed(others)
    assert gone not in sums.advertisers


def test_an_auction_that_nobody_is_left_in_is_unsold() -> None:
    everybody = frozenset(AUCTIONS[0].data.rewards_micros)
    _, sums = settled_again(AUCTIONS, OtherTerms(without=everybody))

    assert (sums.auctions, sums.unsold, sums.revenue_micros, sums.reward_micros) == (0, 8, 0, 0.0)


def test_a_party_pays_by_its_first_member_who_is_still_there() -> None:
    event = make_scored(3, advertisers=linked(("a", "a", None)))
    _, sums = settled_again([event], OtherTerms(without=frozenset({"advertiser-00"})))

    assert set(sums.advertisers) == {"advertiser-01", "advertiser-02"}


@pytest.mark.parametrize("rule", RULES)
def test_expected_prices_are_the_mean_over_the_draws(rule: str) -> None:
    _, grouped = bids(AUCTIONS[0].data)
    auction = numbers(AUCTIONS[0].data, grouped)
    allocation = auction.solve()

    by_draw = sum(allocation.pi[j] * RULES[rule].price(auction, allocation, j) for j in range(6))

    assert expected_prices(rule, auction, allocation) == pytest.approx(by_draw, rel=1e-9)


def test_rewards_and_influence_are_expectations_over_the_logged_replies() -> None:
    (sums,) = settled_again(AUCTIONS[:1])
    scored = AUCTIONS[0].data
    rows = list(scored.rewards_micros.values())
    free = [ref - one.log_q for ref, one in zip(scored.log_ref, scored.candidates, strict=True)]
    bid = [score + sum(row[j] for row in rows) / scored.tau_micros_per_nat for j, score in enumerate(free)]
    pi, pi_free = ([math.exp(one) / sum(map(math.exp, scores)) for one in scores] for scores in (bid, free))

    assert sums.reward_micros == pytest.approx(sum(p * row[j] for row in rows for j, p in enumerate(pi)), rel=1e-9)
    assert sums.influence_nats == pytest.approx(
        sum(p * math.log(p / q) for p, q in zip(pi, pi_free, strict=True)), rel=1e-9
    )
    assert sums.effective_sample_size == pytest.approx(1 / sum(p * p for p in pi), rel=1e-9)


def test_a_reply_that_the_reference_model_never_gives_moves_nothing() -> None:
    scored = AUCTIONS[0].data
    auction = numbers(scored, bids(scored)[1])
    log_ref = np.array([-math.inf, *auction.log_ref[1:]])
    impossible = type(auction)(auction.log_q, log_ref, auction.rewards, auction.tau)

    assert 0.0 < influence_of_all(impossible, impossible.solve()) < math.inf


def test_a_query_counts_once_and_what_was_not_held_does_not_count() -> None:
    report = WhatIf(())
    void = make_scored(9, void_reason=VoidReason.LATE)
    late = make_scored(10, deadline=SUBMITTED_AT)
    for event in (*AUCTIONS, AUCTIONS[0], void, replace(late, recorded_at=SUBMITTED_AT + timedelta(seconds=1))):
        report.add(event)

    assert report.currencies["USD"][0].auctions == 8
    assert report.passed_over == 3


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whatif") / "log.jsonl"
    days = [replace(event, recorded_at=SUBMITTED_AT + timedelta(days=day)) for day, event in enumerate(AUCTIONS)]
    path.write_bytes(b"\n".join(map(to_line, days)) + b"\n")
    return path


def test_the_command_compares_terms_over_a_period_and_says_what_it_assumes(log: Path, tmp_path: Path) -> None:
    words = ("whatif", "--log", str(log), "--from", "2026-11-24", "--to", "2026-11-27T00:00:00Z")
    told = tessera(*words, "--tau", "500", "--tau", "2000", "--plot", str(tmp_path / "tau.svg"))
    machine = tessera(*words, "--without", "advertiser-01", "--without", "nobody", "--json")

    assert told.returncode == machine.returncode == 0, (told.stderr, machine.stderr)
    assert b"Bids are taken as they were" in told.stdout and "τ 2,000".encode() in told.stdout
    assert (tmp_path / "tau.svg").read_text().count("<polyline") == 2
    held, alone = [json.loads(line) for line in machine.stdout.splitlines()]
    assert held["revenue_micros"] == sum(billed(AUCTIONS[1:4]).values())
    assert (held["auctions"], alone["without"]) == (3, ["advertiser-01", "nobody"])
    assert b"--without nobody: nobody of that id bid" in machine.stderr


def test_the_command_says_what_keeps_it_from_comparing(log: Path, tmp_path: Path) -> None:
    plot = tessera("whatif", "--log", str(log), "--tau", "500", "--plot", str(tmp_path / "tau.svg"))
    empty = tessera("whatif", "--log", str(log), "--from", "2027-01-01")

    assert plot.returncode == empty.returncode == 2
    assert b"needs at least two different --tau" in plot.stderr
    assert b"there is no auction in that log and time" in empty.stderr
