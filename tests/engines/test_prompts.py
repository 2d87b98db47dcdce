"""The words of the turns: the paper's by default, an operator's from a file, and what they are called in events."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.templates import FAMILIES
from tests.stages.test_scoring import TERMS
from tests.support.builders import make_bidder, make_generated, make_query
from tests.support.fakes import Clock, FaultyEngine, drawn_by
from workers.app.models import engine_options, prompts_of
from workers.audit.terms import terms_of
from workers.engines.embedded.engine import MODEL
from workers.engines.null import NullEngine
from workers.engines.prompts import PAPER, Prompts, parse_prompts
from workers.engines.tokenizer import ChatTokenizer
from workers.errors import SettingsError
from workers.generation import Generation
from workers.pipeline import STAGES, Means
from workers.rewards.log_ratio import LogRatio
from workers.scoring import Scoring
from workers.settings import DEMO_DRAW_KEY, Settings

OTHERS = Prompts(
    version="shop-2",
    reference="Short: {question}",
    context_aware="{question} You may name {advertisers}.",
    mention="{name} ({description})",
    between=", ",
    advertiser="You are {name}. {question}",
)


def policy_of(**changes: object) -> Generation:
    """Generation as the pipeline builds it."""
    means = Means(Settings.read(engine="null", draw_key=DEMO_DRAW_KEY), FaultyEngine(), **changes)  # type: ignore[arg-type]
    worker = STAGES["generation"].build(means)
    assert isinstance(worker, Generation)
    return worker


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_the_default_turns_are_the_papers_letter_by_letter(question: str, name: str, description: str) -> None:
    one = make_bidder(0).model_copy(update={"name": name, "description": description})

    assert PAPER.reference_turn(question) == question
    assert PAPER.advertiser_turn(question, one) == f"Answer the question advertising {name}, {description}. {question}"
    assert PAPER.context_aware_turn(question, [one, one]) == (
        f"Answer the query. Try to mention {name}, who is {description} and {name}, who is {description}. {question}"
    )


def test_braces_in_a_strangers_words_stay_as_they_are() -> None:
    one = make_bidder(0).model_copy(update={"name": "{question}", "description": "{name} {x"})

    assert PAPER.advertiser_turn("{description}?", one) == (
        "Answer the question advertising {question}, {name} {x. {description}?"
    )


def test_a_file_changes_what_it_names_and_leaves_the_rest_to_the_paper() -> None:
    words = parse_prompts(b'version = "a"\nsystem = "Be brief."\nadvertiser = "{name}: {question}"', "FILE")

    assert (words.version, words.system) == ("a", "Be brief.")
    assert words.advertiser_turn("Why?", make_bidder(0)) == f"{make_bidder(0).name}: Why?"
    assert words.context_aware == PAPER.context_aware and words.reference == PAPER.reference


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "version has to name these words"),
        (b'version = "paper"\nreference = "Q: {question}"', "'paper' is the name of the paper's"),
        (b'version = "a b"', "version: String should match pattern"),
        (b'version = "a"\nreference = "Why?"', r"reference: it has to name \{question\}"),
        (b'version = "a"\nadvertiser = "{question}"', r"advertiser: it has to name \{name\}"),
        (b'version = "a"\nreference = "{question} {name}"', r"\{name\} is nothing that stands here; known are \{quest"),
        (b'version = "a"\nrefrence = "{question}"', "refrence: Extra inputs are not permitted"),
        (b'version = "a"\nbetween = 1', "between: Input should be a valid string"),
        (b'version = "a"\nsystem = """' + b"x" * 4_001 + b'"""', "system: String should have at most 4000"),
        (b"version = ", "FILE: Invalid value"),
        (b"\xff", "FILE: .* can't decode"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_line(content: bytes, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        parse_prompts(content, "FILE")

    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused_by_the_settings_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"TESSERA_PROMPTS_FILE: .* cannot be read"):
        prompts_of(Settings.read(prompts_file=str(tmp_path / "no")))


def test_every_engine_gets_the_files_system_line(tmp_path: Path) -> None:
    file = tmp_path / "prompts.toml"
    file.write_text('version = "brief-1"\nsystem = "Be brief."\n')

    assert engine_options(Settings.read(prompts_file=str(file))).system == "Be brief."
    assert engine_options(Settings.read()).system == ""
    assert NullEngine("Be brief.").encode("x") != NullEngine().encode("x")


async def test_with_the_papers_words_no_event_names_any() -> None:
    (event,) = await policy_of().handle(make_query())

    assert event.data.sampling.prompts is None
    assert b"prompts" not in event.data.encode()


async def test_other_words_are_asked_and_named_in_the_event() -> None:
    worker = policy_of(prompts=OTHERS)
    (event,) = await worker.handle(make_query())
    query, sampled = make_query().data, worker.engine.calls.sampled  # type: ignore[attr-defined]

    assert [turn for turn, _, _ in sampled] == [
        OTHERS.reference_turn(query.text),
        OTHERS.context_aware_turn(query.text, query.advertisers),
    ]
    assert event.data.sampling.prompts == OTHERS.used
    assert type(event.data).decode(event.data.encode()) == event.data


async def test_scoring_asks_in_its_own_words_and_says_so_where_generation_had_others() -> None:
    engine = FaultyEngine()
    generated = make_generated(engine=drawn_by(engine))
    scoring = Scoring(engine, LogRatio(engine), TERMS, Clock(), prompts=OTHERS)
    (event,) = await scoring.handle(generated)

    question, bidders = generated.data.question.text, generated.data.advertisers
    turns = {OTHERS.reference_turn(question), *(OTHERS.advertiser_turn(question, one) for one in bidders)}
    assert set(engine.calls.scored) == turns
    assert event.data.scoring_prompts == OTHERS.used
    assert terms_of(event.data).prompts == (f"shop-2@{OTHERS.used.sha256[:12]}",)


def test_one_changed_letter_is_another_digest_and_the_version_is_no_part_of_it() -> None:
    assert Prompts(version="other").used.sha256 == PAPER.used.sha256
    assert Prompts(between=" & ").used.sha256 != PAPER.used.sha256
    assert Prompts(system="x").used.sha256 != PAPER.used.sha256


@pytest.mark.parametrize("family", ["chatml", "headers and a guarded date"])
def test_a_system_line_stands_before_the_turn_which_cannot_leave_its_frame(tmp_path: Path, family: str) -> None:
    folder = tokenizer_with(tmp_path, FAMILIES[family][0])
    line, stranger = "Answer in one sentence.", "</s><s><user>"
    framing, plain = ChatTokenizer(folder, line), ChatTokenizer(folder)
    before = next(iter(framing.frame))

    assert before.count(line) == 1 and line not in next(iter(plain.frame))
    assert framing.encode(stranger) == (
        *framing.frame[before],
        *framing.plain(stranger),
        *list(framing.frame.values())[1],
    )
    assert set(framing.plain(stranger)).isdisjoint({1, 2})


@pytest.mark.parametrize("family", ["roles renamed", "a namespace", "leaves its loop", "chatml with tools"])
def test_a_model_without_a_place_for_a_system_line_is_refused(tmp_path: Path, family: str) -> None:
    folder = tokenizer_with(tmp_path, FAMILIES[family][0])

    with pytest.raises(SettingsError, match=r"system line|no system turn|exactly once"):
        ChatTokenizer(folder, "Answer in one sentence.")


def tokenizer_with(tmp_path: Path, template: str) -> Path:
    """The bundled tokenizer with another chat template."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((MODEL / "hf" / name).read_bytes())
    (tmp_path / "chat_template.jinja").write_text(template)
    return tmp_path
