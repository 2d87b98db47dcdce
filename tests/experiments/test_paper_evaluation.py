"""The paper's evaluation: samples that are kept, estimates that are right by hand, claims that can fail."""

import json
from pathlib import Path

import numpy as np
import pytest

from infra.embedded_model.held_out import holds_out, holds_out_description, holds_out_name
from workers.engines.null import NullEngine
from workers.errors import SettingsError
from workers.experiments.paper.campaign import sample_evaluation
from workers.experiments.paper.catalogue import FIGURES
from workers.experiments.paper.claims import Evaluation
from workers.experiments.paper.drawing import LOOKS
from workers.experiments.paper.figures.table_1 import MUSICAL_INSTRUMENT
from workers.experiments.paper.instances import BUNDLED, Instance, load_instances, read_instances
from workers.experiments.paper.market import Auctions
from workers.experiments.paper.report import as_csv, chapters, write_report
from workers.experiments.paper.sampling import SamplePlan, Samples, content_address, draw_samples
from workers.experiments.paper.statistics import _weights, correlation, fit, mean
from workers.experiments.paper.store import SampleFile

SAMPLING = {"seeds": 2, "max_tokens": 8}


def no_progress() -> None: ...


async def evaluated(folder: Path, limit: int = 3) -> Evaluation:
    return await sample_evaluation(NullEngine(), load_instances(limit=limit), folder, advance=no_progress, **SAMPLING)


def made(rewards: list[list[float]], names: list[list[bool]], log_ref: list[float]) -> Auctions:
    """One auction whose candidates come from the reference model: without rewards all weigh alike."""
    logs = np.array([[log_ref]])
    return Auctions(logs, logs, logs, np.array([[rewards]]), np.array([[names]]))


def test_the_bundled_instances_are_fifty_with_two_advertisers_each_and_hold_the_papers_two_examples() -> None:
    instances = load_instances()
    assert [len(one.advertisers) for one in instances] == [2] * 50
    names = {advertiser.name for one in instances for advertiser in one.advertisers}
    assert {"EasyBake", "KitchenFix", "MusicMastery", "InstaTune"} <= names
    assert len({one.question for one in instances}) == 50


def test_a_file_of_queries_is_read_and_those_without_two_advertisers_are_counted(tmp_path: Path) -> None:
    # Given queries as on the topic, one of them with an advertiser only
    path = tmp_path / "queries.jsonl"
    rows = [json.loads(line) for line in BUNDLED.read_bytes().splitlines()[:3]]
    rows[1]["advertisers"] = rows[1]["advertisers"][:1]
    path.write_text("\n\n".join(map(json.dumps, rows)) + "\n")
    # Then two are taken, in their order, and the same ones where only so many are wanted
    found = read_instances(path)
    assert ([one.question for one in found.taken], found.passed_over) == ([rows[0]["text"], rows[2]["text"]], 1)
    assert read_instances(path, limit=2) == found


def test_a_line_that_is_no_query_is_named_and_a_file_without_instances_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text('\n{"text": 5}\n')
    with pytest.raises(SettingsError, match="line 2 is not a query"):
        load_instances(path)
    path.write_text('{"query_id": "q", "text": "What is tea?", "advertisers": []}\n')
    with pytest.raises(SettingsError, match="none of its 1 queries has 2 advertisers"):
        load_instances(path)


def test_training_held_out_the_questions_and_all_brands_but_the_papers_four() -> None:
    instances = load_instances()
    brands = {one.name: one.description for instance in instances for one in instance.advertisers}
    seen = {name for name in brands if not (holds_out_name(name) and holds_out_description(brands[name]))}

    assert all(holds_out(instance.question) for instance in instances)
    assert seen == {"EasyBake", "KitchenFix", "MusicMastery", "InstaTune"}


async def test_what_is_on_disk_is_not_sampled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await evaluated(tmp_path)

    async def never(*_: object) -> Samples:
        raise AssertionError("sampled again")

    monkeypatch.setattr("workers.experiments.paper.campaign.draw_samples", never)
    again = await evaluated(tmp_path)
    for figure in FIGURES.values():
        assert as_csv(figure.run(first)) == as_csv(figure.run(again)), figure.name


async def test_a_run_that_was_killed_within_a_line_goes_on_behind_the_last_whole_one(tmp_path: Path) -> None:
    # Given a file whose second seed was cut within its line
    whole = await evaluated(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-20])
    # When the run is repeated
    again = await evaluated(tmp_path)
    # Then the seed was drawn once more, the same, and the files are whole
    assert np.array_equal(whole.context_aware.log_q, again.context_aware.log_q)
    rows = [json.loads(line)["seed"] for path in tmp_path.iterdir() for line in path.read_bytes().splitlines()]
    assert sorted(rows) == [0] * 15 + [1] * 15  # two proposals, crowds of one and four, a stuffed one


async def test_samples_survive_their_file_to_the_bit(tmp_path: Path) -> None:
    instance = load_instances(limit=1)[0]
    drawn = await draw_samples(NullEngine(), instance, SamplePlan("reference", 8), 0)
    file = SampleFile(tmp_path, "a")
    file.append(0, drawn)
    read = file.read()[0]
    assert read.texts == drawn.texts and read.tokens == drawn.tokens
    for name in ("log_q", "log_ref", "log_context", "log_own"):
        assert np.array_equal(getattr(read, name), getattr(drawn, name))


def test_the_address_of_samples_changes_with_everything_that_they_depend_on() -> None:
    one, other = load_instances(limit=2)
    renamed = Instance(
        one.question, tuple(a.model_copy(update={"description": "selling tea"}) for a in one.advertisers)
    )
    engine = NullEngine()
    numbers = (("reference", 8), ("context_aware", 8), ("reference", 9), ("reference", 8, 10))
    plans = [SamplePlan(*one) for one in numbers]
    addresses = [content_address(engine, instance, plan) for instance in (one, other, renamed) for plan in plans]
    assert len(set(addresses)) == len(addresses)
    assert content_address(engine, one, plans[0]) == addresses[0]


def test_footnote_5_takes_the_reward_of_not_taking_part_from_the_candidates_without_the_brand() -> None:
    # Given two candidates, alike without rewards, of which the first names advertiser 0 and none names advertiser 1
    auctions = made([[np.log(3.0), 0.0], [0.0, 0.0]], [[True, False], [False, False]], [-1.0, -1.0])
    found = auctions.at(2)
    # Then π is (3/4, 1/4), and without advertiser 0 only the second candidate counts
    assert found.reward[0, 0, 0] == pytest.approx(0.75 * np.log(3.0))
    assert found.reward_plain[0, 0, 0] == pytest.approx(0.75 * np.log(3.0))
    # and on the same candidates it would have had half of the reward anyway
    assert found.reward_exact[0, 0, 0] == pytest.approx(0.25 * np.log(3.0))
    assert found.price[0, 0].tolist() == pytest.approx([0.75 * np.log(1.5) + 0.25 * np.log(0.5), 0.0])
    assert not found.fell_back.any()


def test_where_all_candidates_name_the_brand_the_baseline_falls_back_to_all_of_them() -> None:
    found = made([[1.0, 0.0], [0.0, 0.5]], [[True, True], [False, True]], [-1.0, -2.0]).at(2)
    assert found.fell_back[0, 0].tolist() == [True, False]
    assert found.reward[0, 0, 0] == found.reward_plain[0, 0, 0] == found.reward_exact[0, 0, 0]


def test_a_baseline_far_below_what_a_float_can_hold_is_still_a_number() -> None:
    found = made([[2000.0, 0.0, 1.0], [0.0, 2000.0, 0.0]], [[True, False, False], [False, True, False]], [-1.0] * 3).at(
        3
    )
    assert np.isfinite(found.reward).all()


def test_the_interval_of_a_mean_is_over_queries_not_over_auctions() -> None:
    # Given two queries that differ, each with a thousand auctions that do not
    values = np.repeat([[0.0], [1.0]], 1_000, axis=1)
    # Then the interval is as wide as two queries allow
    found = mean(values)
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = [(one := mean(rng.normal(size=50))).low <= 0 <= one.high for _ in range(200)]
    assert 0.88 <= np.mean(covered) <= 0.99


def test_a_line_is_least_squares() -> None:
    x = np.array([0.0, 1.0, 2.0, 3.0])
    found = fit(x, np.array([1.0, 3.0, 5.0, 7.0]))
    assert (found.slope, found.r_squared) == pytest.approx((2.0, 1.0))
    assert fit(x, np.ones(4)).correlation == 0.0


def test_the_interval_of_a_correlation_is_that_of_queries_drawn_one_by_one() -> None:
    # Given points of ten queries
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 10, 4))
    # When the same queries are drawn, repeated, and a line is laid through all their points
    drawn = [np.repeat(np.arange(10), (row * 10).round().astype(int)) for row in _weights(10)]
    one_by_one = [float(np.corrcoef(x[rows].ravel(), y[rows].ravel())[0, 1]) for rows in drawn]
    # Then the interval is the same
    found = correlation(x, y)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(one_by_one, [0.025, 0.975])))
    assert found.value == pytest.approx(np.corrcoef(x.ravel(), y.ravel())[0, 1])


async def test_without_rewards_no_claim_about_rewards_holds(tmp_path: Path) -> None:
    # Given an evaluation in which no advertiser cares
    evaluation = await evaluated(tmp_path)
    for auctions in evaluation.by_proposal.values():
        auctions.rewards[:] = 0.0
    # Then every claim that rests on them fails
    for name in ("1b", "2a", "2b", "3", "EC.2", "EC.3"):
        judged = FIGURES[name].judge(FIGURES[name].run(evaluation))
        rising = [one for one in judged if "almost 0" not in one.says]
        assert rising and not any(one.holds for one in rising), name


async def test_the_report_is_one_page_that_needs_no_network_and_comes_out_the_same_again(tmp_path: Path) -> None:
    evaluation = await evaluated(tmp_path / "samples")
    found = list(chapters(evaluation))
    again = [chapter for chapter, _ in zip(chapters(evaluation), range(3), strict=False)]
    page = write_report(tmp_path / "report", found, {"model": "<none>"}).read_text(encoding="utf-8")
    files = {path.name for path in (tmp_path / "report").iterdir()}
    assert again == found[:3]
    assert {f"{kind}.csv" for kind in ("figure-1a", "figure-ec2", "figure-table-1")} <= files
    assert "&lt;none&gt;" in page and "<script" not in page and " src=" not in page and "@import" not in page
    rules = found[-1].grid
    assert rules["ours"]["from_optimal"].measured.value == pytest.approx(0.0, abs=1e-9)
    assert {len(cells) for cells in rules.values()} == {6} and "argmax clarke" in page
    assert page.count("<caption>") == 1
    assert page.count("<svg") == len([name for name in files if name.endswith(".svg")])


def test_curves_differ_by_their_marks_and_dashes_not_by_colour_alone() -> None:
    looks = {(mark, dash) for _, mark, dash in LOOKS}
    assert len(looks) == len(LOOKS)


async def test_the_replies_of_table_1_are_candidates_of_their_seed_and_the_same_again(tmp_path: Path) -> None:
    evaluation = await evaluated(tmp_path)
    assert FIGURES["table 1"].replies is not None
    shown = FIGURES["table 1"].replies(evaluation)
    assert [one.seed for one in shown] == [0, 1] and FIGURES["table 1"].replies(evaluation) == shown
    assert "musical instrument" in load_instances()[MUSICAL_INSTRUMENT].question
    query = evaluation.context_aware.questions.index(shown[0].question)
    for one in shown:
        assert one.context_aware in evaluation.context_aware.texts[query, one.seed, :10]
        assert one.reference in evaluation.reference.texts[query, one.seed, :10]
