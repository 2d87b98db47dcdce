"""All settings: one frozen model, read once by the command line. Order: option, TESSERA_ variable, default."""

import difflib
import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.auction import PaymentRule, Proposal
from schemas.payload import MAX_CANDIDATES, MAX_TOKENS, Currency
from workers.broker_addresses import broker_addresses
from workers.engines.openai_http.address import names_server, parse_address
from workers.errors import SettingsError

PREFIX = "TESSERA_"
TEST_PREFIX = "TESSERA_TEST_"  # switches of the test suite, not settings
MIN_KEY_CHARACTERS = 32
MAY_HOLD_PASSWORD = {"engine", "proposal_engine"}  # a value that is refused


class Settings(BaseSettings):
    """Field descriptions are the settings table of the README."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", allow_inf_nan=False)

    bootstrap_servers: Annotated[str, AfterValidator(broker_addresses)] = Field(
        "localhost:9092", description="Kafka brokers, `host:port[,host:port...]`."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL"] = Field(
        "PLAINTEXT", description="`SASL_SSL` (TLS and a password), `SSL` (TLS and a client certificate), or neither."
    )
    allow_plaintext: bool = Field(False, description="Development: `true` lets Kafka be used without TLS and login.")
    sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        "SCRAM-SHA-512", description="How the password is proved: `SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`."
    )
    sasl_username: str = Field("", description="Who this process is to Kafka; `tessera principals show` lists them.")
    sasl_password: SecretStr | None = Field(None, description="Its password.")
    sasl_password_file: str = Field("", description="File that holds the password instead.")
    tls_ca_file: str = Field("", description="Certificates to trust, PEM. Without it those of the system.")
    tls_certificate_file: str = Field("", description="Client certificate, PEM, where the brokers want one.")
    tls_key_file: str = Field("", description="The certificate's key, PEM, without a passphrase.")
    engine: str = Field(
        "embedded",
        description="Language model: `embedded` (bundled, CPU), `embedded:FOLDER`, `vllm:MODEL` (in this process; a "
        "folder, or NAME@COMMIT of the hub), `http://HOST:PORT#MODEL` (a vLLM server), or `null` (no model; tests).",
    )
    engine_threads: Annotated[int, Field(ge=1, le=256)] = Field(2, description="CPU threads of the embedded engine.")
    engine_timeout_s: Annotated[float, Field(gt=0, le=3_600)] = Field(
        60.0, description="Seconds one request to a vLLM engine may take before it is asked again."
    )
    engine_concurrency: Annotated[int, Field(ge=1, le=4_096)] = Field(64, description="Requests in flight to a server.")
    engine_tokenizer: str = Field("", description="Folder with the server's tokenizer, chat template and config.json.")
    engine_api_key: SecretStr = Field(
        SecretStr(""),
        description="Key that the vLLM server of `TESSERA_ENGINE` asks for; no other scheme, host and port gets it.",
    )
    vllm_dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="Number format of vLLM in this process."
    )
    vllm_quantization: str = Field("", description="Its quantisation; empty takes the model's own.")
    vllm_tensor_parallel: Annotated[int, Field(ge=1, le=64)] = Field(1, description="GPUs that share its layers.")
    vllm_gpu_memory_utilization: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.9, description="Share of the GPU's memory that it takes."
    )
    vllm_max_model_len: Annotated[int, Field(ge=0)] = Field(
        0, description="Tokens of prompt and reply together; 0 takes the model's own limit."
    )
    vllm_max_num_seqs: Annotated[int, Field(ge=1, le=65_536)] = Field(256, description="Sequences in one of its steps.")
    vllm_max_num_batched_tokens: Annotated[int, Field(ge=1, le=10**6)] = Field(
        8_192, description="Tokens in one of its steps."
    )
    vllm_prefix_caching: bool = Field(True, description="Whether it computes the shared prompt of candidates once.")
    vllm_adapters: str = Field("", description="LoRA adapters it serves, `NAME=FOLDER[,NAME=FOLDER...]`.")
    rewards_file: str = Field(
        "", description="File that says which advertisers bid through an adapter, a model of their own, or a probe."
    )
    registry: Literal["off", "named", "found"] = Field(
        "off",
        description="Registered advertisers: `off`, `named` (a query may name them), or `found` (one that names nobody "
        "finds them by its text, too).",
    )
    inline_advertisers: bool = Field(
        True, description="`false`: only registered advertisers bid; those that queries bring abstain."
    )
    found_advertisers: Annotated[int, Field(ge=1, le=32)] = Field(
        8, description="Most advertisers who bid on a query because it found them."
    )
    prompts_file: str = Field("", description="TOML file with the words of the turns; empty takes the paper's.")
    proposal_engine: str = Field(
        "", description="Language model that candidates are drawn from; empty takes `TESSERA_ENGINE`. Same tokenizer."
    )
    proposal: Proposal = Field(
        "context_aware",
        description="Where candidates are drawn from: `context_aware` (the model is told who bids) or `reference`.",
    )
    candidates: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)] = Field(
        20, description="Candidates per auction, M, where the query names no other number."
    )
    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] = Field(96, description="Longest reply, tokens.")
    candidates_least: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)] = Field(
        2, description="A query that asks for fewer gets a reply without adverts (BELOW_FLOOR): with 1, nobody pays."
    )
    candidates_most: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)] = Field(
        MAX_CANDIDATES, description="A query that asks for more candidates gets this many."
    )
    max_tokens_least: Annotated[int, Field(ge=1, le=MAX_TOKENS)] = Field(
        1, description="A query that asks for shorter replies gets one without adverts (BELOW_FLOOR)."
    )
    max_tokens_most: Annotated[int, Field(ge=1, le=MAX_TOKENS)] = Field(
        MAX_TOKENS, description="A query that asks for longer replies gets this many tokens."
    )
    tau_micros_per_nat: Annotated[int, Field(ge=1, le=10**12)] = Field(
        1_000, description="Weight of the reference model, τ: small lets bids decide, large keeps replies natural."
    )
    reward_limit_nats: Annotated[float, Field(gt=0, le=500)] = Field(
        50.0, description="Range of rewards where an advertiser declares none: ± this, times its value per nat."
    )
    currency: Currency = Field("USD", description="ISO 4217 code of all amounts; a micro is a millionth of its unit.")
    payment_rule: PaymentRule = Field("offset", description="How charges follow from rewards.")
    deadline_s: Annotated[float, Field(gt=0, le=86_400)] = Field(
        60.0, description="Seconds a stage may work on an auction once it has it, where the query states no deadline."
    )
    draw_key: SecretStr | None = Field(
        None, description="Secret of the draw, at least 32 characters; settlement does not start without it."
    )
    draw_key_previous: SecretStr | None = Field(
        None, description="The secret before it, while it is rotated: days that are committed to it keep it."
    )
    incentive_sample: Annotated[float, Field(ge=0, le=1)] = Field(
        0.01, description="Share of auctions in which the stage `incentives` searches for a lie that would have paid."
    )
    sampling_key: SecretStr | None = Field(
        None, description="Secret of the seeds, at least 32 characters; without it they derive from the draw's."
    )
    in_flight: Annotated[int, Field(ge=1, le=4_096)] = Field(
        8, description="Queries that generation and scoring work on at once, per input partition."
    )
    transaction_auctions: Annotated[int, Field(ge=1, le=4_096)] = Field(
        64, description="Most auctions settled, or stage results written, in one Kafka transaction."
    )
    metrics_host: str = Field("127.0.0.1", description="Address of /metrics, /livez and /readyz.")
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = Field(9_464, description="Their port; 0 takes a free one.")
    instance: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = Field(
        "",
        description="Stable name of this replica (an ordinal): a restarted worker takes its partitions back at once.",
    )
    replication_factor: Annotated[int, Field(ge=1, le=9)] = Field(
        1, description="Copies of each partition when topics are created; 3 in production."
    )
    partitions: Annotated[int, Field(ge=1, le=1_024)] = Field(
        4, description="Partitions of the query, candidate and reply topics when they are created; final."
    )
    id_window_days: Annotated[float, Field(gt=0, le=1_000)] = Field(
        7.0,
        description="Days for which a settled query's id is refused when it comes again; older queries are refused.",
    )
    state_folder: str = Field(
        "",
        description="Folder in which settlement keeps those ids on disk; empty takes `~/.local/state/tessera/ids`.",
    )
    session_timeout_s: Annotated[float, Field(ge=1, le=300)] = Field(
        10.0, description="Seconds without a heartbeat after which another worker takes over a partition."
    )

    @field_validator("engine", "proposal_engine")
    @classmethod
    def _without_password(cls, name: str) -> str:
        """Names of engines are shown wherever one is spoken of: what is no address is refused before that."""
        if names_server(name):
            try:
                parse_address(name)
            except SettingsError as error:
                raise ValueError(str(error)) from None
        return name

    @field_validator("draw_key", "draw_key_previous", "sampling_key")
    @classmethod
    def _long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < MIN_KEY_CHARACTERS:
            raise ValueError(f"a key has at least {MIN_KEY_CHARACTERS} characters")
        return key

    @model_validator(mode="after")
    def _floors_and_ceilings_in_order(self) -> Self:
        for name in ("candidates", "max_tokens"):
            least, own, most = (getattr(self, field) for field in (f"{name}_least", name, f"{name}_most"))
            if not least <= own <= most:
                raise ValueError(f"{PREFIX}{name.upper()} is {own}: not from its _LEAST, {least}, to its _MOST, {most}")
        return self

    @classmethod
    def read(cls, **options: Any) -> Self:
        """The settings with `options` (None: not given) above the environment; SettingsError names what is wrong."""
        _refuse_unknown_variables(set(cls.model_fields))
        given = {name: value for name, value in options.items() if value is not None}
        try:
            return cls(**given)
        except ValidationError as error:
            raise SettingsError(_explain(error)) from None

    @property
    def draw_secrets(self) -> tuple[bytes, ...]:
        """The secrets of the draw, the current one first; SettingsError without one."""
        if self.draw_key is None:
            raise SettingsError(
                "TESSERA_DRAW_KEY is not set: settlement draws each reply with this secret. Make one: tessera keys new"
            )
        return tuple(key.get_secret_value().encode() for key in (self.draw_key, self.draw_key_previous) if key)


#: Draw key of demonstrations: public, so that anyone can repeat a demo's draws. Never one for real money.
DEMO_DRAW_KEY = SecretStr("demonstration-draw-key-known-to-everyone")


def _refuse_unknown_variables(known: set[str]) -> None:
    variables = {PREFIX + name.upper() for name in known}
    for name in os.environ:
        if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX) and name not in variables:
            near = difflib.get_close_matches(name.removeprefix(PREFIX).lower(), known, n=1, cutoff=0.75)
            hint = f"; did you mean {PREFIX}{near[0].upper()}?" if near else "; `tessera run --help` lists the settings"
            raise SettingsError(f"the environment has {name}, which is not a setting{hint}")


def _explain(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_context=False)[0]
    message = problem["msg"].removeprefix("Value error, ")
    if not (name := "".join(map(str, problem["loc"][:1]))):
        return message  # of several settings together; the input is all of them, secrets too
    secret = "key" in name or "password" in name or name in MAY_HOLD_PASSWORD
    return f"{PREFIX}{name.upper()}: {message}" + ("" if secret else f" (it is {problem['input']!r})")


def preset(defaults: Mapping[str, str], needs: Mapping[str, str]) -> None:
    """Set variables for this process and its children: defaults where the user has set none, and needs."""
    for variable, value in defaults.items():
        os.environ.setdefault(variable, value)
    os.environ.update(needs)
