"""What a worker tells Prometheus: one object with verbs, fed by what was committed: revenue is what was billed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import make_wsgi_app

from schemas.auction import CandidatesGenerated
from schemas.billing import AdvertiserCharged
from schemas.envelope import Event
from schemas.incentive import IncentiveMeasured
from schemas.payload import Payload
from schemas.reasons import AbstentionReason, DeadLetterReason, RepeatReason, VoidReason
from schemas.reply import ReplySettled

DISTRIBUTION = "tessera-auction"
REFUSED = "refused"
OUTCOMES: Final = (*get_args(ReplySettled.model_fields["outcome"].annotation), REFUSED)
TRANSACTION_RESULTS: Final = ("committed", "aborted")

LATENCY_BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120)
CANDIDATE_BUCKETS: Final = (0, 1, 2, 5, 10, 20, 50, 100, 256)
RATIO_BUCKETS: Final = (0.05, *(tenth / 10 for tenth in range(1, 11)))
CHARGE_BUCKETS_MICROS: Final = (0, *(step * 10**power for power in range(9) for step in (1, 2, 5)))
GAP_BUCKETS_MICROS: Final = (-1_000, -100, -10, -1, -0.1, -0.01, 0, 0.000001, 0.001, 0.1, 1, 10, 100, 1_000)
AUCTION_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096)


def utc_now() -> datetime:
    """The wall clock, with its offset."""
    return datetime.now(UTC)


class Metrics:
    """The metrics of one process, on `registry` (a new one if none is given). Labels are closed sets, never ids.

    `stages` are those that run in this process, `currency` the one its bills are in. Series of labels that are known
    beforehand start at 0: `rate()` and `increase()` see the first event, and an empty panel means a broken one.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        stages: Sequence[str],
        currency: str,
        engine: str,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        self._clock = clock
        self._declare_business()
        self._declare_pipeline()
        self._begin_at_zero(stages, currency)
        self._duration_of, self._revenue_of = cache(self._stage_duration.labels), cache(self._revenue.labels)
        ProcessCollector(registry=self.registry)  # CPU, memory, descriptors, and when it was started
        build = Info("auction_build", "Release and language model of this process.", registry=self.registry)
        build.info({"version": _release(), "engine": engine})
        self._verbs: Mapping[type[Payload], Callable[[Any], None]] = {
            CandidatesGenerated: self._generated,
            ReplySettled: self._settled,
            AdvertiserCharged: self._charged,
            IncentiveMeasured: self._incentive,
        }

    # Verbs: what happened

    def committed(self, events: Iterable[Event[Payload]]) -> None:
        """These events were published, and their transaction is committed: call it after the commit, once for each."""
        for event in events:
            if verb := self._verbs.get(type(event.data)):  # the exact type: a scored event is also a generated one
                verb(event.data)

    def refused(self, stage: str, reason: DeadLetterReason) -> None:
        """A record of `stage`'s input went to its dead-letter topic, and that is committed: so ended its query."""
        self._dead_letters.labels(stage, reason.name).inc()
        self._queries.labels(REFUSED).inc()

    def repeated(self, stage: str, reason: RepeatReason) -> None:
        """A record brought an auction again whose outcome stands, and that is committed. No query ended by it."""
        self._repeated.labels(stage, reason.name).inc()
        if reason is RepeatReason.SCORED_AGAIN:
            self._dead_letters.labels(stage, DeadLetterReason.DUPLICATE_QUERY.name).inc()

    def handled(self, stage: str, duration_s: float) -> None:
        """A worker's `handle` returned or raised after `duration_s`."""
        self._duration_of(stage).observe(duration_s)

    def transaction(self, stage: str, result: str, duration_s: float, auctions: int) -> None:
        """A transaction over the outputs of `auctions` input records ended as `result`, committed or aborted."""
        self._transactions.labels(stage, result).inc()
        self._transaction_duration.labels(stage).observe(duration_s)
        self._transaction_auctions.labels(stage).observe(auctions)

    def in_flight(self, stage: str, count: int) -> None:
        """`count` input records were read and are not yet committed."""
        self._in_flight.labels(stage).set(count)

    def lag(self, stage: str, records: int, age_s: float) -> None:
        """In this process's partitions `records` are stored and not committed, the oldest of them for `age_s`."""
        self._lag_records.labels(stage).set(records)
        self._lag_s.labels(stage).set(age_s)

    def rebalanced(self, stage: str) -> None:
        """The group handed out the partitions anew."""
        self._rebalances.labels(stage).inc()

    def producer_reopened(self, stage: str) -> None:
        """A transactional producer was fenced, or its transaction timed out: it was discarded and opened again."""
        self._fenced.labels(stage).inc()

    def stale_position(self, stage: str) -> None:
        """Kafka answered with an older committed offset than this process committed: the partition asks again."""
        self._stale_positions.labels(stage).inc()

    def engine_down(self, stage: str, is_down: bool) -> None:
        """The engine does not answer, so the stage's records wait; or it is back."""
        self._engine_down.labels(stage).set(is_down)

    def kafka_down(self, stage: str, is_down: bool) -> None:
        """Kafka does not answer the stage's group; or it does again."""
        self._kafka_down.labels(stage).set(is_down)

    def loop_lag(self, lag_s: float) -> None:
        """The event loop ran a timer `lag_s` after it was due."""
        self._loop_lag.set(lag_s)

    def wsgi(self) -> Callable[..., Iterable[bytes]]:
        """The WSGI application that answers a scrape."""
        application: Callable[..., Iterable[bytes]] = make_wsgi_app(self.registry)
        return application

    # One committed event of each kind

    def _generated(self, generated: CandidatesGenerated) -> None:
        self._candidates.observe(len(generated.candidates))

    def _settled(self, settled: ReplySettled) -> None:
        self._queries.labels(settled.outcome).inc()
        began = settled.received_at or settled.submitted_at  # the first events have only what a producer says
        self._reply_latency.observe(max(0.0, (self._clock() - began).total_seconds()))  # clocks differ
        if settled.outcome == "sold":
            self._effective_sample_ratio.observe(settled.effective_sample_size / len(settled.weights))
        if settled.void_reason is not None:
            self._voids.labels(settled.void_reason.name).inc()
        for abstention in settled.abstentions:
            self._abstentions.labels(abstention.reason.name).inc()

    def _charged(self, charged: AdvertiserCharged) -> None:
        self._revenue_of(charged.currency).inc(charged.charge_micros)
        self._charge.observe(charged.charge_micros)

    def _incentive(self, measured: IncentiveMeasured) -> None:
        for gap in measured.gaps:
            self._incentive_gap.observe(gap.gap_micros)

    # The families: names, help and labels

    def _declare_business(self) -> None:
        self._queries = self._counter("queries", "Queries that got their terminal record.", "outcome")
        self._reply_latency = self._histogram(
            "reply_latency_seconds", "From when the broker took the query to its published reply.", LATENCY_BUCKETS_S
        )
        self._candidates = self._histogram("candidates", "Candidate replies of an auction.", CANDIDATE_BUCKETS)
        self._effective_sample_ratio = self._histogram(
            "effective_sample_ratio", "Effective sample size over candidates, auctions that were sold.", RATIO_BUCKETS
        )
        self._revenue = self._counter("revenue_micros", "Sum of all published charges, micros.", "currency")
        self._charge = self._histogram("charge_micros", "One published charge, micros.", CHARGE_BUCKETS_MICROS)
        self._incentive_gap = self._histogram(
            "incentive_gap_micros", "Best lie found minus truth, for one bidder of one auction.", GAP_BUCKETS_MICROS
        )
        self._abstentions = self._counter("abstentions", "Advertisers without influence on an auction.", "reason")
        self._voids = self._counter("voids", "Settled auctions that were not held.", "reason")

    def _declare_pipeline(self) -> None:
        self._dead_letters = self._counter("dead_letters", "Records refused for good.", "stage", "reason")
        self._repeated = self._counter(
            "repeated", "Records of auctions whose outcome was published before, and stands.", "stage", "reason"
        )
        self._stage_duration = self._histogram(
            "stage_duration_seconds", "One event in a stage's worker.", LATENCY_BUCKETS_S, "stage"
        )
        self._transactions = self._counter("transactions", "Kafka transactions that ended.", "stage", "result")
        self._transaction_duration = self._histogram(
            "transaction_duration_seconds", "A transaction from begin to its end.", LATENCY_BUCKETS_S, "stage"
        )
        self._transaction_auctions = self._histogram(
            "transaction_auctions", "Input records whose outputs share a transaction.", AUCTION_BUCKETS, "stage"
        )
        self._in_flight = self._gauge("in_flight", "Input records read and not yet committed.", "stage")
        self._lag_records = self._gauge(
            "consumer_lag_records", "Input records that are stored and not yet committed, of this process.", "stage"
        )
        self._lag_s = self._gauge(
            "consumer_lag_seconds", "Since the oldest of those records was stored, by the broker's stamp.", "stage"
        )
        self._rebalances = self._counter("rebalances", "Times the group handed out partitions.", "stage")
        self._fenced = self._counter("producer_fenced", "Transactional producers discarded and reopened.", "stage")
        self._stale_positions = self._counter(
            "stale_positions", "Answers with an older committed offset than is known, none of them used.", "stage"
        )
        self._engine_down = self._gauge("engine_down", "1 while records wait because the engine is down.", "stage")
        self._kafka_down = self._gauge("kafka_down", "1 while Kafka does not answer the stage's group.", "stage")
        self._loop_lag = self._gauge("event_loop_lag_seconds", "How late the event loop ran its last timer.")

    def _begin_at_zero(self, stages: Iterable[str], currency: str) -> None:
        _touch(self._queries, OUTCOMES)
        _touch(self._revenue, (currency,))
        _touch(self._abstentions, (reason.name for reason in AbstentionReason))
        _touch(self._voids, (reason.name for reason in VoidReason))
        for stage in stages:
            for reason in DeadLetterReason:
                self._dead_letters.labels(stage, reason.name)
            for repeat in RepeatReason:
                self._repeated.labels(stage, repeat.name)
            for result in TRANSACTION_RESULTS:
                self._transactions.labels(stage, result)
            histograms = self._stage_duration, self._transaction_duration, self._transaction_auctions
            counters = self._rebalances, self._fenced, self._stale_positions
            gauges = self._in_flight, self._lag_records, self._lag_s, self._engine_down, self._kafka_down
            for family in (*histograms, *counters, *gauges):
                family.labels(stage)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"auction_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"auction_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"auction_{name}", text, labels, buckets=buckets, registry=self.registry)


def _touch(counter: Counter, labels: Iterable[str]) -> None:
    for label in labels:
        counter.labels(label)


def _release() -> str:
    """The installed release; "unknown" when the code runs from a checkout that was never installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
