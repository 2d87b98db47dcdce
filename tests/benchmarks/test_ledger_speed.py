"""How many charges a second the ledger counts, on one core."""

import random
from hashlib import sha256
from time import process_time

from tests.benchmarks.report import Scale
from workers.ledger.book import Book
from workers.ledger.entries import LedgerEntry

AIM = 100_000  # charges a second
ACCOUNTS = 1_000


def charges(count: int) -> list[LedgerEntry]:
    """In the order of their topic, of advertisers of very different sizes."""
    rng = random.Random(1)
    return [
        LedgerEntry(
            "charge",
            sha256(str(number).encode()).hexdigest(),
            f"advertiser-{int(rng.paretovariate(0.3)) % ACCOUNTS}",
            "USD",
            rng.randrange(10**6),
            number,
        )
        for number in range(count)
    ]


def test_fold(scale: Scale) -> None:
    entries, seconds = charges(scale(500_000, 2_000)), []
    for _ in range(scale(5, 1)):
        book, began = Book(), process_time()
        for entry in entries:
            book.add(entry)
        seconds.append(process_time() - began)
    assert book.trial_balance() == {"USD": 0}
    rate = len(entries) / min(seconds)
    scale.report("ledger-fold", [{"accounts": len(book.accounts), "charges/s per core": rate, "aim": AIM}])
    assert rate >= scale(AIM, 0)
