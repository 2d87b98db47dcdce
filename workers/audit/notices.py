"""Whether each auction was held on terms that the operator had published: a change that nobody announced is found."""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas.terms import NamedModel, TermsPublished
from workers.audit.auction import LoggedAuction
from workers.audit.findings import Check, Finding, Kind, Tally

#: So long the terms before go on to be right: workers are restarted one after the other, and auctions are under way.
TRANSITION = timedelta(hours=1)
SHOWN_DIGITS = 12  # of a model's SHA-256 in the terms of an auction


@dataclass
class Notices:
    """Told of notices and of auctions in the order of the log: a notice counts only for what is scored after it."""

    tally: Tally
    _published: list[tuple[datetime, int, TermsPublished]] = field(default_factory=list)  # by since when, then order

    def published(self, said: TermsPublished, recorded_at: datetime | None) -> None:
        """A notice; `recorded_at`: when the broker took it."""
        since = said.in_force_from if recorded_at is None else max(said.in_force_from, recorded_at)
        insort(self._published, (since, len(self._published), said), key=lambda one: one[:2])

    def compare(self, auction: LoggedAuction, drawn_by: str | None) -> None:
        """An auction; `drawn_by`: the algorithm of its reply's draw, None without one.

        Where no notice was ever published nothing is held to any; neither is what was scored before the first.
        """
        if not self._published:
            return
        if auction.scored_at is None:
            self.tally.unverifiable[Check.TERMS] += 1
        elif not (allowed := list(self._allowed(auction.scored_at))):
            self.tally.notes["before_terms"] += 1
        else:
            self.tally.checked[Check.TERMS] += 1
            breaks = [list(_breaks(auction, drawn_by, one)) for one in allowed]
            if all(breaks):
                self._find(auction, breaks[0])

    def _allowed(self, at: datetime) -> Iterator[TermsPublished]:
        """The terms in force, and those before while they may still be used."""
        begun = [(since, said) for since, _, said in self._published if since <= at]
        for place in range(len(begun) - 1, -1, -1):
            since, said = begun[place]
            yield said
            if since + TRANSITION <= at:
                return

    def _find(self, auction: LoggedAuction, breaks: list[tuple[str, str, str]]) -> None:
        for what, logged, right in breaks:
            said = f"{what}, against the operator's terms in force"
            self.tally.find(Finding(Kind.UNANNOUNCED_TERMS, auction.query_id, auction.auction_id, said, logged, right))


def _breaks(auction: LoggedAuction, drawn_by: str | None, said: TermsPublished) -> Iterator[tuple[str, str, str]]:
    """In what an auction is not held on these terms: what, logged, right."""
    held, terms = bool(auction.parties), auction.terms
    pairs = [(name, getattr(terms, name), getattr(said, name)) for name in ("tau_micros_per_nat", "currency")]
    pairs.append(("payment_rule", terms.payment_rule, said.payment_rule))
    if drawn_by is not None:
        pairs.append(("draw", drawn_by, said.draw))
    yield from ((what, str(logged), str(right)) for what, logged, right in pairs if logged != right)
    for what, size in (("candidates", len(auction.texts)), ("max_tokens", auction.max_tokens)):
        least, most = getattr(said, f"{what}_least"), getattr(said, f"{what}_most")
        if size > most or (held and size < least):
            yield what, str(size), f"{least} to {most}"
    if said.models:
        known = {_shown(one) for one in said.models}
        yield from (("model", one, ", ".join(sorted(known))) for one in terms.models if one not in known)


def _shown(model: NamedModel) -> str:
    """As the terms of an auction name it."""
    return f"{model.name}@{model.model_sha256[:SHOWN_DIGITS]}"
