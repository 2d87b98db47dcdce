"""An audit from its first entry to its verdict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from schemas.auction import CandidatesScored
from schemas.billing import AdvertiserCharged, AdvertiserCredited
from schemas.draw import DrawCommitment
from schemas.terms import TermsPublished
from schemas.topics import SCORED, topic_of
from workers.audit.assembly import Assembly
from workers.audit.completeness import Completeness
from workers.audit.credits import CreditCheck
from workers.audit.draw_keys import Keys
from workers.audit.entries import SOURCES, LogEntry
from workers.audit.findings import Check, Finding, Kind, Tally
from workers.audit.notices import Notices
from workers.audit.seeds import SeedKeys, seed_secret
from workers.audit.sources import SourceCheck


@dataclass
class Audit:
    """Entries in, findings out as they are met; the counts are in `tally`.

    `secrets`: of the draw, if known; `seed_secrets`: of the seeds, if they do not derive from those. `completeness`
    None: a file, whole in itself; else the log is Kafka's.
    `credits_first`: every credit is given before the first bill.
    """

    keep: Callable[[Finding], None]
    secrets: Sequence[bytes] = ()
    completeness: Completeness | None = None
    credits_first: bool = False
    seed_secrets: Sequence[bytes] = ()
    tally: Tally = field(init=False)
    _keys: Keys = field(init=False)
    _notices: Notices = field(init=False)
    _assembly: Assembly = field(init=False)
    _credits: CreditCheck = field(init=False)
    _seeds: SeedKeys = field(init=False)
    _sources: SourceCheck = field(init=False)

    def __post_init__(self) -> None:
        self.tally = Tally(self.keep)
        self._keys = Keys(self.tally, self.secrets, topic_read=self.completeness is not None)
        seed_secrets = [*self.seed_secrets, *map(seed_secret, self.secrets)]
        self._seeds = SeedKeys(self.tally, seed_secrets)
        self._notices = Notices(self.tally)
        self._sources = SourceCheck(self.tally)
        self._assembly = Assembly(self.tally, self._keys, self._notices, self.completeness)
        billed_from = self.completeness.billed_from if self.completeness else 0
        self._credits = CreditCheck(self.tally, self.credits_first, billed_from)

    def add(self, entry: LogEntry) -> None:
        """The next entry. What scored events follow from is compared with those that come after it."""
        if entry.data.event_type in SOURCES:
            self._sources.add(entry)
            return
        self._check_key(entry)
        if isinstance(entry.data, DrawCommitment):
            self._keys.committed(entry.data, entry.at, false_reveal=entry.false_reveal)
            self._seeds.committed(entry.data, entry.at)
        elif isinstance(entry.data, TermsPublished):
            self._notices.published(entry.data, entry.recorded_at)
        elif isinstance(entry.data, AdvertiserCredited):
            self._credits.credited(entry.data)
        else:
            if isinstance(entry.data, AdvertiserCharged):
                self._credits.billed(entry.data, entry.sha256)
            elif isinstance(entry.data, CandidatesScored):
                self._seeds.used(entry.data, entry.at, entry.recorded_at)
                if entry.refusal is None:
                    self._sources.compare(entry.data)
            self._assembly.add(entry)

    def unreadable(self, where: str, why: str) -> None:
        """A record that only the stages could have written, and that is no event of theirs."""
        self.tally.find(Finding(Kind.UNREADABLE_RECORD, "", "", f"the record at {where}", why, "an event"))

    def _check_key(self, entry: LogEntry) -> None:
        """Who reads by key must find the event. A scored one with a wrong key is refused by settlement."""
        topic, data = topic_of(entry.data), entry.data
        if topic is SCORED or entry.key is None or entry.key == (right := str(getattr(data, topic.key))):
            return
        ids = getattr(data, "query_id", ""), getattr(data, "auction_id", "")
        self.tally.checked[Check.EVIDENCE] += 1
        self.tally.find(Finding(Kind.WRONG_KEY, *ids, f"the key of a record of {topic.name}", entry.key, right))

    @property
    def open_auctions(self) -> int:
        """How many auctions are waiting for more of their events; all that memory grows with but keys of days."""
        return self._assembly.open_auctions

    @property
    def scored_since(self) -> int | None:
        """The moment of the oldest scored event that waits for its reply, before `finish`; None: there is none."""
        return self._assembly.scored_since

    def finish(self) -> Tally:
        """What was still open is judged; nothing can be added afterwards."""
        self._assembly.finish()
        self._keys.finish()
        self._seeds.finish()
        self._credits.finish()
        return self.tally

    def close(self) -> None:
        """Let go of the temporary files."""
        self._keys.close()
        self._seeds.close()
        self._sources.close()
        self._assembly.close()
