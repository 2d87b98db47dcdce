"""What must hold after every run: each input record has one result, in order, and nobody was told otherwise."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from schemas.reasons import DeadLetterReason
from tests.contracts.test_bus import Asked
from tests.simulation.lives import Outcome
from tests.simulation.log import Stored
from tests.simulation.scenario import ANSWERED, ASKED, OUTPUTS, PARTITIONS, USED, Given
from workers.stream.offsets import read_completion
from workers.stream.partition.crash_count import MOST_DEATHS

HORIZON_S = 1e9


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
            places = [(one.topic, one.partition, one.offset) for one in found[at]]
            yield f"input {at} has {len(places)} results: {places}"
        elif (problem := _wrong_kind(outcome, outcome.scenario.given[index], found[at][0])) is not None:
            yield f"input {at}: {problem}"


def _wrong_kind(outcome: Outcome, given: Given, entry: Stored) -> str | None:
    reason = reason_of(entry)
    allowed = {name.name if name else "" for name in _possible(given)}
    if outcome.scenario.remembers and given.decodes:
        allowed.add(DeadLetterReason.DUPLICATE_QUERY.name)
    if (
        reason == DeadLetterReason.CRASHED_WORKER.name
        and (tried := attempts(outcome, origin(outcome, entry))) < MOST_DEATHS
    ):
        return f"it is given up as {reason}, though only {tried} attempts at it had no orderly end"
    return None if reason in allowed else f"its result is {reason!r}, not one of {sorted(allowed)}"


def attempts(outcome: Outcome, at: tuple[int, int]) -> int:
    """How many attempts were announced while the record was the first unfinished one, less those taken back."""
    count, before = 0, (-1, 0)
    for (_, partition), offset, metadata in outcome.group.offset_history:
        if partition == at[0]:
            completion = read_completion(offset, metadata)
            if at[1] in completion.done or offset > at[1]:
                break
            # The first unfinished record: markers before it, and records that are finished, hold up nobody.
            numbers = (one for partition, one in outcome.inputs if partition == at[0] and one >= offset)
            first = min(one for one in numbers if one not in completion.done)
            if first == at[1]:
                # with a new first record comes at most one attempt: what is more was somebody else's
                count += completion.attempts - before[1] if before[0] == first else int(completion.attempts == 1)
            before = first, completion.attempts
    return count


def _possible(given: Given) -> set[DeadLetterReason | None]:
    """Reasons of a dead letter, None for an answer. Any record can be in work when three processes die."""
    if not given.decodes:
        return {DeadLetterReason.BAD_JSON, DeadLetterReason.CRASHED_WORKER}
    if given.poisonous:
        return {DeadLetterReason.CRASHED_WORKER}
    if given.refused:
        return {DeadLetterReason.EXPIRED, DeadLetterReason.CRASHED_WORKER}
    late = {DeadLetterReason.EXPIRED} if given.expires_at_s < HORIZON_S else set()
    return {None, DeadLetterReason.CRASHED_WORKER} | late


def reason_of(entry: Stored) -> str:
    """Of a dead letter; empty for an answer."""
    return (dict(entry.headers)["dlq.reason"] or b"").decode() if entry.topic == ASKED.dead_letters else ""


def order(outcome: Outcome) -> Iterator[str]:
    """Per output partition, the results of one input partition are in the order of the input."""
    if not outcome.scenario.in_order:
        return
    for topic in OUTPUTS:
        for log in outcome.broker.logs[topic]:
            origins = [origin(outcome, entry) for entry in log.visible()]
            for number in range(PARTITIONS):
                offsets = [offset for partition, offset in origins if partition == number]
                if offsets != sorted(offsets):
                    yield f"{topic} {log.number}: results of input partition {number} in the order {offsets}"


def duplicates(outcome: Outcome) -> Iterator[str]:
    """Of a stage that remembers: of each id the first that is not refused is answered, all after it are duplicates."""
    if not outcome.scenario.remembers:
        return
    reasons = {origin(outcome, entry): reason_of(entry) for entry in published(outcome, *OUTPUTS)}
    answered: set[str] = set()
    for at in sorted(reasons.keys() & outcome.inputs.keys()):
        id_, reason = outcome.scenario.given[outcome.inputs[at]].query_id, reasons[at]
        is_duplicate = reason == DeadLetterReason.DUPLICATE_QUERY.name
        if is_duplicate and id_ not in answered:
            yield f"input {at} is a duplicate, but nothing of its id {id_} was answered before"
        if not reason and id_ in answered:
            yield f"query id {id_} was answered again at {at}"
        answered |= {id_} if not reason else set()
    memory = Counter((entry.key or b"").decode() for entry in published(outcome, USED.name))
    if memory != Counter(answered):
        yield f"the memory holds {memory}, answered are {sorted(answered)}"


def offsets(outcome: Outcome) -> Iterator[str]:
    yield from outcome.group.faults


def told(outcome: Outcome) -> Iterator[str]:
    """Processes tell their observers of each committed event once at most, all of them together, and of no other."""
    committed = {dict(entry.headers)["ce_id"] for entry in published(outcome, ANSWERED.name, USED.name)}
    everywhere = Counter(id_ for life in outcome.lives for id_ in {*life.journal.committed_ids})
    if shared := [id_ for id_, count in everywhere.items() if count > 1]:
        yield f"{len(shared)} events were reported by several processes"
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
