"""The wiring table: which stages there are, what each consumes and publishes, and how its worker is built."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from schemas import topics
from workers.advertisers.admission import NOBODY, Admission
from workers.engines.base import Engine
from workers.engines.prompts import PAPER, Prompts
from workers.errors import SettingsError
from workers.generation import Generation, Policy
from workers.incentives import Incentives
from workers.mechanism.epochs import sampling_secret_of
from workers.rewards.by_advertiser import ByAdvertiser
from workers.rewards.log_ratio import LogRatio
from workers.scoring import Scoring, Terms
from workers.seeds import SamplingKeys, UncommittedKeys
from workers.settings import Settings
from workers.settlement import KeySource, Settlement
from workers.stage import Stage, StageSpec, Worker

T = TypeVar("T")


@dataclass(frozen=True)
class Means:
    """What workers are built from; a stage takes what it needs, and the others' may be missing."""

    settings: Settings
    engine: Engine | None = None  # the reference model
    keys: KeySource | None = None
    context_aware: Engine | None = None  # what candidates are drawn from, where it is another engine
    rewards: ByAdvertiser | None = None  # None: everybody's are the log-ratio of the reference engine
    registry: Admission = NOBODY
    prompts: Prompts = PAPER
    sampling_keys: SamplingKeys | None = None  # None: this process commits to no key of the seeds


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
        sampling_keys=means.sampling_keys or UncommittedKeys(sampling_secret(settings), now),
        window=timedelta(days=settings.id_window_days),
        candidates_range=(settings.candidates_least, settings.candidates_most),
        tokens_range=(settings.max_tokens_least, settings.max_tokens_most),
        inline=settings.inline_advertisers,
    )
    return Generation(_required(means.engine), policy, now, means.context_aware, means.registry, means.prompts)


def sampling_secret(settings: Settings) -> bytes:
    """The secret of the sampling seeds: its own, or one that derives from the draw's; SettingsError without both."""
    if settings.sampling_key is not None:
        return settings.sampling_key.get_secret_value().encode()
    if settings.draw_key is not None:
        return sampling_secret_of(settings.draw_key.get_secret_value().encode())
    raise SettingsError(
        "TESSERA_SAMPLING_KEY is not set: generation draws candidates with seeds from this secret, as otherwise "
        "whoever names queries could know their candidates beforehand. Make one, the same for every generation "
        "process: tessera keys new"
    )


def _scoring(means: Means) -> Worker:
    settings, engine = means.settings, _required(means.engine)
    terms = Terms(
        tau_micros_per_nat=settings.tau_micros_per_nat,
        currency=settings.currency,
        payment_rule=settings.payment_rule,
    )
    rewards = means.rewards or ByAdvertiser(LogRatio(engine))
    own_time = timedelta(seconds=settings.deadline_s)
    chosen = rewards.origin, rewards.is_chosen
    return Scoring(engine, rewards, terms, now, *chosen, own_time, means.prompts)


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
        StageSpec(
            "generation",
            topics.QUERIES,
            (topics.GENERATED,),
            _generation,
            needs_engine=True,
            draws_candidates=True,
            follows=topics.PROFILES,
            in_order=False,
        ),
        StageSpec(
            "scoring",
            topics.GENERATED,
            (topics.SCORED,),
            _scoring,
            needs_engine=True,
            needs_rewards=True,
            in_order=False,
        ),
        StageSpec(
            "settlement",
            topics.SCORED,
            (topics.SETTLED, topics.CHARGED, topics.SETTLED_QUERIES),
            _settlement,
            needs_draw_keys=True,
            remembers=topics.SETTLED_QUERIES,
        ),
        StageSpec("incentives", topics.SCORED, (topics.INCENTIVES,), _incentives, watches=True),
    )
}

#: What a query passes on its way to its reply.
PATH = tuple(spec.name for spec in STAGES.values() if not spec.watches)

#: What each consumer group reads.
GROUPS = {spec.group: spec.consumes.name for spec in STAGES.values()}

#: The topics in which stages write where they stand, and what each stage reads.
POSITIONS = {spec.positions: spec.consumes.name for spec in STAGES.values()}


def build_stages(names: Iterable[str], means: Means) -> tuple[Stage, ...]:
    """The named stages with their workers; they share the means."""
    return tuple(_stage(STAGES[name], means) for name in names)


def _stage(spec: StageSpec, means: Means) -> Stage:
    # Without a model a record costs microseconds: one transaction's worth is settled while another is written.
    in_flight = means.settings.in_flight if spec.needs_engine else 2 * means.settings.transaction_auctions
    return Stage(spec, spec.build(means), in_flight)
