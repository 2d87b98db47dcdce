"""An advertiser's profile: who it is, what it is worth to it, what it may spend, and where it does not appear."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from schemas.payload import AdvertiserId, Currency, Micros, Moment, Part, Payload
from schemas.query import Category
from schemas.reward_source import AnyChoice, Prompted
from schemas.text import DisplayName, plain_line, reads_as_a_sentence

MAX_DESCRIPTION = 160
#: Marks that end a sentence: behind one in a name, a prompt would go on with a sentence of the advertiser's own.
SENTENCE_ENDS = frozenset(".!?;։؟۔।॥።፧‼⁇⁈⁉。！？；｡")

Status = Literal["draft", "approved", "paused", "removed"]
Budget = Annotated[int, Field(ge=1, le=10**15)]
Weekday = Annotated[int, Field(ge=1, le=7)]
Hour = Annotated[int, Field(ge=0, le=23)]


def _without_sentence_end(name: str) -> str:
    for place, mark in enumerate(name):
        if mark in SENTENCE_ENDS:
            raise ValueError(f"character {place} (U+{ord(mark):04X}) ends a sentence: a name has none")
    if reads_as_a_sentence(name):
        raise ValueError("with its quotation marks it could be taken for the end of a sentence around it")
    return name


ProfileName = Annotated[DisplayName, AfterValidator(_without_sentence_end)]


def _line(most: int) -> StringConstraints:
    return StringConstraints(min_length=1, max_length=most)


#: One line each. The bound is checked before and after NFKC, which can lengthen a text.
ShortDescription = Annotated[str, _line(MAX_DESCRIPTION), AfterValidator(plain_line), _line(MAX_DESCRIPTION)]
Keyword = Annotated[str, _line(40), AfterValidator(plain_line), _line(40)]
Person = Annotated[str, _line(100), AfterValidator(plain_line), _line(100)]


class Budgets(Part):
    """The most that may be charged, in the profile's currency; what is left out is without a limit."""

    daily_micros: Budget | None = Field(default=None, description="In one day of UTC, micros.")
    total_micros: Budget | None = Field(default=None, description="Ever, micros.")

    @model_validator(mode="after")
    def _a_day_is_no_more_than_all(self) -> Self:
        if self.daily_micros is not None and self.total_micros is not None and self.daily_micros > self.total_micros:
            raise ValueError("daily_micros: more than total_micros")
        return self


class Schedule(Part):
    """When the advertiser bids, by UTC and the broker's clock; what is left out limits nothing."""

    starts_at: Moment | None = Field(default=None, description="Before this moment it does not bid.")
    ends_at: Moment | None = Field(default=None, description="From this moment on it bids no more.")
    weekdays: Annotated[tuple[Weekday, ...], Field(max_length=7)] = Field(
        default=(), description="1 is Monday, 7 is Sunday; none: every day."
    )
    hours: Annotated[tuple[Hour, ...], Field(max_length=24)] = Field(
        default=(), description="Hours of the day, 0 to 23; none: all of them."
    )

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.starts_at and self.ends_at and self.ends_at <= self.starts_at:
            raise ValueError("ends_at: not after starts_at")
        return self


class AdvertiserProfile(Payload):
    """What the registry holds of one advertiser. Each change is an event; the newest with a risen version counts."""

    event_type: ClassVar[str] = "auction.advertiser.profile.v1"
    max_bytes: ClassVar[int] = 64 * 1024

    advertiser_id: AdvertiserId = Field(description="Stable id; the key of the bills.")
    version: Annotated[int, Field(ge=1, le=2**53 - 1)] = Field(
        description="Rises with each change; a profile whose version does not is ignored."
    )
    status: Status = Field(
        description="Only an `approved` advertiser bids. `removed`: it has left, its id stays taken."
    )
    name: ProfileName = Field(description="As people see it. It cannot be taken for another advertiser's.")
    description: ShortDescription = Field(
        description="Follows the name in prompts: 'selling organic seeds'. It holds no advertiser's name."
    )
    keywords: Annotated[tuple[Keyword, ...], Field(max_length=32)] = Field(
        default=(), description="Further words by which a question finds the advertiser; no prompt holds them."
    )
    value_micros_per_nat: Annotated[int, Field(ge=0, le=10**12)] = Field(
        description="What one nat more of log-probability under the advertiser's own model is worth, micros."
    )
    currency: Currency = Field(description="ISO 4217 code of every amount in this profile. Nothing is converted.")
    reward_range_micros: tuple[Micros, Micros] | None = Field(
        default=None, description="Declared least and largest reward of any reply, micros; rewards are clamped to it."
    )
    reward_source: AnyChoice = Field(
        default=Prompted(source="prompt"), description="Where its rewards come from; left out: a prompt."
    )
    budgets: Budgets = Field(default=Budgets(), description="What it may be charged; left out: without a limit.")
    schedule: Schedule = Field(default=Schedule(), description="When it bids; left out: always.")
    categories: Annotated[tuple[Category, ...], Field(max_length=16)] = Field(
        default=(), description="What it sells. A query may block them; one of another category does not find it."
    )
    blocked_categories: Annotated[tuple[Category, ...], Field(max_length=64)] = Field(
        default=(), description="Questions beside which it does not appear."
    )
    accepts_sensitive: bool = Field(
        default=False, description="Whether it bids on questions that their query calls sensitive."
    )
    rivals: Annotated[tuple[AdvertiserId, ...], Field(max_length=64)] = Field(
        default=(), description="Advertisers beside whom it does not appear."
    )
    link_group: AdvertiserId | None = Field(
        default=None, description="Advertisers of one party share it: they bid as one, and the first of them pays."
    )
    changed_by: Person = Field(description="Who made this change. When: the broker's stamp of the record.")

    @model_validator(mode="after")
    def _fields_fit_together(self) -> Self:
        if self.reward_range_micros and self.reward_range_micros[0] > self.reward_range_micros[1]:
            raise ValueError("reward_range_micros: the least reward is above the largest")
        if self.reward_range_micros is None and self.budgets != Budgets():
            raise ValueError(
                "reward_range_micros: to be declared where there is a budget, as the most that an auction may cost "
                "follows from it; without one it would follow from the value, and a budget may depend on no bid"
            )
        if self.advertiser_id in self.rivals:
            raise ValueError("rivals: the advertiser itself is among them")
        return self
