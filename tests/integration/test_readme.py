"""Examples of the README and its pages work as they are printed, but for the broker's address and the tool's path."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from infra.readme import TABLES, generated
from schemas.topics import CHARGED, SETTLED
from tests.support.kafka_client import Reader, of
from tests.support.worker_process import environment, worker
from workers.devkafka.jars import fetch_jars, find_java

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TIMEOUT_S = 600  # only what hangs takes so long: on a machine with twenty times its load the proof took 120 s
CONSOLE_TOOLS = "4.2.0"  # of the broker's line; Maven Central has no console tools of 4.2.2


def block(name: str) -> str:
    """The code block behind the mark `name`, which one page has."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    (found,) = re.findall(rf"<!-- test: {name} -->\n```\w*\n(.*?)```", pages, re.DOTALL)
    return str(found)


def run_python(code: str, kafka: str, *arguments: str) -> str:
    code = code.replace("localhost:9092", kafka)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    ).stdout


@pytest.fixture(scope="module")
def stages(topics: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("worker") / "log"
    with worker(["generation", "scoring", "settlement"], topics, log, candidates=4):
        yield topics


@pytest.fixture(scope="session")
def console_producer(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command line of Kafka's own console producer."""
    folder = tmp_path_factory.mktemp("kafka-tools")
    artifact = f"org.apache.kafka:kafka-tools:{CONSOLE_TOOLS}"
    maven = shutil.which("mvn")
    assert maven, "Maven is needed for Kafka's console tools"
    subprocess.run(
        [maven, "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"],
        check=True,
        timeout=600,
    )
    classes = f"{fetch_jars(print)}/*:{folder}/*"
    return [find_java(), "-cp", classes, "org.apache.kafka.tools.ConsoleProducer"]


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_the_readmes_generated_tables_are_current(path: Path) -> None:
    assert path.read_text() == generated(path), "run: python3 infra/readme.py"


@pytest.mark.kafka
def test_the_readmes_console_producer_query_is_answered(stages: str, console_producer: list[str]) -> None:
    # Given the README's two lines: what is echoed, and the tool's arguments
    echoed, tool = block("console-producer").split(" |\n")
    value = re.fullmatch(r"echo '(.*)'", echoed)
    assert value
    arguments = tool.replace("localhost:9092", stages).split()[1:]

    with Reader(stages) as reader:
        subprocess.run([*console_producer, *arguments], input=value[1].encode(), timeout=TIMEOUT_S, check=True)
        (settled,) = of(reader.until(lambda messages: of(messages, SETTLED.name) != []), SETTLED.name)

    assert json.loads(settled.value())["outcome"] == "sold"


@pytest.mark.kafka
def test_the_readmes_python_producer_and_consumer_work(stages: str) -> None:
    with Reader(stages) as reader:
        query_id = run_python(block("confluent-producer"), stages).strip()
        reader.until(lambda messages: any(message.key() == query_id.encode() for message in of(messages, SETTLED.name)))
        bills = [json.loads(message.value()) for message in of(reader.rest(1.0), CHARGED.name)]

    printed = run_python(block("confluent-consumer"), stages).splitlines()

    (bill,) = [bill for bill in bills if bill["query_id"] == query_id]
    line = f"{bill['charge_id']} {bill['advertiser_id']} {bill['charge_micros']} {bill['currency']}"
    assert line in printed
    # And the reply is found by the id that the producer printed, and each bill is booked once
    (settled,) = [
        json.loads(message.value())
        for message in of(reader.messages, SETTLED.name)
        if message.key() == query_id.encode()
    ]
    reply = run_python(block("confluent-reply"), stages, query_id)
    assert reply == f"{settled['reply']}\n{settled['disclosure']}\n"
    assert run_python(block("confluent-booking"), stages).split()[0] == str(len(printed))
    booking = Consumer({"bootstrap.servers": stages, "group.id": "auction.consumer.booking"})
    places = booking.committed([TopicPartition(CHARGED.name, number) for number in range(CHARGED.partitions)], 30)
    booking.close()
    assert sum(max(place.offset, 0) for place in places) >= len(printed)


def test_the_readmes_proof_commands_work(tmp_path: Path) -> None:
    """The three lines one after the other, as a user pastes them; with four candidates a query, not twenty."""
    tessera = f"{sys.executable} -m workers"
    script = "set -e\n" + re.sub(r"^tessera ", f"{tessera} ", block("proof"), flags=re.MULTILINE)

    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**environment("127.0.0.1:1", engine="embedded", candidates=4), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "50 auctions: everything is right" in done.stdout
    assert (tmp_path / "receipt.html").stat().st_size > 10_000
