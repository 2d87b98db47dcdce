"""The committed dashboards as tests ask them: each panel's queries, and which a Prometheus leaves unanswered."""

import json
import re
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.support.prometheus_server import PrometheusServer

Json = dict[str, Any]

FOLDER = Path(__file__).parents[2] / "infra" / "grafana" / "dashboards"
BOARDS: Mapping[str, Json] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))
}
#: What Grafana would put in: everything is chosen.
CHOSEN = {name: ".*" for name in ("stage", "instance", "currency", "engine")}
CHOSEN |= {"__rate_interval": "1m", "__range": "5m"}


def panels(board: str) -> list[Json]:
    """Without the rows' titles."""
    return [panel for panel in BOARDS[board]["panels"] if panel["type"] != "row"]


def queries(board: str, variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Panel title and PromQL of every target, with those of Grafana's variables put in that are given."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield panel["title"], re.sub(r"\$(\w+)", lambda one: variables.get(one[1], one[0]), target["expr"])


def unanswered(server: PrometheusServer, empty: Container[str] = ()) -> list[str]:
    """Queries of all dashboards without an answer, or without a number; panels in `empty` may have none.

    QueryError: one is no PromQL.
    """
    asked = [(title, expression) for board in BOARDS for title, expression in queries(board, CHOSEN)]
    return [f"{title}: {query}" for title, query in asked if title not in empty and not server.query(query)]
