"""A real Prometheus for tests: on a free loopback port, with a generated configuration, stopped by its handle."""

import json
import math
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

STARTS_WITHIN_S = 60.0  # a start takes a fifth of a second, on a machine that is not busy
STOPS_WITHIN_S = 20.0
ATTEMPTS = 3  # the free port may be taken by somebody else before the server has it

# The machine's proxy is for the outside world.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def require(*programs: str) -> None:
    """Skip the calling test when a program is missing; fail it when CI is set."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        reason = f"{', '.join(missing)} is not installed; on Debian: apt-get install prometheus"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


def get(url: str) -> tuple[int, str]:
    """Status and body of a GET, also of one that the server refuses; OSError when nobody answers."""
    try:
        with _opener.open(url, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


def poll(question: Callable[[], T | None], *, within_s: float, what: str) -> T:
    """The first answer that is not None, False or empty; fails, saying what was waited for."""
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        if answer := question():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {within_s:.0f} s: {what}")


@dataclass(frozen=True)
class Sample:
    """One series of an instant query's answer."""

    labels: Mapping[str, str]
    value: float


class QueryError(AssertionError):
    """Prometheus refused a query."""


@dataclass(frozen=True)
class PrometheusServer:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]

    def query(self, expression: str) -> list[Sample]:
        """The series of an instant query, now; NaN is no answer and left out. QueryError when it does not parse."""
        data = self._get("query", query=expression)
        if data["resultType"] == "scalar":
            found = [Sample({}, float(data["result"][1]))]
        else:
            found = [Sample(series["metric"], float(series["value"][1])) for series in data["result"]]
        return [sample for sample in found if not math.isnan(sample.value)]

    def query_range(self, expression: str, *, start_s: float, end_s: float, step_s: float) -> list[dict[str, Any]]:
        """The series of a range query as the API gives them: `metric` and `values`."""
        series: list[dict[str, Any]] = self._get(
            "query_range", query=expression, start=start_s, end=end_s, step=step_s
        )["result"]
        return series

    def value(self, expression: str) -> float | None:
        """The one number an expression gives, None while there is none."""
        samples = self.query(expression)
        assert len(samples) <= 1, f"{expression} gives {len(samples)} series"
        return samples[0].value if samples else None

    def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        return {alert["labels"]["alertname"] for alert in self._get("alerts")["alerts"] if alert["state"] == "firing"}

    def healthy_targets(self) -> set[str]:
        """`host:port` of the targets whose last scrape went well."""
        targets = self._get("targets", state="active")["activeTargets"]
        return {target["labels"]["instance"] for target in targets if target["health"] == "up"}

    def is_ready(self) -> bool:
        try:
            return get(f"{self.url}/-/ready")[0] == 200
        except OSError:
            return False

    def stop(self) -> None:
        """End the server, with force when it does not want to."""
        self.process.terminate()
        try:
            self.process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _get(self, path: str, **parameters: object) -> Any:
        query = urllib.parse.urlencode(parameters)
        status, body = get(f"{self.url}/api/v1/{path}?{query}")
        answer = json.loads(body)
        if answer["status"] != "success":
            raise QueryError(f"{status} for {parameters}: {answer.get('error')}")
        return answer["data"]


def configuration(
    targets: Sequence[str],
    *,
    scrape_interval_ms: int,
    rule_files: Sequence[Path] = (),
    alertmanagers: Sequence[str] = (),
) -> str:
    """A configuration (JSON is YAML) that scrapes `targets`, each `host:port`, as job `tessera`."""
    interval = f"{scrape_interval_ms}ms"
    return json.dumps(
        {
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
            },
            "rule_files": [str(path) for path in rule_files],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [*alertmanagers]}]}]},
            "scrape_configs": [{"job_name": "tessera", "static_configs": [{"targets": list(targets)}]}],
        }
    )


@contextmanager
def running_prometheus(
    targets: Sequence[str],
    directory: Path,
    *,
    scrape_interval_ms: int = 1_000,
    rule_files: Sequence[Path] = (),
    alertmanagers: Sequence[str] = (),
) -> Iterator[PrometheusServer]:
    """A server that scrapes `targets`, with its data and log in `directory`, stopped at the end of the block."""
    configured = directory / "prometheus.json"
    text = configuration(
        targets, scrape_interval_ms=scrape_interval_ms, rule_files=rule_files, alertmanagers=alertmanagers
    )
    configured.write_text(text, encoding="utf-8")
    server = start(configured, directory)
    try:
        yield server
    finally:
        server.stop()


def start(configured: Path, directory: Path) -> PrometheusServer:
    """A server that answers; the caller stops it."""
    for _ in range(ATTEMPTS):
        server = _launch(configured, directory, free_port())
        if _comes_up(server):
            return server
        server.stop()
    raise AssertionError(f"prometheus does not start: {(directory / 'prometheus.log').read_text()[-2_000:]}")


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _launch(configured: Path, directory: Path, port: int) -> PrometheusServer:
    command = [
        "prometheus",
        f"--config.file={configured}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (directory / "prometheus.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory)
    return PrometheusServer(f"http://127.0.0.1:{port}", process)


def _comes_up(server: PrometheusServer) -> bool:
    """Whether the server gets ready; False as soon as its process has ended, which a taken port causes."""
    poll(
        lambda: server.process.poll() is not None or server.is_ready(),
        within_s=STARTS_WITHIN_S,
        what="prometheus gets ready",
    )
    return server.process.poll() is None
