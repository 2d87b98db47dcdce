"""What can be wrong with a log: kinds of discrepancy, the invariant each belongs to, and how often each was met."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum, unique

from workers.audit.terms import TermsByDay


@unique
class Check(StrEnum):
    """What must hold; one row of the verdict each."""

    TERMINALS = "one reply for each auction"
    LINEAGE = "auctions are those of their queries"
    EVIDENCE = "digests and keys fit the events"
    REPLIES = "replies follow from the scored event"
    ALLOCATION = "odds and weights"
    DRAWS = "draws repeat"
    COMMITMENTS = "keys are those committed to"
    SEEDS = "seeds derive from their key"
    SEED_COMMITMENTS = "keys of seeds are committed to"
    BILLS = "one bill for each sponsor"
    CHARGES = "charges to the micro"
    TERMS = "terms of the bills"
    DISCLOSURE = "disclosed odds"
    PROPERTIES = "ranges, bounds, participation"
    CREDITS = "credits are of their bills"
    RESAMPLED = "replies drawn again (--resample)"
    RESCORED = "numbers computed again (--rescore)"


@unique
class Kind(StrEnum):
    """One kind of discrepancy; the value is its name in `--json`. Each belongs to the invariant below its comment."""

    # TERMINALS
    MISSING_TERMINAL = "missing_terminal"  # a scored event without a settled one
    SECOND_TERMINAL = "second_terminal"  # the auction has been settled before
    UNKNOWN_AUCTION = "unknown_auction"  # settled, but no scored event of it is in the log
    SECOND_SCORED = "second_scored"  # settled from a later scored event of the auction than the first
    REUSED_QUERY = "reused_query"  # settled, and so was another auction of the same query id
    DUPLICATE_OF_NOTHING = "duplicate_of_nothing"  # refused as DUPLICATE_QUERY, and the query id has no reply
    UNREADABLE_RECORD = "unreadable_record"  # on a topic that only the stages write
    # LINEAGE, by the names that a verification uses
    OTHER_QUESTION = "other_question"  # than was asked
    NO_CONSENT = "no_consent"  # to advertising, and advertisers take part
    UNKNOWN_BIDDER = "unknown_bidder"  # takes part, and is not in the query
    OTHER_BID = "other_bid"  # than the advertiser declared in the query
    OTHER_CONSENT = "other_consent"  # or another GPP or TCF string
    OTHER_QUERY = "other_query"  # stands where the auction says that its own does
    BLOCKED_CATEGORY = "blocked_category"  # of an advertiser that takes part
    OTHER_CANDIDATES = "other_candidates"  # than were generated, or another field is
    # EVIDENCE
    OTHER_SCORED_EVENT = "other_scored_event"  # the digest is not that of the scored event in the log
    OTHER_SETTLED_EVENT = "other_settled_event"  # the digest is not that of the settled event in the log
    WRONG_KEY = "wrong_key"  # the record is keyed by another query, advertiser or day than its event is of
    # REPLIES
    WRONG_OUTCOME = "wrong_outcome"
    WRONG_REPLY = "wrong_reply"  # the text is not that of the chosen candidate, or of the fallback
    WRONG_FIELD = "wrong_field"  # a field that is copied from the scored event
    WRONG_ABSTENTIONS = "wrong_abstentions"
    # ALLOCATION
    WRONG_PROBABILITIES = "wrong_probabilities"
    WRONG_WEIGHTS = "wrong_weights"
    WRONG_SAMPLE_SIZE = "wrong_sample_size"
    # DRAWS
    WRONG_U = "wrong_u"  # not the HMAC under the epoch's key
    WRONG_CHOICE = "wrong_choice"  # not the candidate that weights and u pick
    OLD_DRAW = "old_draw"  # by draw-v1, which can be ground, though the scored event names its query's record
    WRONG_EPOCH = "wrong_epoch"  # not the epoch that the scored event names
    # COMMITMENTS
    BROKEN_COMMITMENT = "broken_commitment"  # drawn with another key than the epoch's first commitment
    NO_COMMITMENT = "no_commitment"
    LATE_COMMITMENT = "late_commitment"  # committed to after the epoch's first reply
    SECOND_COMMITMENT = "second_commitment"  # two different ones for an epoch
    FALSE_REVEAL = "false_reveal"  # the key revealed is not the one committed to
    DRAW_AFTER_REVEAL = "draw_after_reveal"  # whoever knew the key could foretell it
    UNCOMMITTED_DRAW = "uncommitted_draw"  # under no day's key although days are committed to
    # SEEDS
    WRONG_SEEDS = "wrong_seeds"  # not those that the key of the day gives
    WRONG_SEED_DAY = "wrong_seed_day"  # not a day between the query and its scored event
    # SEED_COMMITMENTS
    BROKEN_SEED_COMMITMENT = "broken_seed_commitment"  # from another key than any that was committed to before
    MANY_SEED_KEYS = "many_seed_keys"  # a day with so many keys that candidates could be chosen among
    # BILLS
    MISSING_CHARGE = "missing_charge"
    DOUBLE_CHARGE = "double_charge"  # the same charge id twice
    EXTRA_CHARGE = "extra_charge"  # nobody who was to pay, or an auction that is not in the log
    WRONG_DEBTOR = "wrong_debtor"  # the charge id belongs to another advertiser
    WRONG_CHARGE_IDS = "wrong_charge_ids"  # the reply's list of bills
    # CHARGES
    WRONG_CHARGE = "wrong_charge"
    WRONG_TOTAL = "wrong_total"
    # TERMS
    WRONG_TAU = "wrong_tau"
    WRONG_CURRENCY = "wrong_currency"
    WRONG_RULE = "wrong_rule"
    WRONG_BOUND = "wrong_bound"
    UNANNOUNCED_TERMS = "unannounced_terms"  # other than a notice in force says, where any was ever published
    WRONG_BILL_FIELD = "wrong_bill_field"  # name, query, link group, time of submission
    # DISCLOSURE
    WRONG_SPONSORS = "wrong_sponsors"
    WRONG_ODDS = "wrong_odds"
    WRONG_DISCLOSURE = "wrong_disclosure"  # the sentence for the reader does not say the odds
    # PROPERTIES
    ABOVE_BOUND = "above_bound"
    REWARD_OUT_OF_RANGE = "reward_out_of_range"
    WORSE_OFF = "worse_off"  # the charge is more than what taking part was worth
    INDIFFERENT_CHARGED = "indifferent_charged"
    # CREDITS
    UNKNOWN_CHARGE = "unknown_charge"  # a credit of a charge that is not in the log
    DOUBLE_CREDIT = "double_credit"  # the same credit id twice
    WRONG_CREDIT_ID = "wrong_credit_id"  # it does not follow from the charge and the key
    WRONG_CREDIT_FIELD = "wrong_credit_field"  # a field that is copied from the bill, or its digest
    ABOVE_CHARGE = "above_charge"  # all credits of a charge are more than it
    # RESAMPLED
    OTHER_CANDIDATE = "other_candidate"  # the model that the event names draws another one from the same seeds
    OTHER_PROMPT = "other_prompt"  # the model was not asked what question and advertisers give
    # RESCORED
    WRONG_LOG_Q = "wrong_log_q"
    WRONG_LOG_REF = "wrong_log_ref"
    WRONG_REWARD = "wrong_reward"


_FIRST_KINDS = {
    Kind.MISSING_TERMINAL: Check.TERMINALS,
    Kind.OTHER_QUESTION: Check.LINEAGE,
    Kind.OTHER_SCORED_EVENT: Check.EVIDENCE,
    Kind.WRONG_OUTCOME: Check.REPLIES,
    Kind.WRONG_PROBABILITIES: Check.ALLOCATION,
    Kind.WRONG_U: Check.DRAWS,
    Kind.BROKEN_COMMITMENT: Check.COMMITMENTS,
    Kind.WRONG_SEEDS: Check.SEEDS,
    Kind.BROKEN_SEED_COMMITMENT: Check.SEED_COMMITMENTS,
    Kind.MISSING_CHARGE: Check.BILLS,
    Kind.WRONG_CHARGE: Check.CHARGES,
    Kind.WRONG_TAU: Check.TERMS,
    Kind.WRONG_SPONSORS: Check.DISCLOSURE,
    Kind.ABOVE_BOUND: Check.PROPERTIES,
    Kind.UNKNOWN_CHARGE: Check.CREDITS,
    Kind.OTHER_CANDIDATE: Check.RESAMPLED,
    Kind.WRONG_LOG_Q: Check.RESCORED,
}


def _invariants() -> dict[Kind, Check]:
    """Kinds stand in the order of the invariants: each belongs to the last one that began."""
    found, current = {}, Check.TERMINALS
    for kind in Kind:
        current = _FIRST_KINDS.get(kind, current)
        found[kind] = current
    return found


CHECK_OF = _invariants()


@dataclass(frozen=True, slots=True)
class Finding:
    """One discrepancy: what was logged, and what is right."""

    kind: Kind
    query_id: str
    auction_id: str
    what: str
    logged: str
    right: str
    advertiser_id: str | None = None

    @property
    def sentence(self) -> str:
        who = f", advertiser {self.advertiser_id}" if self.advertiser_id else ""
        place = f"query {self.query_id}{who}" if self.query_id else "log"
        return f"{place}: {self.what}: logged {self.logged}, right {self.right}"


@dataclass
class Tally:
    """Counts by invariant and kind. `keep` is given every finding as it is met."""

    keep: Callable[[Finding], None]
    checked: Counter[Check] = field(default_factory=Counter)
    wrong: Counter[Check] = field(default_factory=Counter)
    unverifiable: Counter[Check] = field(default_factory=Counter)
    kinds: Counter[Kind] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    terms: TermsByDay = field(default_factory=TermsByDay)

    def find(self, finding: Finding) -> None:
        """A discrepancy; whoever reports it counts the check itself."""
        self.kinds[finding.kind] += 1
        self.wrong[CHECK_OF[finding.kind]] += 1
        self.keep(finding)

    def forget(self, finding: Finding) -> None:
        """A discrepancy that was counted twice."""
        self.kinds[finding.kind] -= 1
        self.wrong[CHECK_OF[finding.kind]] -= 1

    @property
    def discrepancies(self) -> int:
        return self.kinds.total()
