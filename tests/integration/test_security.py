"""Kafka with TLS, logins and rights: each stage works with exactly its own, and says which one is missing.

That the rights suffice: every stage is a process and a user of its own, and the commands are run by their principals.
That each right of a stage is needed: it is taken away in Kafka, the stage runs in this process on a record that makes
it use all of them, and must end by itself with the sentence that names it; `cases` is the table itself, so a right
that is added is tried. What that end looks like from outside (exit code 2, one line) is held by two processes: one
without the right to commit to a key, and one without any.
"""

import asyncio
import json
import re
import secrets
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from schemas.topics import CHARGED, INCENTIVES, SCORED, SETTLED, TERMS
from tests.integration.test_readme import block
from tests.support.kafka_client import EVERYTHING, Header, Reader, of, produce
from tests.support.own_node import started
from tests.support.worker_process import WorkerProcess, tessera
from workers.app.followed_registry import restored_registry
from workers.devkafka import DevelopmentBroker
from workers.devkafka.secured import ADMIN, Secured
from workers.engines.null import NullEngine
from workers.errors import TesseraError
from workers.operations.monitor import Monitor
from workers.operations.principals import principals
from workers.pipeline import GROUPS, STAGES, Means, build_stages, now
from workers.settings import DEMO_DRAW_KEY
from workers.stream.admin.acls import grant, grant_all, take
from workers.stream.admin.first_offsets import initialise_offsets
from workers.stream.admin.rights import Principal, Right
from workers.stream.admin.topics import create_topics
from workers.stream.commitments import open_key_ring
from workers.stream.connection.clients import Clients
from workers.stream.kafka import KafkaBus

pytestmark = pytest.mark.kafka

PRINCIPALS = {principal.name: principal for principal in principals()}
NOBODY = "auction.nobody"
AUCTIONS = 20
REFUSED_WITHIN_S = 5.0  # once Python has started
ENDS_WITHIN_S = 60.0  # a process
FAILS_WITHIN_S = 30.0  # a stage in this one: it takes about a second
Message = tuple[bytes | None, bytes | None, Sequence[Header]]


@dataclass(frozen=True)
class SecuredKafka:
    """A broker with users, and how each of them connects."""

    broker: DevelopmentBroker
    secured: Secured

    @property
    def address(self) -> str:
        return self.broker.bootstrap_servers

    def login(self, user: str) -> dict[str, str]:
        """Options of librdkafka, which shares no code with the workers' client."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": self.secured.passwords[user],
            "ssl.ca.location": str(self.secured.ca_file),
        }

    def settings(self, user: str, **more: object) -> dict[str, object]:
        given = self.secured.settings(self.address, user, **more)
        return {name: value for name, value in given.items() if name != "bootstrap_servers"}

    def command(self, user: str, *words: str, **more: object) -> "subprocess.CompletedProcess[bytes]":
        return tessera(*words, kafka=self.address, **self.settings(user, allow_plaintext="false", **more))

    def worker(self, user: str, stage: str, log: Path, **more: object) -> WorkerProcess:
        settings = self.settings(user, allow_plaintext="false", candidates=4, incentive_sample=1, **more)
        return WorkerProcess([stage], self.address, log, **settings)

    async def change(self, verb: object, user: str, right: Right) -> None:
        async with Clients(self.secured.client(self.address)).cluster() as cluster:
            await cluster.retry(lambda: verb(cluster, user, right))  # type: ignore[operator]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """A broker of its own, with every principal, its rights, and the topics; nobody has committed to a draw yet."""
    folder = tmp_path_factory.mktemp("secured")
    secured = Secured(folder / "tls", (*PRINCIPALS, NOBODY))
    broker = DevelopmentBroker(folder / "data", note=print, secured=secured)
    with started(broker):
        with asyncio.Runner() as runner:
            runner.run(_set_up(secured, broker.bootstrap_servers))
        yield SecuredKafka(broker, secured)


async def _set_up(secured: Secured, address: str) -> None:
    """Rights by the administrator; topics and offsets by the operator, who may make those and no others."""
    async with Clients(secured.client(address)).cluster() as cluster:
        for principal in principals():
            await grant_all(cluster, principal)
    operator = secured.client(address, "auction.operator")
    await create_topics(operator)
    await initialise_offsets(operator, GROUPS)


def query(query_id: str) -> Message:
    bidders = [
        {"advertiser_id": name, "name": name, "description": "selling things", "value_micros_per_nat": 1_000}
        for name in ("ovennest", "crumbworks")
    ]
    asked = {"query_id": query_id, "text": "How?", "advertising_consent": True, "advertisers": bidders}
    return query_id.encode(), json.dumps(asked).encode(), ()


def says(refused: "subprocess.CompletedProcess[bytes]") -> str:
    """The one line of a command that ended because it was refused."""
    assert refused.returncode == 2
    (line,) = refused.stderr.decode().splitlines()
    assert line.startswith("tessera: ")
    return line


def ended(process: WorkerProcess) -> str:
    """The last line of a worker that ended by itself with an error."""
    try:
        assert process.process.wait(ENDS_WITHIN_S) == 2, process.output()
    finally:
        process.kill()
    return process.output().splitlines()[-1]


def test_without_a_right_to_commit_settlement_does_not_start(kafka: SecuredKafka, tmp_path: Path) -> None:
    """The first test: only on a day that nobody has committed to does settlement write a commitment."""
    user, right = "auction.settlement", Right("Write", "topic", "auction.draw.commitment.v1")
    asyncio.run(kafka.change(take, user, right))
    try:
        line = ended(kafka.worker(user, "settlement", tmp_path / "log"))
    finally:
        asyncio.run(kafka.change(grant, user, right))

    assert f"Kafka does not let user {user}" in line and "write to" in line


@pytest.fixture(scope="module")
def sold(kafka: SecuredKafka, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Message]]:
    """What each topic holds after some auctions, every stage a process and a user of its own."""
    logs = tmp_path_factory.mktemp("logs")
    ids = [f"secured-{uuid.uuid4()}" for _ in range(AUCTIONS)]
    assert kafka.command("auction.key-committer", "keys", "commit", "--days", "2").returncode == 0  # to seeds as well
    workers = [kafka.worker(f"auction.{stage}", stage, logs / stage) for stage in STAGES]
    try:
        for worker in workers:
            worker.until_ready()
        with Reader(kafka.address, (*EVERYTHING, INCENTIVES.name), login=kafka.login(ADMIN)) as reader:
            produce(kafka.address, map(query, ids), login=kafka.login("auction.gateway"))
            reader.until(
                lambda found: len(of(found, CHARGED.name)) >= 2 * AUCTIONS <= 2 * len(of(found, INCENTIVES.name))
            )
            messages = reader.rest(1.0)
        assert [worker.stop() for worker in workers] == [0] * len(workers)
    finally:
        for worker in workers:
            worker.kill()
    topics = {message.topic() for message in messages}
    found = {topic: [(m.key(), m.value(), m.headers() or ()) for m in of(messages, topic)] for topic in topics}
    return {**found, STAGES["generation"].consumes.name: [query(ids[0])]}


def test_the_pipeline_works_with_a_principal_for_each_stage(
    kafka: SecuredKafka, sold: dict[str, list[Message]]
) -> None:
    assert len(sold[SETTLED.name]) == len(sold[SCORED.name]) == len(sold[INCENTIVES.name]) == AUCTIONS
    assert len({json.loads(value or b"")["charge_id"] for _, value, _ in sold[CHARGED.name]}) == 2 * AUCTIONS

    audited = kafka.command("auction.auditor", "audit")

    assert audited.returncode == 0, audited.stderr.decode()
    assert f"{AUCTIONS} auctions: everything is right" in audited.stdout.decode()


def test_the_creditor_takes_a_charge_back(kafka: SecuredKafka, sold: dict[str, list[Message]]) -> None:
    bill = next(bill for _, value, _ in sold[CHARGED.name] if (bill := json.loads(value or b""))["charge_micros"])
    words = ("credit", bill["charge_id"], "--amount", "all", "--reason", "never delivered", "--yes", "--json")

    issued = kafka.command("auction.creditor", *words)

    assert issued.returncode == 0, issued.stderr.decode()
    assert json.loads(issued.stdout)["data"]["credit_micros"] == bill["charge_micros"]


def test_the_key_committer_commits_and_nobody_else_grants(kafka: SecuredKafka, sold: dict[str, list[Message]]) -> None:
    assert kafka.command("auction.key-committer", "keys", "commit", "--days", "3").returncode == 0
    assert kafka.command("auction.key-committer", "keys", "reveal").returncode == 0
    assert kafka.command(ADMIN, "principals", "create", "auction.gateway").returncode == 0
    assert "does not let user auction.operator" in says(kafka.command("auction.operator", "principals", "create"))


def test_the_terms_publisher_gives_notice_of_terms(kafka: SecuredKafka, sold: dict[str, list[Message]]) -> None:
    published = kafka.command("auction.terms-publisher", "terms", "publish", "--yes", "--json")

    assert published.returncode == 0, published.stderr.decode()
    assert json.loads(published.stdout)["type"] == TERMS.name
    assert "does not let user auction.gateway read it" in says(kafka.command("auction.gateway", "terms", "show"))


def test_the_verifier_and_the_operator_may_read_everything(kafka: SecuredKafka, sold: dict[str, list[Message]]) -> None:
    verified = kafka.command("auction.verifier", "verify", "--complete", "--expect-aborts", "--json")
    shown = kafka.command("auction.operator", "offsets", "show", "--json")
    examined = kafka.command("auction.operator", "doctor", "--kafka", "--json")

    rows = {row["id"]: row for row in map(json.loads, verified.stdout.splitlines()) if "id" in row}
    assert verified.returncode in (0, 1), verified.stderr.decode()
    assert rows["one_end"]["state"] == rows["bills_recomputed"]["state"] == rows["healed"]["state"] == "held"
    assert shown.returncode == 0, shown.stderr.decode()
    assert {json.loads(line)["group"] for line in shown.stdout.splitlines()} == set(GROUPS)
    assert examined.returncode == 0, examined.stderr.decode()
    states = {row["check"]: row["state"] for row in map(json.loads, examined.stdout.splitlines())}
    assert states["broker settings"] == "unknown" and states["first offsets"] == "ok"


def cases() -> list[tuple[Principal, Right]]:
    """Every right of every stage; one has a test of its own."""
    stages = [PRINCIPALS[spec.group] for spec in STAGES.values()]
    rights = [(principal, right) for principal in stages for right in principal.rights]
    return [case for case in rights if case[1] != Right("Write", "topic", "auction.draw.commitment.v1")]


@pytest.mark.parametrize(("principal", "right"), cases(), ids=lambda value: str(getattr(value, "name", value)))
def test_a_stage_needs_each_of_its_rights(
    principal: Principal, right: Right, kafka: SecuredKafka, sold: dict[str, list[Message]]
) -> None:
    # Given a record that is worked on for the first time and one that is refused, so that everything would be written
    stage = principal.name.removeprefix("auction.")
    topic = STAGES[stage].consumes.name
    asyncio.run(kafka.change(take, principal.name, right))
    produce(kafka.address, [anew(sold[topic][0]), (b"bad", b"no JSON", ())], topic, kafka.login(ADMIN))
    try:
        # When the stage runs without one of its rights
        line = asyncio.run(failure(kafka, principal.name, stage))
    finally:
        asyncio.run(kafka.change(grant, principal.name, right))
    # Then it ends with a sentence about that right
    doing = {"Read": "read", "Write": "write to"}.get(right.operation, "use") if right.resource == "topic" else "use"
    assert f"user {principal.name} {doing}" in line and right.name in line and "tessera principals show" in line


def anew(message: Message) -> Message:
    """The same event of another query and auction: what was settled once is not published again."""
    key, value, headers = message
    data, query_id = json.loads(value or b""), f"secured-{uuid.uuid4()}"
    data.pop("query_record", None)  # the auction's id would have to derive from it
    new = {"query_id": query_id, **({"auction_id": secrets.token_hex(32)} if "auction_id" in data else {})}
    said = [(name, query_id.encode() if what == key else what) for name, what in headers]
    return query_id.encode(), json.dumps({**data, **new}).encode(), said


async def failure(kafka: SecuredKafka, user: str, stage: str) -> str:
    """What the user is told when the stage ends by itself."""
    settings = kafka.secured.client(kafka.address, user).model_copy(
        update={"draw_key": DEMO_DRAW_KEY, "session_timeout_s": 3.0, "incentive_sample": 1.0}
    )
    bus = KafkaBus(settings, Monitor(stages=[stage], currency="USD", engine="null"))
    with pytest.raises(TesseraError) as ended:
        async with asyncio.timeout(FAILS_WITHIN_S):
            keys = await open_key_ring(bus, settings.draw_secrets, now) if STAGES[stage].needs_draw_keys else None
            if STAGES[stage].follows is not None:
                await restored_registry(bus, settings)
            stages = build_stages([stage], Means(settings, NullEngine(), keys))
            await bus.run(stages, asyncio.Event())
    return str(ended.value)


def test_a_principal_without_rights_does_not_start(kafka: SecuredKafka, tmp_path: Path) -> None:
    line = ended(kafka.worker(NOBODY, "generation", tmp_path / "log"))

    assert f"does not let user {NOBODY} read it" in line


@pytest.mark.parametrize(
    ("given", "says_so"),
    [
        ({"sasl_password": "another password"}, "no such user, or another password than TESSERA_SASL_PASSWORD"),
        ({"sasl_username": "auction.unknown"}, "does not let user auction.unknown in"),
        ({"sasl_mechanism": "PLAIN"}, "set another TESSERA_SASL_MECHANISM"),
        ({"tls_ca_file": ""}, "is not trusted (TESSERA_TLS_CA_FILE)"),
        ({"security_protocol": "PLAINTEXT", "sasl_username": ""}, "TESSERA_ALLOW_PLAINTEXT=true"),
    ],
)
def test_a_rejected_login_is_reported_within_seconds(
    given: dict[str, object], says_so: str, kafka: SecuredKafka, start_s: float
) -> None:
    for command in (("topics", "describe"), ("run", "generation")):
        began = time.monotonic()
        refused = kafka.command("auction.auditor", *command, **given)
        assert time.monotonic() - began < start_s + REFUSED_WITHIN_S
        assert refused.returncode == 2 and says_so in refused.stderr.decode().splitlines()[-1]
        assert kafka.secured.passwords["auction.auditor"] not in refused.stderr.decode()


@pytest.fixture(scope="module")
def start_s(kafka: SecuredKafka) -> float:
    """How long a command takes to find out that it cannot even ask."""
    began = time.monotonic()
    assert "TESSERA_TLS_CA_FILE" in says(kafka.command("auction.auditor", "run", "generation", tls_ca_file="/missing"))
    return time.monotonic() - began


def test_a_client_without_tls_is_told_that_the_port_may_want_it(kafka: SecuredKafka) -> None:
    line = says(tessera("topics", "describe", kafka=kafka.address))

    assert "speaks another TESSERA_SECURITY_PROTOCOL than PLAINTEXT" in line


def test_tls_to_a_plaintext_port_names_the_setting(session_broker: DevelopmentBroker, kafka: SecuredKafka) -> None:
    settings = kafka.settings("auction.auditor")

    line = says(tessera("topics", "describe", kafka=session_broker.bootstrap_servers, **settings))

    assert "speaks another TESSERA_SECURITY_PROTOCOL than SASL_SSL" in line


def test_the_gateway_can_only_write_queries(kafka: SecuredKafka, sold: dict[str, list[Message]]) -> None:
    for topic in (SCORED.name, SETTLED.name, CHARGED.name):
        with pytest.raises(AssertionError, match="TOPIC_AUTHORIZATION_FAILED"):
            produce(kafka.address, [sold[topic][0]], topic, kafka.login("auction.gateway"))

    assert "does not let user auction.gateway read it" in says(kafka.command("auction.gateway", "audit"))


def test_a_consumer_reads_bills_in_a_group_of_its_own(kafka: SecuredKafka, sold: dict[str, list[Message]]) -> None:
    """With the group of README's example: its rights are those of `auction.consumer`, and groups go by its name."""
    (group,) = re.findall(r'"group.id": "([^"]+)"', block("confluent-consumer"))
    login = {**kafka.login("auction.consumer"), "group.id": group}

    with Reader(kafka.address, [CHARGED.name], login=login) as reader:
        produce(kafka.address, [sold[CHARGED.name][0]], CHARGED.name, kafka.login(ADMIN))
        assert len(reader.until(lambda found: bool(found))) == 1
