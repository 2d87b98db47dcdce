"""The dashboard "Pipeline": how fast stages are, what waits, and how their transactions end."""

from panels import INSTANCE, OF_INSTANCE, OF_STAGE, Board, Panel, Row, Variable, quantile, quantiles, rate, total

TEN_MINUTES = "[10m]"


def grown(family: str) -> str:
    """PromQL: a counter's growth in ten minutes, by stage."""
    return f"sum by (stage) (increase({total(family, OF_STAGE)}{TEN_MINUTES}))"


LATENCY = Row(
    "Latency",
    (
        Panel(
            "Reply latency",
            "From when the broker took the query to its published reply.",
            "s",
            quantiles("auction_reply_latency_seconds"),
            runbook="AuctionLatencyBudgetBurnsFast",
        ),
        Panel(
            "Stage duration, p95",
            "One event in a stage's worker, without waiting and without the transaction.",
            "s",
            ((quantile(0.95, "auction_stage_duration_seconds", "stage", where=OF_STAGE), "{{stage}}"),),
        ),
        Panel(
            "Event loop lag",
            "How late each process ran its last timer. Heartbeats share the loop; from 1 s on, /livez fails.",
            "s",
            ((f"max by (instance) ({total('auction_event_loop_lag_seconds')})", "{{instance}}"),),
            runbook="AuctionEventLoopLate",
        ),
        Panel(
            "Processes",
            "Processes that Prometheus can reach, by release and language model.",
            "short",
            ((f"count by (version, engine) ({total('auction_build_info')})", "{{version}} {{engine}}"),),
            runbook="AuctionStageLost",
        ),
    ),
)

WAITING = Row(
    "What waits",
    (
        Panel(
            "In flight",
            "Input records read and not yet committed.",
            "short",
            ((f"sum by (stage) ({total('auction_in_flight', OF_STAGE)})", "{{stage}}"),),
            runbook="AuctionNothingCommitted",
        ),
        Panel(
            "Records behind",
            "Stored on the stage's input and not yet committed, over all its workers. A stage without a worker has no "
            "number.",
            "short",
            ((f"sum by (stage) ({total('auction_consumer_lag_records', OF_STAGE)})", "{{stage}}"),),
            runbook="AuctionConsumerLag",
        ),
        Panel(
            "Oldest record",
            "Since the oldest record that the stage has not committed was stored, by the broker's stamp.",
            "s",
            ((f"max by (stage) ({total('auction_consumer_lag_seconds', OF_STAGE)})", "{{stage}}"),),
            runbook="AuctionConsumerLag",
        ),
    ),
)

KAFKA = Row(
    "Kafka",
    (
        Panel(
            "Transactions per minute",
            "By stage and result. Aborted ones are worked again; consumers with read_committed never see them.",
            "short",
            (
                (
                    f"60 * {rate('auction_transactions_total', 'stage', 'result', where=OF_STAGE)}",
                    "{{stage}} {{result}}",
                ),
            ),
        ),
        Panel(
            "Transaction duration, p95",
            "From begin to commit or abort.",
            "s",
            ((quantile(0.95, "auction_transaction_duration_seconds", "stage", where=OF_STAGE), "{{stage}}"),),
        ),
        Panel(
            "Dead letters per minute",
            "By stage and reason; each holds the refused record unchanged. Empty while nothing is refused.",
            "short",
            (
                (
                    f"60 * {rate('auction_dead_letters_total', 'stage', 'reason', where=OF_STAGE)} > 0",
                    "{{stage}} {{reason}}",
                ),
            ),
            is_stacked=True,
            runbook="AuctionStageRefuses",
        ),
        Panel(
            "Rebalances and reopened producers",
            "Per ten minutes. A few at a deploy are normal; a steady flow is a fight over partitions.",
            "short",
            (
                (grown("auction_rebalances_total"), "{{stage}} rebalances"),
                (grown("auction_producer_fenced_total"), "{{stage}} reopened"),
                (grown("auction_stale_positions_total"), "{{stage}} told an older offset"),
                (
                    f"sum by (reason) (increase({total('auction_repeated_total', OF_STAGE)}{TEN_MINUTES}))",
                    "came again: {{reason}}",
                ),
            ),
            runbook="AuctionProducersFenced",
        ),
    ),
)

PROCESSES = Row(
    "Processes",
    (
        Panel(
            "CPU",
            "Cores that each process keeps busy.",
            "short",
            ((f"rate({total('process_cpu_seconds_total')}[$__rate_interval])", "{{instance}}"),),
        ),
        Panel(
            "Memory",
            "Resident, of each process.",
            "bytes",
            ((total("process_resident_memory_bytes"), "{{instance}}"),),
        ),
        Panel(
            "Open files",
            "File descriptors of each process: sockets, stores of settled ids.",
            "short",
            ((total("process_open_fds"), "{{instance}}"),),
        ),
        Panel(
            "Running for",
            "Since each process was started; one that falls back to 0 was started again.",
            "s",
            ((f"time() - {total('process_start_time_seconds', OF_INSTANCE)}", "{{instance}}"),),
            runbook="AuctionRestarts",
        ),
    ),
)

PIPELINE = Board(
    "pipeline",
    "Tessera: pipeline",
    "How fast the stages are, what waits, and how their transactions end.",
    (Variable("stage", "auction_in_flight"), INSTANCE),
    (LATENCY, WAITING, KAFKA, PROCESSES),
)
