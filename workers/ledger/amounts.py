"""Amounts of money as text: whole units with six digits, exact in both directions."""

import re

MICROS = 1_000_000
_AMOUNT = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?")


def money(micros: int, currency: str) -> str:
    """`-1.234500 USD`: all six digits, nothing is rounded."""
    sign = "-" if micros < 0 else ""
    return f"{sign}{abs(micros) // MICROS}.{abs(micros) % MICROS:06} {currency}"


def read_amount(text: str) -> int:
    """The micros of an amount such as `0.0015`. ValueError: it is none, or has more than six decimal places."""
    if (found := _AMOUNT.fullmatch(text)) is None:
        raise ValueError(f"{text!r} is no amount: one is written as 12.345678, with at most six decimal places")
    return int(found[1]) * MICROS + int((found[2] or "").ljust(6, "0"))
