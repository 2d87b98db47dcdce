"""What goes beyond the paper, by hand on small auctions; and that each of its claims can fail."""

from dataclasses import replace

import numpy as np
import pytest

from workers.experiments.paper.beyond import (
    competition,
    misreports,
    mixture,
    payment_variants,
    splitting,
    stuffing,
    tau,
)
from workers.experiments.paper.claims import Evaluation, series
from workers.experiments.paper.crowds import crowd, sizes, stuffed
from workers.experiments.paper.instances import load_instances
from workers.experiments.paper.market import Auctions
from workers.experiments.paper.sampling import _scoring_turns, _turn
from workers.experiments.paper.statistics import Interval
from workers.mechanism.allocation import Numbers

QUERIES, SEEDS, CANDIDATES = 4, 2, 6
EQUALITIES = ("no lie gains in any auction", "eight linked names pay what one pays", "both charge the same on average")


def drawn(seed: int, spread: float = 3.0) -> Evaluation:
    """Random auctions of both proposals; advertisers want different candidates."""
    rng = np.random.default_rng(seed)
    shape = (QUERIES, SEEDS, CANDIDATES)

    def auctions(context: bool) -> Auctions:
        log_ref, log_context = rng.normal(-20, 2, shape), rng.normal(-20, 2, shape)
        rewards = spread * rng.normal(size=(QUERIES, SEEDS, 2, CANDIDATES))
        return Auctions(log_context if context else log_ref, log_ref, log_context, rewards, rewards > 1.0)

    return Evaluation(auctions(True), auctions(False))


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return drawn(1)


def holding(judged: object) -> dict[str, bool]:
    return {one.says: one.holds for one in judged}  # type: ignore[attr-defined]


def test_a_mixture_takes_turns_and_weighs_each_candidate_by_both_densities(evaluation: Evaluation) -> None:
    mixed, ours, reference = mixture.mixture_of(evaluation), evaluation.context_aware, evaluation.reference

    assert np.array_equal(mixed.log_ref[..., 0::2], ours.log_ref[..., :3])
    assert np.array_equal(mixed.rewards[..., 1::2], reference.rewards[..., :3])
    density = (np.exp(ours.log_q) + np.exp(ours.log_ref))[..., :3] / 2
    assert np.exp(mixed.log_q[..., 0::2]) == pytest.approx(density)


def test_no_weight_of_a_mixture_exceeds_2_and_one_that_did_would_show(evaluation: Evaluation) -> None:
    says = "no weight of the mixture is above 2"
    rows = mixture.run(evaluation)
    larger = [replace(row, measured=Interval(0.1, 0.1, 0.1)) if row.series == mixture.LARGEST else row for row in rows]

    assert holding(mixture.judge(rows))[says] and not holding(mixture.judge(larger))[says]


def test_names_split_a_charge_as_by_hand_and_links_restore_it() -> None:
    # Given one advertiser alone whose two candidates weigh alike without it
    numbers = Numbers(np.zeros(2), np.zeros(2), np.array([[np.log(4.0), 0.0]]), 1.0)
    # Then alone it pays KL((.8, .2) ‖ (.5, .5)), and as two names twice KL((.8, .2) ‖ (2/3, 1/3))
    alone = 0.8 * np.log(1.6) + 0.2 * np.log(0.4)
    halves = 2 * (0.8 * np.log(0.8 * 1.5) + 0.2 * np.log(0.2 * 3))
    assert splitting.charge_of_names(numbers, 0, 1, False) == pytest.approx(alone)
    assert splitting.charge_of_names(numbers, 0, 2, False) == pytest.approx(halves)
    assert splitting.charge_of_names(numbers, 0, 2, True) == pytest.approx(alone)
    assert halves < alone


def test_revenue_has_a_hump_in_tau_and_replies_stray_less_as_it_grows(evaluation: Evaluation) -> None:
    rows = tau.run(evaluation)

    revenue, strays = (list(series_by_place(rows, name)) for name in ("revenue, nats", "KL, nats"))
    assert max(revenue) > revenue[0] and max(revenue) > revenue[-1] >= 0
    assert strays == sorted(strays, reverse=True)


def series_by_place(rows: object, name: str) -> list[float]:
    return [row.measured.value for row in rows if row.series == name]  # type: ignore[attr-defined]


def test_no_lie_gains_and_each_loses_on_average(evaluation: Evaluation) -> None:
    assert all(holding(misreports.judge(misreports.run(evaluation))).values())


def test_both_payments_are_the_same_on_average_and_one_of_them_is_sometimes_negative(evaluation: Evaluation) -> None:
    rows = payment_variants.run(evaluation)

    assert all(holding(payment_variants.judge(rows)).values())
    assert series(rows, payment_variants.OFFSET)


def test_where_nobody_bids_nothing_that_is_measured_holds() -> None:
    nothing = drawn(2, spread=0.0)

    for figure in (tau.FIGURE, splitting.FIGURE, misreports.FIGURE, payment_variants.FIGURE):
        judged = holding(figure.judge(figure.run(nothing)))
        assert not any(holds for says, holds in judged.items() if says not in EQUALITIES), figure.name


def test_a_crowd_has_its_own_advertisers_first_and_nobody_twice() -> None:
    instances = load_instances(limit=4)
    crowded = crowd(instances, 8)

    assert sizes(instances) == (1, 2, 4, 8) and sizes(instances[:3]) == (1, 2, 4)
    assert [one.question for one in crowded] == [one.question for one in instances]
    for own, one in zip(instances, crowded, strict=True):
        assert one.advertisers[:2] == own.advertisers
        assert len({advertiser.advertiser_id for advertiser in one.advertisers}) == 8
    assert crowd(instances, 2) == instances


def test_an_advertiser_alone_pays_more_than_each_of_two_who_bid_half_of_it() -> None:
    # Given auctions of one, and the same of two who together bid what it bids
    alone = drawn(3).context_aware
    alone.rewards = alone.rewards[:, :, :1]
    together = drawn(3).context_aware
    together.rewards = np.repeat(together.rewards[:, :, :1] / 2, 2, axis=2)
    # Then each pays less than one alone
    judged = holding(competition.judge(competition.run(Evaluation(alone, alone, {1: alone, 2: together}))))
    assert judged["each of the most pays less than one alone"]


def test_a_stuffed_description_reaches_the_proposal_and_neither_the_rewards_nor_the_rival() -> None:
    plain = load_instances(limit=2)
    changed = stuffed(plain)

    for one, other in zip(plain, changed, strict=True):
        assert other.advertisers == one.advertisers and other.proposed[1] == one.advertisers[1]
        assert other.proposed[0].description.startswith(one.advertisers[0].description)
        assert other.digest != one.digest and one.advertisers[0].name in other.proposed[0].description
        turns = (_turn(one, "context_aware"), _turn(other, "context_aware"))
        assert turns[0] != turns[1]
        assert _scoring_turns(one)[1:] == _scoring_turns(other)[1:]


def test_stuffing_that_changes_nothing_gains_nothing_and_one_that_helps_is_seen() -> None:
    # Given candidates that are the same with either description, and such as the first advertiser wants more
    plain, better = drawn(5), drawn(5).context_aware
    better.rewards[:, :, 0] += 2.0
    # Then only the second gains
    for auctions, gains in ((drawn(5).context_aware, False), (better, True)):
        rows = stuffing.run(Evaluation(plain.context_aware, plain.reference, {}, auctions))
        assert [one.holds for one in stuffing.judge(rows)] == [not gains]
