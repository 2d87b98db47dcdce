"""One outage: it is begun, watched until its alerts fire, ended, and watched until they are silent again."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.game_day.alertmanager import Alertmanager
from tests.game_day.outages import Outage
from tests.game_day.pipeline import Pipeline
from tests.support.prometheus_server import PrometheusServer

LOOK_EVERY_S = 0.5
PUBLISHING = "sum(rate(auction_queries_total[15s])) > 0"


@dataclass(frozen=True)
class Rehearsal:
    """Seconds from the beginning of the outage until each alert fired, and until Alertmanager had it.

    `silent_s`: from its end until none of the expected fired any more; None: not within the time there was.
    """

    outage: Outage
    fired_s: Mapping[str, float]
    notified_s: Mapping[str, float]
    silent_s: float | None

    @property
    def missing(self) -> set[str]:
        """What was expected and did not fire."""
        return {*self.outage.expected} - {*self.fired_s}


@dataclass
class Rehearsing:
    """Who watches. `patience_s`: for the alerts to fire, and again for them to be silent."""

    pipeline: Pipeline
    prometheus: PrometheusServer
    alertmanager: Alertmanager
    patience_s: float
    _before: set[str] = field(default_factory=set)
    _fired_s: dict[str, float] = field(default_factory=dict)
    _notified_s: dict[str, float] = field(default_factory=dict)

    def until_healthy(self, outage: Outage) -> None:
        """Replies are published, and none of the outage's alerts fires. AssertionError: not in time.

        Others may: a budget of days stays spent for hours.
        """
        until_s = time.monotonic() + self.patience_s
        while self.prometheus.firing() & outage.expected or not self.prometheus.query(PUBLISHING):
            assert time.monotonic() < until_s, f"not healthy, firing: {sorted(self.prometheus.firing())}"
            self._tend()

    def hold(self, outage: Outage) -> Rehearsal:
        """Of a healthy pipeline, which is mended in the end. Alerts that fired before are none of it."""
        self._before = self.prometheus.firing()
        self._fired_s, self._notified_s, began_s = {}, {}, time.monotonic()
        while outage.expected - {*self._fired_s} and time.monotonic() - began_s < self.patience_s:
            outage.break_(self.pipeline)
            self._look(time.monotonic() - began_s)
        self._look(time.monotonic() - began_s)  # Alertmanager is told a moment later
        outage.mend(self.pipeline)
        return Rehearsal(outage, self._fired_s, self._notified_s, self._until_silent(outage))

    def _until_silent(self, outage: Outage) -> float | None:
        ended_s = time.monotonic()
        while time.monotonic() - ended_s < self.patience_s:
            if not self.prometheus.firing() & outage.expected:
                return time.monotonic() - ended_s
            self._tend()
        return None

    def _look(self, after_s: float) -> None:
        self._tend()
        for name in self.prometheus.firing() - self._before:
            self._fired_s.setdefault(name, after_s)
        for name in self.alertmanager.notified() - self._before:
            self._notified_s.setdefault(name, after_s)

    def _tend(self) -> None:
        self.pipeline.tend()
        time.sleep(LOOK_EVERY_S)
