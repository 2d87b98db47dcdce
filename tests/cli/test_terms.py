"""Which notice of terms is in force, and which may be published next."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from schemas.lines import to_line
from schemas.terms import NamedModel, TermsPublished
from tests.support.builders import make_terms
from tests.support.worker_process import tessera
from workers.operations.terms import Notice, TermsRefused, in_force, notice_of, publication, terms_of
from workers.settings import Settings

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MODEL = NamedModel(name="test", model_sha256="ab" * 6)


def said(tau: int = 1_000, since: datetime = AT, note: str | None = None) -> TermsPublished:
    return terms_of(Settings.read(tau_micros_per_nat=tau), [MODEL], note, since)


def test_terms_are_those_of_the_workers_settings_and_the_same_ones_have_the_same_id() -> None:
    settings = Settings.read(tau_micros_per_nat=77, candidates_least=3)

    one, other = (terms_of(settings, [MODEL], note, AT) for note in ("first", "second"))

    assert (one.tau_micros_per_nat, one.candidates_least, one.currency) == (77, 3, settings.currency)
    assert one.terms_id != other.terms_id and one.terms_id == terms_of(settings, [MODEL], "first", AT).terms_id


def test_the_notice_in_force_is_that_which_came_into_force_last() -> None:
    first, second, third = (Notice(said(tau), AT + after) for tau, after in ((1, -HOUR), (2, HOUR), (3, HOUR)))

    assert in_force([first, second, third], AT) is first
    assert in_force([first, second, third], AT + HOUR) is third  # of two at once the one published later
    assert in_force([second], AT) is None and in_force([], AT) is None


def test_a_notice_is_in_force_only_when_the_broker_has_it() -> None:
    event = make_terms(in_force_from=AT)
    taken = event.__class__(**{**vars(event), "recorded_at": AT + HOUR})

    assert notice_of(taken).since == AT + HOUR


def test_terms_that_are_in_force_anyhow_are_not_published_again() -> None:
    before = [Notice(said(), AT - HOUR)]

    assert publication(said(note="once more"), before, AT) is None
    assert publication(said(7), before, AT) is not None
    assert publication(said(), [*before, Notice(said(7), AT - HOUR / 2)], AT) is not None  # back to what they were


def test_terms_of_the_past_and_terms_that_others_would_end_are_refused() -> None:
    with pytest.raises(TermsRefused, match="which has passed"):
        publication(said(since=AT - HOUR), [], AT)
    with pytest.raises(TermsRefused, match="announced for 2026-11-29 13:00:00 UTC"):
        publication(said(), [Notice(said(7), AT + HOUR)], AT)


def test_the_event_of_a_notice_is_keyed_by_it_and_has_one_id() -> None:
    event, again = publication(said(), [], AT), publication(said(), [], AT + HOUR / 60)

    assert event is not None and again is not None
    assert event.id == again.id and event.subject == event.data.terms_id
    assert json.loads(to_line(event))["type"] == "auction.terms.v1"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--model", "test"], "is no model; one is NAME@, then 12 to 64 hexadecimal digits"),
        (["--model", "test@ABCDEFABCDEF"], "is no model"),
        (["--in-force-from", "soon"], "nor a time as in"),
        (["--note", "two\nlines"], "Invalid value for '--note'"),
    ],
)
def test_what_no_notice_can_say_is_refused_with_the_reason(given: list[str], message: str) -> None:
    done = tessera("terms", "publish", *given)

    assert done.returncode == 2 and message in " ".join(done.stderr.decode().split())
