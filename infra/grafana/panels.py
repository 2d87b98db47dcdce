"""What a dashboard asks Prometheus: rows of panels, each a question with its unit and its explanation."""

from collections.abc import Sequence
from dataclasses import dataclass

#: What the variables of a dashboard leave of a family, as PromQL's matchers.
OF_INSTANCE = 'instance=~"$instance"'
OF_STAGE = f'stage=~"$stage",{OF_INSTANCE}'
OF_CURRENCY = f'currency=~"$currency",{OF_INSTANCE}'
OF_ENGINE = f'engine=~"$engine",{OF_INSTANCE}'


@dataclass(frozen=True)
class Panel:
    """One question to Prometheus and how its answer is drawn: `queries` are (PromQL, legend) pairs.

    `runbook`: the alert whose page says what to do when the panel looks wrong.
    """

    title: str
    description: str
    unit: str
    queries: Sequence[tuple[str, str]]
    is_number: bool = False
    is_stacked: bool = False
    runbook: str = ""


@dataclass(frozen=True)
class Row:
    """Panels of one height that share the width."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Variable:
    """A choice above the panels: the values that `label` has on the family `of`."""

    label: str
    of: str


@dataclass(frozen=True)
class Board:
    """A dashboard; `name` is that of its file, and `tessera-` and it the uid."""

    name: str
    title: str
    description: str
    variables: Sequence[Variable]
    rows: Sequence[Row]


INSTANCE = Variable("instance", "auction_build_info")


def total(family: str, where: str = OF_INSTANCE) -> str:
    """PromQL: the family with what the variables leave of it."""
    return f"{family}{{{where}}}"


def rate(family: str, *by: str, where: str = OF_INSTANCE) -> str:
    """PromQL: events per second of a counter, summed over everything but the labels `by`."""
    return f"sum by ({', '.join(by)}) (rate({total(family, where)}[$__rate_interval]))"


def quantile(rank: float, histogram: str, *by: str, where: str = OF_INSTANCE) -> str:
    """PromQL: a quantile of a histogram."""
    return f"histogram_quantile({rank}, {rate(histogram + '_bucket', 'le', *by, where=where)})"


def quantiles(histogram: str) -> list[tuple[str, str]]:
    """Half, nineteen of twenty, ninety-nine of a hundred."""
    return [(quantile(rank, histogram), f"p{round(100 * rank)}") for rank in (0.5, 0.95, 0.99)]
