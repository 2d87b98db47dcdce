"""A Kafka, or a setting, with which no stage can work: `run` ends with 2 and one line that names what to change."""

import re

import pytest

from schemas.topics import GENERATED
from tests.support.strict_broker import StrictBroker
from tests.support.topic_settings import altered
from tests.support.worker_process import tessera

ORDINARY = re.compile(r"\S+ info: stage generation: (Kafka gave this process|this process lets go of) partitions ")


def refusal(kafka: str, command: tuple[str, ...] = ("run", "generation"), **settings: object) -> str:
    """The line that says why a stage does not start; before it announcements, and the log in its ordinary course."""
    ended = tessera(*command, kafka=kafka, **settings)
    assert ended.returncode == 2, ended.stderr
    said = ended.stderr.decode().splitlines()
    assert [line.startswith("tessera: ") for line in said] == [False] * (len(said) - 1) + [True], said
    told = [line for line in said if not ORDINARY.match(line)]
    assert "Traceback" not in ended.stderr.decode() and len(told) <= 3, said
    return said[-1]


@pytest.mark.kafka
def test_a_session_that_the_brokers_do_not_allow_names_both_settings(strict: StrictBroker) -> None:
    said = refusal(strict.bootstrap_servers, session_timeout_s=3)
    assert "TESSERA_SESSION_TIMEOUT_S is 3" in said and "group.min.session.timeout.ms" in said


@pytest.mark.kafka
def test_a_transaction_that_the_brokers_do_not_allow_names_their_setting(strict: StrictBroker) -> None:
    said = refusal(strict.bootstrap_servers, session_timeout_s=10)
    assert "transaction.max.timeout.ms is below the 20000 ms" in said and "raise it" in said


@pytest.mark.kafka
def test_an_output_topic_that_takes_no_large_events_is_named_with_the_command(strict: StrictBroker) -> None:
    with altered(strict.bootstrap_servers, GENERATED.name, {"max.message.bytes": "100000"}):
        said = refusal(strict.bootstrap_servers)
    assert f"topic {GENERATED.name} takes records of at most 100000 bytes (max.message.bytes)" in said
    assert f"--entity-name {GENERATED.name} --add-config max.message.bytes={GENERATED.max_message_bytes}" in said


@pytest.mark.kafka
@pytest.mark.parametrize("command", [("run", "generation"), ("doctor", "--kafka")])
def test_an_advertised_listener_that_nobody_answers_is_named(strict: StrictBroker, command: tuple[str, ...]) -> None:
    said = refusal(strict.lost_servers, command)
    assert strict.lost_servers in said and strict.nobodys_address in said and "advertised.listeners" in said


def test_an_invalid_broker_address_names_the_setting() -> None:
    assert refusal("host:1/path").startswith("tessera: TESSERA_BOOTSTRAP_SERVERS: 'host:1/path' is no address")
