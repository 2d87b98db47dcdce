"""The dashboard "Auction business": what auctions earn, and how much advertisers move."""

from panels import INSTANCE, OF_CURRENCY, Board, Panel, Row, Variable, quantile, quantiles, rate, total

QUERIES, REVENUE = "auction_queries_total", "auction_revenue_micros_total"
IN_RANGE = "[$__range]"

TOTALS = Row(
    "In the time shown",
    (
        Panel(
            "Revenue",
            "Sum of all charges published in the time shown, in units of the currency. An estimate: Prometheus "
            "extrapolates to the edges of the range. The bills themselves are on auction.billing.charged.v1.",
            "short",
            ((f"sum by (currency) (increase({total(REVENUE, OF_CURRENCY)}{IN_RANGE})) / 1e6", "{{currency}}"),),
            is_number=True,
            runbook="AuctionRevenueDiffers",
        ),
        Panel(
            "Replies and refusals",
            "Queries that got their terminal record: a reply, or a dead letter.",
            "short",
            ((f"sum(increase({total(QUERIES)}{IN_RANGE}))", "queries"),),
            is_number=True,
        ),
        Panel(
            "Fill rate",
            "Replies with an auction that was sold, of all replies.",
            "percentunit",
            (
                (
                    f'sum(increase({QUERIES}{{outcome="sold",instance=~"$instance"}}{IN_RANGE}))'
                    f' / sum(increase({QUERIES}{{outcome!="refused",instance=~"$instance"}}{IN_RANGE}))',
                    "sold",
                ),
            ),
            is_number=True,
        ),
        Panel(
            "Reply latency, p95",
            "From when the broker took the query to its published reply, nineteen of twenty replies.",
            "s",
            (
                (
                    "histogram_quantile(0.95, sum by (le) "
                    f"(increase({total('auction_reply_latency_seconds_bucket')}{IN_RANGE})))",
                    "p95",
                ),
            ),
            is_number=True,
            runbook="AuctionReplyLatencyHigh",
        ),
    ),
)

AUCTIONS = Row(
    "Auctions",
    (
        Panel(
            "Queries per minute",
            "By outcome. Refused: a dead letter instead of a reply.",
            "short",
            ((f"60 * {rate(QUERIES, 'outcome')}", "{{outcome}}"),),
            is_stacked=True,
            runbook="AuctionQueriesRefused",
        ),
        Panel(
            "Revenue per minute",
            "Published charges, in units of the currency (a micro is a millionth).",
            "short",
            ((f"60 / 1e6 * {rate(REVENUE, 'currency', where=OF_CURRENCY)}", "{{currency}}"),),
        ),
        Panel(
            "Charge, micros",
            "One advertiser's charge for one auction. Zeros count: who changed nothing pays nothing.",
            "short",
            quantiles("auction_charge_micros"),
        ),
    ),
)

INFLUENCE = Row(
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
            runbook="AuctionSamplesCollapse",
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
            runbook="AuctionLyingPays",
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
            runbook="AuctionVoids",
        ),
    ),
)

BUSINESS = Board(
    "auction",
    "Tessera: auction business",
    "What auctions for influence on a model's reply earn, and how much advertisers move.",
    (Variable("currency", "auction_revenue_micros_total"), INSTANCE),
    (TOTALS, AUCTIONS, INFLUENCE),
)
