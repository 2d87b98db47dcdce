"""The dashboard "Tessera auction" as code: `python infra/grafana/dashboard.py` writes dashboards/auction.json again."""

import sys
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard as dashboard_models
from panels import ROWS, Panel

UID = "tessera-auction"
SOURCE = "${datasource}"
COMMITTED = Path(__file__).parent / "dashboards" / "auction.json"
GRID_COLUMNS = 24
NUMBER_HEIGHT, GRAPH_HEIGHT = 4, 8


def targets(panel: Panel) -> list[prometheus.Dataquery]:
    """The panel's queries: an instant for a number, a range for a graph."""
    queries = [
        prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + place))
        for place, (expression, legend) in enumerate(panel.queries)
    ]
    return [query.instant() if panel.is_number else query.range() for query in queries]


def draw_number(panel: Panel) -> stat.Panel:
    """The last value, large."""
    return stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).height(NUMBER_HEIGHT)


def draw_graph(panel: Panel) -> timeseries.Panel:
    """Lines over time from zero up; shares of a whole are stacked."""
    stacking = models.StackingMode.NORMAL if panel.is_stacked else models.StackingMode.NONE
    return (
        timeseries.Panel()
        .min(0)
        .fill_opacity(30 if panel.is_stacked else 0)
        .stacking(common.StackingConfig().mode(stacking))
        .legend(common.VizLegendOptions().display_mode(models.LegendDisplayMode.LIST).show_legend(True))
        .tooltip(common.VizTooltipOptions().mode(models.TooltipDisplayMode.MULTI))
        .height(GRAPH_HEIGHT)
    )


def draw(panel: Panel, panel_id: int, width: int) -> Builder[dashboard_models.Panel]:
    """The panel as Grafana wants it."""
    drawn = draw_number(panel) if panel.is_number else draw_graph(panel)
    source = models.DataSourceRef(type_val="prometheus", uid=SOURCE)
    drawn.id(panel_id).title(panel.title).description(panel.description).unit(panel.unit).datasource(source)
    for query in targets(panel):
        drawn.with_target(query)
    return drawn.span(width)


def build() -> dashboard_models.Dashboard:
    """The whole dashboard; panel ids count from 1 in reading order."""
    board = (
        dashboard.Dashboard("Tessera auction")
        .uid(UID)
        .description("Auctions for influence on a model's reply: what they earn, and how the pipeline does.")
        .tags(["tessera"])
        .readonly()
        .time("now-30m", "now")
        .refresh("10s")
        .timezone("browser")
        .tooltip(dashboard_models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    panel_id = 0
    for row in ROWS:
        panel_id += 1
        board.with_row(dashboard.Row(row.title).id(panel_id))
        for width, panel in zip(widths(len(row.panels)), row.panels, strict=True):
            panel_id += 1
            board.with_panel(draw(panel, panel_id, width))
    return board.build()


def widths(count: int) -> list[int]:
    """Columns of `count` panels that fill a row; the first ones take what does not divide."""
    width, left = divmod(GRID_COLUMNS, count)
    return [width + 1] * left + [width] * (count - left)


def main() -> None:
    """Write the JSON to the committed file, or to the path given."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else COMMITTED
    path.write_text(JSONEncoder(sort_keys=True, indent=2).encode(build()) + "\n")


if __name__ == "__main__":
    main()
