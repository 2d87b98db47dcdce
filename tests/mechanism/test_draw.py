"""The draw: integers only, thresholds to the last bit, and a choice that follows π."""

import hashlib
import hmac
from fractions import Fraction
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.mechanism.draw import choose, integer_weights, pick, uniform

KEY = b"a key of this test, of thirty-two bytes or more"
SCORED = hashlib.sha256(b"scored").hexdigest()
ALL = 2**128
LARGEST = ALL - 1


@pytest.mark.parametrize(
    ("log_pi", "weights"),
    [
        ([0.0], (2**62,)),  # certainty
        ([1e-12], (2**62,)),  # float dust above certainty
        ([0.0, -np.inf], (2**62, 0)),  # impossible: no weight
        ([log(0.5), log(0.25), log(0.25)], (2**61, 2**60, 2**60)),
        ([0.0, -42.0], (2**62, 2)),  # e^-42·2^62 = 2.65
        ([0.0, -43.0], (2**62, 1)),  # e^-43·2^62 = 0.98, but it is possible
        ([0.0, -700.0], (2**62, 1)),
        ([0.0, -745.0], (2**62, 1)),  # the smallest float above 0
        ([0.0, -800.0], (2**62, 0)),  # not even a float: π is 0
    ],
)
def test_draw_weights_of_simple_probabilities_worked_out_by_hand(log_pi: list[float], weights: tuple[int, ...]) -> None:
    found = integer_weights(np.exp(np.array(log_pi)))

    assert found == weights
    assert all(type(weight) is int for weight in found)


@given(st.lists(st.floats(-60.0, 0.0), min_size=1, max_size=40))
def test_weights_are_the_floor_of_the_probability(scores: list[float]) -> None:
    log_pi = np.array(scores) - np.logaddexp.reduce(scores)

    weights = integer_weights(np.exp(log_pi))

    expected = [max(1, int(Fraction(min(1.0, pi)) * 2**62)) for pi in np.exp(log_pi).tolist()]
    assert list(weights) == expected
    assert abs(sum(weights) - 2**62) <= 2**62 * 1e-12 + len(weights)


@pytest.mark.parametrize(
    ("weights", "u", "index"),
    [
        ([1, 1], 0, 0),
        ([1, 1], 2**127 - 1, 0),  # 2u = 2^128 - 2 < 2^128
        ([1, 1], 2**127, 1),  # 2u = 2^128: the threshold itself belongs to the next
        ([1, 1], LARGEST, 1),
        ([1, 2], LARGEST // 3, 0),  # 3 divides 2^128 - 1: 3u = 2^128 - 1, the last below
        ([1, 2], LARGEST // 3 + 1, 1),
        ([0, 5, 0, 5], 0, 1),  # no weight, no chance: not even at u = 0
        ([0, 5, 0, 5], 2**127 - 1, 1),
        ([0, 5, 0, 5], 2**127, 3),
        ([5, 0], LARGEST, 0),  # nor at the other end
        ([2**62], LARGEST, 0),
        ([2**62, 1], LARGEST, 1),  # one part in 2^62: u = 2^128 - 1 still finds it
        ([2**62, 1], ALL * 2**62 // (2**62 + 1), 0),  # floor: u·Σ just below the threshold
        ([2**62, 1], ALL * 2**62 // (2**62 + 1) + 1, 1),
        ([3, 4, 5], ALL * 7 // 12, 1),  # 12 u ≤ 7·2^128 and 12 does not divide it
        ([3, 4, 5], ALL * 7 // 12 + 1, 2),
    ],
)
def test_a_pick_changes_exactly_at_the_thresholds(weights: list[int], u: int, index: int) -> None:
    assert pick(weights, u) == index


@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=30).filter(any), st.integers(0, LARGEST))
def test_the_pick_is_the_first_candidate_whose_cumulative_weight_exceeds_u(weights: list[int], u: int) -> None:
    index = pick(weights, u)

    point = Fraction(u, ALL) * sum(weights)
    assert sum(weights[:index]) <= point < sum(weights[: index + 1])


@pytest.mark.parametrize("weights", [[], [0], [0, 0, 0]])
def test_a_pick_without_a_positive_weight_is_an_error(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="positive weight"):
        pick(weights, 0)


def test_u_is_an_hmac_anyone_can_repeat() -> None:
    # Given the message of the document: three netstrings, the digest in hexadecimal
    auction_id = "0f" * 32
    message = f"7:draw-v1,64:{auction_id},64:{SCORED},".encode("ascii")
    # When its HMAC-SHA256 is spelled out after RFC 2104 (the key is shorter than a block of 64 bytes)
    block = KEY.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + message).digest()
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).digest()
    assert outer == hmac.new(KEY, message, "sha256").digest()

    # Then u is its first 128 bits
    assert f"{uniform(KEY, auction_id, SCORED):032x}" == outer.hex()[:32]


def test_u_of_a_fixed_input_never_changes() -> None:
    # printf %s 7:draw-v1,7:auction,64:000…000, | openssl dgst -sha256 -hmac k
    assert f"{uniform(b'k', 'auction', '0' * 64):032x}" == "8892e681468fc2e22ad8f8b76751f1b8"


@pytest.mark.parametrize(
    "other",
    [
        (KEY + b"!", "auction", SCORED),
        (KEY, "auctioN", SCORED),
        (KEY, "auction", SCORED[:-1] + ("0" if SCORED[-1] != "0" else "1")),
    ],
)
def test_changing_any_input_gives_an_unrelated_u(other: tuple[bytes, str, str]) -> None:
    different = (uniform(KEY, "auction", SCORED) ^ uniform(*other)).bit_count()

    assert 30 <= different <= 98  # 64 expected; 6 standard deviations of 5.66


def test_drawn_candidates_follow_the_allocation() -> None:
    pi = np.array([0.45, 0.3, 0.15, 0.08, 0.02])
    draws = 4_000

    chosen = [choose(np.array(pi), KEY, f"auction-{number}", SCORED).index for number in range(draws)]

    expected = draws * pi
    chi_square = float(((np.bincount(chosen, minlength=5) - expected) ** 2 / expected).sum())
    assert chi_square < 23.5  # 4 degrees of freedom: 1 in 10 000, and the ids are fixed


def test_a_choice_holds_the_weights_and_the_u_that_fixed_it() -> None:
    log_pi = np.log([0.5, 0.3, 0.2])

    choice = choose(np.exp(log_pi), KEY, "auction", SCORED)

    assert choice.weights == integer_weights(np.exp(log_pi))
    assert choice.u == uniform(KEY, "auction", SCORED)
    assert choice.index == pick(choice.weights, choice.u)
