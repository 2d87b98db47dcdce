"""The machine-checked proof: Coq accepts it, it rests on the real numbers alone, and it is about this code."""

import math
import re
import shutil
from fractions import Fraction
from importlib import import_module
from inspect import getsource
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from tests.support.coq import FILES, PROOF, RationalAuction, compile_file, compile_text, require_coq
from workers.mechanism.allocation import Numbers
from workers.mechanism.link_groups import group
from workers.mechanism.payments import charge_bound, no_offset, offset, outcome, whole_micros

#: What Coq's library of real numbers, and nothing of ours, takes for granted.
AXIOMS = {
    "ClassicalDedekindReals.sig_forall_dec",
    "ClassicalDedekindReals.sig_not_dec",
    "Classical_Prop.classic",
    "FunctionalExtensionality.functional_extensionality_dep",
}
SOURCES = {name: (PROOF / name).read_text(encoding="utf-8") for name in FILES}
THEOREMS = [name for text in SOURCES.values() for name in re.findall(r"^Theorem (\w+)", text, flags=re.MULTILINE)]
ASKED_ABOUT = re.findall(r"^  (\w+),?$", SOURCES["Assumptions.v"], flags=re.MULTILINE)
PAGE = (PROOF / "README.md").read_text(encoding="utf-8")
LINES = re.findall(r"^\| `Definition (\w+)` \| `([\w.]+)` \| `(.+?)` \|", PAGE, flags=re.MULTILINE)
TRUST = (PROOF.parent / "README.md").read_text(encoding="utf-8")


def test_every_theorem_is_asked_what_it_rests_on() -> None:
    assert ASKED_ABOUT == THEOREMS
    assert len(set(THEOREMS)) == len(THEOREMS) >= 25


def test_every_file_of_the_proof_is_compiled() -> None:
    assert sorted(FILES) == sorted(path.name for path in PROOF.glob("*.v"))


def test_the_pages_list_exactly_the_theorems_there_are() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE) == THEOREMS
    assert re.findall(r"^\| `(\w+)` \|", TRUST, flags=re.MULTILINE) == THEOREMS


def test_the_functions_that_the_page_names_are_there() -> None:
    named = set(re.findall(r"`(workers\.[\w.]+)`", PAGE))

    assert len(named) >= 15
    assert [name for name in sorted(named) if not callable(_function(name))] == []


@pytest.mark.parametrize(("definition", "function", "line"), LINES)
def test_a_definition_is_the_line_of_python_that_the_page_says(definition: str, function: str, line: str) -> None:
    defined = {name for text in SOURCES.values() for name in re.findall(r"^Definition (\w+)", text, flags=re.MULTILINE)}

    assert definition in defined
    assert line in getsource(_function(function))


def _function(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the compiled proof, and what Coq printed."""
    require_coq()
    folder = tmp_path_factory.mktemp("proof")
    for name in FILES:
        shutil.copy(PROOF / name, folder)
    return folder, "".join([compile_file(folder, name) for name in FILES])


@pytest.mark.coq
def test_coq_accepts_every_theorem_and_no_axiom_but_those_of_the_real_numbers(compiled: tuple[Path, str]) -> None:
    assert _named(compiled[1]) == AXIOMS


def _named(answer: str) -> set[str]:
    """The axioms of an answer: what begins a line, but for the heading; types are indented."""
    return set(re.findall(r"^([\w.']+)(?= :|$)", answer, flags=re.MULTILINE))


@pytest.mark.coq
def test_an_unproven_statement_would_be_seen(compiled: tuple[Path, str]) -> None:
    said = compile_text(compiled[0], "Gap.v", "Lemma gap : 0 = 1. Admitted.\nPrint Assumptions gap.\n")

    assert _named(said) == {"gap"}


@pytest.mark.coq
@pytest.mark.parametrize("seed", range(4))
def test_coq_and_python_agree_on_allocation_and_prices(compiled: tuple[Path, str], seed: int) -> None:
    auction = _random_auction(Random(seed), impossible=seed % 2 == 1)
    compile_text(compiled[0], f"Instance{seed}.v", auction.examples())
    _compare(auction)


@pytest.mark.parametrize("seed", range(100))
def test_the_same_fractions_and_python_agree_without_coq(seed: int) -> None:
    _compare(_random_auction(Random(seed), impossible=seed % 2 == 1))


@pytest.mark.coq
def test_coq_and_python_agree_on_charge_bounds(compiled: tuple[Path, str]) -> None:
    random = Random(5)
    ranges = [(-random.randrange(10**6), random.randrange(10**6), random.randrange(1, 10**5)) for _ in range(40)]
    examples = [f"charge_bound ({a}) {b} {t} = {charge_bound(a, b, t)}%Z" for a, b, t in ranges]

    compile_text(compiled[0], "Bounds.v", "\n".join(f"Goal {one}. Proof. reflexivity. Qed." for one in examples))


@pytest.mark.coq
def test_coq_and_python_agree_on_rounding(compiled: tuple[Path, str]) -> None:
    random = Random(6)
    eighths = [*range(17), *(random.randrange(10**6) for _ in range(20))]

    compile_text(compiled[0], "Rounding.v", "\n".join(_rounded(n, *whole_micros(np.array([n / 8]))) for n in eighths))


@pytest.mark.coq
def test_coq_and_python_agree_on_the_rows_of_parties(compiled: tuple[Path, str]) -> None:
    random, labels = Random(7), [0, 1, 0, 2]
    rows = [[random.randrange(-99, 99) for _ in range(3)] for _ in labels]
    parties = group(np.array(rows, dtype=np.float64), labels).rewards.astype(int).tolist()
    table = " | ".join(
        f"{k}%nat => match j with 0%nat => {a} | 1%nat => {b} | _ => {c} end" for k, (a, b, c) in enumerate(rows)
    )
    goals = [f"grouped 4 label rows {g}%nat {j}%nat = {parties[g][j]}" for g in range(3) for j in range(3)]
    lines = [
        "Definition label (k : nat) : nat := match k with 1 => 1 | 3 => 2 | _ => 0 end%nat.",
        f"Definition rows (k j : nat) : R := match k with {table} | _ => 0 end.",
        *(f"Goal {goal}. Proof. unfold grouped, sum, rows, label; simpl; lra. Qed." for goal in goals),
    ]

    compile_text(compiled[0], "Parties.v", "\n".join(lines))


def _rounded(eighths: int, whole: int) -> str:
    """That so many eighths are rounded to `whole`: as the nearest number, or as the even one of two."""
    proof = "apply rounding_to_nearest. apply Rabs_def1; lra."
    if eighths % 8 == 4:
        proof = f"replace ({eighths} / 8) with (IZR {eighths // 8} + / 2) by lra. rewrite ties_to_even. reflexivity."
    return f"Goal round_half_even ({eighths} / 8) = {whole}%Z. Proof. {proof} Qed."


def _random_auction(random: Random, *, impossible: bool) -> RationalAuction:
    def fractions(size: int) -> tuple[Fraction, ...]:
        return tuple(Fraction(random.randint(1, 12), random.randint(1, 12)) for _ in range(size))

    size = random.randint(2, 4)
    weights = (*fractions(size - 1), Fraction(0)) if impossible else fractions(size)
    return RationalAuction(random.randint(1, 10_000), weights, (fractions(size), fractions(size)))


def _compare(auction: RationalAuction) -> None:
    """Python's functions against the auction's fractions, to a billionth of τ."""
    tau, numbers = auction.tau, _numbers(auction)
    allocation = numbers.solve()
    pi = [float(p) for p in auction.pi()]
    terms = [auction.influence(i) for i in (0, 1)]
    prices = [tau * sum(float(p) * math.log(p / q) for p, q in row if p) for row in terms]
    drawn = int(np.argmax(pi))

    assert allocation.pi == pytest.approx(pi, abs=1e-12)
    assert np.exp(allocation.log_pi_without).tolist() == [
        pytest.approx([float(q) for _, q in row], abs=1e-12) for row in terms
    ]
    assert offset(numbers, allocation, drawn) == pytest.approx(prices, abs=1e-9 * tau)
    assert outcome(numbers, allocation, drawn) == pytest.approx(
        [tau * math.log(row[drawn][0] / row[drawn][1]) for row in terms], abs=1e-9 * tau
    )
    others = [tau * math.log(_weight(auction, [1 - i])) for i in (0, 1)]
    assert no_offset(numbers, allocation, drawn) == pytest.approx(
        [price - other for price, other in zip(prices, others, strict=True)], abs=1e-9 * tau
    )


def _weight(auction: RationalAuction, advertisers: list[int]) -> Fraction:
    return sum(
        (w * math.prod(auction.factors[i][j] for i in advertisers) for j, w in enumerate(auction.weights)), Fraction(0)
    )


def _numbers(auction: RationalAuction) -> Numbers:
    log_ref = [math.log(weight) if weight else -math.inf for weight in auction.weights]
    rewards = [[auction.tau * math.log(factor) for factor in row] for row in auction.factors]
    return Numbers(np.zeros(len(log_ref)), np.array(log_ref), np.array(rewards), float(auction.tau))
