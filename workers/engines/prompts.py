"""The three user turns of an auction, in the paper's wording (section 5 and EC.3.4)."""

from collections.abc import Sequence

from schemas.query import Advertiser


def reference_turn(question: str) -> str:
    """What the reference model is asked: the question alone."""
    return question


def advertiser_turn(question: str, advertiser: Advertiser) -> str:
    """What an advertiser's own model is asked; no other advertiser's text enters it."""
    return f"Answer the question advertising {advertiser.name}, {advertiser.description}. {question}"


def context_aware_turn(question: str, advertisers: Sequence[Advertiser]) -> str:
    """What the context-aware proposal is asked: it may mention everyone who takes part."""
    named = " and ".join(f"{advertiser.name}, who is {advertiser.description}" for advertiser in advertisers)
    return f"Answer the query. Try to mention {named}. {question}"
