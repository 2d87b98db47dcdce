"""`tessera credit` on a real Kafka: once for each key, never above the charge whoever else issues one, audited."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime

import pytest

from schemas.billing import AdvertiserCharged
from schemas.envelope import Event
from schemas.lines import read_event
from schemas.topics import CHARGED, CREDITED
from tests.support.kafka_client import Reader, of
from tests.support.worker_process import environment, tessera
from workers.cli.credit import TRANSACTIONAL_ID
from workers.errors import BrokerError
from workers.ledger.credits import Correction, issue
from workers.settings import Settings
from workers.stream.connection.clients import Clients
from workers.stream.exclusive_writer import exclusive_writer

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def bills(topics: str) -> list[Event[AdvertiserCharged]]:
    """The bills above zero of some auctions that were held."""
    done = tessera("demo", "--kafka", "--json", "--limit", "3", kafka=topics, engine="embedded")
    assert done.returncode == 0, done.stderr
    events = [read_event(line, CHARGED) for line in done.stdout.splitlines()]
    return [event for event in events if event is not None and event.data.charge_micros > 2]  # type: ignore[attr-defined, misc]


def credited(reader: Reader, bill: Event[AdvertiserCharged]) -> list[int]:
    values = [json.loads(message.value()) for message in of(reader.rest(1.0), CREDITED.name)]
    return [one["credit_micros"] for one in values if one["charge_id"] == bill.data.charge_id]


async def test_a_charge_is_credited_once_for_a_key(topics: str, bills: list[Event[AdvertiserCharged]]) -> None:
    bill = bills[0]
    charge = bill.data.charge_id
    words = ("credit", charge, "--amount", "0.000001", "--reason", "shown to a test user")
    whose = ("--advertiser", bill.data.advertiser_id)
    with Reader(topics, [CREDITED.name]) as reader:
        dry, asked, first, again, more, too_much = [
            await asyncio.to_thread(tessera, *words, *rest, kafka=topics)
            for rest in (
                ["--dry-run", *whose],
                [],  # nobody says yes
                ["--yes", "--json"],
                ["--yes"],
                ["--yes", "--key", "second", *whose],
                ["--yes", "--key", "third", "--amount", "1", *whose],
            )
        ]

        assert b"would be credited" in dry.stdout
        assert asked.returncode != 0 and b"credit 0.000001 USD to" in asked.stderr
        assert json.loads(first.stdout)["data"]["credit_micros"] == 1
        assert b"issued before: nothing is credited a second time" in again.stdout
        assert more.returncode == 0, more.stderr
        assert too_much.returncode == 2 and b"of which 0.000002 USD were credited before" in too_much.stderr
        assert credited(reader, bill) == [1, 1]
    done = await asyncio.to_thread(tessera, "audit", "--json", "--grace", "0", kafka=topics)
    *findings, totals = [json.loads(line) for line in done.stdout.splitlines()]
    assert totals["invariants"]["credits"]["checked"] >= 2
    assert [one for one in findings if one["invariant"] == "credits"] == []


async def test_of_two_that_issue_at_the_same_time_the_first_to_begin_writes_nothing(
    topics: str, bills: list[Event[AdvertiserCharged]]
) -> None:
    """Both have read that nothing was credited; together they would take back more than the charge."""
    bill = bills[1]
    clients = Clients(Settings.read(bootstrap_servers=topics))
    one, other = (issue(bill, (), Correction(None, "twice", key), datetime.now(UTC)) for key in ("one", "other"))
    assert one is not None and other is not None
    with Reader(topics, [CREDITED.name]) as reader:
        with pytest.raises(BrokerError, match="another writer took its place"):
            async with exclusive_writer(clients, TRANSACTIONAL_ID) as slow:
                async with exclusive_writer(clients, TRANSACTIONAL_ID) as quick:
                    await quick.publish(other.to_record())
                await slow.publish(one.to_record())

        assert credited(reader, bill) == [bill.data.charge_micros]


@pytest.mark.usefixtures("bills")
def test_prometheus_is_told_the_trial_balance(topics: str) -> None:
    command = [sys.executable, "-m", "workers", "balance", "--metrics-port", "0"]
    with subprocess.Popen(command, env=environment(topics), stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            said = re.search(rb"http\S+", process.stderr.readline())
            assert said is not None
            deadline, text = time.monotonic() + 60, ""
            while "trial_balance_micros{" not in text:
                assert time.monotonic() < deadline and process.poll() is None
                text = urllib.request.urlopen(said[0].decode(), timeout=10).read().decode()  # noqa: S310  # our own
                time.sleep(0.1)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert 'auction_ledger_trial_balance_micros{currency="USD"} 0.0' in text
    (owed,) = re.findall(r'owed_micros{currency="USD"} (\S+)', text)
    assert float(owed) > 0
