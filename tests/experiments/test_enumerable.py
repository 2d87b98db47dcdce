"""The model whose replies are listed: every reply once, probabilities that sum to 1, samples that follow them."""

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.experiments.enumerable import END, LOGGED, Bigram, Decoding, index_of, list_replies, sample
from workers.experiments.market import MAX_TOKENS, VOCABULARY, make_market
from workers.mechanism.allocation import Floats

SEEDS = st.integers(0, 2**32 - 1)
DECODINGS = (
    Decoding(),
    Decoding(temperature=0.8),
    Decoding(temperature=1.3),
    Decoding(top_k=4),
    Decoding(temperature=0.8, top_p=0.95),
    Decoding(temperature=0.7, top_p=0.9, top_k=5),
)

#: Two words behind the end token, by hand: a reply begins with word 1 or 2 or is empty; word 2 is never said twice.
HALVES = np.array([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.5, 0.5, 0.0]])


def by_hand() -> Bigram:
    with np.errstate(divide="ignore"):
        return Bigram(np.log(HALVES))


def model(seed: int) -> Bigram:
    return Bigram.from_logits(np.random.default_rng(seed).normal(0.0, 1.0, (VOCABULARY, VOCABULARY)))


def test_the_enumerated_replies_of_a_tiny_model_worked_out_by_hand() -> None:
    replies = list_replies(3, 2).tolist()

    # Then: the empty reply, two words that end, and four that are cut after two tokens
    assert replies == [[0, 0], [1, 0], [1, 1], [1, 2], [2, 0], [2, 1], [2, 2]]


def test_the_log_probabilities_of_a_tiny_model_worked_out_by_hand() -> None:
    found = np.exp(by_hand().log_probs(list_replies(3, 2)))

    # Then: a finished reply counts its end token, once; a cut one has none
    assert found.tolist() == pytest.approx([1 / 2, 1 / 16, 1 / 16, 1 / 8, 1 / 8, 1 / 8, 0])


@given(st.integers(2, 5), st.integers(1, 4))
def test_every_reply_is_listed_once(vocabulary: int, max_tokens: int) -> None:
    replies = list_replies(vocabulary, max_tokens)

    words = vocabulary - 1
    assert len(replies) == sum(words**length for length in range(max_tokens)) + words**max_tokens
    assert len({tuple(reply) for reply in replies.tolist()}) == len(replies)
    assert index_of(replies, replies, vocabulary).tolist() == list(range(len(replies)))


def test_a_model_too_large_to_list_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be listed"):
        list_replies(50_000, 2)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.floats(0.3, 3.0), st.floats(0.05, 1.0), st.integers(0, VOCABULARY))
def test_probabilities_sum_to_1_under_every_decoding(seed: int, temperature: float, top_p: float, top_k: int) -> None:
    decoded = model(seed).decoded(Decoding(temperature, top_p, top_k))

    total = np.exp(decoded.log_probs(list_replies(VOCABULARY, MAX_TOKENS))).sum()

    assert total == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("decoding", "row"),
    [
        (Decoding(), [0.5, 0.3, 0.2]),
        (Decoding(temperature=0.5), [25 / 38, 9 / 38, 4 / 38]),
        (Decoding(top_k=1), [1, 0, 0]),
        (Decoding(top_k=2), [5 / 8, 3 / 8, 0]),
        (Decoding(top_p=0.45), [1, 0, 0]),  # the token that reaches the threshold stays
        (Decoding(top_p=0.6), [5 / 8, 3 / 8, 0]),
        (Decoding(top_p=0.9), [0.5, 0.3, 0.2]),
        (Decoding(top_p=0.6, top_k=2), [1, 0, 0]),  # top_p counts what top_k has left: 5/8 > 0.6
        (Decoding(temperature=0.5, top_p=0.6), [1, 0, 0]),  # and what the temperature has made of it: 25/38 > 0.6
    ],
)
def test_the_decodings_of_a_tiny_model_worked_out_by_hand(decoding: Decoding, row: list[float]) -> None:
    decoded = Bigram(np.log(np.array([[0.5, 0.3, 0.2]] * 3))).decoded(decoding)

    assert np.exp(decoded.log_next[0]).tolist() == pytest.approx(row)


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"top_k": -1}])
def test_an_invalid_decoding_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="needs temperature > 0"):
        Decoding(**wrong)  # type: ignore[arg-type]  # top_k as a float is part of the mapping's type only


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.sampled_from(DECODINGS))
def test_a_sample_carries_the_listed_log_probabilities(seed: int, decoding: Decoding) -> None:
    """Added up token by token while sampling, against the list: processed, raw, and raw over T."""
    original = model(seed)

    draws = sample(original, decoding, 200, MAX_TOKENS, np.random.default_rng(seed))

    assert draws.processed == pytest.approx(original.decoded(decoding).log_probs(draws.replies), abs=1e-12)
    assert draws.raw == pytest.approx(original.log_probs(draws.replies), abs=1e-12)
    assert draws.divided == pytest.approx(draws.raw / decoding.temperature, abs=1e-12)
    claims: dict[str, Floats] = {name: getattr(draws, name) for name in LOGGED}
    if decoding.temperature != 1:
        assert np.abs(claims["processed"] - claims["raw"]).max() > 0.1
        assert np.abs(claims["processed"] - claims["divided"]).max() > 0.1


@pytest.mark.parametrize("decoding", DECODINGS)
def test_sampled_frequencies_follow_the_enumerated_probabilities(decoding: Decoding) -> None:
    """Pearson's χ² over the replies that are expected at least five times, the rest as one class."""
    original, count = make_market(1).reference, 200_000
    replies = list_replies(VOCABULARY, MAX_TOKENS)

    draws = sample(original, decoding, count, MAX_TOKENS, np.random.default_rng(20_240))

    seen = np.bincount(index_of(draws.replies, replies, VOCABULARY), minlength=len(replies))
    expected = count * np.exp(original.decoded(decoding).log_probs(replies))
    frequent = expected >= 5
    assert seen[expected == 0].sum() == 0
    classes_seen = np.append(seen[frequent], seen[~frequent].sum())
    classes_expected = np.append(expected[frequent], expected[~frequent].sum())
    some = classes_expected > 0
    statistic = float(((classes_seen - classes_expected)[some] ** 2 / classes_expected[some]).sum())
    freedom = int(some.sum()) - 1
    assert abs(statistic - freedom) < 4 * (2 * freedom) ** 0.5, "χ² has mean k and variance 2k"


def test_the_chi_square_notices_a_wrong_temperature() -> None:
    """The same statistic, for samples at .9 against the list at 1: far outside."""
    original, count = make_market(1).reference, 200_000
    replies = list_replies(VOCABULARY, MAX_TOKENS)

    draws = sample(original, Decoding(temperature=0.9), count, MAX_TOKENS, np.random.default_rng(20_240))

    expected = count * np.exp(original.log_probs(replies))
    seen = np.bincount(index_of(draws.replies, replies, VOCABULARY), minlength=len(replies))
    frequent = expected >= 5
    statistic = float(((seen - expected)[frequent] ** 2 / expected[frequent]).sum())
    assert statistic > frequent.sum() + 6 * (2 * frequent.sum()) ** 0.5


def test_no_token_follows_the_end_token() -> None:
    draws = sample(by_hand(), Decoding(), 2_000, 3, np.random.default_rng(5))

    ended = np.cumsum(draws.replies == END, axis=1) > 0
    assert (draws.replies[:, 1:][ended[:, :-1]] == END).all()
    assert 0.48 < (draws.replies[:, 0] == END).mean() < 0.52
    assert draws.processed.max() == pytest.approx(log(0.5))
