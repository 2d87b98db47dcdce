"""What the models of an auction were asked, and which models those were, from its scored event."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256

from schemas import auction
from schemas.auction import Candidate, CandidatesScored, PromptVersion
from workers.audit.findings import Check, Finding, Kind, Tally
from workers.engines.base import Engine, Prompt, Reply, Scorer
from workers.engines.prompts import PAPER, Prompts
from workers.errors import EngineRejected


class CannotCheck(Exception):
    """An auction that this model can say nothing about; the sentence says why, and what to do."""


@dataclass(frozen=True, slots=True)
class AuditModels:
    """The auditor's models, and the words they are asked in. `proposal`: what candidates are drawn from, if another."""

    reference: Engine
    proposal: Engine | None = None
    prompts: Prompts = PAPER

    def named(self, wanted: auction.Engine) -> Engine:
        """The one that an event names. CannotCheck: none is, so that its seeds give other replies."""
        for engine in filter(None, (self.reference, self.proposal)):
            if engine.identity.in_event() == wanted:
                return engine
        raise CannotCheck(
            f"drawn by {shown(wanted)}, and the engine given is {shown(self.reference.identity.in_event())}: seeds "
            "give the same replies only in the same release on the same weights; open that one with --engine"
        )

    def require_words(self, *said: PromptVersion | None) -> None:
        """CannotCheck: an event names other words; None stands for the paper's."""
        for words in (one or PAPER.used for one in said):
            if words.sha256 != self.prompts.used.sha256:
                raise CannotCheck(
                    f"asked in the words {words.version} ({words.sha256[:12]}), and those given are "
                    f"{self.prompts.version} ({self.prompts.used.sha256[:12]}): give theirs with TESSERA_PROMPTS_FILE"
                )


@dataclass
class ModelTally:
    """Findings go to `tally`; `reasons` counts why auctions could not be checked, `remarks` what else is to be said."""

    tally: Tally
    reasons: dict[Check, dict[str, int]] = field(default_factory=dict)
    remarks: dict[str, int] = field(default_factory=dict)

    def cannot(self, check: Check, why: str) -> None:
        self.tally.unverifiable[check] += 1
        counted = self.reasons.setdefault(check, {})
        counted[why] = counted.get(why, 0) + 1

    @contextmanager
    def judging(self, check: Check, given: str) -> Iterator[None]:
        """One auction; one that cannot be checked is counted with the reason. `given`: what the engine is given."""
        try:
            yield
        except CannotCheck as why:
            self.cannot(check, str(why))
        except EngineRejected as error:
            self.cannot(check, f"the engine does not take {given}: {error}")

    def remark(self, what: str) -> None:
        self.remarks[what] = self.remarks.get(what, 0) + 1


def find(
    tally: Tally, scored: CandidatesScored, kind: Kind, what: str, logged: object, right: object, who: str | None = None
) -> None:
    """A discrepancy of one auction."""
    tally.find(Finding(kind, scored.query_id, scored.auction_id, what, _short(logged), _short(right), who))


def _short(value: object) -> str:
    """At most 200 characters; numbers with all their digits."""
    text = str(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def reference_of(scored: CandidatesScored) -> auction.Engine:
    """What the advert-free reply was drawn from."""
    return scored.reference_engine or scored.engine


def reference_prompt(scored: CandidatesScored, scorer: Scorer, prompts: Prompts) -> Prompt:
    """What the reference model was asked, in these words."""
    return scorer.encode(prompts.reference_turn(scored.question.text))


def proposal_prompt(scored: CandidatesScored, scorer: Scorer, prompts: Prompts) -> Prompt:
    """What candidates were drawn behind. CannotCheck: a proposal that only a newer release knows."""
    if scored.sampling.proposal == "context_aware":
        return scorer.encode(prompts.context_aware_turn(scored.question.text, scored.advertisers))
    if scored.sampling.proposal == "reference":
        return reference_prompt(scored, scorer, prompts)
    raise CannotCheck(f"proposal {scored.sampling.proposal}: audit it with the release that knows it")


def other_prompts(scored: CandidatesScored, scorer: Scorer, prompts: Prompts) -> Iterator[tuple[str, str, str]]:
    """Prompts whose digest in the event is not that of question and advertisers: name, logged, right."""
    said = scored.sampling
    for name, logged, prompt in (
        ("proposal", said.proposal_prompt_sha256, proposal_prompt(scored, scorer, prompts)),
        ("reference", said.reference_prompt_sha256, reference_prompt(scored, scorer, prompts)),
    ):
        if logged != (right := prompt_sha256(prompt)):
            yield f"SHA-256 of the {name} prompt", logged, right


def prompt_sha256(prompt: Prompt) -> str:
    """Of the token ids, 4 bytes each, big-endian."""
    return sha256(struct.pack(f">{len(prompt)}I", *prompt)).hexdigest()


def reply_of(candidate: Candidate) -> Reply:
    return Reply(candidate.token_ids, candidate.text, candidate.log_q, candidate.finished)


def shown(engine: auction.Engine) -> str:
    """A model for people."""
    return f"{engine.name} ({engine.version}, model {engine.model_sha256[:12]})"
