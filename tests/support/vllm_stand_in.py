"""A small HTTP server on loopback that answers as a vLLM server does, and can be told to misbehave."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from workers.engines.embedded.engine import MODEL
from workers.engines.tokenizer import ChatTokenizer

TOKENIZER = MODEL / "hf"
CONTEXT = 512
FRAMING = ChatTokenizer(TOKENIZER)

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Json


@dataclass(frozen=True)
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def closed_by_client(self) -> None:
        """Wait until the other side is gone."""
        try:
            while await self.reader.read(1024):
                pass
        except ConnectionError:
            pass


Behaviour = Callable[
    [Request, Connection], Awaitable[bytes | None]
]  # None: what was to be sent has been, or will not be


def answer(status: int, document: Any, **headers: str) -> bytes:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status} Status", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def refusal(status: int, message: str, **headers: str) -> bytes:
    return answer(status, {"error": {"message": message, "type": "BadRequestError", "code": status}}, **headers)


class StandIn:
    """Its model gives each token the same log-probability wherever it stands; `adapters` shift them.

    `behaviours` replaces the answer on a path; `seen` counts the requests on each, `most` those at work at once.
    """

    def __init__(self) -> None:
        self.framing = FRAMING
        self.cards: list[Json] = [{"id": "base", "root": "/models/tiny", "parent": None, "max_model_len": CONTEXT}]
        self.adapters: dict[str, float] = {}
        self.behaviours: dict[str, Behaviour] = {}
        self.requests: list[Request] = []
        self.connections = self.available = self.most = 0

    def seen(self, path: str) -> int:
        return sum(request.path == path for request in self.requests)

    def add_adapter(self, name: str, shift: float) -> None:
        self.cards.append({"id": name, "root": f"/adapters/{name}", "parent": "base", "max_model_len": None})
        self.adapters[name] = shift

    def log_p(self, model: str, token: int) -> float:
        return -(1.0 + token % 7) - self.adapters.get(model, 0.0)

    async def answered(self, request: Request) -> bytes:
        """As vLLM does."""
        match request.method, request.path:
            case "GET", "/version":
                return answer(200, {"version": "0.32.0"})
            case "GET", "/v1/models":
                return answer(200, {"object": "list", "data": self.cards})
            case "POST", "/tokenize":
                ids = self._tokens(request.body["prompt"])
                return answer(200, {"count": len(ids), "max_model_len": CONTEXT, "tokens": ids})
            case "POST", "/v1/completions":
                return self.completed(request.body)
        return answer(404, {"detail": "Not Found"})

    def completed(self, body: Json) -> bytes:
        if body["model"] not in {card["id"] for card in self.cards}:
            return refusal(404, f"The model `{body['model']}` does not exist.")
        return answer(200, {"choices": [self.choice(body)]})

    def choice(self, body: Json) -> Json:
        model, prompt = body["model"], body["prompt"]
        rows = [None, *({str(one): {"logprob": self.log_p(model, one), "rank": 1}} for one in prompt[1:])]
        ids = [5 + (body.get("seed", 0) * 31 + place) % 2_000 for place in range(body["max_tokens"])]
        return {
            "index": 0,
            "token_ids": ids if body.get("return_token_ids") else None,
            "logprobs": {"token_logprobs": [self.log_p(model, one) for one in ids]} if "logprobs" in body else None,
            "finish_reason": "length",
            "prompt_logprobs": rows if "prompt_logprobs" in body else None,
        }

    def _tokens(self, text: str) -> list[int]:
        return list(self.framing.frame.get(text) or self.framing.plain(text))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (request := await _request(reader)) and await self._handled(request, Connection(reader, writer)):
                pass
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _handled(self, request: Request, connection: Connection) -> bool:
        """False: the connection is of no more use."""
        self.requests.append(request)
        self.available += 1
        self.most = max(self.most, self.available)
        try:
            behaviour = self.behaviours.get(request.path)
            sent = await (behaviour(request, connection) if behaviour else self.answered(request))
            if sent is not None:
                await connection.send(sent)
            return sent is not None
        finally:
            self.available -= 1


async def _request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    line, *fields = head.split("\r\n")[:-2]
    method, path, _ = line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    content = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, json.loads(content) if content else {})


@asynccontextmanager
async def standing_in(stand_in: StandIn, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The URL at which it answers."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            await stand_in.serve(reader, writer)
        except asyncio.CancelledError:  # the end of the test
            pass
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
