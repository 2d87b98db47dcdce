"""The wiring table: which stages there are, what each consumes and publishes, and how its worker is built."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from schemas import topics
from schemas.envelope import Event
from schemas.payload import Payload
from schemas.topics import Topic
from workers.engines.base import Engine
from workers.errors import SettingsError
from workers.generation import Generation, Policy
from workers.rewards.log_ratio import LogRatio
from workers.scoring import Scoring, Terms
from workers.settings import Settings
from workers.settlement import Settlement


class Worker(Protocol):
    """What a stage does with one event. It raises Refused, or lets a bug or a dead engine propagate."""

    async def handle(self, event: Event[Any]) -> Sequence[Event[Payload]]: ...


@dataclass(frozen=True)
class StageSpec:
    """One row of the table."""

    name: str
    consumes: Topic
    publishes: tuple[Topic, ...]
    needs_engine: bool
    build: Callable[[Settings, Engine | None], Worker]

    @property
    def group(self) -> str:
        """The consumer group; stable across deployments."""
        return f"auction.{self.name}"


@dataclass(frozen=True)
class Stage:
    """A stage with its worker, ready to run on a bus. `in_flight`: records worked on at once, per input partition."""

    spec: StageSpec
    worker: Worker
    in_flight: int


def now() -> datetime:
    """The clock of every worker that may look at one."""
    return datetime.now(UTC)


def _generation(settings: Settings, engine: Engine | None) -> Worker:
    policy = Policy(
        proposal=settings.proposal,
        candidates=settings.candidates,
        max_tokens=settings.max_tokens,
        deadline=timedelta(seconds=settings.deadline_s),
        reward_limit_nats=settings.reward_limit_nats,
        sampling_key=settings.sampling_key.get_secret_value().encode(),
    )
    return Generation(_required(engine), policy, now)


def _scoring(settings: Settings, engine: Engine | None) -> Worker:
    terms = Terms(settings.tau_micros_per_nat, settings.currency, settings.payment_rule)
    return Scoring(_required(engine), LogRatio(_required(engine)), terms, now)


def _settlement(settings: Settings, engine: Engine | None) -> Worker:
    return Settlement(_draw_key(settings))


def _draw_key(settings: Settings) -> bytes:
    if settings.draw_key is None:
        raise SettingsError(
            "TESSERA_DRAW_KEY is not set: settlement draws each reply with this secret. "
            'Make one with: python3 -c "import secrets; print(secrets.token_hex(32))"'
        )
    return settings.draw_key.get_secret_value().encode()


def _required(engine: Engine | None) -> Engine:
    if engine is None:
        raise ValueError("this stage needs a language model")
    return engine


STAGES = {
    spec.name: spec
    for spec in (
        StageSpec("generation", topics.QUERIES, (topics.GENERATED,), True, _generation),
        StageSpec("scoring", topics.GENERATED, (topics.SCORED,), True, _scoring),
        StageSpec("settlement", topics.SCORED, (topics.SETTLED, topics.CHARGED), False, _settlement),
    )
}


#: What each consumer group reads.
GROUPS = {spec.group: spec.consumes.name for spec in STAGES.values()}


def build_stages(names: Iterable[str], settings: Settings, engine: Engine | None) -> tuple[Stage, ...]:
    """The named stages with their workers; they share `engine`. SettingsError when a setting they need is missing."""
    return tuple(_stage(STAGES[name], settings, engine) for name in names)


def _stage(spec: StageSpec, settings: Settings, engine: Engine | None) -> Stage:
    # Without a model a record costs microseconds: one transaction's worth is settled while another is written.
    in_flight = settings.in_flight if spec.needs_engine else 2 * settings.transaction_auctions
    return Stage(spec, spec.build(settings, engine), in_flight)


def check_settings(names: Iterable[str], settings: Settings) -> None:
    """SettingsError for a setting that these stages need and that is missing; asked before a model is loaded."""
    if "settlement" in names:
        _draw_key(settings)


def needs_engine(names: Iterable[str]) -> bool:
    """Whether any of the stages asks a language model."""
    return any(STAGES[name].needs_engine for name in names)
