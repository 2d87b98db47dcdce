"""The dashboard "Engines": what the language models are asked, how it ends, and advertisers' own models."""

from panels import INSTANCE, OF_ENGINE, OF_INSTANCE, Board, Panel, Row, Variable, quantile, rate, total

REQUESTS, TOKENS = "auction_engine_requests_total", "auction_engine_tokens_total"
OWN = "auction_own_model"

STAGES_ENGINES = Row(
    "The stages' engines",
    (
        Panel(
            "Requests per minute",
            "Calls that ended, by what was asked (sample draws candidates, log_probs scores them) and how they ended.",
            "short",
            (
                (
                    f"60 * {rate(REQUESTS, 'engine', 'verb', 'result', where=OF_ENGINE)}",
                    "{{engine}} {{verb}} {{result}}",
                ),
            ),
        ),
        Panel(
            "Tokens per second",
            "Of replies, drawn (sample) or scored (log_probs); a prompt's tokens are not counted.",
            "short",
            ((rate(TOKENS, "engine", "verb", where=OF_ENGINE), "{{engine}} {{verb}}"),),
        ),
        Panel(
            "Calls that failed",
            "Of all calls. Rejected ones are the input's fault; down and timed_out the engine's.",
            "percentunit",
            (
                (
                    f'sum by (engine) (rate({REQUESTS}{{result!="answered",{OF_ENGINE}}}[$__rate_interval]))'
                    f" / {rate(REQUESTS, 'engine', where=OF_ENGINE)}",
                    "{{engine}}",
                ),
            ),
            runbook="AuctionEngineDown",
        ),
        Panel(
            "Down",
            "1 while a stage's records wait because its engine does not answer.",
            "short",
            ((f"max by (stage) ({total('auction_engine_down', OF_INSTANCE)})", "{{stage}}"),),
            runbook="AuctionEngineDown",
        ),
    ),
)

OWN_MODELS = Row(
    "Advertisers' own models; empty where nobody has one",
    (
        Panel(
            "Calls per minute",
            "Auctions in which an advertiser's own model was due, by outcome. Skipped: it was left out after a failure "
            "or slow answers; its advertiser abstained, and nobody waited.",
            "short",
            ((f"60 * {rate(f'{OWN}_calls_total', 'model', 'outcome')}", "{{model}} {{outcome}}"),),
            runbook="AuctionOwnModelsDown",
        ),
        Panel(
            "Duration, p95",
            "One call, or what was waited for it.",
            "s",
            ((quantile(0.95, f"{OWN}_duration_seconds", "model"), "{{model}}"),),
        ),
        Panel(
            "Left out",
            "Advertisers on this model that abstain for now, since it failed or was slow.",
            "short",
            ((f"sum by (model) ({total(f'{OWN}_breakers_open')})", "{{model}}"),),
        ),
    ),
)

ENGINES = Board(
    "engines",
    "Tessera: engines",
    "What the language models are asked, how it ends, and how advertisers' own models do.",
    (Variable("engine", REQUESTS), INSTANCE),
    (STAGES_ENGINES, OWN_MODELS),
)
