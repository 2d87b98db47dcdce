"""`tessera principals` without a broker: what it shows, and the commands that it prints."""

import json
import shlex

import pytest

from schemas.topics import DEAD_LETTERS, QUERIES, TOPICS
from tests.support.forked_command import tessera
from workers.operations.principals import DOMAIN, principals
from workers.pipeline import POSITIONS, STAGES


def test_every_stage_may_do_what_its_row_says_and_nothing_is_granted_twice() -> None:
    rights = {principal.name: principal.rights for principal in principals()}

    for spec in STAGES.values():
        granted = {(right.operation, right.name) for right in rights[spec.group]}
        assert {("Read", spec.consumes.name), ("Read", spec.group), ("Write", f"{spec.group}.")} <= granted
        assert {("Write", topic.name) for topic in spec.publishes} <= granted
        assert (("Write", spec.consumes.dead_letters) in granted) is not spec.watches
    assert all(len(set(granted)) == len(granted) for granted in rights.values())


def test_dead_letters_are_of_the_topics_that_some_stage_answers_for() -> None:
    read = {spec.consumes.dead_letters for spec in STAGES.values() if not spec.watches}

    assert set(DEAD_LETTERS) == read


def test_no_principal_may_write_to_all_topics_or_fence_another_stage() -> None:
    for principal in principals():
        for right in principal.rights:
            assert right.name.startswith(DOMAIN)
            if right.prefixed and right.operation in ("Read", "Write"):
                assert right.resource != "topic" and right.name.rstrip(".") == principal.name


def test_rights_are_about_topics_that_exist() -> None:
    known = {topic.name for topic in TOPICS} | DEAD_LETTERS.keys() | POSITIONS.keys()
    named = {r.name for p in principals() for r in p.rights if r.resource == "topic" and not r.prefixed}

    assert named <= known


def test_show_as_json() -> None:
    done = tessera("principals", "show", "auction.gateway", "--json")

    assert done.returncode == 0, done.stderr.decode()
    (row,) = map(json.loads, done.stdout.splitlines())
    assert row["name"] == "auction.gateway"
    assert row["rights"] == [{"operation": "Write", "resource": "topic", "name": QUERIES.name, "prefixed": False}]


def test_a_principal_has_its_rights_under_its_former_name_too() -> None:
    former, present = (
        json.loads(tessera("principals", "show", name, "--json").stdout)
        for name in ("auction.registrar", "auction.key-committer")
    )

    assert former == {**present, "name": "auction.registrar"}
    shown = tessera("principals", "show", "--json").stdout.splitlines()
    assert "auction.registrar" not in [json.loads(line)["name"] for line in shown]


def test_show_for_people_has_every_principal() -> None:
    shown = tessera("principals", "show").stdout.decode()

    assert all(principal.name in shown for principal in principals())


def test_commands_for_kafkas_own_tools() -> None:
    done = tessera("principals", "create", "auction.scoring", "--print-commands", kafka="broker:9093")

    lines = [shlex.split(line) for line in done.stdout.decode().splitlines()]
    assert [line[0] for line in lines] == ["kafka-configs.sh"] + ["kafka-acls.sh"] * 7
    assert all("broker:9093" in line for line in lines)
    assert lines[-1][-4:] == ["--transactional-id", "auction.scoring.", "--resource-pattern-type", "prefixed"]


@pytest.mark.parametrize("words", [("principals", "show"), ("principals", "create")])
def test_help_of_principals_has_an_example(words: tuple[str, ...]) -> None:
    assert f"tessera {' '.join(words)}" in tessera(*words, "--help").stdout.decode().split("Example")[1]


def test_an_unknown_principal_is_named() -> None:
    done = tessera("principals", "show", "auction.nobody")

    assert done.returncode == 2 and b"auction.nobody" in done.stderr
