"""Before what cannot be undone a person is asked: the answer is theirs, and nobody there is said as that."""

import pytest
from click.testing import CliRunner

from tests.support.forked_command import tessera
from workers.cli import cli, confirmation
from workers.errors import TesseraError

#: Commands that ask before they look into Kafka.
ASKING = [["offsets", "set", "auction.query.submitted.v1/0/1"], ["dlq", "send", "auction.query.submitted.v1/0/1"]]


@pytest.mark.parametrize("arguments", ASKING, ids=lambda arguments: " ".join(arguments[:2]))
@pytest.mark.parametrize(
    ("given", "code", "said"),
    [(b"", 2, b"--yes answers where nobody"), (b"n\n", 1, b"nothing was done"), (b"\n", 1, b"nothing was done")],
    ids=["nobody there", "no", "nothing said"],
)
def test_no_answer_and_a_no_are_no_interruption(arguments: list[str], given: bytes, code: int, said: bytes) -> None:
    done = tessera(*arguments, given=given)

    assert (done.returncode, done.stdout) == (code, b"")
    assert said in done.stderr and b"interrupted" not in done.stderr


@pytest.mark.parametrize("given", ["y\n", "Yes\n"])
def test_a_yes_goes_on(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise TesseraError("it went on")

    monkeypatch.setattr("workers.cli.offsets_set.set_position", refuse)
    done = CliRunner().invoke(cli, ASKING[0], input=given, env={"TESSERA_ALLOW_PLAINTEXT": "true"})

    assert str(done.exception) == "it went on"
    assert confirmation.DECLINED != 0
