"""What every event's value has in common: strict, frozen, finite, bounded; and the typed errors of decoding one."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from schemas.bad_record import BadRecord as BadRecord
from schemas.bad_record import UnknownValue as UnknownValue
from schemas.moments import in_utc, read_moment
from schemas.reasons import DeadLetterReason

MAX_CANDIDATES = 256
MAX_ADVERTISERS = 64
MAX_TOKENS = 1_024
MAX_CANDIDATE_TOKENS = 65_536  # candidates times tokens of one auction

IDENTIFIER = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$"
Identifier = Annotated[str, StringConstraints(pattern=IDENTIFIER)]
AdvertiserId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Micros = Annotated[int, Field(ge=-5 * 10**14, le=5 * 10**14)]  # so that a range spans at most 10**15
Charge = Annotated[int, Field(ge=0, le=MAX_ADVERTISERS * 10**15)]  # 10**15 each, and one party may be all
LogProb = Annotated[float, Field(ge=-1e9, le=0.0)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


def _read(value: object) -> object:
    """A text as the time that it is; all else as it is, for the validator behind this one."""
    return read_moment(value) if isinstance(value, str) else value


#: A moment, in JSON as in RFC 3339 with its offset from UTC.
Moment = Annotated[AwareDatetime, BeforeValidator(_read), AfterValidator(in_utc)]

_NUMBER_ERRORS = frozenset(
    {
        "finite_number",
        "greater_than",
        "greater_than_equal",
        "less_than",
        "less_than_equal",
        "int_parsing_size",
        "int_from_float",
    }
)

_WORD_ERRORS = frozenset({"literal_error"})


class Part(BaseModel):
    """A piece of an event: strict types, frozen, only finite numbers, and only the fields it declares."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class Payload(Part):
    """The value of an event. Subclasses name their type and how many bytes a reader accepts.

    Writers are held to exactly these fields. Readers ignore unknown ones, so that a newer writer may add optional
    fields; only a query, which strangers write, is refused for them (`readers_forbid_extra`): a misspelt field name
    must not be dropped in silence.
    """

    event_type: ClassVar[str]
    max_bytes: ClassVar[int] = 8 * 1024 * 1024
    readers_forbid_extra: ClassVar[bool] = False

    @classmethod
    def decode(cls, value: bytes | None) -> Self:
        """The event in `value`; raises BadRecord with TOO_LARGE, BAD_JSON, BAD_NUMBER or BAD_SCHEMA; UnknownValue."""
        if not value:
            raise BadRecord(DeadLetterReason.BAD_JSON, "the value is empty; a JSON object is expected")
        if len(value) > cls.max_bytes:
            raise BadRecord(
                DeadLetterReason.TOO_LARGE, f"the value has {len(value)} bytes; at most {cls.max_bytes} are read"
            )
        try:
            event = cls.model_validate_json(value, extra="forbid" if cls.readers_forbid_extra else "ignore")
            if cls.readers_forbid_extra:  # here, where its depth and its names are known to be ours
                json.loads(value, object_pairs_hook=refuse_twice)
            return event
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False)
            is_newer = not cls.readers_forbid_extra and all(one["type"] in _WORD_ERRORS for one in problems)
            kind = UnknownValue if is_newer else BadRecord
            raise kind(_reason(problems), _describe(problems)) from None

    def encode(self) -> bytes:
        """Compact JSON; floats in the shortest decimal form that reads back as the same float64."""
        return self.__pydantic_serializer__.to_json(self)


def refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs of a JSON object; BadRecord for a name that stands twice: readers differ in which one they take."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRecord(DeadLetterReason.BAD_JSON, f"the name {twice[:64]!a} stands twice in one object")
    return found


def _reason(problems: Iterable[Mapping[str, Any]]) -> DeadLetterReason:
    problems = list(problems)
    if any(problem["type"] == "json_invalid" for problem in problems):
        return DeadLetterReason.BAD_JSON
    numbers = all(problem["type"] in _NUMBER_ERRORS or _is_not_finite(problem["input"]) for problem in problems)
    return DeadLetterReason.BAD_NUMBER if numbers else DeadLetterReason.BAD_SCHEMA


def _is_not_finite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _describe(problems: Iterable[Mapping[str, Any]]) -> str:
    """One line for the first three problems, without the stranger's text."""
    lines = [f"{'.'.join(map(str, problem['loc'])) or 'value'}: {problem['msg']}" for problem in problems]
    return "; ".join(lines[:3]) + (f"; and {len(lines) - 3} more" if len(lines) > 3 else "")
