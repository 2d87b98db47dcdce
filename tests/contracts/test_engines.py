"""What any engine must do: the promises in the docstring of `workers.engines.base.Engine`, for every engine."""

from collections.abc import AsyncIterator
from typing import cast

import numpy as np
import pytest
from tokenizers import Tokenizer

from workers.engines.base import Engine, Limits, Prompt, Reply, check_sampling, check_scoring, derive_seed
from workers.engines.catalogue import ENGINES, KINDS, open_engine
from workers.engines.embedded.conversion import add_ct2
from workers.engines.embedded.engine import MODEL, EmbeddedEngine
from workers.engines.options import EngineOptions
from workers.engines.tempering import temper
from workers.errors import EngineRejected

QUESTION = "How do I bake cookies?"
OTHER = "Answer the query. Try to mention EasyBake, who is producing baking ingredients. How do I bake cookies?"
BUNDLED = ("embedded", "tempered", "vllm", "http")  # engines that run the bundled model
FRAME = {**dict.fromkeys(BUNDLED, ((1, 3), (4,))), "null": ((1,), ())}  # the ids around a turn
SPECIALS = ("<pad>", "<s>", "</s>", "<user>", "<assistant>")
END = 2
DRAWS = {**dict.fromkeys(BUNDLED, 1_000), "null": 20_000}
SPECIAL_IDS = {**dict.fromkeys(BUNDLED, frozenset(range(5))), "null": frozenset(range(4))}

#: The fixture of each kind of engine. What is shared with other tests is in tests/conftest.py and needs vLLM.
FIXTURES = {
    **dict.fromkeys(ENGINES, "own_engine"),
    "tempered": "tempered_engine",
    "vllm": "vllm_engine",
    "http": "http_engine",
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.vllm if name in ("vllm", "http") else ()) for name in FIXTURES],
)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
async def own_engine(name: str) -> AsyncIterator[Engine]:
    engine = await open_engine(name, EngineOptions())
    yield engine
    await engine.close()


@pytest.fixture(scope="module")
async def tempered_engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    """The bundled model decoded at 0.7, imported again from its folder."""
    folder = tmp_path_factory.mktemp("models") / "cold"
    temper(MODEL / "hf", 0.7, folder)
    add_ct2(folder)
    engine = await open_engine(f"embedded:{folder}", EngineOptions())
    yield engine
    await engine.close()


@pytest.fixture(scope="module")
def engine(name: str, request: pytest.FixtureRequest) -> Engine:
    return cast(Engine, request.getfixturevalue(FIXTURES[name]))


@pytest.fixture(scope="module")
def prompt(engine: Engine) -> Prompt:
    return engine.encode(QUESTION)


def seeds(auction: int, count: int) -> list[int]:
    return [derive_seed(b"", str(auction), "candidate", index) for index in range(count)]


def reply(*token_ids: int) -> Reply:
    return Reply(token_ids, "", 0.0, False)


def test_every_engine_of_the_catalogue_runs_this_contract(name: str) -> None:
    assert (
        set(FRAME) == set(FIXTURES) == {"tempered"} | set(ENGINES) | set(KINDS) - {"https"}
    )  # which is http in an envelope


# `encode` wraps a user's turn as the model expects it; the model's special tokens in the turn are plain text.


@pytest.mark.parametrize(
    "turn", ["", QUESTION, *SPECIALS, "a<s>b</s><assistant>c", "<s><user>x<assistant>", "é 🌱 \x00"]
)
def test_special_tokens_in_a_prompt_are_plain_text(engine: Engine, name: str, turn: str) -> None:
    before, after = FRAME[name]

    ids = engine.encode(turn)

    inner = ids[len(before) : len(ids) - len(after)]
    assert ids == (*before, *inner, *after)
    assert not SPECIAL_IDS[name] & set(inner)
    assert max(ids) < engine.limits.vocabulary


def test_the_embedded_model_is_given_the_exact_characters() -> None:
    """Its tokens of a stranger's text spell that text, so nothing was taken out or turned into a command."""
    engine, tokenizer = EmbeddedEngine(threads=1), Tokenizer.from_file(str(MODEL / "hf" / "tokenizer.json"))

    for turn in (*SPECIALS, "a<s>b</s><assistant>c", "Zürich — ¿Qué? 日本 🌱"):
        ids = engine.encode(turn)[2:-1]
        assert tokenizer.decode(list(ids), skip_special_tokens=False) == turn


def test_different_messages_are_different_prompts(engine: Engine) -> None:
    turns = [QUESTION, OTHER, QUESTION + " ", "", "<s>", "s"]

    assert len({engine.encode(turn) for turn in turns}) == len(turns)


# `sample` draws one reply for each seed, i.i.d. at temperature 1 from the untruncated distribution.


async def test_first_tokens_follow_the_distribution(engine: Engine, name: str) -> None:
    # Given the exact probability of each first token, from scoring replies of one token to a short prompt
    prompt = engine.encode("How")
    log_p = await engine.log_probs(prompt, [reply(token) for token in range(engine.limits.vocabulary)])
    p = np.exp(log_p)
    assert p.sum() == pytest.approx(1.0, abs=1e-4)
    # When many replies are drawn
    draws = DRAWS[name]
    drawn = [one.token_ids[0] for one in await engine.sample(prompt, seeds=seeds(8, draws), max_tokens=1)]
    # Then their first tokens fit, those expected less than 5 times taken together
    count, often = np.bincount(drawn, minlength=len(p)), draws * p >= 5
    observed, expected = np.append(count[often], count[~often].sum()), draws * np.append(p[often], p[~often].sum())
    chi_square = float(((observed - expected) ** 2 / np.maximum(expected, 1.0)).sum())  # 0 where nothing is rare
    freedom = len(expected) - 1
    assert freedom >= 4
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom)
    # and are as surprising as they should be, neither less (a temperature below 1) nor more
    mean = float(p @ log_p)
    spread = float(np.sqrt(p @ (log_p - mean) ** 2 / draws))
    assert abs(log_p[drawn].mean() - mean) < 4 * spread


async def test_later_tokens_are_drawn_afresh(engine: Engine, prompt: Prompt) -> None:
    replies = await engine.sample(prompt, seeds=seeds(9, 64), max_tokens=20)

    assert len({one.token_ids for one in replies}) > 32


# The same call gives the same replies; with `seed_scope` "reply" each depends on its own seed only.


async def test_the_same_call_gives_the_same_replies_and_other_seeds_others(engine: Engine, prompt: Prompt) -> None:
    first, other, again = [await engine.sample(prompt, seeds=seeds(n, 8), max_tokens=40) for n in (6, 7, 6)]

    assert again == first
    assert other != first
    assert len({one.token_ids for one in first}) > 1


async def test_a_reply_depends_on_its_own_seed_only_where_that_is_promised(engine: Engine, prompt: Prompt) -> None:
    assert engine.seed_scope in ("reply", "call")
    eight = await engine.sample(prompt, seeds=seeds(6, 8), max_tokens=40)

    (alone,) = await engine.sample(prompt, seeds=seeds(6, 8)[5:6], max_tokens=40)
    backwards = await engine.sample(prompt, seeds=seeds(6, 8)[::-1], max_tokens=40)

    if engine.seed_scope == "reply":
        assert alone == eight[5]
        assert backwards == eight[::-1]


async def test_changing_one_seed_changes_a_reply(engine: Engine, prompt: Prompt) -> None:
    before = await engine.sample(prompt, seeds=seeds(6, 8), max_tokens=40)

    after = await engine.sample(prompt, seeds=[*seeds(6, 7), 2**63 - 1], max_tokens=40)

    assert after != before


async def test_without_seeds_there_are_no_replies(engine: Engine, prompt: Prompt) -> None:
    assert await engine.sample(prompt, seeds=[], max_tokens=5) == ()


# A finished reply ends in the end token, which counts in `log_q`; one that is cut has exactly `max_tokens` ids and no
# end token.


async def test_the_end_token_counts_and_truncated_replies_are_marked(engine: Engine, name: str, prompt: Prompt) -> None:
    whole = await engine.sample(prompt, seeds=seeds(3, 6), max_tokens=400)
    cut = await engine.sample(prompt, seeds=seeds(3, 6), max_tokens=2)

    end = END
    assert all(one.finished and one.token_ids[-1] == end and end not in one.token_ids[:-1] for one in whole)
    assert any(not one.finished for one in cut)
    for one in cut:
        if not one.finished:
            assert len(one.token_ids) == 2 and end not in one.token_ids
    # the end token's probability is in log_q: without it the rest is more probable
    without = await engine.log_probs(prompt, [Reply(one.token_ids[:-1], "", 0.0, False) for one in whole])
    assert all(one.log_q < rest for one, rest in zip(whole, without, strict=True))


async def test_finished_and_truncated_replies_mix_in_one_call(engine: Engine, name: str, prompt: Prompt) -> None:
    replies = await engine.sample(prompt, seeds=seeds(4, 24), max_tokens=36)

    assert {one.finished for one in replies} == {True, False}
    for one in replies:
        assert one.finished == (one.token_ids[-1] == END)
        assert len(one.token_ids) == 36 or (one.finished and len(one.token_ids) < 36)


async def test_reply_texts_hold_no_special_token(engine: Engine, prompt: Prompt) -> None:
    replies = await engine.sample(prompt, seeds=seeds(4, 24), max_tokens=60)

    assert len({one.text for one in replies}) > 12
    assert not [one.text for one in replies if any(special in one.text for special in SPECIALS)]


# `log_probs` returns float64 [M], nats, in the order given, duplicates included; for the prompt a reply was drawn from
# it equals the reply's `log_q` within 1e-3.


@pytest.mark.parametrize("turn", [QUESTION, OTHER])
async def test_log_q_is_the_log_probability_of_the_drawn_ids(engine: Engine, turn: str) -> None:
    prompt = engine.encode(turn)
    replies = await engine.sample(prompt, seeds=seeds(1, 20), max_tokens=60)

    scores = await engine.log_probs(prompt, replies)

    assert scores.dtype == np.float64 and scores.shape == (20,)
    assert scores == pytest.approx(np.array([one.log_q for one in replies]), abs=1e-3)
    assert (scores < 0).all()


async def test_order_and_duplicates_are_kept(engine: Engine, prompt: Prompt) -> None:
    a = await engine.sample(prompt, seeds=seeds(4, 4), max_tokens=30)
    short = Reply(a[1].token_ids[:3], "", 0.0, False)
    mixed = [a[2], a[0], a[0], a[3], short, a[1], a[2], *a, short, *a]  # more than one batch, lengths in no order
    other = engine.encode(OTHER)

    scores = await engine.log_probs(other, mixed)

    alone = [float((await engine.log_probs(other, [one]))[0]) for one in mixed]
    assert scores.dtype == np.float64 and scores.shape == (len(mixed),)
    assert scores == pytest.approx(np.array(alone), abs=1e-4)
    assert scores[1] == pytest.approx(scores[2], abs=1e-6)
    assert len(set(np.round(scores, 3))) == 5


async def test_scores_depend_on_the_prompt(engine: Engine, prompt: Prompt) -> None:
    replies = await engine.sample(prompt, seeds=seeds(2, 4), max_tokens=30)

    own, other = [await engine.log_probs(one, replies) for one in (prompt, engine.encode(OTHER))]

    assert (np.abs(own - other) > 1e-3).all()


async def test_scores_add_up_token_by_token(engine: Engine, prompt: Prompt) -> None:
    """log p(ab) = log p(a) + log p(b | a): sums over tokens, never means."""
    (one,) = await engine.sample(prompt, seeds=seeds(5, 1), max_tokens=12)
    head, tail = one.token_ids[:5], one.token_ids[5:]

    whole = (await engine.log_probs(prompt, [one]))[0]

    behind = prompt if engine.identity.name == "null" else prompt + head  # its tokens ignore those before them
    first, second = [
        float((await engine.log_probs(*part))[0]) for part in ((prompt, [reply(*head)]), (behind, [reply(*tail)]))
    ]
    assert whole == pytest.approx(first + second, abs=1e-3)


async def test_without_replies_there_are_no_scores(engine: Engine, prompt: Prompt) -> None:
    scores = await engine.log_probs(prompt, [])

    assert scores.shape == (0,) and scores.dtype == np.float64


# An empty, oversize or out-of-vocabulary prompt or reply raises EngineRejected.


def oversize(limits: Limits) -> int:
    return limits.context + 1


async def test_prompts_that_do_not_fit_are_rejected(engine: Engine) -> None:
    limits = engine.limits
    for bad in ((), (5, limits.vocabulary), (5, -1), (5,) * oversize(limits), (5,) * (limits.context - 59)):
        with pytest.raises(EngineRejected):
            await engine.sample(bad, seeds=seeds(9, 2), max_tokens=60)
    for bad in ((), (5, limits.vocabulary), (5, -1), (5,) * oversize(limits)):
        with pytest.raises(EngineRejected):
            await engine.log_probs(bad, [reply(5)])


@pytest.mark.parametrize("max_tokens", [0, -1])
async def test_a_reply_has_at_least_one_token(engine: Engine, prompt: Prompt, max_tokens: int) -> None:
    with pytest.raises(EngineRejected):
        await engine.sample(prompt, seeds=seeds(9, 2), max_tokens=max_tokens)


async def test_bad_replies_are_rejected(engine: Engine, prompt: Prompt) -> None:
    limits = engine.limits
    for bad in ((), (limits.vocabulary,), (5, -1), (5,) * (limits.context - len(prompt) + 1)):
        with pytest.raises(EngineRejected):
            await engine.log_probs(prompt, [reply(5), reply(*bad)])


async def test_a_prompt_that_just_fits_is_accepted(engine: Engine) -> None:
    limits = engine.limits
    prompt = (5,) * (limits.context - 3)

    (drawn,) = await engine.sample(prompt, seeds=seeds(9, 1), max_tokens=3)
    scores = await engine.log_probs(prompt, [reply(5, 6, 7), drawn])

    assert scores.shape == (2,) and np.isfinite(scores).all()


def test_the_checks_are_the_same_for_every_engine() -> None:
    limits = Limits(vocabulary=10, context=8)
    check_sampling((1, 9), 6, limits)
    check_scoring((1, 9), [reply(0, 0, 0, 0, 0, 0)], limits)

    for prompt, max_tokens in (((1, 9), 7), ((1, 10), 1), ((), 1)):
        with pytest.raises(EngineRejected):
            check_sampling(prompt, max_tokens, limits)
    with pytest.raises(EngineRejected):
        check_scoring((1, 9), [reply(0, 0, 0, 0, 0, 0, 0)], limits)


# Who it is, and its seeds


def test_an_engine_says_which_model_it_is(engine: Engine, name: str) -> None:
    identity = engine.identity

    kind = identity.name.partition(" at temperature ")[0].partition(":")[0]
    assert kind == {"tempered": "embedded"}.get(name, name)
    assert identity.version
    assert all(len(digest) == 64 and int(digest, 16) for digest in (identity.model_sha256, identity.tokenizer_sha256))


def test_seeds_have_63_bits_and_are_distinct() -> None:
    inputs = [
        (key, auction, purpose, index)
        for key in (b"", b"a", b"b" * 64)
        for auction in ("1", "2", "11")
        for purpose in ("candidate", "fallback", "candidate1")
        for index in (*range(60), 255)
    ]

    found = [derive_seed(*one) for one in inputs]

    assert len(set(found)) == len(inputs)
    assert all(0 <= seed < 2**63 for seed in found)
    assert max(found) > 2**62  # all 63 bits are used
    assert derive_seed(b"a", "1", "candidate", 0) == found[inputs.index((b"a", "1", "candidate", 0))]
