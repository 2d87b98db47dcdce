"""Who may do what in Kafka: one principal for each stage and each role around them, with exactly the rights it needs.

A stage's rights follow from its row of the wiring table, so a new stage has them without a word here.
"""

from collections.abc import Iterable
from dataclasses import replace

from schemas.topics import (
    CHARGED,
    COMMITMENTS,
    CREDITED,
    DEAD_LETTERS,
    GENERATED,
    INCENTIVES,
    PROFILES,
    QUERIES,
    SCORED,
    SETTLED,
    SETTLED_QUERIES,
    TERMS,
)
from workers.pipeline import GROUPS, PATH, POSITIONS, STAGES
from workers.stage import StageSpec
from workers.stream.admin.rights import Principal, Right

#: A cluster may have users under names of older releases: `tessera principals` goes on to know them.
FORMER_NAMES = {"auction.registrar": "auction.key-committer"}

DOMAIN = "auction."  # every topic, group, principal and transactional id of ours begins with it


def principals() -> tuple[Principal, ...]:
    """All of them: the stages in the order of the pipeline, then who sends, commits, checks and administers."""
    writers = (_gateway(), _consumer(), _registrar(), _key_committer(), _terms_publisher(), _creditor())
    around = (*writers, _auditor(), _verifier(), _operator(), _redriver())
    return (*(_stage(spec) for spec in STAGES.values()), *around)


def named(name: str) -> Principal:
    """The principal of that name, or under the name that it had in releases before. KeyError: there is none."""
    found = {principal.name: principal for principal in principals()}
    return replace(found[FORMER_NAMES.get(name, name)], name=name)


def _stage(spec: StageSpec) -> Principal:
    """Describe comes with Read and Write; an idempotent or transactional producer needs no right of its own."""
    reads, writes = {spec.consumes.name, spec.positions}, {spec.positions, *(topic.name for topic in spec.publishes)}
    if not spec.watches:
        writes.add(spec.consumes.dead_letters)
    if spec.remembers is not None:
        reads.add(spec.remembers.name)
    if spec.follows is not None:
        reads.add(spec.follows.name)
    if spec.needs_draw_keys:  # commits to the day's key by itself, and reads what was committed to
        reads.add(COMMITMENTS.name)
        writes.add(COMMITMENTS.name)
    own = [Right("Read", "group", spec.group), Right("Write", "transactional-id", f"{spec.group}.", prefixed=True)]
    if spec.remembers is not None:  # how long Kafka keeps what is remembered
        own.append(Right("DescribeConfigs", "topic", spec.remembers.name))
    also = "`offsets set` of what it reads" if spec.watches else "`dlq send`, `offsets set` of what it reads"
    purpose = f"`tessera run {spec.name}`, {also}"
    return _principal(spec.name, purpose, (*_read(reads), *_write(writes), *own))


def _gateway() -> Principal:
    return _principal("gateway", "your service that submits queries", _write([QUERIES.name]))


def _consumer() -> Principal:
    """Its groups are named as it is, or as it is and a suffix."""
    group = Right("Read", "group", f"{DOMAIN}consumer", prefixed=True)
    return _principal(
        "consumer",
        "your services that read replies, bills and credits",
        (*_read([SETTLED.name, CHARGED.name, CREDITED.name]), group),
    )


def _registrar() -> Principal:
    """Not called registrar: a cluster of an older release knows the key-committer by that name."""
    own = (*_read([PROFILES.name]), *_write([PROFILES.name]))
    return _principal("advertiser-registrar", "`tessera advertisers`", own)


def _key_committer() -> Principal:
    """Reveal looks whether settlement has caught up."""
    looks = (
        Right("DescribeConfigs", "topic", COMMITMENTS.name),
        Right("Describe", "topic", SCORED.name),
        Right("DescribeConfigs", "topic", SCORED.name),
        Right("Describe", "group", STAGES["settlement"].group),
    )
    own = (*_read([COMMITMENTS.name]), *_write([COMMITMENTS.name]), *looks)
    return _principal("key-committer", "`tessera keys commit`, `reveal`", own)


def _terms_publisher() -> Principal:
    """One transactional id for all: whoever publishes a notice fences whoever began before."""
    own = Right("Write", "transactional-id", f"{DOMAIN}terms-publisher.", prefixed=True)
    return _principal("terms-publisher", "`tessera terms`", (*_read([TERMS.name]), *_write([TERMS.name]), own))


def _creditor() -> Principal:
    """One transactional id for all: whoever issues a credit fences whoever began before."""
    own = Right("Write", "transactional-id", f"{DOMAIN}creditor.", prefixed=True)
    return _principal(
        "creditor", "`tessera credit`", (*_read([CHARGED.name, CREDITED.name]), *_write([CREDITED.name]), own)
    )


def _auditor() -> Principal:
    logged = (SCORED, SETTLED, CHARGED, CREDITED, COMMITMENTS, TERMS)
    return _principal(
        "auditor",
        "`tessera audit`, `balance`, `statement`, `export`, `explain`, `whatif`, `repository export`, "
        "`sink parquet`, `dlq list`, `keys list`",
        (*_read(topic.name for topic in (*logged, QUERIES, GENERATED)), *_read(DEAD_LETTERS)),
    )


def _verifier() -> Principal:
    """It reads everything that a query passes, and how far each stage has come."""
    topics = (QUERIES, GENERATED, SCORED, SETTLED, CHARGED, COMMITMENTS, TERMS)
    groups = (Right("Describe", "group", STAGES[name].group) for name in PATH)
    positions = (STAGES[name].positions for name in PATH)
    own = (*_read(topic.name for topic in topics), *_read(DEAD_LETTERS), *_read(positions), *groups)
    return _principal("verifier", "`tessera verify`", own)


def _operator() -> Principal:
    """Kafka lets whoever may read a group's topic and the group itself set its offsets."""
    every = (
        Right(operation, "topic", DOMAIN, prefixed=True) for operation in ("Create", "Describe", "DescribeConfigs")
    )
    groups = (Right("Read", "group", group) for group in GROUPS)
    grow = (Right("Alter", "topic", name) for name in POSITIONS)  # with their stages' input
    purpose = "`tessera topics`, `offsets`, `doctor`"
    evidence = {SETTLED_QUERIES.name, INCENTIVES.name}  # of what is finished, where no offset says so
    read = {*GROUPS.values(), *DEAD_LETTERS, *POSITIONS, *evidence}
    return _principal("operator", purpose, (*every, *groups, *grow, *_read(read)))


def _redriver() -> Principal:
    return _principal(
        "redriver",
        "`tessera dlq redrive`",
        (*_read(DEAD_LETTERS), *_write(topic.name for topic in DEAD_LETTERS.values())),
    )


def _principal(role: str, purpose: str, rights: Iterable[Right]) -> Principal:
    return Principal(DOMAIN + role, purpose, tuple(sorted({*rights}, key=lambda right: (right.resource, right))))


def _read(topics: Iterable[str]) -> tuple[Right, ...]:
    return tuple(Right("Read", "topic", topic) for topic in topics)


def _write(topics: Iterable[str]) -> tuple[Right, ...]:
    return tuple(Right("Write", "topic", topic) for topic in topics)
