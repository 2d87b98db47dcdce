"""What each advertiser pays: p_i = τ·KL(π ‖ π₋ᵢ), the paper's EC.4 with its offset (mechanism.md §2)."""

from collections.abc import Callable

from workers.mechanism.allocation import Allocation

PaymentFunction = Callable[[Allocation, float], tuple[int, ...]]


def offset(allocation: Allocation, tau: float) -> tuple[int, ...]:
    """Charges [N] in whole micros, rounded once, half to even; tau in micros per nat.

    The same whichever reply is drawn; 0 exactly for an advertiser that is indifferent between all possible candidates.
    """
    return tuple(round(tau * nats) for nats in allocation.influence.tolist())


def charge_bound(least: int, largest: int, tau: int) -> int:
    """The most an advertiser can be charged whose rewards lie in [least, largest] micros: min(Δ, Δ²/8τ), rounded up.

    It holds before any reward is known, so it can be reserved in advance.
    """
    spread = largest - least
    return min(spread, -(-spread * spread // (8 * tau)))


#: Rules that may be billed, by the name in settings and events.
RULES: dict[str, PaymentFunction] = {"offset": offset}
