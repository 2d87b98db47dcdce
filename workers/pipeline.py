"""The wiring table: which stages there are, what each consumes and publishes, and how its worker is built."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from schemas import topics
from schemas.envelope import Event
from schemas.payload import Payload
from schemas.topics import Topic
from workers.engines.base import Engine
from workers.generation import Generation, Policy
from workers.incentives import Incentives
from workers.rewards.by_advertiser import ByAdvertiser
from workers.rewards.log_ratio import LogRatio
from workers.scoring import Scoring, Terms
from workers.settings import Settings
from workers.settlement import KeySource, Settlement

T = TypeVar("T")


class Worker(Protocol):
    """What a stage does with one event. It raises Refused, or lets a bug or a dead engine propagate."""

    async def handle(self, event: Event[Any]) -> Sequence[Event[Payload]]: ...


@dataclass(frozen=True)
class Means:
    """What workers are built from; a stage takes what it needs, and the others' may be missing."""

    settings: Settings
    engine: Engine | None = None  # the reference model
    keys: KeySource | None = None
    context_aware: Engine | None = None  # what candidates are drawn from, where it is another engine
    rewards: ByAdvertiser | None = None  # None: everybody's are the log-ratio of the reference engine


@dataclass(frozen=True)
class StageSpec:
    """One row of the table."""

    name: str
    consumes: Topic
    publishes: tuple[Topic, ...]
    needs_engine: bool
    build: Callable[["Means"], Worker]

    #: Only watches: a record it cannot work on is another stage's to refuse, so that it has one dead letter.
    watches: bool = False

    #: Whether its results are committed in the order of the input. Otherwise what is finished is committed at once, and
    #: what is still missing before it stands beside the offset.
    in_order: bool = True

    #: Where it writes which ids it has worked on, if one record of each id is all it may work on. The bus gives it that
    #: memory: a second record of an id becomes a dead letter. As many partitions as `consumes`, and the same key.
    remembers: Topic | None = None

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


def _generation(means: Means) -> Worker:
    settings = means.settings
    policy = Policy(
        proposal=settings.proposal,
        candidates=settings.candidates,
        max_tokens=settings.max_tokens,
        deadline=timedelta(seconds=settings.deadline_s),
        reward_limit_nats=settings.reward_limit_nats,
        sampling_key=settings.sampling_key.get_secret_value().encode(),
        window=timedelta(days=settings.id_window_days),
    )
    return Generation(_required(means.engine), policy, now, means.context_aware)


def _scoring(means: Means) -> Worker:
    settings, engine = means.settings, _required(means.engine)
    terms = Terms(
        tau_micros_per_nat=settings.tau_micros_per_nat,
        currency=settings.currency,
        payment_rule=settings.payment_rule,
    )
    rewards = means.rewards or ByAdvertiser(LogRatio(engine))
    return Scoring(engine, rewards, terms, now, rewards.origin, timedelta(seconds=settings.deadline_s))


def _settlement(means: Means) -> Worker:
    return Settlement(_required(means.keys))


def _incentives(means: Means) -> Worker:
    return Incentives(means.settings.incentive_sample)


def _required(part: T | None) -> T:
    if part is None:
        raise ValueError("a part that this stage needs was not given")
    return part


STAGES = {
    spec.name: spec
    for spec in (
        StageSpec("generation", topics.QUERIES, (topics.GENERATED,), True, _generation, in_order=False),
        StageSpec("scoring", topics.GENERATED, (topics.SCORED,), True, _scoring, in_order=False),
        StageSpec(
            "settlement",
            topics.SCORED,
            (topics.SETTLED, topics.CHARGED, topics.SETTLED_QUERIES),
            False,
            _settlement,
            remembers=topics.SETTLED_QUERIES,
        ),
        StageSpec("incentives", topics.SCORED, (topics.INCENTIVES,), False, _incentives, watches=True),
    )
}


#: What a query passes on its way to its reply.
PATH = tuple(spec.name for spec in STAGES.values() if not spec.watches)

#: What each consumer group reads.
GROUPS = {spec.group: spec.consumes.name for spec in STAGES.values()}


def build_stages(names: Iterable[str], means: Means) -> tuple[Stage, ...]:
    """The named stages with their workers; they share the means."""
    return tuple(_stage(STAGES[name], means) for name in names)


def _stage(spec: StageSpec, means: Means) -> Stage:
    # Without a model a record costs microseconds: one transaction's worth is settled while another is written.
    in_flight = means.settings.in_flight if spec.needs_engine else 2 * means.settings.transaction_auctions
    return Stage(spec, spec.build(means), in_flight)


def check_settings(names: Iterable[str], settings: Settings) -> None:
    """SettingsError for a setting that these stages need and that is missing; asked before a model is loaded."""
    if needs_keys(names):
        _ = settings.draw_secrets


def needs_keys(names: Iterable[str]) -> bool:
    """Whether any of the stages draws replies."""
    return "settlement" in names


def needs_proposal(names: Iterable[str]) -> bool:
    """Whether any of the stages draws candidates."""
    return "generation" in names


def needs_rewards(names: Iterable[str]) -> bool:
    """Whether any of the stages asks what candidates are worth to advertisers."""
    return "scoring" in names


def needs_engine(names: Iterable[str]) -> bool:
    """Whether any of the stages asks a language model."""
    return any(STAGES[name].needs_engine for name in names)
