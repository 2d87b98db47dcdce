"""Numbers that are no auction are refused, never settled."""

import numpy as np
import pytest

from workers.mechanism.allocation import InvalidAuction, Numbers, allocate
from workers.mechanism.payments import NotBillable
from workers.mechanism.settle import Auction, settle

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
def test_numbers_that_are_not_finite_are_refused(name: str, place: tuple[int, ...], value: float) -> None:
    with pytest.raises(InvalidAuction, match="finite"):
        allocate(**spoilt(name, place, value))


@pytest.mark.parametrize("value", [NAN, INF])
@pytest.mark.parametrize("place", [0, 2])
def test_log_ref_may_be_minus_infinity_but_not_nan_or_plus_infinity(value: float, place: int) -> None:
    with pytest.raises(InvalidAuction, match="log_ref"):
        allocate(**spoilt("log_ref", (place,), value))


def test_log_ref_may_be_minus_infinity_for_some_candidates_but_not_for_all() -> None:
    assert allocate(**spoilt("log_ref", (0,), -INF)).pi[0] == 0.0

    with pytest.raises(InvalidAuction, match="no candidate"):
        allocate(**{**GOOD, "log_ref": np.full(3, -INF)})


def test_nan_beside_minus_infinity_is_refused() -> None:
    with pytest.raises(InvalidAuction, match="log_ref"):
        allocate(**{**GOOD, "log_ref": np.array([-INF, NAN, -1.0])})


@pytest.mark.parametrize("tau", [0.0, -1.0, NAN, INF, -INF])
def test_a_tau_that_is_not_positive_and_finite_is_refused(tau: float) -> None:
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
def test_arrays_whose_shapes_do_not_fit_are_refused(changes: dict[str, np.ndarray]) -> None:
    with pytest.raises(InvalidAuction, match=r"must"):
        allocate(**{**GOOD, **changes})


@pytest.mark.parametrize("name", ["no_offset", "outcome", "second_price", ""])
def test_a_rule_that_is_not_billed_cannot_settle(name: str) -> None:
    with pytest.raises(NotBillable, match=f"'{name}' is not billed; rules that are: offset"):
        settle(Auction("auction", "0" * 64, Numbers(**{**GOOD, "tau": 1_000}), name), b"key")
