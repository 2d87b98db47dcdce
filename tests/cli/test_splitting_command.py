"""`tessera splitting` as a user meets it: the table, output for machines, input that is none."""

import json
from pathlib import Path

import pytest

from schemas.lines import to_line
from tests.cli.test_commands import refused
from tests.support.builders import make_scored
from tests.support.forked_command import tessera
from tests.truthfulness.test_split_bids_watch import split_auction
from workers.truthfulness.split_bids import MIN_AUCTIONS


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of auctions in which the first two of three advertisers are one."""
    log = tmp_path_factory.mktemp("log") / "scored.jsonl"
    log.write_bytes(b"\n".join(to_line(split_auction(seed)) for seed in range(MIN_AUCTIONS)))
    return log


def words_of(output: bytes) -> str:
    """What was printed, however its lines are broken."""
    return " ".join(output.decode().split())


def test_suspected_pairs_are_shown_with_what_to_do(split: Path) -> None:
    done = tessera("splitting", str(split))

    words = words_of(done.stdout)
    assert done.returncode == 0  # a report, not a verdict
    assert "20 auctions. Pairs of advertisers that met: 3; in 20 auctions or more: 3; of these suspected" in words
    assert "advertiser-00 advertiser-01 20 1.0000 1 : 1 0.0" in words
    assert "no proof" in words and "declare them a link group" in words
    assert not done.stderr


def test_suspected_pairs_are_json_lines(split: Path) -> None:
    done = tessera("splitting", "--json", str(split))

    (row,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert row.pop("lost_micros") > 0
    assert row.pop("cosine") == pytest.approx(1.0)
    assert row.pop("size_ratio") == pytest.approx(1.0)
    assert row == {"advertiser_ids": ["advertiser-00", "advertiser-01"], "auctions": 20, "currency": "USD"}


def test_bare_values_from_a_pipe_are_read_too() -> None:
    values = b"\n".join(split_auction(seed).value for seed in range(MIN_AUCTIONS))

    done = tessera("splitting", "-", "--json", given=values)

    assert len(done.stdout.splitlines()) == 1


def test_the_thresholds_of_splitting_are_options(split: Path) -> None:
    nobody = words_of(tessera("splitting", "--min-auctions", "21", str(split)).stdout)
    assert nobody.endswith("met: 3; in 21 auctions or more: 0; of these suspected of bidding in parts: 0.")
    everybody = tessera("splitting", "--json", "--min-cosine", "-1", str(split))
    assert len(everybody.stdout.splitlines()) == 3


def test_splitting_prints_nothing_where_nobody_is_suspected() -> None:
    done = tessera("splitting", "--json", "-", given=to_line(make_scored(0)))

    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (b"", "has no auction.candidates.scored.v1 event in it"),
        (b"nonsense\n", "line 1: BAD_JSON"),
        (to_line(make_scored(0)) + b"\n{}\n", "line 2: BAD_SCHEMA"),
    ],
)
def test_splitting_reports_what_is_wrong_with_its_input(given: bytes, says: str) -> None:
    done = tessera("splitting", "-", given=given)

    assert says in refused(done)
    assert not done.stdout


@pytest.mark.parametrize("option", [("--min-cosine", "2"), ("--min-auctions", "0")])
def test_a_threshold_out_of_range_is_refused(option: tuple[str, str], split: Path) -> None:
    done = tessera("splitting", *option, str(split))

    assert done.returncode == 2
    assert option[0].encode() in done.stderr
