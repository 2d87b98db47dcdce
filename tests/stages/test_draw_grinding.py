"""Who knows the day's key and writes scored events cannot vary what it writes until the draw suits it."""

import pytest

from schemas.auction import CandidatesScored
from schemas.payload import BadRecord
from schemas.reply import Draw
from tests.audit.logs import Log, kinds, make_log
from tests.support.builders import envelop, make_query, make_scored, make_settled, name_query
from workers.mechanism.draw import uniform

TRIES = 64


def test_by_draw_v1_free_fields_of_the_scored_event_choose_the_reply() -> None:
    assert len(_draws(make_scored(1).data)) == TRIES  # why there is a draw-v2


def test_by_draw_v2_free_fields_of_the_scored_event_change_nothing() -> None:
    assert len(_draws(name_query(make_scored(1).data))) == 1


def test_by_draw_v2_another_query_or_nonce_is_another_draw() -> None:
    digests = {make_query(1, draw_nonce=nonce).digest for nonce in (None, "00", "01")}

    draws = [_drawn(name_query(make_scored(1).data, digest)) for digest in digests]

    assert len({draw.u for draw in draws}) == 3


def test_u_is_the_hmac_of_the_published_description() -> None:
    # printf %s '7:draw-v2,1:q,1:0,1:7,64:000...000,' | openssl dgst -sha256 -hmac k
    found = uniform(b"k", "auction", "1" * 64, ("q", "0", "7", "0" * 64))

    assert f"{found:032x}" == "bafce6c87eeb25f653c31fee0f97bee7"
    assert found == uniform(b"k", "another", "2" * 64, ("q", "0", "7", "0" * 64))


def test_an_event_whose_auction_is_not_that_of_its_querys_record_is_refused() -> None:
    value = name_query(make_scored(1).data).encode().replace(b'"0","7"', b'"0","8"')

    with pytest.raises(BadRecord, match="auction_id"):
        CandidatesScored.decode(value)


def test_draws_of_both_kinds_pass_the_audit_side_by_side() -> None:
    assert kinds(make_log(1), _log(2)) == []


def test_a_draw_v1_of_an_event_that_names_its_query_is_found() -> None:
    log = _log(1)
    assert log.reply.draw is not None
    old = Draw(**{**dict(log.reply.draw), "algorithm": "draw-v1", "query_record": None})

    assert "old_draw" in kinds(log.change_reply(draw=old))


def test_a_draw_from_another_query_is_found() -> None:
    log, other = _log(1), make_query(2)
    assert log.reply.draw is not None and log.reply.draw.query_record is not None
    record = log.reply.draw.query_record.model_copy(update={"sha256": other.digest})
    forged = log.reply.draw.model_copy(update={"query_record": record})

    assert kinds(log.change_reply(draw=forged)) == ["wrong_u"]


def test_a_disclosure_that_does_not_quote_a_name_is_found() -> None:
    log = _log(1)

    unquoted = log.reply.disclosure.replace("“", "").replace("”", "")

    assert set(kinds(log.change_reply(disclosure=unquoted))) == {"wrong_disclosure"}


def _draws(scored: CandidatesScored) -> set[str]:
    changed = (scored.model_copy(update={"scoring_duration_s": float(number)}) for number in range(TRIES))
    return {_drawn(one).u for one in changed}


def _drawn(scored: CandidatesScored) -> Draw:
    draw = make_settled(envelop(scored))[0].data.draw
    assert draw is not None
    return draw


def _log(seed: int) -> Log:
    scored = name_query(make_scored(seed).data)
    reply, bills = make_settled(envelop(scored))
    return Log(scored, reply.data, tuple(bill.data for bill in bills))
