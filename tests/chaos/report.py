"""The report of a long campaign: what was done, what really happened, what was found."""

from collections.abc import Sequence
from typing import Any

from tests.chaos.rounds import summed
from tests.chaos.watch import percentile

Rounds = list[dict[str, Any]]

FAULTS = {
    "worker_kill": "worker killed (SIGKILL)",
    "worker_kill_in_transaction": "worker killed at a fail-point inside or right after a transaction",
    "zombie": "worker frozen beyond its session at any moment, then thawed: taken over or fenced",
    "zombie_before_commit": "the same between `send_offsets_to_transaction` and `commit_transaction`",
    "broker_kill": "broker killed and started again",
    "broker_restart": "broker stopped in order and started again",
    "broker_frozen": "broker frozen beyond all sessions, killed frozen or a moment after its thaw, started again",
    "broker_disk_full": "broker ended because a file could not grow (a batch torn), started again with room",
    "broker_checkpoint": "broker killed, started with an older copy of its high-watermark checkpoints",
    "broker_cut_off": "broker killed and started again, connections cut every 0.3 s meanwhile and for 3 s after",
    "broker_storm": "broker frozen, thawed, killed; a worker frozen and a worker killed at the same time",
    "rebalance": "extra member came, got partitions, left",
    "latency": "network slow both ways for 1 to 2.5 s (frames really late)",
    "black_hole": "network swallowed everything for 0.5 to 3 s (frames really lost)",
    "reset": "all connections reset at once",
    "end_txn_delayed": "answer to EndTxn held back",
    "end_txn_dropped": "answer to EndTxn lost, transaction processed",
    "abort": "transaction aborted or producer failed at a fail-point",
}
UNPLANNED = {
    "broker_stuck": "broker whose coordinator gave up for good (decision 0011), killed and started again",
    "input_aborted": "input transactions aborted",
    "poison": "poison records",
    "duplicates": "query ids used a second time",
    "strangers": "records of batches that no client library sends: bombs, odd headers, heaps",
}


SHORT = "faults_happened:"  # the checker's word for a fault that came less often than planned
MONEY = ("no_duplicates:", "bills_recomputed:", "sums_agree:", "draws_recomputed:")  # the invariants that bills rest on
EXAMPLES = 3  # of each invariant in each round; rounds.jsonl has more


def findings_of(rounds: Rounds) -> list[str]:
    """What was found broken. A fault that came too seldom in one round counts only if it did so in all together."""
    broken = [f"round {at}: {text}" for at, text in _found(rounds) if not text.startswith(SHORT)]
    planned, happened = summed(rounds, "planned"), summed(rounds, "happened")
    short = [name for name in planned if happened[name] < planned[name]]
    return broken + [f"{name}: planned {planned[name]:,}, happened {happened[name]:,}" for name in short]


def _found(rounds: Rounds) -> list[tuple[int, str]]:
    return [(one["round"], text) for one in rounds for text in one["findings"]]


def report(rounds: Rounds, command: str) -> str:
    """Markdown."""
    findings = findings_of(rounds)
    parts = (
        _head(rounds, command, findings),
        _table(rounds),
        _times(rounds),
        _findings(rounds, findings),
        _rounds(rounds),
    )
    return "\n".join(parts)


def _head(rounds: Rounds, command: str, findings: Sequence[str]) -> str:
    records = sum(one["auctions"] for one in rounds)
    verdict = _verdict(rounds, findings)
    return f"""# Chaos campaign

Written by `{command}`.

**{records:,} records in {len(rounds)} rounds: {verdict}.** Every round ran on a fresh broker and was checked by itself.

* Kafka {_all(rounds, "kafka")}, nodes: {_all(rounds, "campaign_nodes")}; workers without: \
{_all(rounds, "campaign_without")}
* revision {_all(rounds, "commit")} (+: with changes not committed); {_all(rounds, "machine")}
* seed {_all(rounds, "campaign_seed")}; two replicas of each stage; \
static membership: {_all(rounds, "campaign_is_static")}; session 3 s; null engine, 4 candidates, 2 advertisers
* {sum(one["took_s"] for one in rounds) / 60:,.0f} minutes in all
"""


def _verdict(rounds: Rounds, findings: Sequence[str]) -> str:
    if not findings:
        return "nothing lost, doubled or wrong"
    billed = sum(text.startswith(MONEY) for _, text in _found(rounds))
    about_money = f"{billed} findings about bills" if billed else "no bill doubled or wrong"
    return f"{about_money}; {len(findings)} finding{'s' * (len(findings) != 1)} in all, see below"


def _table(rounds: Rounds) -> str:
    planned, happened = summed(rounds, "planned"), summed(rounds, "happened")
    rows = [f"| {text} | {planned[name]:,} | {happened[name]:,} |" for name, text in FAULTS.items()]
    rows += [f"| {text} | - | {happened[name]:,} |" for name, text in UNPLANNED.items()]
    exits = ", ".join(f"{name}: {count}" for name, count in sorted(summed(rounds, "exits").items()))
    zombies, waste = summed(rounds, "zombies"), summed(rounds, "waste")
    wasted = ", ".join(f"{name}: {count:,}" for name, count in sorted(waste.items()))
    return (
        "| fault | planned | happened |\n|---|---|---|\n" + "\n".join(rows) + "\n\n"
        f"Of {zombies['frozen']} frozen workers another member had taken {zombies['taken_over']} over, and "
        f"{zombies['fenced']} found themselves fenced.\nEnds of workers, by stage and exit code: {exits or 'none'}.\n"
        f"Work done twice, which nobody was billed for: {wasted or 'none'}.\n"
    )


def _times(rounds: Rounds) -> str:
    alone = [took for one in rounds for took in one.get("recovery_s", [])]
    amid = [took for one in rounds for took in one.get("recovery_amid_others_s", [])]
    rows = [_row("recovery after a kill, nothing else broken", alone), _row("recovery amid other faults", amid)]
    for name in ("p50", "p99"):
        values = [one["latency_ms"][name] / 1000 for one in rounds if one.get("latency_ms", {}).get(name)]
        rows.append(_row(f"{name} of query to reply, per round", values))
    rows.append(_row("longest stall, per round", [one["stall_s"] for one in rounds if "stall_s" in one]))
    rows.append(_row("healing until lag 0, per round", [one["healed_s"] for one in rounds if "healed_s" in one]))
    return "| seconds | p50 | p95 | p99 | longest | of |\n|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _row(name: str, values: Sequence[float]) -> str:
    marks = [percentile(values, part) for part in (0.5, 0.95, 0.99, 1.0)]
    return f"| {name} | " + " | ".join("-" if mark is None else f"{mark:.1f}" for mark in marks) + f" | {len(values)} |"


def _findings(rounds: Rounds, findings: Sequence[str]) -> str:
    short = [
        f"in round {at} alone, {text.removeprefix(SHORT).strip()}"
        for at, text in _found(rounds)
        if text.startswith(SHORT)
    ]
    rows = [*_shortened(findings), *short]
    return "## Findings\n\n" + ("\n".join(f"* {text}" for text in rows) if rows else "None.") + "\n"


def _shortened(findings: Sequence[str]) -> list[str]:
    """A few of each kind in each round, and how many more there are."""
    kinds: dict[str, list[str]] = {}
    for text in findings:
        kinds.setdefault(":".join(text.split(":")[:2]), []).append(text)
    return [row for kind, of_it in kinds.items() for row in (*of_it[:EXAMPLES], *_more(kind, len(of_it) - EXAMPLES))]


def _more(kind: str, count: int) -> list[str]:
    return [f"{kind}: {count} more"] if count > 0 else []


def _rounds(rounds: Rounds) -> str:
    rows = [
        f"| {one['round']} | {one['seed']} | {one['auctions']:,} | {one['took_s']:.0f} | {len(one['findings'])} |"
        for one in rounds
    ]
    return "| round | seed | records | took, s | findings |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _all(rounds: Rounds, name: str) -> str:
    return ", ".join(sorted({str(one[name]) for one in rounds} - {""})) or "none"
