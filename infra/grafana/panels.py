"""What the dashboard asks Prometheus: rows of panels, each a question with its unit and its explanation."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Panel:
    """One question to Prometheus and how its answer is drawn: `queries` are (PromQL, legend) pairs."""

    title: str
    description: str
    unit: str
    queries: Sequence[tuple[str, str]]
    is_number: bool = False
    is_stacked: bool = False


@dataclass(frozen=True)
class Row:
    """Panels of one height that share the width."""

    title: str
    panels: Sequence[Panel]


def rate(series: str, *by: str) -> str:
    """PromQL: events per second of a counter, summed over everything but the labels `by`."""
    return f"sum by ({', '.join(by)}) (rate({series}[$__rate_interval]))"


def quantile(rank: float, histogram: str, *by: str) -> str:
    """PromQL: a quantile of a histogram."""
    return f"histogram_quantile({rank}, {rate(histogram + '_bucket', 'le', *by)})"


def quantiles(histogram: str) -> list[tuple[str, str]]:
    """Half, nineteen of twenty, ninety-nine of a hundred."""
    return [(quantile(rank, histogram), f"p{round(100 * rank)}") for rank in (0.5, 0.95, 0.99)]


REVENUE = "auction_revenue_micros_total"
QUERIES = "auction_queries_total"

TOTALS = Row(
    "In the time shown",
    (
        Panel(
            "Revenue",
            "Sum of all charges published in the time shown, in units of the currency. An estimate: Prometheus "
            "extrapolates to the edges of the range. The bills themselves are on auction.billing.charged.v1.",
            "short",
            ((f"sum by (currency) (increase({REVENUE}[$__range])) / 1e6", "{{currency}}"),),
            is_number=True,
        ),
        Panel(
            "Replies and refusals",
            "Queries that got their terminal record: a reply, or a dead letter.",
            "short",
            ((f"sum(increase({QUERIES}[$__range]))", "queries"),),
            is_number=True,
        ),
        Panel(
            "Fill rate",
            "Replies with an auction that was sold, of all replies.",
            "percentunit",
            (
                (
                    f'sum(increase({QUERIES}{{outcome="sold"}}[$__range]))'
                    f' / sum(increase({QUERIES}{{outcome!="refused"}}[$__range]))',
                    "sold",
                ),
            ),
            is_number=True,
        ),
        Panel(
            "Reply latency, p95",
            "From the query's submission to its published reply, nineteen of twenty replies.",
            "s",
            (
                (
                    "histogram_quantile(0.95, sum by (le) (increase(auction_reply_latency_seconds_bucket[$__range])))",
                    "p95",
                ),
            ),
            is_number=True,
        ),
        Panel(
            "Processes",
            "Processes that Prometheus can reach, by release and language model.",
            "short",
            (("count by (version, engine) (auction_build_info)", "{{version}} {{engine}}"),),
            is_number=True,
        ),
    ),
)

BUSINESS = (
    Row(
        "Auctions",
        (
            Panel(
                "Queries per minute",
                "By outcome. Refused: a dead letter instead of a reply, written by generation.",
                "short",
                ((f"60 * {rate(QUERIES, 'outcome')}", "{{outcome}}"),),
                is_stacked=True,
            ),
            Panel(
                "Revenue per minute",
                "Published charges, in units of the currency (a micro is a millionth).",
                "short",
                ((f"60 / 1e6 * {rate(REVENUE, 'currency')}", "{{currency}}"),),
            ),
            Panel(
                "Charge, micros",
                "One advertiser's charge for one auction. Zeros count: who changed nothing pays nothing.",
                "short",
                quantiles("auction_charge_micros"),
            ),
        ),
    ),
    Row(
        "Influence",
        (
            Panel(
                "Effective sample size",
                "Over the number of candidates, auctions that were sold. Near 1/M, a single reply has all the weight: "
                "the bids are too strong for τ.",
                "percentunit",
                (
                    (quantile(0.05, "auction_effective_sample_ratio"), "p5"),
                    (quantile(0.5, "auction_effective_sample_ratio"), "p50"),
                ),
            ),
            Panel(
                "Candidates",
                "Sampled replies of an auction, mean.",
                "short",
                ((f"{rate('auction_candidates_sum')} / {rate('auction_candidates_count')}", "mean"),),
            ),
            Panel(
                "Incentive gap",
                "Best lie that a search found minus the truth, sampled bids, micros. At most 0 but for float dust: "
                "nobody gains by lying. Above 1, the mechanism is broken.",
                "short",
                (
                    (quantile(0.5, "auction_incentive_gap_micros"), "p50"),
                    (quantile(1.0, "auction_incentive_gap_micros"), "largest"),
                ),
            ),
            Panel(
                "Abstentions per minute",
                "Advertisers that had no influence on a settled auction and paid nothing, by reason.",
                "short",
                ((f"60 * {rate('auction_abstentions_total', 'reason')}", "{{reason}}"),),
                is_stacked=True,
            ),
            Panel(
                "Void auctions per minute",
                "Advertisers took part, no auction was held, the user got the advert-free reply; by reason.",
                "short",
                ((f"60 * {rate('auction_voids_total', 'reason')}", "{{reason}}"),),
                is_stacked=True,
            ),
        ),
    ),
)

PIPELINE = (
    Row(
        "Latency and load",
        (
            Panel(
                "Reply latency",
                "From the query's submission to its published reply.",
                "s",
                quantiles("auction_reply_latency_seconds"),
            ),
            Panel(
                "Stage duration, p95",
                "One event in a stage's worker, without waiting and without the transaction.",
                "s",
                ((quantile(0.95, "auction_stage_duration_seconds", "stage"), "{{stage}}"),),
            ),
            Panel(
                "In flight",
                "Input records read and not yet committed.",
                "short",
                (("sum by (stage) (auction_in_flight)", "{{stage}}"),),
            ),
            Panel(
                "Records behind",
                "Stored on the stage's input and not yet committed, over all its workers. A stage without a worker has "
                "no number.",
                "short",
                (("sum by (stage) (auction_consumer_lag_records)", "{{stage}}"),),
            ),
            Panel(
                "Oldest record",
                "Since the oldest record that the stage has not committed was stored, by the broker's stamp.",
                "s",
                (("max by (stage) (auction_consumer_lag_seconds)", "{{stage}}"),),
            ),
            Panel(
                "Own models, calls per minute",
                "Auctions in which an advertiser's own model was due, by outcome. Skipped: it was left out after a "
                "failure or slow answers; its advertiser abstained, and nobody waited.",
                "short",
                ((f"60 * {rate('auction_own_model_calls_total', 'model', 'outcome')}", "{{model}} {{outcome}}"),),
            ),
            Panel(
                "Event loop lag",
                "How late each process ran its last timer. Heartbeats share the loop; from 1 s on, /livez fails.",
                "s",
                (("max by (instance) (auction_event_loop_lag_seconds)", "{{instance}}"),),
            ),
        ),
    ),
    Row(
        "Kafka",
        (
            Panel(
                "Transactions per minute",
                "By stage and result. Aborted ones are worked again; consumers with read_committed never see them.",
                "short",
                ((f"60 * {rate('auction_transactions_total', 'stage', 'result')}", "{{stage}} {{result}}"),),
            ),
            Panel(
                "Transaction duration, p95",
                "From begin to commit or abort.",
                "s",
                ((quantile(0.95, "auction_transaction_duration_seconds", "stage"), "{{stage}}"),),
            ),
            Panel(
                "Dead letters per minute",
                "By stage and reason; each holds the refused record unchanged. Empty while nothing is refused.",
                "short",
                ((f"60 * {rate('auction_dead_letters_total', 'stage', 'reason')} > 0", "{{stage}} {{reason}}"),),
                is_stacked=True,
            ),
            Panel(
                "Rebalances and reopened producers",
                "Per ten minutes. A few at a deploy are normal; a steady flow is a fight over partitions.",
                "short",
                (
                    ("sum by (stage) (increase(auction_rebalances_total[10m]))", "{{stage}} rebalances"),
                    ("sum by (stage) (increase(auction_producer_fenced_total[10m]))", "{{stage}} reopened"),
                    ("sum by (stage) (increase(auction_stale_positions_total[10m]))", "{{stage}} told an older offset"),
                    (
                        "sum by (reason) (increase(auction_repeated_total[10m]))",
                        "came again: {{reason}}",
                    ),
                ),
            ),
        ),
    ),
)

ROWS = (TOTALS, *BUSINESS, *PIPELINE)
