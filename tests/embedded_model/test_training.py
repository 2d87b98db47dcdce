"""A training run goes on where it was broken off, with the very weights it would have had."""

import contextlib
import io
import math
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.embedded_model.schedule import DECAY, PATIENCE, Schedule

ROOT = Path(__file__).parents[2]
TINY = ["--width", "32", "--layers", "1", "--inner", "48", "--heads", "2", "--vocab", "600", "--part", "400"]


def fed(losses: list[float], limit: float = 1e9) -> Schedule:
    schedule = Schedule(limit, 1000)
    for loss in losses:
        schedule.advance(1000)
        schedule.note(loss)
    return schedule


def test_the_rate_stays_full_while_the_loss_falls_and_falls_once_it_is_level() -> None:
    falling = fed([2.0 * 0.97**step for step in range(20)])
    level = fed([1.0] * (PATIENCE + 1))

    assert falling.falls_from is None and falling.rate(10_000) == 1
    assert level.falls_from == level.seen and not level.over


def test_the_rate_falls_at_the_limit_of_tokens_and_the_run_ends_at_zero() -> None:
    schedule = fed([2.0 * 0.9**step for step in range(10)], limit=10_000)
    assert schedule.falls_from == 10_000

    rates = []
    while not schedule.over:
        rates.append(schedule.rate(10_000))
        schedule.advance(500)

    assert rates == sorted(rates, reverse=True) and rates[0] == 1 and schedule.rate(10_000) == 0
    assert math.isclose(schedule.seen, 10_000 * (1 + DECAY), rel_tol=0.05)


def test_a_schedule_taken_over_from_a_checkpoint_goes_on_alike() -> None:
    first, second = fed([1.5, 1.2, 1.1]), Schedule(1e9, 1000)
    second.restore(first.state())

    assert second.state() == first.state() and second.last == first.last == 1.1


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, int], str]:
    """Trains a tiny model in this process up to a step and gives back what was printed."""
    from infra.embedded_model import train, vocabulary

    monkeypatch.setattr(vocabulary, "TEXTS", 300)
    monkeypatch.setattr(train, "MEASURED", 20)

    def run(folder: Path, stop_at: int) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            train.train(train.parser().parse_args(["--run", str(folder), "--stop-at", str(stop_at), *TINY]))
        return printed.getvalue()

    return run


@pytest.mark.vllm  # torch is installed there
def test_a_run_in_two_parts_has_the_weights_of_a_run_in_one(tiny: Callable[[Path, int], str], tmp_path: Path) -> None:
    import torch

    for folder, stop_at in (("one", 6), ("two", 3), ("two", 6)):
        tiny(tmp_path / folder, stop_at)

    whole, parts = (torch.load(tmp_path / folder / "checkpoint.pt", weights_only=True) for folder in ("one", "two"))
    assert all(torch.equal(whole["model"][name], parts["model"][name]) for name in whole["model"])
    assert whole["taken"] == parts["taken"] and whole["schedule"] == parts["schedule"]


@pytest.mark.vllm
def test_a_killed_run_goes_on_from_its_last_checkpoint(tiny: Callable[[Path, int], str], tmp_path: Path) -> None:
    tiny(tmp_path, 2)
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    command = [sys.executable, "-m", "infra.embedded_model.train", "--run", str(tmp_path), *TINY]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None and "step 2 " in killed.stdout.readline()
        killed.kill()
    assert killed.returncode == -signal.SIGKILL and (tmp_path / "checkpoint.pt").read_bytes() == kept

    first, *_, last = tiny(tmp_path, 3).splitlines()
    assert "step 2 " in first and "step 3 " in last


@pytest.mark.vllm
def test_a_checkpoint_of_another_run_is_refused_with_its_arguments(tmp_path: Path) -> None:
    from infra.embedded_model.checkpoint import load, save

    path = tmp_path / "checkpoint.pt"
    save(path, {"steps": 3}, {"seed": 1, "threads": 2})

    assert load(path, {"seed": 1, "threads": 1}) is not None
    with pytest.raises(SystemExit, match="--seed 1; give these"):
        load(path, {"seed": 2, "threads": 2})
    assert load(tmp_path / "none.pt", {}) is None


@pytest.mark.vllm
def test_the_default_model_fits_the_wheel_twice_in_half_precision() -> None:
    from infra.embedded_model.network import Model
    from infra.embedded_model.train import parser

    args = parser().parse_args(["--run", "-"])
    parameters = sum(p.numel() for p in Model(args.vocab, args.width, args.layers, args.inner, args.heads).parameters())

    assert parameters <= 12e6 and 2 * 2 * parameters <= 15e6
