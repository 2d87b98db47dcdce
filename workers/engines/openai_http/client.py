"""Requests to one server: pooled, timed, bounded in number and size, repeated for what passes, each failure typed."""

import asyncio
import json
import random
import ssl
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import httpx

from workers.engines.calls import within
from workers.engines.openai_http.breaker import Breaker, Silent
from workers.engines.openai_http.response import Unusable, one_line, parsed, read_body, shown
from workers.errors import EngineRejected, EngineTimeout, EngineUnavailable

T = TypeVar("T")
Read = Callable[[Any], T]  # what is wanted from a JSON document; raises Unusable

PAUSES_S = (0.2, 1.0)  # the longest before each repetition; the pause is drawn from 0 on (full jitter)
LONGEST_RETRY_AFTER_S = 10.0
CONNECT_S = 5.0  # a host that takes longer is not there
KEEP_ALIVE_S = 3.0  # vLLM closes an idle connection after 5 s; a request must not meet that

INPUT_AT_FAULT = {400, 413, 422}
KEY_AT_FAULT = {401, 403}
BUSY = {408, 429}
NO_SERVER_BEHIND = {502, 503, 504}


class Busy(EngineUnavailable):
    """The server has too much to do. `retry_after_s` is its own wish, bounded."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Failing(Unusable):
    """The server answered that it cannot: a status of 500 and more."""


class Misdirected(EngineUnavailable):
    """Another URL, model name, key or certificate is needed; no input is at fault, and repeating does not help."""


class Client:
    """The server at `url`; at most `concurrency` requests at once, each with all its attempts inside `timeout_s`.

    One more may go `ahead`: what asks after the server itself does not queue behind those that wait to know.
    """

    def __init__(self, url: str, *, api_key: str, concurrency: int, timeout_s: float) -> None:
        self.url, self._timeout_s = url, timeout_s
        self._headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
        self._authorities = _authorities(url)
        self._breaker = Breaker()
        self._slots, self._slot_ahead = asyncio.Semaphore(concurrency), asyncio.Semaphore(1)
        self._connections: list[httpx.AsyncClient] = []  # never more than slots
        self._idle: list[httpx.AsyncClient] = []  # of these, the last used last

    @property
    def doubts(self) -> int:
        """How often there was a reason to ask whether it is still the same server."""
        return self._breaker.doubts

    async def get(self, path: str, read: Read[T], limit_bytes: int, *, ahead: bool = False) -> T:
        """What `read` makes of the JSON there. Raises as `post` does."""
        return await self._asked("GET", path, None, read, limit_bytes, ahead)

    async def post(self, path: str, body: dict[str, Any], read: Read[T], limit_bytes: int, *, ahead: bool = False) -> T:
        """What `read` makes of the answer, of which no more than `limit_bytes` are read.

        EngineRejected: the input is at fault. EngineTimeout: no answer in time. EngineUnavailable: the server is down,
        busy or misdirected; or, as Unusable, it answers with something else.
        """
        content = json.dumps(body, separators=(",", ":")).encode()
        return await self._asked("POST", path, content, read, limit_bytes, ahead)

    async def close(self) -> None:
        """Close its connections."""
        for connection in self._connections:
            await connection.aclose()

    def _connection(self) -> httpx.AsyncClient:
        """One that is idle, or a new one. Each is a pool of one: httpx looks through all of a pool, several times."""
        if self._idle:
            return self._idle.pop()
        connection = httpx.AsyncClient(
            base_url=self.url,
            headers=self._headers,
            timeout=httpx.Timeout(
                connect=min(CONNECT_S, self._timeout_s),
                read=self._timeout_s,
                write=self._timeout_s,
                pool=self._timeout_s,
            ),
            limits=httpx.Limits(max_connections=1, keepalive_expiry=KEEP_ALIVE_S),
            verify=self._authorities,
            trust_env=False,
            follow_redirects=False,
        )
        self._connections.append(connection)
        return connection

    async def _asked(
        self, method: str, path: str, body: bytes | None, read: Read[T], limit_bytes: int, ahead: bool
    ) -> T:
        clock = asyncio.get_running_loop().time
        async with self._slot_ahead if ahead else self._slots:
            end_s = clock() + self._timeout_s
            for pause_s in (*PAUSES_S, None):
                asked_s = clock()
                try:
                    async with self._breaker.guard():
                        end_s += clock() - asked_s  # waiting for another's probe is not the server's time
                        async with within(timedelta(seconds=end_s - clock())):
                            return read(await parsed(await self._exchanged(method, path, body, limit_bytes)))
                except (Silent, Busy, Unusable) as failure:
                    wait_s = _wait_s(failure, pause_s)
                    if wait_s is None or clock() + wait_s >= end_s:
                        raise
                await asyncio.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    async def _exchanged(self, method: str, path: str, body: bytes | None, limit_bytes: int) -> bytes:
        """The body of the answer with status 200."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection = self._connection()
        try:
            async with connection.stream(method, path, content=body, headers=headers) as response:
                content = await read_body(response, limit_bytes)
        except httpx.ConnectTimeout:
            raise Silent(f"{self.url}: no connection within {min(CONNECT_S, self._timeout_s):g} s") from None
        except httpx.TimeoutException as error:
            raise EngineTimeout(f"{self.url}: no answer within {self._timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise _broken(self.url, error) from error
        finally:
            self._idle.append(connection)
        if response.status_code != httpx.codes.OK:
            raise _refusal(f"{self.url}{path}", response, content)
        return content


def _authorities(url: str) -> ssl.SSLContext:
    """Whom the connection trusts: those of the machine, so that a company's own may be added.

    They take longer to load than a request takes, and an address without TLS needs none.
    """
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.startswith("http:") else ssl.create_default_context()


def _wait_s(failure: EngineUnavailable, pause_s: float | None) -> float | None:
    """How long until the next attempt; None: there is none."""
    if pause_s is None:
        return None
    asked_s = failure.retry_after_s if isinstance(failure, Busy) else 0.0
    return asked_s + random.uniform(0, pause_s)  # noqa: S311  # jitter


def _broken(url: str, error: httpx.HTTPError) -> EngineUnavailable:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Misdirected(f"{url}: the certificate cannot be trusted: {one_line(str(error))}")
    asking = "; is its server running, and is this its address?" if isinstance(error, httpx.ConnectError) else ""
    return Silent(f"{url}: {one_line(str(error) or type(error).__name__)}{asking}")


def _refusal(where: str, response: httpx.Response, content: bytes) -> EngineRejected | EngineUnavailable:
    """What a status other than 200 means."""
    status = response.status_code
    message = f"{where} answers {status}: {shown(content)}"
    if status in INPUT_AT_FAULT:
        return EngineRejected(message)
    if status in BUSY:
        return Busy(message, _retry_after_s(response.headers.get("Retry-After", "")))
    if status in NO_SERVER_BEHIND:
        return Silent(message)
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Failing(message)
    return Misdirected(f"{message}; {_look_at(status)}")


def _look_at(status: int) -> str:
    if status in KEY_AT_FAULT:
        return "is the URL right, and the server's key (TESSERA_ENGINE_API_KEY, or api_key_file in the rewards file)?"
    if status == httpx.codes.NOT_FOUND:
        return "is the URL right, and does the server still serve the model by this name (--served-model-name)?"
    return "is the URL right, and what answers there a vLLM server?"


def _retry_after_s(header: str) -> float:
    """The seconds it names, bounded; a date is not read."""
    return min(float(header), LONGEST_RETRY_AFTER_S) if header.isascii() and header.isdigit() else 0.0
