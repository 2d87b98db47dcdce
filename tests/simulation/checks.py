"""What must hold after every run: each input record has one result, in order, and nobody was told otherwise."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from schemas.reasons import DeadLetterReason
from tests.contracts.test_bus import Asked
from tests.simulation.log import Stored
from tests.simulation.scenario import ANSWERED, ASKED, OUTPUTS, PARTITIONS, USED, Given
from tests.simulation.simulation import Outcome


def judge(outcome: Outcome) -> list[str]:
    """Every finding, in words; empty when all is well."""
    checks = (results, order, duplicates, offsets, told, seen_live)
    return [*outcome.findings, *(finding for check in checks for finding in check(outcome))]


def published(outcome: Outcome, *topics: str) -> list[Stored]:
    logs = outcome.broker.logs
    return [entry for topic in topics for log in logs[topic] for entry in log.visible()]


def origin(outcome: Outcome, entry: Stored) -> tuple[int, int]:
    """Partition and offset of the input record that an output belongs to."""
    if entry.topic == ASKED.dead_letters:
        headers = dict(entry.headers)
        return int(headers["dlq.partition"] or b""), int(headers["dlq.offset"] or b"")
    number = Asked.decode(entry.value).number
    return next(at for at, index in outcome.inputs.items() if outcome.scenario.given[index].number == number)


def results(outcome: Outcome) -> Iterator[str]:
    """Exactly one result for each input record, and of the right kind."""
    found: defaultdict[tuple[int, int], list[Stored]] = defaultdict(list)
    for entry in published(outcome, *OUTPUTS):
        found[origin(outcome, entry)].append(entry)
    for at in found.keys() - outcome.inputs.keys():
        yield f"a result of no input: {at}"
    for at, index in outcome.inputs.items():
        if len(found[at]) != 1:
            yield f"input {at} has {len(found[at])} results: {[(one.topic, one.partition, one.offset) for one in found[at]]}"
        elif (problem := _wrong_kind(outcome.scenario.given[index], found[at][0], outcome.scenario.remembers)) is not None:
            yield f"input {at}: {problem}"


def _wrong_kind(given: Given, entry: Stored, remembers: bool) -> str | None:
    reason = dict(entry.headers).get("dlq.reason", b"") if entry.topic == ASKED.dead_letters else b""
    if not given.decodes:
        allowed = {DeadLetterReason.BAD_JSON.name.encode()}
    elif given.refused:
        allowed = {DeadLetterReason.EXPIRED.name.encode()}
    else:
        allowed = {b""}
    if remembers and given.decodes:
        allowed.add(DeadLetterReason.DUPLICATE_QUERY.name.encode())
    return None if reason in allowed else f"its result is {reason!r}, not {allowed}"


def order(outcome: Outcome) -> Iterator[str]:
    """Per output partition, the results of one input partition are in the order of the input."""
    for topic in OUTPUTS:
        for log in outcome.broker.logs[topic]:
            origins = [origin(outcome, entry) for entry in log.visible()]
            for number in range(PARTITIONS):
                offsets = [offset for partition, offset in origins if partition == number]
                if offsets != sorted(offsets):
                    yield f"{topic} {log.number}: results of input partition {number} in the order {offsets}"


def duplicates(outcome: Outcome) -> Iterator[str]:
    """Of a stage that remembers: of each id one answer, the first that was not refused."""
    if not outcome.scenario.remembers:
        return
    answers = Counter(Asked.decode(entry.value).query_id for entry in published(outcome, ANSWERED.name))
    for id_, count in answers.items():
        if count > 1:
            yield f"query id {id_} was answered {count} times"
    given = [outcome.scenario.given[index] for index in outcome.inputs.values()]
    wanted = {one.query_id for one in given if one.decodes and not one.refused}
    if wanted != answers.keys():
        yield f"answered ids {sorted(answers)} instead of {sorted(wanted)}"
    memory = Counter(entry.key for entry in published(outcome, USED.name))
    if memory != Counter({id_.encode(): 1 for id_ in wanted}):
        yield f"the memory holds {memory}"


def offsets(outcome: Outcome) -> Iterator[str]:
    yield from outcome.group.faults


def told(outcome: Outcome) -> Iterator[str]:
    """A process tells its observer of each committed event once at most, and of no other."""
    committed = {dict(entry.headers)["ce_id"] for entry in published(outcome, ANSWERED.name, USED.name)}
    for life in outcome.lives:
        ids = Counter(life.journal.committed_ids)
        if twice := [id_ for id_, count in ids.items() if count > 1]:
            yield f"{life.process.name} reported {len(twice)} events twice"
        if untrue := [id_ for id_ in ids if id_.encode() not in committed]:
            yield f"{life.process.name} reported {len(untrue)} events that were not committed"


def seen_live(outcome: Outcome) -> Iterator[str]:
    """Who reads all the while sees what the log holds in the end."""
    for topic in OUTPUTS:
        for log in outcome.broker.logs[topic]:
            seen = [one.offset for one in outcome.read_live if (one.topic, one.partition) == (topic, log.number)]
            final = [entry.offset for entry in log.visible()]
            if seen != final:
                yield f"{topic} {log.number}: the live reader saw {seen}, the log holds {final}"
