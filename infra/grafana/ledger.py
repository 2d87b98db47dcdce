"""The dashboard "Ledger": what is owed, and whether the books and the keys of the draws are in order."""

from panels import Board, Panel, Row, Variable, rate, total

CURRENCY = 'currency=~"$currency"'  # no instance: the ledger's is another than settlement's
CHARGED, OWED = "auction_ledger_charged_micros", "auction_ledger_owed_micros"


def in_units(family: str) -> str:
    """PromQL: micros of the ledger as units of their currency."""
    return f"max by (currency) ({total(family, CURRENCY)}) / 1e6"


MONEY = Row(
    "Bills and credits, told by tessera balance --metrics-port",
    (
        Panel(
            "Billed",
            "Sum of all bills on the topic, each counted once, in units of the currency: exact.",
            "short",
            ((in_units(CHARGED), "{{currency}}"),),
            is_number=True,
        ),
        Panel(
            "Owed",
            "What all advertisers owe: bills less credits, in units of the currency.",
            "short",
            ((in_units(OWED), "{{currency}}"),),
            is_number=True,
        ),
        Panel(
            "Accounts",
            "Advertisers that were billed.",
            "short",
            ((f"max by (currency) ({total('auction_ledger_accounts', CURRENCY)})", "{{currency}}"),),
            is_number=True,
        ),
    ),
)

BOOKS = Row(
    "Are the books in order?",
    (
        Panel(
            "Trial balance, micros",
            "All debits less all credits: 0, or something was counted on one side only.",
            "short",
            ((f"max by (currency) ({total('auction_ledger_trial_balance_micros', CURRENCY)})", "{{currency}}"),),
            runbook="AuctionLedgerOutOfBalance",
        ),
        Panel(
            "Twice, or unreadable",
            "Bills and credits that came twice (they are counted once), and records that nobody can read.",
            "short",
            (
                ("max(auction_ledger_repeated)", "twice"),
                ("max(auction_ledger_unreadable)", "unreadable"),
            ),
            runbook="AuctionLedgerOutOfBalance",
        ),
        Panel(
            "Revenue per minute, two ways",
            "What settlement told of its commits, and what stands on the topic, in units of the currency.",
            "short",
            (
                (f"60 / 1e6 * {rate('auction_revenue_micros_total', 'currency', where=CURRENCY)}", "told {{currency}}"),
                (
                    f"60 / 1e6 * max by (currency) (deriv({total(CHARGED, CURRENCY)}[$__rate_interval]))",
                    "billed {{currency}}",
                ),
            ),
            runbook="AuctionRevenueDiffers",
        ),
        Panel(
            "Read to the end",
            "Since the ledger had read all bills and credits.",
            "s",
            (("time() - max(auction_ledger_read_timestamp_seconds)", "ago"),),
            runbook="AuctionLedgerBehind",
        ),
        Panel(
            "Draw keys due",
            "Since a day's key could have been revealed, of the oldest that is not; 0: none is due.",
            "s",
            (("max(auction_draw_keys_overdue_seconds)", "oldest"),),
            runbook="AuctionDrawKeysNotRevealed",
        ),
    ),
)

LEDGER = Board(
    "ledger",
    "Tessera: ledger",
    "What advertisers owe, and whether the books and the keys of the draws are in order.",
    (Variable("currency", CHARGED),),
    (MONEY, BOOKS),
)
