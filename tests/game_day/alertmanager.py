"""A real Alertmanager, where there is one: it gets Prometheus's alerts, and says which it would send."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.prometheus_server import STARTS_WITHIN_S, STOPS_WITHIN_S, free_port, get, poll

PROGRAMS = ("prometheus-alertmanager", "alertmanager")  # Debian's name for it, and everybody else's
CONFIGURATION = {"route": {"receiver": "nobody", "group_wait": "0s"}, "receivers": [{"name": "nobody"}]}


class Alertmanager:
    """A running one, or none: then nobody has been notified of anything."""

    def __init__(self, address: str = "") -> None:
        self.address = address

    def notified(self) -> set[str]:
        """The names of the alerts that it has and does not suppress."""
        if not self.address:
            return set()
        _, body = get(f"http://{self.address}/api/v2/alerts?active=true&silenced=false&inhibited=false")
        return {alert["labels"]["alertname"] for alert in json.loads(body)}


@contextmanager
def running_alertmanager(folder: Path) -> Iterator[Alertmanager]:
    """One on a free port, stopped in the end; one without an address where the program is missing."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        yield Alertmanager()
        return
    configured, address = folder / "alertmanager.json", f"127.0.0.1:{free_port()}"
    configured.write_text(json.dumps(CONFIGURATION), encoding="utf-8")
    places = [f"--config.file={configured}", f"--storage.path={folder / 'alertmanager'}"]
    command = [program, *places, f"--web.listen-address={address}", "--cluster.listen-address="]
    with (folder / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        poll(lambda: _is_ready(address), within_s=STARTS_WITHIN_S, what="Alertmanager gets ready")
        yield Alertmanager(address)
    finally:
        process.terminate()
        process.wait(STOPS_WITHIN_S)


def _is_ready(address: str) -> bool:
    try:
        return get(f"http://{address}/-/ready")[0] == 200
    except OSError:
        return False
