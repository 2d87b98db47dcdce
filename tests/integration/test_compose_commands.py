"""docker-compose.yml as far as it goes without Docker: our services' commands on a real Kafka, in their order.

Each has the environment that the file gives it. What is changed: where Kafka is, ports, which must be free here,
folders of volumes, the draw key, which the session's other tests have committed to, and how long the load lasts.
"""

import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.prometheus_server import free_port, poll
from tests.support.worker_process import tessera
from workers.settings import DEMO_DRAW_KEY

pytestmark = pytest.mark.kafka

COMPOSE = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text(encoding="utf-8"))
OURS: dict[str, dict[str, Any]] = {
    name: service for name, service in COMPOSE["services"].items() if service["image"].startswith("tessera")
}
GIVEN = {"TESSERA_DRAW_KEY": DEMO_DRAW_KEY.get_secret_value()}  # as a shell would give it to compose
PORT, LASTS_S = "9464", "86400"
HEALTHY_WITHIN_S, ENDS_WITHIN_S = 120.0, 75.0


@dataclass(frozen=True)
class Local:
    """One service on this machine."""

    name: str
    kafka: str
    folder: Path
    port: str

    def run(self) -> "subprocess.Popen[bytes]":
        words = [self._here(word) for word in OURS[self.name]["command"]]
        with (self.folder / f"{self.name}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "workers", *words], env=self._environment(), stdout=log, stderr=log
            )

    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text()

    def is_healthy(self) -> bool:
        """By the program of its own health check."""
        *_, program = OURS[self.name]["healthcheck"]["test"]
        try:
            exec(self._here(program), {})  # noqa: S102  # ours: the file's own words
        except OSError:
            return False
        return True

    def setting(self, name: str) -> str:
        return self._here(OURS[self.name]["environment"][name])

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TESSERA_")}
        settings = {name: self._here(value) for name, value in OURS[self.name]["environment"].items()}
        if "TESSERA_STATE_FOLDER" in settings:
            settings["TESSERA_STATE_FOLDER"] = str(self.folder / "state")
        return {**inherited, **settings, "TESSERA_SESSION_TIMEOUT_S": "6"}  # the next test's workers wait for it

    def _here(self, text: str) -> str:
        text = re.sub(r"\$\{(\w+):-(.*?)\}", lambda found: GIVEN.get(found[1], found[2]), text)
        changed = {PORT: self.port, LASTS_S: "3", "kafka:19092": self.kafka, "0.0.0.0": "127.0.0.1"}  # noqa: S104
        for there, here in changed.items():
            text = text.replace(there, here)
        return text


def commit_as_an_operator(kafka: str, sampling_key: str) -> None:
    """To the keys of draws and seeds: no service has both secrets, and the session's audit would miss it."""
    done = tessera("keys", "commit", "--days", "2", kafka=kafka, sampling_key=sampling_key)
    assert done.returncode == 0, done.stderr.decode()


def in_order() -> list[str]:
    """Our services, each behind those that it depends on."""
    graph = {name: [*service.get("depends_on", ())] for name, service in OURS.items()}
    return [name for name in TopologicalSorter(graph).static_order() if name in OURS]


def test_every_service_of_ours_runs_as_the_file_says_and_ends_when_it_is_told_to(kafka: str, tmp_path: Path) -> None:
    services = {name: Local(name, kafka, tmp_path, str(free_port())) for name in in_order()}
    running: dict[str, subprocess.Popen[bytes]] = {}
    with ExitStack() as stack:
        for name, service in services.items():
            process = running[name] = service.run()
            stack.callback(process.kill)
            if "healthcheck" not in OURS[name]:  # it has an end of its own
                assert process.wait(HEALTHY_WITHIN_S) == 0, service.log()
                if name == "topics":
                    commit_as_an_operator(kafka, services["generation"].setting("TESSERA_SAMPLING_KEY"))
                continue
            for other in OURS.values():
                if other.get("depends_on", {}).get(name, {}).get("condition") == "service_healthy":
                    poll(service.is_healthy, within_s=HEALTHY_WITHIN_S, what=f"{name} is healthy")
        lasting = {name: process for name, process in running.items() if "healthcheck" in OURS[name]}
        for name in lasting:
            poll(services[name].is_healthy, within_s=HEALTHY_WITHIN_S, what=f"{name} is healthy")

        for process in lasting.values():
            process.send_signal(signal.SIGTERM)
        ended = {name: process.wait(ENDS_WITHIN_S) for name, process in lasting.items()}

    assert ended == dict.fromkeys(lasting, 0), {name: services[name].log() for name in lasting}
