"""Seeds of candidates: they derive from the key of their day, which is committed to before it and revealed after it."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.draw import DrawCommitment
from tests.audit.logs import EPOCH, Log, audited, kinds, lines, make_log
from tests.support.builders import DRAW_KEY, SUBMITTED_AT, make_scored, settle
from workers.audit.entries import read_line
from workers.audit.findings import Check, Kind
from workers.audit.seeds import derived_seeds, seed_key, seed_secret
from workers.draw_keys import commitment
from workers.mechanism.epochs import epoch_key, sampling_epoch_key, sampling_secret_of
from workers.seeds import make_seeds

SECRET = b"the secret of the seeds, of thirty-two characters"
OTHER = b"another secret of the seeds, just as long as it is"


def said(*secrets: bytes, reveal: bool = False) -> list[DrawCommitment]:
    """What the commitment topic holds of EPOCH with these secrets of seeds."""
    draw, keys = epoch_key(DRAW_KEY, EPOCH), [sampling_epoch_key(secret, EPOCH) for secret in secrets]
    return [commitment(draw, SUBMITTED_AT, reveal=reveal, seeds=key).data for key in keys]


def seeded(secret: bytes = SECRET, epoch: str = EPOCH, seed: int = 4, **changes: Any) -> Log:
    """An auction whose events say their seeds, settled by the product."""
    bare = make_scored(seed).data
    seeds = make_seeds(sampling_epoch_key(secret, epoch), bare.auction_id, len(bare.candidates))
    scored = make_scored(seed, seeds=seeds.model_copy(update=changes))
    reply, *bills = settle(scored)
    return Log(scored.data, reply.data, tuple(bill.data for bill in bills), ())  # type: ignore[arg-type]


def test_the_audit_derives_the_same_keys_and_seeds_as_generation() -> None:
    key = sampling_epoch_key(SECRET, EPOCH)
    seeds = make_seeds(key, "ab" * 32, 5)

    assert seed_key(SECRET, EPOCH) == key.key
    assert seed_secret(DRAW_KEY) == sampling_secret_of(DRAW_KEY)
    assert derived_seeds(key.key, "ab" * 32, 5) == [*seeds.candidates, seeds.fallback]


def test_seeds_are_checked_once_their_key_is_revealed() -> None:
    before = audited(said(SECRET), seeded())
    after = audited(said(SECRET), seeded(), said(SECRET, reveal=True))

    assert (before.checked[Check.SEEDS], before.unverifiable[Check.SEEDS]) == (0, 1)
    assert (after.checked[Check.SEEDS], after.unverifiable[Check.SEEDS]) == (1, 0)
    assert (after.checked[Check.SEED_COMMITMENTS], after.discrepancies, before.discrepancies) == (1, 0, 0)


def test_other_seeds_than_the_key_gives_are_found() -> None:
    """Tried until a candidate suited: every digest is that of the event with these seeds."""
    honest = seeded().scored.seeds
    assert honest is not None
    tried = seeded(candidates=(f"{int(honest.candidates[0], 16) ^ 1:016x}", *honest.candidates[1:]))
    fallback = seeded(fallback=honest.candidates[0])

    for lie in (tried, fallback):
        assert kinds(said(SECRET), lie, said(SECRET, reveal=True)) == [Kind.WRONG_SEEDS]
        assert kinds(said(SECRET), lie, secrets=(DRAW_KEY, OTHER)) == []  # its key is not known yet


def test_seeds_from_another_key_than_was_committed_to_are_found() -> None:
    assert kinds(said(SECRET), seeded(OTHER)) == [Kind.BROKEN_SEED_COMMITMENT]


def test_a_secret_may_be_replaced_on_a_day_but_seeds_cannot_be_chosen_among_many_keys() -> None:
    others = [bytes([65 + n]) * 32 for n in range(3)]

    assert kinds(said(OTHER, SECRET), seeded(), seeded(OTHER, seed=5)) == []
    assert kinds(said(SECRET, *others), seeded()) == [Kind.MANY_SEED_KEYS]


def test_seeds_that_nobody_committed_to_before_are_not_verifiable() -> None:
    for log in ([seeded()], [seeded(), said(SECRET)]):
        tally = audited(*log)
        assert (tally.checked[Check.SEED_COMMITMENTS], tally.unverifiable[Check.SEED_COMMITMENTS]) == (0, 1)
        assert Check.SEED_COMMITMENTS not in tally.wrong


@pytest.mark.parametrize("days", [-2, 2])
def test_seeds_of_another_day_than_the_auctions_are_found(days: int) -> None:
    """Each day that is committed to and not revealed would be one more try."""
    day = (SUBMITTED_AT + timedelta(days=days)).date().isoformat()

    assert Kind.WRONG_SEED_DAY in kinds(seeded(epoch=day))
    assert Kind.WRONG_SEED_DAY not in kinds(seeded())


def test_a_revealed_key_of_seeds_that_is_not_the_one_committed_to_is_no_event() -> None:
    (honest,) = said(SECRET, reveal=True)
    lie = {**honest.model_dump(), "sampling_key": "ab" * 32}

    with pytest.raises(ValueError, match="sampling_key: its SHA-256 is not sampling_key_sha256"):
        DrawCommitment(**lie)
    line = lines([honest])[0].replace(str(honest.sampling_key).encode(), b"ab" * 32)
    entry = read_line(line, 1)
    assert entry is not None and entry.false_reveal


def test_a_log_from_before_seeds_were_told_is_audited_as_it_was() -> None:
    tally = audited(make_log(3))

    assert tally.discrepancies == 0
    assert not {Check.SEEDS, Check.SEED_COMMITMENTS} & {*tally.checked, *tally.unverifiable}
