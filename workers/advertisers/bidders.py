"""The snapshot of an advertiser that takes part in an auction."""

from schemas.advertiser import AdvertiserProfile
from schemas.auction import Bidder
from schemas.query import Advertiser


def bidder(advertiser: Advertiser, reward_limit_nats: float, **by_profile: object) -> Bidder:
    """As a query brings it: where it declares no range, that many nats' worth to both sides of 0."""
    limit = round(reward_limit_nats * advertiser.value_micros_per_nat)
    declared = advertiser.reward_range_micros or (-limit, limit)
    fields = {name: getattr(advertiser, name) for name in Advertiser.model_fields}
    return Bidder.model_validate({**fields, "reward_range_micros": declared, **by_profile})


def registered_bidder(profile: AdvertiserProfile, reward_limit_nats: float) -> Bidder:
    """As its profile says."""
    fields = {name: getattr(profile, name) for name in Advertiser.model_fields}
    kind = profile.reward_source.source
    own = None if kind == "prompt" else kind
    return bidder(Advertiser(**fields), reward_limit_nats, profile_version=profile.version, reward_source=own)
