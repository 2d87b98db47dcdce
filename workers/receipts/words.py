"""What people ask who see a charge for the first time, answered in a sentence: in the terminal and on the receipt."""

from schemas.receipt import AdvertiserReceipt, Receipt

SEEN = 0.0005  # a change of a probability that one decimal of its percentage shows

#: Why does somebody pay under a reply that does not name it?
WHAT_IS_PAID = (
    "A charge is for moving the odds of all candidates, whichever of them is drawn: it is due also under a reply that "
    "does not name the payer, or that its bid made less likely."
)
#: Why do replies differ from one day to the next, and charges not?
WHAT_IS_DRAWN = (
    "The reply is drawn by the odds, with a key that changes every day: on another day the same auction may give "
    "another reply. Odds and charges follow from candidates and bids alone, and stay the same."
)
UNMOVED = "No bid moved the odds of this reply."


def is_moved(without: float, with_: float) -> bool:
    """Whether bids changed the probability of a reply by anything that is shown."""
    return abs(with_ - without) >= SEEN


def is_moved_by_any(receipt: Receipt) -> bool:
    """Whether the odds of the drawn reply differ without any of those that the receipt tells of."""
    told = [receipt] if isinstance(receipt, AdvertiserReceipt) else receipt.parties
    drawn = receipt.draw.chosen_index
    return any(is_moved(one.probabilities_without[drawn], receipt.probabilities[drawn]) for one in told)


def effect(without: float, with_: float, charge_micros: int) -> str:
    """What needs a word where a charge stands beside the two probabilities of the drawn reply; empty: nothing does."""
    if not is_moved(without, with_):
        return "it moved other candidates" if charge_micros else "it moved nothing, so nothing is due"
    return "it made this reply less likely; the charge is for moving all candidates" if with_ < without else ""


def counted(number: int, one: str, many: str = "") -> str:
    """`1 auction`, `1,280 auctions`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
