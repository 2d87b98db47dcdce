"""What workers' /metrics say about the last seconds: rates, latency, revenue, and what looks wrong."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

MINUTE_S = 60.0
LATE_LOOP_S = 0.5
LATE_RECORD_S = 30.0  # as the alert AuctionConsumerLag


@dataclass(frozen=True, slots=True)
class ScrapedValue:
    """One line of a scrape."""

    name: str
    labels: Mapping[str, str]
    value: float


class Scrape:
    """What all processes said at one moment."""

    def __init__(self, texts: Iterable[str]) -> None:
        """`texts`: one exposition for each process. ValueError: one is no exposition of Prometheus."""
        self._samples: dict[str, list[ScrapedValue]] = defaultdict(list)
        for text in texts:
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    self._samples[sample.name].append(ScrapedValue(sample.name, sample.labels, sample.value))

    def sums(self, name: str, label: str) -> dict[str, float]:
        """The sum over all processes for each value of the label, sorted by it."""
        found: dict[str, float] = defaultdict(float)
        for sample in self._samples[name]:
            found[sample.labels.get(label, "")] += sample.value
        return dict(sorted(found.items()))

    def total(self, name: str, **labels: str) -> float:
        """The sum over all processes of what has these labels."""
        return sum(sample.value for sample in self._chosen(name, labels))

    def largest(self, name: str, **labels: str) -> float:
        """Of all processes; 0 if there is none."""
        return max((sample.value for sample in self._chosen(name, labels)), default=0.0)

    def _chosen(self, name: str, labels: Mapping[str, str]) -> Iterator[ScrapedValue]:
        return (sample for sample in self._samples[name] if labels.items() <= sample.labels.items())


@dataclass(frozen=True)
class StageRow:
    """One stage over the interval. Rates are a second; the duration is one event's mean in the worker, seconds.

    `lag_records` are stored and not committed, the oldest of them for `lag_s` seconds.
    """

    stage: str
    in_flight: int
    lag_records: int
    lag_s: float
    handled_hz: float
    duration_s: float | None
    commits_hz: float
    aborts_hz: float
    dead_letters: int
    reopened: int
    engine_is_down: bool


@dataclass(frozen=True)
class Overview:
    """Everything `tessera top` shows. `latency_s`: quantiles of query to reply, upper ends of their buckets."""

    interval_s: float
    queries_hz: Mapping[str, float]
    latency_s: Mapping[str, float | None]
    revenue_micros_per_minute: Mapping[str, float]
    loop_lag_s: float
    stages: Sequence[StageRow]

    @classmethod
    def between(cls, before: Scrape, after: Scrape, interval_s: float) -> Self:
        """What happened between two scrapes; a process that was started meanwhile counts from its start."""
        change = _Change(before, after, interval_s)
        revenue = change.rates("auction_revenue_micros_total", "currency")
        stages = after.sums("auction_in_flight", "stage")
        return cls(
            interval_s=interval_s,
            queries_hz=change.rates("auction_queries_total", "outcome"),
            latency_s={name: change.quantile("auction_reply_latency_seconds", share) for name, share in QUANTILES},
            revenue_micros_per_minute={currency: MINUTE_S * rate for currency, rate in revenue.items()},
            loop_lag_s=after.largest("auction_event_loop_lag_seconds"),
            stages=[change.row(stage) for stage in stages],
        )

    @property
    def trouble(self) -> list[str]:
        """What looks wrong, in words."""
        return [*self._of_stages(), *self._of_loops()]

    def _of_stages(self) -> Iterator[str]:
        for row in self.stages:
            if row.engine_is_down:
                yield f"{row.stage}: the engine is down, records wait"
            elif row.in_flight and not row.commits_hz:
                yield f"{row.stage}: {row.in_flight} records in work, none committed within {self.interval_s:.0f} s"
            if row.lag_s > LATE_RECORD_S and row.commits_hz:
                yield f"{row.stage}: its oldest record has waited for {row.lag_s:.0f} s, {row.lag_records} wait"
            if row.dead_letters:
                yield f"{row.stage}: {row.dead_letters} dead letters within {self.interval_s:.0f} s"

    def _of_loops(self) -> Iterator[str]:
        if self.loop_lag_s > LATE_LOOP_S:
            yield f"an event loop runs {self.loop_lag_s:.1f} s late"


QUANTILES = (("p50", 0.5), ("p95", 0.95))


@dataclass(frozen=True)
class _Change:
    before: Scrape
    after: Scrape
    interval_s: float

    def rates(self, name: str, label: str) -> dict[str, float]:
        before, after = self.before.sums(name, label), self.after.sums(name, label)
        return {value: max(0.0, total - before.get(value, 0.0)) / self.interval_s for value, total in after.items()}

    def grown(self, name: str, **labels: str) -> float:
        return max(0.0, self.after.total(name, **labels) - self.before.total(name, **labels))

    def quantile(self, name: str, share: float) -> float | None:
        """The upper end of the bucket that the quantile is in; None: nothing was observed."""
        before, after = self.before.sums(f"{name}_bucket", "le"), self.after.sums(f"{name}_bucket", "le")
        grown = sorted((float(end), total - before.get(end, 0.0)) for end, total in after.items())
        if not grown or grown[-1][1] <= 0:
            return None
        return next(end for end, count in grown if count >= share * grown[-1][1])

    def row(self, stage: str) -> StageRow:
        count = self.grown("auction_stage_duration_seconds_count", stage=stage)
        spent_s = self.grown("auction_stage_duration_seconds_sum", stage=stage)
        return StageRow(
            stage=stage,
            in_flight=int(self.after.total("auction_in_flight", stage=stage)),
            lag_records=int(self.after.total("auction_consumer_lag_records", stage=stage)),
            lag_s=self.after.largest("auction_consumer_lag_seconds", stage=stage),
            handled_hz=count / self.interval_s,
            duration_s=spent_s / count if count else None,
            commits_hz=self.grown("auction_transactions_total", stage=stage, result="committed") / self.interval_s,
            aborts_hz=self.grown("auction_transactions_total", stage=stage, result="aborted") / self.interval_s,
            dead_letters=int(self.grown("auction_dead_letters_total", stage=stage)),
            reopened=int(self.grown("auction_producer_fenced_total", stage=stage)),
            engine_is_down=bool(self.after.largest("auction_engine_down", stage=stage)),
        )
