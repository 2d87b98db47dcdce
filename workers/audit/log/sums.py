"""The sums of one auction: what its reply says in all, against what its charges say one by one."""

from schemas.payload import MAX_ADVERTISERS
from workers.audit.log.invariants import Invariant, Report
from workers.audit.log.query import TrackedQuery

LARGEST_MICROS = MAX_ADVERTISERS * 10**15


def check_sums(report: Report, tracked: TrackedQuery) -> None:
    """Each currency for itself: only the reply's may have charges, and they add up to the reply's total."""
    if tracked.settled is None:
        return
    sums: dict[str, int] = {tracked.settled.currency: 0}
    for charge_id, (micros, currency) in tracked.charges.items():
        sums[currency] = sums.get(currency, 0) + micros
        if not 0 <= micros <= LARGEST_MICROS:
            report.find(Invariant.SUMS_AGREE, f"{tracked}: charge {charge_id} is {micros} micros")
    report.checked[Invariant.SUMS_AGREE] += 1
    for currency, micros in sums.items():
        report.counts[Invariant.SUMS_AGREE][f"micros {currency}"] += micros
        said = tracked.settled.total_micros if currency == tracked.settled.currency else 0
        if micros != said:
            report.find(
                Invariant.SUMS_AGREE, f"{tracked}: its reply says {said} micros {currency}, its charges are {micros}"
            )
