"""Numbers that are no auction are refused, never settled."""

import numpy as np
import pytest

from workers.mechanism.allocation import InvalidAuction, Numbers, allocate
from workers.mechanism.outcome import Auction, settle
from workers.mechanism.payments import NotBillable

GOOD = {
    "log_q": np.array([-1.0, -2.0, -3.0]),
    "log_ref": np.array([-1.5, -2.5, -2.0]),
    "rewards": np.array([[100.0, 0.0, -20.0], [0.0, 7.0, 7.5]]),
    "tau": 1_000.0,
}
NAN, INF = float("nan"), float("inf")


def spoilt(name: str, place: tuple[int, ...], value: float) -> dict[str, object]:
    numbers = GOOD[name].copy()
    numbers[place] = value
    return {**GOOD, name: numbers}


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize(("name", "place"), [("log_q", (1,)), ("rewards", (0, 0)), ("rewards", (1, 2))])
def test_only_finite_numbers(name: str, place: tuple[int, ...], value: float) -> None:
    with pytest.raises(InvalidAuction, match="finite"):
        allocate(**spoilt(name, place, value))


@pytest.mark.parametrize("value", [NAN, INF])
@pytest.mark.parametrize("place", [0, 2])
def test_the_reference_model_has_no_nan_and_no_infinity_but_minus(value: float, place: int) -> None:
    with pytest.raises(InvalidAuction, match="log_ref"):
        allocate(**spoilt("log_ref", (place,), value))


def test_minus_infinity_for_some_is_an_auction_and_for_all_is_none() -> None:
    assert allocate(**spoilt("log_ref", (0,), -INF)).pi[0] == 0.0

    with pytest.raises(InvalidAuction, match="no candidate"):
        allocate(**{**GOOD, "log_ref": np.full(3, -INF)})


def test_nan_beside_minus_infinity_is_seen() -> None:
    with pytest.raises(InvalidAuction, match="log_ref"):
        allocate(**{**GOOD, "log_ref": np.array([-INF, NAN, -1.0])})


@pytest.mark.parametrize("tau", [0.0, -1.0, NAN, INF, -INF])
def test_tau_is_positive_and_finite(tau: float) -> None:
    with pytest.raises(InvalidAuction, match="tau"):
        allocate(**{**GOOD, "tau": tau})


@pytest.mark.parametrize(
    "changes",
    [
        {"log_q": np.zeros(0), "log_ref": np.zeros(0), "rewards": np.zeros((0, 0))},
        {"log_q": np.zeros(2)},
        {"log_ref": np.zeros(4)},
        {"log_q": np.zeros((1, 3))},
        {"log_q": np.zeros(()), "log_ref": np.zeros(())},
        {"rewards": np.zeros(3)},
        {"rewards": np.zeros((2, 2))},
        {"rewards": np.zeros((3, 2))},
        {"rewards": np.zeros((1, 2, 3))},
    ],
)
def test_shapes_must_fit(changes: dict[str, np.ndarray]) -> None:
    with pytest.raises(InvalidAuction, match=r"must"):
        allocate(**{**GOOD, **changes})


@pytest.mark.parametrize("name", ["no_offset", "outcome", "second_price", ""])
def test_a_rule_that_is_not_billed_cannot_settle(name: str) -> None:
    with pytest.raises(NotBillable, match=f"'{name}' is not billed; rules that are: offset"):
        settle(Auction("auction", "0" * 64, Numbers(**{**GOOD, "tau": 1_000}), name), b"key")
