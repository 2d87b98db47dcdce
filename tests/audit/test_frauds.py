"""Every lie that a log can tell, planted alone into a right one, and caught by its name."""

from dataclasses import replace
from typing import Any

import pytest

from schemas.draw import DrawCommitment
from schemas.identity import derive
from schemas.lines import to_line
from schemas.payload import Payload
from schemas.reasons import AbstentionReason, VoidReason
from tests.audit.logs import Log, audited, committed, kinds, lines, make_log
from tests.support.builders import DRAW_KEY, SUBMITTED_AT, envelop, make_record
from workers.audit import disk_map
from workers.audit.auditor import Audit
from workers.audit.entries import read_line, read_record
from workers.audit.findings import CHECK_OF, Check, Finding, Kind

OTHER_KEY = b"another secret of the draw, just as long as it must be"
LOG = make_log(3, candidates=6, advertisers=3)
AT_HAND = 16


def other_choice(log: Log) -> Log:
    """Another candidate than the draw's, text and all."""
    chosen = (int(log.reply.chosen_index or 0) + 1) % len(log.scored.candidates)
    return log.change_reply(chosen_index=chosen, reply=log.scored.candidates[chosen].text)


def other_u(log: Log) -> Log:
    """A draw that was tried again until the operator liked it; weights and choice fit it."""
    draw = log.reply.draw
    assert draw is not None
    digit = "0" if draw.u[-1] != "0" else "1"
    return log.change_reply(draw=draw.model_copy(update={"u": draw.u[:-1] + digit}))


def other_weights(log: Log) -> Log:
    """A little more weight on the chosen candidate than its odds give."""
    weights = list(log.reply.weights)
    weights[int(log.reply.chosen_index or 0)] += 2**40
    return log.change_reply(weights=tuple(weights), weights_text=tuple(map(str, weights)))


def moved_odds(log: Log) -> Log:
    """Odds shifted by 1e-9 from the least likely candidate to the likeliest."""
    odds = list(log.reply.probabilities)
    odds[odds.index(max(odds))] += 1e-9
    return log.change_reply(probabilities=tuple(odds))


def dropped_bill(log: Log, place: int = 1) -> Log:
    """An advertiser that was let off, and the reply says so too."""
    bills = tuple(bill for index, bill in enumerate(log.bills) if index != place)
    ids = tuple(bill.charge_id for bill in bills)
    return replace(log, bills=bills).change_reply(
        charge_ids=ids, total_charge_micros=sum(bill.charge_micros for bill in bills)
    )


def extra_bill(log: Log) -> Log:
    """A bill for somebody who took no part."""
    stranger = {
        "advertiser_id": "stranger",
        "charge_id": derive("charge", log.scored.auction_id, "stranger", "influence"),
    }
    return replace(log, bills=(log.bills[0].model_copy(update=stranger), *log.bills))


def other_debtor(log: Log, **changes: Any) -> Log:
    """The first advertiser's charge on the account of another one."""
    return log.change_bill(advertiser_id="somebody-else", **changes)


def reordered(log: Log) -> Log:
    """The first two candidates changed places after the draw."""
    first, second, *rest = log.scored.candidates
    swapped = (second.model_copy(update={"index": 0}), first.model_copy(update={"index": 1}), *rest)
    return log.change_scored(candidates=swapped)


def changed_reward(log: Log) -> Log:
    first, *rest = log.scored.rewards_micros.items()
    rewards = {first[0]: (first[1][0] + 250.0, *first[1][1:]), **dict(rest)}
    return log.change_scored(rewards_micros=rewards)


def odds_of_sponsor(log: Log) -> Log:
    first, *rest = log.reply.sponsors
    odds = first.model_copy(update={"probability_without": first.probability_without / 2})
    return log.change_reply(sponsors=(odds, *rest))


def charged(place: int, micros: int) -> Any:
    return lambda log: log.change_bill(place, charge_micros=log.bills[place].charge_micros + micros)


FRAUDS: dict[str, tuple[Any, Kind]] = {
    "one micro too much": (charged(0, 1), Kind.WRONG_CHARGE),
    "one micro too little": (charged(2, -1), Kind.WRONG_CHARGE),
    "other candidate": (other_choice, Kind.WRONG_CHOICE),
    "other u": (other_u, Kind.WRONG_U),
    "other weights": (other_weights, Kind.WRONG_WEIGHTS),
    "moved odds": (moved_odds, Kind.WRONG_PROBABILITIES),
    "sample size": (lambda log: log.change_reply(effective_sample_size=1.5), Kind.WRONG_SAMPLE_SIZE),
    "reply text": (lambda log: log.change_reply(reply="Buy Brand00!"), Kind.WRONG_REPLY),
    "total": (lambda log: log.change_reply(total_charge_micros=log.reply.total_charge_micros + 1), Kind.WRONG_TOTAL),
    "charge ids": (lambda log: log.change_reply(charge_ids=log.reply.charge_ids[::-1]), Kind.WRONG_CHARGE_IDS),
    "reply's currency": (lambda log: log.change_reply(currency="EUR"), Kind.WRONG_FIELD),
    "no advertising": (lambda log: log.change_reply(sponsored=False), Kind.WRONG_OUTCOME),
    "no draw": (lambda log: log.change_reply(draw=None), Kind.WRONG_OUTCOME),
    "sponsor left out": (lambda log: log.change_reply(sponsors=log.reply.sponsors[1:]), Kind.WRONG_SPONSORS),
    "sponsor's odds": (odds_of_sponsor, Kind.WRONG_ODDS),
    "disclosure": (lambda log: log.change_reply(disclosure="Sponsored."), Kind.WRONG_DISCLOSURE),
    "dropped charge": (dropped_bill, Kind.MISSING_CHARGE),
    "lost charge": (lambda log: replace(log, bills=log.bills[1:]), Kind.MISSING_CHARGE),
    "extra charge": (extra_bill, Kind.EXTRA_CHARGE),
    "double charge": (lambda log: replace(log, bills=(*log.bills, log.bills[1])), Kind.DOUBLE_CHARGE),
    "double charge at once": (lambda log: replace(log, bills=(log.bills[1], *log.bills)), Kind.DOUBLE_CHARGE),
    "other debtor": (other_debtor, Kind.WRONG_DEBTOR),
    "τ of the bill": (lambda log: log.change_bill(tau_micros_per_nat=999), Kind.WRONG_TAU),
    "currency of the bill": (lambda log: log.change_bill(currency="EUR"), Kind.WRONG_CURRENCY),
    "bound of the bill": (lambda log: log.change_bill(bound_micros=log.bills[0].bound_micros - 1), Kind.WRONG_BOUND),
    "name on the bill": (lambda log: log.change_bill(name="Another"), Kind.WRONG_BILL_FIELD),
    "odds of the bill": (lambda log: log.change_bill(1, probability_with=0.0), Kind.WRONG_ODDS),
    "bill of another reply": (lambda log: replace(log, reply=other_u(log).reply), Kind.OTHER_SETTLED_EVENT),
    "τ of the scored event": (lambda log: log.change_scored(tau_micros_per_nat=900), Kind.OTHER_SCORED_EVENT),
    "reordered candidates": (reordered, Kind.OTHER_SCORED_EVENT),
    "changed reward": (changed_reward, Kind.OTHER_SCORED_EVENT),
    "other epoch": (lambda log: log.change_scored(draw_epoch="2026-11-22"), Kind.WRONG_EPOCH),
    "settled from a second scoring": (
        lambda log: replace(log, before=(*log.before, log.change_scored(tau_micros_per_nat=900).scored)),
        Kind.SECOND_SCORED,
    ),
    "reply twice": (lambda log: replace(log, before=(*log.before, log.reply)), Kind.SECOND_TERMINAL),
}
CAUSED: dict[str, set[Kind]] = {  # what else such a lie is
    "other candidate": {Kind.WRONG_ODDS},  # those of the drawn one
    "moved odds": {Kind.WRONG_WEIGHTS, Kind.WRONG_SAMPLE_SIZE},
    "dropped charge": {Kind.WRONG_CHARGE_IDS},
    "sponsor's odds": {Kind.WRONG_DISCLOSURE},
    "bill of another reply": {Kind.WRONG_U},
}
ANYTHING = {"τ of the scored event", "reordered candidates", "changed reward", "other epoch"}  # other numbers, or bytes


@pytest.mark.parametrize("fraud", FRAUDS)
def test_each_fraud_is_found_under_its_own_kind(fraud: str) -> None:
    lie, kind = FRAUDS[fraud]
    assert kinds(LOG) == []

    found = set(kinds(lie(LOG)))

    assert kind in found
    assert fraud in ANYTHING or found - {kind} <= CAUSED.get(fraud, set())


@pytest.mark.parametrize("changes", [{"tau_micros_per_nat": 900}, {"currency": "EUR"}])
def test_a_changed_scored_event_with_recomputed_digests_is_found_by_its_numbers(changes: Any) -> None:
    """The operator settles one auction and shows another: digests and draw are those of what is shown."""
    shown = make_log(3, candidates=6, advertisers=3, **changes)
    lie = shown
    for place, bill in enumerate(LOG.bills):
        lie = lie.change_bill(place, charge_micros=bill.charge_micros, currency=bill.currency)

    assert set(kinds(lie)) == {Kind.WRONG_CHARGE if "tau_micros_per_nat" in changes else Kind.WRONG_CURRENCY}


def test_a_charge_moved_from_one_advertiser_to_another_is_wrong_for_both() -> None:
    first, second = LOG.bills[0].charge_micros, LOG.bills[1].charge_micros
    found: list[Finding] = []

    audited(LOG.change_bill(0, charge_micros=first + 5).change_bill(1, charge_micros=second - 5), keep=found.append)

    assert [(one.kind, one.advertiser_id) for one in found] == [
        (Kind.WRONG_CHARGE, "advertiser-00"),
        (Kind.WRONG_CHARGE, "advertiser-01"),
    ]
    assert found[0].sentence.startswith(
        f"query query-3, advertiser advertiser-00: charge in micros: logged {first + 5}, right {first} ("
    )


def test_a_bill_to_another_advertiser_under_its_own_id_is_one_missing_and_one_too_many() -> None:
    charge_id = derive("charge", LOG.scored.auction_id, "somebody-else", "influence")

    assert set(kinds(other_debtor(LOG, charge_id=charge_id))) == {Kind.MISSING_CHARGE, Kind.EXTRA_CHARGE}


def test_a_missing_reply_and_a_second_reply_are_found() -> None:
    assert kinds([committed(), LOG.scored]) == [Kind.MISSING_TERMINAL]
    assert kinds([*LOG.payloads(), LOG.reply]) == [Kind.SECOND_TERMINAL]


def test_replies_and_bills_without_a_scored_event_are_found() -> None:
    assert kinds([committed(), LOG.reply, *LOG.bills]) == [Kind.UNKNOWN_AUCTION, Kind.EXTRA_CHARGE]


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> list[Log]:
    """More auctions than memory holds when they are closed."""
    monkeypatch.setattr(disk_map, "AT_HAND", AT_HAND)
    one = make_log(100, advertisers=0)
    return [unsold(one, f"another-{number}") for number in range(2 * AT_HAND + 1)]


def unsold(log: Log, query_id: str) -> Log:
    """The same auction, at which nobody bid, as that of another query."""
    ids = {"query_id": query_id, "auction_id": derive("auction", query_id)}
    return replace(log.change_scored(**ids).change_reply(**ids), before=())


FAR: dict[str, tuple[list[Payload], list[str]]] = {
    "whole auction": (
        [LOG.scored, LOG.reply, *LOG.bills],
        [Kind.SECOND_TERMINAL, Kind.DOUBLE_CHARGE],
    ),
    "charge of another amount": (list(charged(0, 5)(LOG).bills[:1]), [Kind.DOUBLE_CHARGE]),
    "reply": ([LOG.reply], [Kind.SECOND_TERMINAL]),
    "charge to somebody else": (list(extra_bill(LOG).bills[:1]), [Kind.EXTRA_CHARGE]),
    "scored again": ([LOG.scored], []),
}


@pytest.mark.parametrize("repeated", FAR)
def test_what_comes_again_is_found_at_any_distance(repeated: str, others: list[Log]) -> None:
    again, expected = FAR[repeated]

    assert kinds(LOG, *others, again) == expected


def test_a_query_id_that_two_auctions_have_settled_is_found_at_any_distance(others: list[Log]) -> None:
    another = replace(make_log(3, auction_id=derive("auction", "the same query id once more")), before=())

    assert kinds(LOG, another) == [Kind.REUSED_QUERY]
    assert kinds(LOG, *others, another) == [Kind.REUSED_QUERY]


@pytest.mark.parametrize(
    "changes", [{"advertisers": 0}, {"void_reason": VoidReason.DEADLINE_PASSED}], ids=["nobody", "void"]
)
def test_a_wrong_reply_or_outcome_of_an_unsold_auction_is_found(changes: Any) -> None:
    log = make_log(6, **changes)
    assert kinds(log) == []

    assert kinds(log.change_reply(reply="Buy Brand00!")) == [Kind.WRONG_REPLY]
    assert kinds(log.change_reply(outcome="sold")) == [Kind.WRONG_OUTCOME]
    assert kinds(log.change_reply(weights=(1,))) == [Kind.WRONG_OUTCOME]
    assert kinds(replace(log, bills=LOG.bills[:1]).change_bill(auction_id=log.scored.auction_id)) != []


def test_an_added_abstention_is_found() -> None:
    abstention = {"advertiser_id": "advertiser-09", "reason": AbstentionReason.ENGINE_FAILED}

    assert kinds(LOG.change_reply(abstentions=(abstention,))) == [Kind.WRONG_ABSTENTIONS]


def test_rewards_outside_the_declared_range_are_found() -> None:
    row = (60_000.0, *(0.0 for _ in range(3)))

    assert Kind.REWARD_OUT_OF_RANGE in kinds(make_log(1, advertisers=1, rewards_micros={"advertiser-00": row}))


def test_a_charge_to_an_indifferent_advertiser_is_found() -> None:
    log = make_log(
        1, advertisers=2, rewards_micros={"advertiser-00": (7.0,) * 4, "advertiser-01": (1.0, 2.0, 3.0, 4.0)}
    )
    assert kinds(log) == []

    assert kinds(log.change_bill(0, charge_micros=1)) == [Kind.WRONG_CHARGE, Kind.INDIFFERENT_CHARGED]


def test_a_charge_above_its_bound_or_above_its_value_to_the_advertiser_is_found() -> None:
    bound = LOG.bills[0].bound_micros

    found = kinds(LOG.change_bill(0, charge_micros=bound + 1))

    assert found == [Kind.WRONG_CHARGE, Kind.ABOVE_BOUND, Kind.WORSE_OFF]


def with_commitments(*said: Payload) -> list[str]:
    return kinds(replace(LOG, before=said))


def test_wrong_missing_and_late_commitments_are_found() -> None:
    other = committed(OTHER_KEY)
    elsewhere = DrawCommitment(epoch="2026-11-22", key_sha256=other.key_sha256)

    assert with_commitments(committed()) == []
    assert with_commitments(committed(), committed()) == []  # said twice is harmless
    assert with_commitments(elsewhere) == [Kind.NO_COMMITMENT]
    assert with_commitments(other) == [Kind.BROKEN_COMMITMENT]
    assert with_commitments(committed(), other) == [Kind.SECOND_COMMITMENT]
    assert with_commitments(other, committed()) == [Kind.SECOND_COMMITMENT, Kind.BROKEN_COMMITMENT]
    assert with_commitments(committed(), committed(OTHER_KEY, reveal=True)) == [Kind.FALSE_REVEAL]
    assert kinds([*LOG.payloads()[1:], committed()]) == [Kind.LATE_COMMITMENT]


def test_a_draw_with_a_key_that_was_not_committed_to_is_found() -> None:
    log = make_log(3, OTHER_KEY, candidates=6, advertisers=3)

    assert kinds(log) == [Kind.BROKEN_COMMITMENT]
    draw = log.reply.draw
    assert draw is not None
    hidden = log.change_reply(draw=draw.model_copy(update={"key_sha256": committed().key_sha256}))
    assert kinds(hidden) == [Kind.WRONG_U]


def test_a_revealed_key_with_another_hash_is_found() -> None:
    (good,) = lines([committed(reveal=True)])
    key = committed(reveal=True).key
    assert key is not None
    found: list[Finding] = []
    audit = Audit(found.append, [DRAW_KEY])
    for number, line in enumerate([*lines(LOG.payloads()), good.replace(key.encode(), b"0" * 64)], 1):
        entry = read_line(line, number)
        assert entry is not None
        audit.add(entry)

    audit.finish()

    assert [finding.kind for finding in found] == [Kind.FALSE_REVEAL]


def test_draws_are_checked_when_their_key_is_revealed_later() -> None:
    """Without a key nothing is claimed of the draw; a reveal that comes last decides all draws before it."""
    lie = other_u(LOG)
    honest, lying = audited(LOG, secrets=()), audited(lie, secrets=())
    assert honest.unverifiable[Check.DRAWS] == lying.unverifiable[Check.DRAWS] == 1
    assert honest.discrepancies == lying.discrepancies == 0

    reveal = [committed(reveal=True)]

    assert audited(LOG, reveal, secrets=()).checked[Check.DRAWS] == 1
    assert kinds(LOG, reveal, secrets=()) == []
    assert kinds(lie, reveal, secrets=()) == [Kind.WRONG_U]


def test_commitments_that_are_not_in_the_input_are_not_verifiable() -> None:
    tally = audited(replace(LOG, before=()))

    assert tally.discrepancies == 0
    assert (tally.checked[Check.COMMITMENTS], tally.unverifiable[Check.COMMITMENTS]) == (0, 1)


def test_a_draw_without_an_epoch_is_checked_with_the_secret_itself() -> None:
    """They are right in a log from that time; where days are committed to, none may do without."""
    log = make_log(3, draw_epoch=None)
    then = replace(log, before=())

    assert kinds(then) == []
    assert kinds(other_u(then)) == [Kind.WRONG_U]
    assert audited(then).unverifiable[Check.COMMITMENTS] == 1
    assert kinds(log) == [Kind.UNCOMMITTED_DRAW]


def test_a_draw_after_its_key_was_revealed_is_found() -> None:
    shown = [committed(), committed(reveal=True)]

    assert kinds(replace(LOG, before=shown)) == [Kind.DRAW_AFTER_REVEAL]
    assert kinds(LOG, [committed(reveal=True)]) == []


def test_a_total_that_is_neither_the_sum_of_the_bills_nor_of_the_right_charges_is_found() -> None:
    inflated = replace(charged(0, 8)(LOG), reply=LOG.reply)

    assert Kind.WRONG_TOTAL not in kinds(inflated)  # the bill is wrong, the total is right
    assert Kind.WRONG_TOTAL in kinds(LOG.change_reply(total_charge_micros=LOG.reply.total_charge_micros - 1))


@pytest.mark.parametrize("place", range(3), ids=["commitment", "reply", "bill"])
def test_a_record_keyed_by_somebody_else_is_found(place: int) -> None:
    """Its owner does not find it: on Kafka it lies in another's partition."""
    found: list[Finding] = []
    audit = Audit(found.append, [DRAW_KEY])
    events = [envelop(payload, recorded_at=SUBMITTED_AT) for payload in LOG.payloads()]
    chosen = (0, 2, 3)[place]
    events[chosen] = replace(events[chosen], subject="somebody-else")
    for number, event in enumerate(events, 1):
        entry = read_line(to_line(event), number)
        assert entry is not None and (on_kafka := read_record(make_record(event))) is not None
        assert entry.key == on_kafka.key == event.subject
        audit.add(entry)

    assert audit.finish().kinds.total() == 1
    assert (found[0].kind, found[0].logged) == (Kind.WRONG_KEY, "somebody-else")


def test_an_unreadable_record_on_a_topic_of_the_stages_is_found() -> None:
    found: list[Finding] = []
    audit = Audit(found.append, [DRAW_KEY])

    audit.unreadable("auction.billing.charged.v1 partition 3 offset 7", "BAD_JSON: nonsense")

    assert [finding.kind for finding in found] == [Kind.UNREADABLE_RECORD]
    assert "partition 3 offset 7" in found[0].sentence
    assert audit.finish().discrepancies == 1


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2), (2, 0, 3, 1)])
def test_events_may_come_in_any_order(order: tuple[int, ...]) -> None:
    log = make_log(2)
    events = [log.scored, log.reply, *log.bills]

    assert kinds([committed(), *(events[place] for place in order)]) == []


def test_every_kind_belongs_to_an_invariant_and_every_invariant_has_kinds() -> None:
    assert set(CHECK_OF) == set(Kind)
    assert set(CHECK_OF.values()) == set(Check)
    assert CHECK_OF[Kind.LATE_COMMITMENT] is Check.COMMITMENTS
    assert CHECK_OF[Kind.INDIFFERENT_CHARGED] is Check.PROPERTIES


def test_only_open_auctions_are_kept_in_memory() -> None:
    audit = Audit(lambda finding: None, [DRAW_KEY])
    for seed in range(50):
        for number, line in enumerate(lines(make_log(seed).payloads()), 1):
            entry = read_line(line, seed * 10 + number)
            assert entry is not None
            audit.add(entry)

        assert audit.open_auctions == 0
    assert audit.finish().notes["auctions"] == 50
