"""The limit law under each decoding: processed log-probabilities are right, raw and divided ones are caught."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.experiments.decoding import (
    DECODINGS,
    MARGIN,
    limit_law,
    limit_law_error,
    logged_density,
    measure,
    run,
)
from workers.experiments.enumerable import LOGGED, Decoding, Logged, index_of, sample
from workers.experiments.law import exact_law
from workers.experiments.market import MAX_TOKENS, VOCABULARY, make_market, total_variation

ROUNDING = 1e-12
SEEDS = st.integers(0, 2**32 - 1)
OTHER_THAN_1 = st.one_of(st.floats(0.4, 0.85), st.floats(1.2, 2.0))


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.floats(0.4, 2.0))
def test_the_processed_log_probability_is_exact_at_any_temperature(seed: int, temperature: float) -> None:
    row = measure(make_market(seed), Decoding(temperature), "processed")

    assert row.error < ROUNDING < MARGIN
    assert row.lost == pytest.approx(0.0, abs=ROUNDING)


@settings(max_examples=40, deadline=None)
@given(SEEDS, OTHER_THAN_1, st.sampled_from(["raw", "divided"]))
def test_raw_and_divided_log_probabilities_shift_the_limit_law(seed: int, temperature: float, logged: Logged) -> None:
    """The property that fails when an engine reports raw log-probabilities in place of processed ones."""
    assert measure(make_market(seed), Decoding(temperature), logged).error > MARGIN


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from([decoding for decoding in DECODINGS if decoding.truncates]), st.sampled_from(LOGGED))
def test_truncation_is_biased_whatever_is_logged(seed: int, decoding: Decoding, logged: Logged) -> None:
    market = make_market(seed)

    row, best = measure(market, decoding, logged), measure(market, decoding, "processed")

    # Then nothing is nearer than the mass that is lost, which the processed one attains, being exact on the rest
    assert row.lost > 1e-3  # the least of 1,500 seeds is .011
    assert row.error >= row.lost - ROUNDING
    assert best.error == pytest.approx(row.lost, abs=ROUNDING)
    assert best.error_on_support < ROUNDING
    assert logged == "processed" or row.error_on_support > 1e-4


def test_the_three_ways_of_logging_agree_at_temperature_1_without_truncation() -> None:
    market = make_market(1)

    laws = [logged_density(market, Decoding(), logged) for logged in LOGGED]

    assert laws[1] == pytest.approx(laws[0], abs=ROUNDING)
    assert laws[2] == pytest.approx(laws[0], abs=ROUNDING)


def test_the_paper_s_decoding_is_worse_than_tempering_alone() -> None:
    """Temperature .8 and top_p .95 with raw log-probabilities: the lost replies come on top."""
    market = make_market(1)

    tempered = measure(market, Decoding(0.8), "raw").error
    cut = measure(market, Decoding(0.8, 0.95), "raw")

    assert cut.lost > MARGIN
    assert cut.error > tempered
    assert cut.error > measure(market, Decoding(0.8, 0.95), "processed").error + MARGIN


def test_a_constant_in_what_is_logged_changes_nothing() -> None:
    market = make_market(1)
    log_q = market.log_proposal("context_aware")

    assert limit_law_error(log_q, log_q + 3.0, market.log_target) < ROUNDING


def test_the_law_of_many_candidates_tends_to_the_limit_law() -> None:
    """With raw log-probabilities at temperature .8, M = 20,000 candidates are near the wrong limit, not near π*."""
    market, decoding = make_market(1), Decoding(0.8)
    log_q = market.context_aware.decoded(decoding).log_probs(market.replies)
    limit = limit_law(log_q, logged_density(market, decoding, "raw"), market.log_target)

    law = exact_law(log_q, limit, 20_000)  # the weights exp(S) are limit/q up to a constant

    assert total_variation(law, np.exp(limit)) < 1e-3
    assert total_variation(law, np.exp(market.log_target)) > 0.1


@pytest.mark.parametrize(("logged", "passes"), [("processed", True), ("raw", False), ("divided", False)])
def test_a_samplers_log_probabilities_are_compared_over_the_replies_it_drew(logged: Logged, passes: bool) -> None:
    # Given samples at temperature .8 and one of the three numbers the sampler reported with each
    market, decoding = make_market(1), Decoding(0.8)
    draws = sample(market.context_aware, decoding, 50_000, MAX_TOKENS, np.random.default_rng(8))
    seen, first = np.unique(index_of(draws.replies, market.replies, VOCABULARY), return_index=True)
    reported = getattr(draws, logged)[first]
    target = market.log_target[seen] - np.logaddexp.reduce(market.log_target[seen])

    # When judged over the replies that came up
    log_sampled = market.context_aware.decoded(decoding).log_probs(market.replies)[seen]

    # Then only the processed one leads to the target
    assert len(seen) > 1_000
    assert (limit_law_error(log_sampled, reported, target) < MARGIN) is passes


def test_distributions_over_different_replies_are_refused() -> None:
    with pytest.raises(ValueError, match="same replies"):
        limit_law(np.zeros(2), np.zeros(3), np.zeros(3))


def test_the_figure_has_a_row_for_each_decoding_and_way_of_logging() -> None:
    (table,) = run(1, lambda: None).tables

    assert len(table.rows) == len(DECODINGS) * len(LOGGED)
