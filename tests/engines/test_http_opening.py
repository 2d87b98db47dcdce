"""What a server over HTTP must show before it is an engine: it is refused with the reason, or it is what it says."""

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.support.vllm_stand_in import TOKENIZER, Behaviour, Connection, Request, StandIn, answer, refusal, standing_in
from workers.engines.base import Engine, Limits, Reply
from workers.engines.catalogue import open_engine
from workers.engines.compatibility import require_same_tokenizer, require_scorable
from workers.engines.null import NullEngine
from workers.engines.openai_http import client as client_module
from workers.engines.openai_http.address import parse_address
from workers.engines.options import EngineOptions, HttpOptions
from workers.errors import EngineError, EngineTimeout, EngineUnavailable, SettingsError

TIMEOUT_S = 3.0  # more than any sound answer takes on a busy machine
BOUND_S = 20.0
COMPLETIONS = "/v1/completions"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAUSES_S", (0.01, 0.02))


@pytest.fixture
async def server() -> StandIn:
    return StandIn()


async def opened(name: str, timeout_s: float = TIMEOUT_S, **http: Any) -> Engine:
    options = HttpOptions(**{"tokenizer": str(TOKENIZER)} | http)
    async with asyncio.timeout(BOUND_S):
        return await open_engine(name, EngineOptions(timeout_s=timeout_s, http=options))


async def refused(server: StandIn, model: str = "#base", **http: Any) -> str:
    """Why it is not opened."""
    async with standing_in(server) as url:
        with pytest.raises(SettingsError) as caught:
            await opened(url + model, **http)
    return str(caught.value)


def always(data: bytes) -> Behaviour:
    async def behave(_: Request, __: Connection) -> bytes:
        return data

    return behave


# Names


@pytest.mark.parametrize(
    ("name", "url", "model"),
    [
        ("http://gpu-1:8000#org/model", "http://gpu-1:8000", "org/model"),
        ("https://models.example/v1#m", "https://models.example", "m"),
        ("https://models.example/eu/v1/#m", "https://models.example/eu", "m"),
        ("http://[::1]:8000/", "http://[::1]:8000", ""),
    ],
)
def test_a_name_is_the_servers_address_and_its_model(name: str, url: str, model: str) -> None:
    address = parse_address(name)

    assert (address.url, address.model) == (url, model)


@pytest.mark.parametrize(
    "name",
    [
        "http:",
        "http://",
        "http:8000#m",
        "http://h:port#m",
        "http://h:99999#m",
        "http://[::1#m",
        "http://h?k=v#m",
        "http://h\x00#m",
        "http://xn--a#m\n",
    ],
)
async def test_a_name_that_is_no_address_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=r"http\[s\]://HOST\[:PORT\]"):
        await opened(name)


async def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError, match="TESSERA_ENGINE_API_KEY") as caught:
        await opened("https://user:secret@host#m")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("model", "says"), [("", "without a model"), ("#", "without"), ("#other", "no model 'other'")])
async def test_a_missing_model_lists_those_there_are(server: StandIn, model: str, says: str) -> None:
    server.add_adapter("adverts", 0.5)

    message = await refused(server, model)

    assert says in message and "adverts, base" in message


@pytest.mark.parametrize("name", ["x" * 20_000, "\x1b[2J\nadverts", "\ud800"])
async def test_the_names_of_a_strangers_models_are_shown_bounded_and_without_control_characters(
    server: StandIn, name: str
) -> None:
    server.add_adapter(name, 0.5)

    message = await refused(server, "#other")

    assert len(message) < 500 and message.isprintable()
    # nor where an adapter is looked for
    async with standing_in(server) as url:
        engine = await opened(f"{url}#base")
        with pytest.raises(SettingsError) as caught:
            engine.adapter("other")
        await engine.close()
    assert len(str(caught.value)) < 500 and str(caught.value).isprintable()


@pytest.mark.parametrize("version", ["x" * 60_000, "0.32.0\x1b[2J", "0.32.0\n", "\ud800", ""])
async def test_a_version_that_is_no_line_of_a_message_is_refused(server: StandIn, version: str) -> None:
    server.behaviours["/version"] = always(answer(200, {"version": version}))

    assert "/version does not name a version" in await refused(server)


# Who it is


async def test_the_engines_identity_is_what_the_server_reports(server: StandIn) -> None:
    async with standing_in(server) as url:
        engine = await opened(f"{url}#base")

        description = {"id": "base", "max_model_len": 512, "parent": None, "root": "/models/tiny", "version": "0.32.0"}
        expected = sha256(json.dumps(description, separators=(",", ":")).encode()).hexdigest()
        assert (engine.identity.name, engine.identity.version) == ("http", "vllm 0.32.0")
        assert engine.identity.model_sha256 == expected
        assert engine.identity.tokenizer_sha256 == sha256((TOKENIZER / "tokenizer.json").read_bytes()).hexdigest()
        assert (engine.limits.vocabulary, engine.limits.context) == (4096, 511)  # the server generates one token more
        await engine.close()


async def test_adapters_are_the_servers_models_on_the_same_base(server: StandIn) -> None:
    server.add_adapter("adverts", 0.5)
    async with standing_in(server) as url:
        engine = await opened(f"{url}#base")
        adapter = engine.adapter("adverts")
        reply = Reply((8, 9, 10), "", 0.0, False)

        base, adapted = [float((await one.log_probs((5, 6), [reply]))[0]) for one in (engine, adapter)]

        assert base - adapted == pytest.approx(1.5)
        assert adapter.limits == engine.limits and adapter.encode("x") == engine.encode("x")
        assert adapter.identity.model_sha256 != engine.identity.model_sha256
        assert adapter.identity.tokenizer_sha256 == engine.identity.tokenizer_sha256
        with pytest.raises(SettingsError, match="no adapter 'unknown' of 'base'; it serves: adverts"):
            engine.adapter("unknown")
        await engine.close()


async def test_an_adapter_may_be_the_engine(server: StandIn) -> None:
    server.add_adapter("adverts", 0.5)
    async with standing_in(server) as url:
        engine = await opened(f"{url}#adverts")

        assert engine.limits.context == 511
        with pytest.raises(SettingsError, match="none"):
            engine.adapter("base")
        await engine.close()


async def test_the_api_key_is_sent_only_where_one_is_set(server: StandIn) -> None:
    async with standing_in(server) as url:
        for key in ("s3cret", ""):
            engine = await opened(f"{url}#base", api_key=key)
            await engine.close()

    sent = [request.headers.get("authorization") for request in server.requests]
    assert sent == ["Bearer s3cret"] * (len(sent) // 2) + [None] * (len(sent) // 2)


@pytest.mark.parametrize("key", ["s3cret\n", "s3crét", "s3\x00cret"])
async def test_a_key_that_no_header_can_have_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(SettingsError, match="TESSERA_ENGINE_API_KEY") as caught:
        await opened("http://127.0.0.1:1#base", api_key=key)
    assert "s3" not in str(caught.value)


async def test_a_wrong_key_is_refused(server: StandIn) -> None:
    server.behaviours["/v1/models"] = always(refusal(401, "Unauthorized"))

    assert "TESSERA_ENGINE_API_KEY" in await refused(server)


# What it cannot promise


async def test_a_server_that_is_not_vllm_is_refused(server: StandIn) -> None:
    server.behaviours["/version"] = always(answer(404, {"detail": "Not Found"}))

    assert "/version answers 404" in await refused(server)


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/version", ["0.32.0"]),
        ("/version", {"version": 32}),
        ("/v1/models", {"data": None}),
        ("/v1/models", {"data": [{"root": "x"}]}),
        ("/v1/models", {"data": [{"id": "base", "max_model_len": "512"}]}),
        ("/v1/models", {"data": [{"id": ["base"], "max_model_len": 512}]}),
        ("/v1/models", {"data": [{"id": "base"}]}),
        ("/v1/models", {"data": [{"id": "base", "max_model_len": -1}]}),
        ("/v1/models", b"<html>"),
        ("/tokenize", {}),
        ("/tokenize", {"tokens": "1"}),
        ("/tokenize", {"tokens": [1, 2]}),
        (COMPLETIONS, {"choices": []}),
    ],
)
async def test_malformed_responses_are_refused(server: StandIn, path: str, document: Any) -> None:
    server.behaviours[path] = always(answer(200, document))

    assert await refused(server)


async def test_a_redirect_is_not_followed(server: StandIn) -> None:
    server.behaviours["/version"] = always(answer(308, {}, Location="/v1/models"))

    assert "is the URL right" in await refused(server)
    assert {request.path for request in server.requests} == {"/version"}


async def test_a_tokenizer_must_be_named(server: StandIn) -> None:
    assert "TESSERA_ENGINE_TOKENIZER is not set" in await refused(server, tokenizer="")


def folder_with(folder: Path, config: Any) -> Path:
    """The tokenizer beside another config.json; None: beside none."""
    shutil.copytree(TOKENIZER, folder / "tokenizer")
    file = folder / "tokenizer" / "config.json"
    if config is None:
        file.unlink()
    else:
        file.write_bytes(config if isinstance(config, bytes) else json.dumps(config).encode())
    return folder / "tokenizer"


@pytest.mark.parametrize(
    ("config", "vocabulary"),
    [
        ({"vocab_size": 152_064}, 152_064),
        ({"text_config": {"vocab_size": 152_064}}, 152_064),
        ({"vocab_size": 4096}, 4096),
        ({"model_type": "x"}, 4096),
        (None, 4096),
    ],
)
async def test_a_padded_vocabulary_is_as_large_over_http_as_in_process(
    server: StandIn, tmp_path: Path, config: Any, vocabulary: int
) -> None:
    in_process = NullEngine()
    in_process.limits = Limits(152_064, 2048)
    async with standing_in(server) as url:
        engine = await opened(f"{url}#base", tokenizer=str(folder_with(tmp_path, config)))
        in_process.identity = replace(in_process.identity, tokenizer_sha256=engine.identity.tokenizer_sha256)

        assert engine.limits.vocabulary == vocabulary
        require_same_tokenizer(engine, in_process)
        require_same_tokenizer(in_process, engine)
        require_scorable(engine, in_process)
        if vocabulary == in_process.limits.vocabulary:
            require_scorable(in_process, engine)
        else:
            with pytest.raises(SettingsError, match=r"152064 token ids.*vocab_size in the config\.json"):
                require_scorable(in_process, engine)
        await engine.close()


@pytest.mark.parametrize(
    "config",
    [
        {"vocab_size": 4095},
        {"vocab_size": 1 << 25},
        {"vocab_size": "4096"},
        {"vocab_size": True},
        [],
        b"{",
        b"[" * 100_000,
        b" " * (5 << 20),
    ],
    ids=lambda config: str(config)[:20],
)
async def test_a_configuration_that_cannot_be_the_tokenizers_is_refused(
    server: StandIn, tmp_path: Path, config: Any
) -> None:
    assert "config.json" in await refused(server, tokenizer=str(folder_with(tmp_path, config)))


async def test_another_tokenizer_is_detected(server: StandIn, tmp_path: Path) -> None:
    """One merge fewer: on most texts it is the same."""
    folder = tmp_path / "tokenizer"
    shutil.copytree(TOKENIZER, folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    merges = tokenizer["model"]["merges"]
    merges.remove(["Ġc", "ook"])
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))

    message = await refused(server, tokenizer=str(folder))

    assert (
        "TESSERA_ENGINE_TOKENIZER" in message
        and "is not the tokenizer of 'base'" in message
        and "I bake cookies" in message
    )


async def test_special_tokens_with_other_ids_are_detected(server: StandIn) -> None:
    async def behave(request: Request, _: Connection) -> bytes:
        text = request.body["prompt"]
        special = text in server.framing.frame
        return answer(200, {"tokens": [0] if special else list(server.framing.plain(text))})

    server.behaviours["/tokenize"] = behave

    assert "they differ on '<s><user>'" in await refused(server)


def drawn(change: Callable[[dict[str, Any]], Any], server: StandIn) -> Behaviour:
    """Drawn replies changed, scored ones as they are."""

    async def behave(request: Request, _: Connection) -> bytes:
        choice = server.choice(request.body)
        if "seed" in request.body:
            change(choice)
        return answer(200, {"choices": [choice]})

    return behave


async def test_a_server_without_token_ids_cannot_be_the_proposal(server: StandIn) -> None:
    server.behaviours[COMPLETIONS] = drawn(lambda choice: choice.update(token_ids=None), server)

    assert "return_token_ids" in await refused(server)


@pytest.mark.parametrize("factor", [0.5, 0.97, 1.03])
async def test_log_probabilities_of_another_distribution_are_detected(server: StandIn, factor: float) -> None:
    def change(choice: dict[str, Any]) -> None:
        logs = choice["logprobs"]
        logs["token_logprobs"] = [factor * one for one in logs["token_logprobs"]]

    server.behaviours[COMPLETIONS] = drawn(change, server)

    assert "--logprobs-mode processed_logprobs" in await refused(server)


async def test_logits_in_place_of_log_probabilities_are_detected(server: StandIn) -> None:
    def change(choice: dict[str, Any]) -> None:
        choice["logprobs"]["token_logprobs"] = [12.5] * len(choice["token_ids"])

    server.behaviours[COMPLETIONS] = drawn(change, server)

    assert "above 0" in await refused(server)


async def test_a_server_that_ignores_prompt_logprobs_cannot_score(server: StandIn) -> None:
    async def behave(request: Request, _: Connection) -> bytes:
        return answer(200, {"choices": [server.choice(request.body) | {"prompt_logprobs": None}]})

    server.behaviours[COMPLETIONS] = behave

    assert "(prompt_logprobs)" in await refused(server)


async def test_a_model_that_knows_fewer_tokens_is_refused(server: StandIn) -> None:
    async def behave(request: Request, _: Connection) -> bytes:
        if 4095 in request.body["prompt"]:
            return refusal(400, "Token id 4095 is out of vocabulary")
        return server.completed(request.body)

    server.behaviours[COMPLETIONS] = behave

    assert "4095 is out of vocabulary" in await refused(server)


async def test_a_server_that_mixes_up_adapters_is_refused(server: StandIn) -> None:
    """As vLLM's CPU build does without a spare slot: beside an adapter's request, the base's gets its score."""
    server.add_adapter("adverts", 2.0)
    available: list[str] = []

    async def behave(request: Request, _: Connection) -> bytes:
        available.append(request.body["model"])
        await asyncio.sleep(0.02)
        model = "adverts" if "adverts" in available else request.body["model"]
        available.remove(request.body["model"])
        return server.completed(request.body | {"model": model})

    server.behaviours[COMPLETIONS] = behave

    assert "mixes up LoRA adapters" in await refused(server)


# A server that is not there


async def test_a_server_that_nobody_listens_for_is_down() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

    with pytest.raises(EngineUnavailable, match=f"127.0.0.1:{port}"):
        await opened(f"http://127.0.0.1:{port}#base")


async def half_open(_: Request, connection: Connection) -> None:
    await connection.closed_by_client()


@pytest.mark.parametrize(
    ("behaviour", "timeout_s", "error"),
    [
        (always(answer(503, b"starting")), TIMEOUT_S, EngineUnavailable),
        (always(refusal(500, "EngineDeadError")), TIMEOUT_S, EngineUnavailable),
        (half_open, 1.0, EngineTimeout),
    ],
)
@pytest.mark.parametrize("path", ["/version", "/v1/models", "/tokenize", COMPLETIONS])
async def test_a_server_that_is_not_ready_is_down_and_not_misconfigured(
    server: StandIn, path: str, behaviour: Behaviour, timeout_s: float, error: type[EngineError]
) -> None:
    server.behaviours[path] = behaviour
    async with standing_in(server) as url:
        with pytest.raises(error):
            await opened(f"{url}#base", timeout_s)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For 127.0.0.1, signed by itself, its key beside it."""
    folder = tmp_path_factory.mktemp("tls")
    files = "-keyout", str(folder / "key"), "-out", str(folder / "certificate")
    subject = "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return folder / "certificate"


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key"))
    return context


async def test_an_untrusted_certificate_is_refused(server: StandIn, certificate: Path) -> None:
    async with standing_in(server, tls(certificate)) as url:
        with pytest.raises(SettingsError, match="certificate cannot be trusted"):
            await opened(f"{url}#base")
    assert not server.requests


async def test_a_certificate_authority_of_this_machine_is_trusted(
    server: StandIn, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with standing_in(server, tls(certificate)) as url:
        engine = await opened(f"{url}#base")
        await engine.close()
