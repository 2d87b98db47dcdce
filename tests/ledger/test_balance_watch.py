"""The ledger's metrics: what is new is counted, each bill once, and what is wrong with the topics is told."""

from dataclasses import replace

from prometheus_client import generate_latest

from schemas.topics import CHARGED, CREDITED
from tests.sinks.memory_log import RECORDS, Log
from tests.support.forked_command import tessera
from workers.cli.balance_watch import LedgerWatch
from workers.ledger.account import Account
from workers.ledger.book import Book
from workers.operations.ledger_metrics import LedgerMetrics

ENTRIES = [record for record in RECORDS if record.topic in (CHARGED.name, CREDITED.name)]


def shown(metrics: LedgerMetrics) -> dict[str, float]:
    lines = generate_latest(metrics.registry).decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


async def test_what_is_new_is_counted_and_the_books_are_in_balance() -> None:
    watch = LedgerWatch(Log(ENTRIES[:5]), LedgerMetrics())
    await watch.read()
    first = shown(watch.metrics)
    watch.source = Log(ENTRIES)

    await watch.read()
    await watch.read()  # nothing is new

    after = shown(watch.metrics)
    owed = sum(account.balance_micros for account in watch.book.accounts.values())
    assert (
        after['auction_ledger_owed_micros{currency="USD"}']
        == owed
        > first['auction_ledger_owed_micros{currency="USD"}']
    )
    assert after['auction_ledger_revenue_micros{currency="USD"}'] == owed
    charged = sum(account.charged_micros for account in watch.book.accounts.values())
    assert after['auction_ledger_charged_micros{currency="USD"}'] == charged > owed  # some was credited
    assert after['auction_ledger_accounts{currency="USD"}'] == len(watch.book.accounts)
    assert after['auction_ledger_trial_balance_micros{currency="USD"}'] == 0
    assert after["auction_ledger_repeated"] == after["auction_ledger_unreadable"] == 0


async def test_a_bill_that_came_twice_and_one_that_nobody_can_read_are_told() -> None:
    bill = next(record for record in ENTRIES if record.topic == CHARGED.name)
    again = replace(bill, offset=1_000)
    spoiled = replace(bill, offset=1_001, value=b"{")
    watch = LedgerWatch(Log([*ENTRIES, again, spoiled]), LedgerMetrics())

    await watch.read()

    told = shown(watch.metrics)
    assert (told["auction_ledger_repeated"], told["auction_ledger_unreadable"]) == (1, 1)


def test_books_that_are_not_in_balance_are_told() -> None:
    book, metrics = Book(), LedgerMetrics()
    book.accounts["a", "USD"] = Account("a", "USD", charged_micros=7)
    book.revenue_micros["USD"] = 5

    metrics.read(book, 0)

    assert shown(metrics)['auction_ledger_trial_balance_micros{currency="USD"}'] == 2


def test_the_metrics_are_of_all_accounts() -> None:
    done = tessera("balance", "ovennest", "--metrics-port", "0")

    assert done.returncode == 2 and b"counts all accounts" in done.stderr
