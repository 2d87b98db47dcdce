"""What must come out of a case, worked out from its JSON alone: decimals, a bare HMAC, and none of the product's code.

`python -m tests.cases.expected FILE...` writes the section `expected` of new cases.
"""

import hashlib
import hmac
import json
import sys
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

from tests.mechanism.exact import DIGITS, Exact, solve

DRAW_KEY = b"draw key of the tests, known to everyone"


def value_of(scored: dict[str, Any]) -> bytes:
    """The bytes of the scored event: the case's JSON without blanks."""
    return json.dumps(scored, separators=(",", ":"), ensure_ascii=False).encode()


def work_out(scored: dict[str, Any]) -> dict[str, Any]:
    """Outcome, reply and charges."""
    bidders = [
        one["advertiser_id"] for one in scored["advertisers"] if one["advertiser_id"] in scored["rewards_micros"]
    ]
    if scored["void_reason"] is not None or not bidders:
        outcome = "no_advertisers" if scored["void_reason"] is None else "void"
        return {"outcome": outcome, "reply": scored["fallback"]["text"], "charges": {}}
    exact = solve(
        [candidate["log_q"] for candidate in scored["candidates"]],
        scored["log_ref"],
        [scored["rewards_micros"][bidder] for bidder in bidders],
        scored["tau_micros_per_nat"],
    )
    weights, u = exact.weights(), draw(scored)
    chosen = choose(weights, u)
    return {
        "outcome": "sold",
        "reply": scored["candidates"][chosen]["text"],
        "chosen_index": chosen,
        "u": f"{u:032x}",
        "weights": weights,
        "charges": {bidder: rounded(charge) for bidder, charge in zip(bidders, exact.charges, strict=True)},
        "charges_before_rounding": {
            bidder: shown(charge) for bidder, charge in zip(bidders, exact.charges, strict=True)
        },
        "probability_without": without(exact, bidders, chosen),
    }


def draw(scored: dict[str, Any]) -> int:
    """128 bits of the HMAC over three parts, each as `<length>:<part>,`."""
    digest = hashlib.sha256(value_of(scored)).hexdigest()
    message = f"7:draw-v1,64:{scored['auction_id']},64:{digest},"
    return int(hmac.new(DRAW_KEY, message.encode(), "sha256").hexdigest()[:32], 16)


def choose(weights: list[int], u: int) -> int:
    """The first candidate whose share of the whole lies above u."""
    return next(j for j in range(len(weights)) if u * sum(weights) < 2**128 * sum(weights[: j + 1]))


def rounded(charge: Decimal) -> int:
    """Half to even, which is what decimal does by default."""
    with localcontext(DIGITS):
        return int(charge.to_integral_value())


def shown(charge: Decimal) -> str:
    """Twenty places are enough to see how far a charge is from a half."""
    with localcontext(DIGITS):
        return f"{abs(charge) if abs(charge) < Decimal('1e-40') else charge:.20f}"


def without(exact: Exact, bidders: list[str], chosen: int) -> dict[str, float]:
    return {bidder: float(row[chosen]) for bidder, row in zip(bidders, exact.pi_without, strict=True)}


def main() -> None:
    for name in sys.argv[1:]:
        case = json.loads(Path(name).read_text(encoding="utf-8"))
        case["expected"] = work_out(case["scored"])
        Path(name).write_text(json.dumps(case, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
