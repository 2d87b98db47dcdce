"""Metrics of the ledger, for Prometheus: whether the books are in balance, and what they say."""

import time

from prometheus_client import CollectorRegistry, Gauge, start_http_server

from workers.ledger.book import Book


class LedgerMetrics:
    """Set after each reading; amounts are micros, by currency."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        by_currency = ("currency",)
        self._trial_balance = self._gauge(
            "auction_ledger_trial_balance_micros",
            "All debits less all credits: 0, or a side is not whole.",
            by_currency,
        )
        self._owed = self._gauge("auction_ledger_owed_micros", "What all advertisers owe.", by_currency)
        self._charged = self._gauge("auction_ledger_charged_micros", "Sum of all bills, each once.", by_currency)
        self._revenue = self._gauge("auction_ledger_revenue_micros", "The platform's revenue.", by_currency)
        self._accounts = self._gauge("auction_ledger_accounts", "Advertisers that have an account.", by_currency)
        self._repeated = self._gauge("auction_ledger_repeated", "Bills and credits that came twice, counted once.")
        self._unreadable = self._gauge("auction_ledger_unreadable", "Records that nobody can read, not counted.")
        self._read_at = self._gauge("auction_ledger_read_timestamp_seconds", "When the topics were read to their end.")

    def serve(self, host: str, port: int) -> int:
        """Answer /metrics in a thread of its own; the port, which is a free one for 0. OSError: it cannot be had."""
        server, _ = start_http_server(port, host, self.registry)
        return int(server.server_port)

    def read(self, book: Book, unreadable: int) -> None:
        """The topics are read to their end."""
        owed = dict.fromkeys(book.revenue_micros, 0)
        accounts, charged = dict(owed), dict(owed)
        for account in book.accounts.values():
            owed[account.currency] += account.balance_micros
            charged[account.currency] += account.charged_micros
            accounts[account.currency] += 1
        for currency, difference in book.trial_balance().items():
            self._trial_balance.labels(currency).set(difference)
            self._owed.labels(currency).set(owed[currency])
            self._charged.labels(currency).set(charged[currency])
            self._revenue.labels(currency).set(book.revenue_micros[currency])
            self._accounts.labels(currency).set(accounts[currency])
        self._repeated.set(book.repeated)
        self._unreadable.set(unreadable)
        self._read_at.set(time.time())

    def _gauge(self, name: str, says: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, says, labels, registry=self.registry)
