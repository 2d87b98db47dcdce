"""/metrics, /livez and /readyz of one process, on one port; a probe that fails says why."""

import asyncio
import errno
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from workers.errors import SettingsError
from workers.operations.metrics import Metrics

BEAT_PERIOD_S = 1.0
LONGEST_SILENCE_S = 30.0
LONGEST_LAG_S = 1.0
REQUEST_TIMEOUT_S = 10
JSON_HEADERS = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))

Application = Callable[..., Iterable[bytes]]


class Health:
    """What the probes answer. Written by the event loop, read by the server's threads.

    `awaited` names what must be ready before the process is (an engine, partitions, producers); each begins as not
    ready. A rebalance may take a name back for a while: that makes a worker not ready, never not alive.
    """

    def __init__(self, awaited: Iterable[str] = (), *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._parts = dict.fromkeys(awaited, False)
        self._is_draining = False
        self._lag_s = 0.0
        self._beaten_at_s = clock()

    def beat(self, lag_s: float = 0.0) -> None:
        """The event loop turns; its last timer ran `lag_s` late."""
        self._beaten_at_s, self._lag_s = self._clock(), lag_s

    def ready(self, name: str, is_ready: bool) -> None:
        """The part `name` is ready, or no longer."""
        self._parts[name] = is_ready

    def draining(self) -> None:
        """The process was told to stop: it finishes what it has and takes nothing new."""
        self._is_draining = True

    def why_not_alive(self) -> list[str]:
        """What a restart would cure; empty when the process is alive."""
        silence_s = self._clock() - self._beaten_at_s
        silent = [f"the event loop has not turned for {silence_s:.0f} s"] if silence_s >= LONGEST_SILENCE_S else []
        late = [f"the event loop is {self._lag_s:.1f} s late"] if self._lag_s >= LONGEST_LAG_S else []
        return silent + late

    def why_not_ready(self) -> list[str]:
        """What is still missing; empty when the process works on events."""
        missing = [f"{name} is not ready" for name, is_ready in sorted(self._parts.copy().items()) if not is_ready]
        return (["draining: the process is stopping"] if self._is_draining else []) + missing


async def keep_beating(health: Health, metrics: Metrics, period_s: float = BEAT_PERIOD_S) -> None:
    """Measure how late the event loop runs a timer, for ever: a task of its own beside the workers."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + period_s
        await asyncio.sleep(period_s)
        lag_s = max(0.0, loop.time() - due_s)
        health.beat(lag_s)
        metrics.loop_lag(lag_s)


@dataclass(frozen=True)
class Probes:
    """The WSGI application behind the port."""

    metrics: Application
    health: Health

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return self.metrics(environ, start_response)
        status, body = self._answer(path)
        start_response(f"{status.value} {status.phrase}", list(JSON_HEADERS))  # a new list: wsgiref adds to it
        return [json.dumps(body).encode() + b"\n"]

    def _answer(self, path: str) -> tuple[HTTPStatus, Mapping[str, object]]:
        probes = {"/livez": self.health.why_not_alive, "/readyz": self.health.why_not_ready}
        if path not in probes:
            return HTTPStatus.NOT_FOUND, {"status": "not found", "paths": ["/metrics", *probes]}
        if reasons := probes[path]():
            return HTTPStatus.SERVICE_UNAVAILABLE, {"status": "failing", "reasons": reasons}
        return HTTPStatus.OK, {"status": "ok"}


class _Server(ThreadingMixIn, WSGIServer):
    """One thread a request, so that a slow scraper does not keep a probe waiting."""

    daemon_threads = True
    request_queue_size = 32

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up or falls silent is its own affair; anything else is our bug and is printed."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Server6(_Server):
    """The same over IPv6, and over IPv4 too where the address is any."""

    address_family = socket.AF_INET6


def _server_for(host: str, port: int) -> type[_Server]:
    """By what the host is first: an address of IPv6, or a name of one. OSError, UnicodeError: it is neither."""
    family = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    return _Server6 if family == socket.AF_INET6 else _Server


class _QuietHandler(WSGIRequestHandler):
    """No line on stderr for each probe, and no thread that waits for ever for a silent client."""

    timeout = REQUEST_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a probe every few seconds is not news."""


class MonitoringServer:
    """Serves until closed; `port` is the one in use, also when a free one was asked for with 0.

    Raises SettingsError, naming the variable, when the address cannot be used.
    """

    def __init__(self, metrics: Metrics, health: Health, *, host: str, port: int) -> None:
        application = Probes(metrics.wsgi(), health)
        try:
            self._server = make_server(host, port, application, _server_for(host, port), _QuietHandler)
        except (OSError, UnicodeError) as error:
            raise SettingsError(_explain(host, port, error)) from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="monitoring", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    def close(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _explain(host: str, port: int, error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return f"TESSERA_METRICS_HOST: {host[:80]!r} is no name of a host"
    if error.errno == errno.EADDRINUSE:
        return f"TESSERA_METRICS_PORT: port {port} of {host} is taken; set another one, or 0 for a free one"
    if error.errno == errno.EACCES:
        return f"TESSERA_METRICS_PORT: this user may not open port {port}; take one above 1023"
    return f"TESSERA_METRICS_HOST: cannot listen on {host!r}: {error.strerror or error}"
