"""The proof of infra/trust/proof, compiled by Coq; and small auctions of which Coq itself says what comes out."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from pathlib import Path

import pytest

PROOF = Path(__file__).parents[2] / "infra" / "trust" / "proof"
FILES = [line for line in (PROOF / "_CoqProject").read_text(encoding="utf-8").splitlines() if line.endswith(".v")]
COMPILES_WITHIN_S = 300.0  # all files together take five seconds on a machine that is not busy
LIBRARY = """\
Require Import Reals Lra ZArith.
From Tessera Require Import Sums Allocation Payments Charges LinkGroups.
Open Scope R_scope.
"""


def require_coq() -> None:
    """Skip the calling test without Coq; fail it when CI is set."""
    if shutil.which("coqc") is None:
        reason = "coqc is not installed; on Debian: apt-get install coq"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


def compile_file(folder: Path, name: str) -> str:
    """What Coq prints on one file; the calling test fails, with Coq's message, where a proof is not accepted."""
    done = subprocess.run(
        ["coqc", "-Q", ".", "Tessera", name],
        cwd=folder, capture_output=True, text=True, timeout=COMPILES_WITHIN_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    return done.stdout


def compile_text(folder: Path, name: str, text: str) -> str:
    """As `compile_file`, of a text that uses the proof's definitions."""
    (folder / name).write_text(LIBRARY + text, encoding="utf-8")
    return compile_file(folder, name)


@dataclass(frozen=True)
class RationalAuction:
    """Reports τ·log(factor), so that all probabilities are fractions: τ, weights [M], factors [2][M].

    Two advertisers; weights are ≥ 0, factors > 0.
    """

    tau: int
    weights: tuple[Fraction, ...]
    factors: tuple[tuple[Fraction, ...], tuple[Fraction, ...]]

    def pi(self, advertisers: Sequence[int] = (0, 1)) -> list[Fraction]:
        """The allocation among these advertisers."""
        scores = [w * prod(self.factors[i][j] for i in advertisers) for j, w in enumerate(self.weights)]
        return [score / sum(scores) for score in scores]

    def influence(self, advertiser: int) -> list[tuple[Fraction, Fraction]]:
        """The terms of KL(π ‖ π₋ᵢ): the probability of each candidate, with the advertiser and without it."""
        return list(zip(self.pi(), self.pi([1 - advertiser]), strict=True))

    def examples(self) -> str:
        """Each probability and price as a statement that Coq is to accept, about the proof's own definitions."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        size = len(self.weights)
        yield f"Definition tau := {self.tau}."
        yield f"Definition w (j : nat) := {_table(self.weights)}."
        first, second = map(_table, self.factors)
        yield f"Definition factor (i j : nat) := match i with 0%nat => {first} | _ => {second} end."
        yield "Definition P (i j : nat) := tau * ln (factor i j)."
        yield _POWERS
        yield from _examples("full", f"allocation {size} tau 2 w P", self.pi())
        for i in (0, 1):
            yield from _examples(f"without{i}", f"allocation {size} tau 2 w (without {i} P)", self.pi([1 - i]))
            terms = " + ".join(f"{_real(p)} * ln ({_real(p)} / {_real(q)})" for p, q in self.influence(i))
            names = ", ".join(f"{kind}_{j}" for j in range(size) for kind in ("full", f"without{i}"))
            yield f"Example price{i} : price {size} tau 2 w {i} P = tau * ({terms})."
            yield f"Proof. unfold price, KL, sum. rewrite {names}. ring. Qed."


def _examples(name: str, allocation: str, probabilities: Sequence[Fraction]) -> Iterator[str]:
    for j, probability in enumerate(probabilities):
        yield f"Example {name}_{j} : {allocation} {j} = {_real(probability)}."
        yield (
            "Proof. unfold allocation, normalised, score_weight, sum, without, report, P, factor, w; simpl Nat.eqb; "
            "cbv iota; rewrite ?both, ?second, ?first by lra; field. Qed."
        )


_POWERS = """
Lemma both x y : 0 < x -> 0 < y -> exp ((0 + tau * ln x + tau * ln y) / tau) = x * y.
Proof.
  intros X Y. replace ((0 + tau * ln x + tau * ln y) / tau) with (ln x + ln y) by (unfold tau; field).
  rewrite exp_plus, !exp_ln by assumption. reflexivity.
Qed.
Lemma second y : 0 < y -> exp ((0 + 0 + tau * ln y) / tau) = y.
Proof. intros Y. replace ((0 + 0 + tau * ln y) / tau) with (ln y) by (unfold tau; field). now apply exp_ln. Qed.
Lemma first x : 0 < x -> exp ((0 + tau * ln x + 0) / tau) = x.
Proof. intros X. replace ((0 + tau * ln x + 0) / tau) with (ln x) by (unfold tau; field). now apply exp_ln. Qed.
"""


def _real(value: Fraction) -> str:
    return f"({value.numerator} / {value.denominator})"


def _table(values: Sequence[Fraction]) -> str:
    rows = " | ".join(f"{j}%nat => {_real(value)}" for j, value in enumerate(values))
    return f"match j with {rows} | _ => 0 end"
