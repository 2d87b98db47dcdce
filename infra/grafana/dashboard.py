"""The dashboards as code: `python infra/grafana/dashboard.py` writes dashboards/*.json again."""

import sys
from pathlib import Path

from business import BUSINESS
from engines import ENGINES
from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard as dashboard_models
from ledger import LEDGER
from panels import Board, Panel, Variable
from pipeline import PIPELINE

BOARDS = (BUSINESS, PIPELINE, ENGINES, LEDGER)
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
EVERYTHING = ".*"
COMMITTED = Path(__file__).parent / "dashboards"
#: What is drawn as a line over all graphs of a dashboard: its title, and when.
EVENTS = (
    ("A process was started", 'changes(process_start_time_seconds{job="tessera"}[1m]) > 0', "blue"),
    ("A draw key is due", "auction_draw_keys_overdue_seconds > 0", "orange"),
)
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
    runbook = f" Runbook: {panel.runbook}." if panel.runbook else ""
    drawn.id(panel_id).title(panel.title).description(panel.description + runbook).unit(panel.unit).datasource(SOURCE)
    for query in targets(panel):
        drawn.with_target(query)
    return drawn.span(width)


def choice(variable: Variable) -> dashboard.QueryVariable:
    """Its values are those that Prometheus has; one, several, or all of them."""
    return (
        dashboard.QueryVariable(variable.label)
        .label(variable.label.capitalize())
        .query(f"label_values({variable.of}, {variable.label})")
        .datasource(SOURCE)
        .refresh(dashboard_models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(EVERYTHING)
        .current(dashboard_models.VariableOption(text="All", value="$__all"))
    )


def events() -> list[dashboard.AnnotationQuery]:
    """Lines over the graphs."""
    return [
        dashboard.AnnotationQuery().name(name).datasource(SOURCE).enable(True).expr(expression).icon_color(colour)
        for name, expression, colour in EVENTS
    ]


def build(board: Board) -> dashboard_models.Dashboard:
    """The whole dashboard; panel ids count from 1 in reading order."""
    drawn = (
        dashboard.Dashboard(board.title)
        .uid(f"tessera-{board.name}")
        .description(board.description)
        .tags(["tessera"])
        .readonly()
        .time("now-30m", "now")
        .refresh("10s")
        .timezone("browser")
        .tooltip(dashboard_models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for variable in board.variables:
        drawn.with_variable(choice(variable))
    for event in events():
        drawn.annotation(event)
    for other in BOARDS:
        if other is not board:
            link = dashboard.DashboardLink(other.title).type(dashboard_models.DashboardLinkType.LINK)
            drawn.link(link.url(f"/d/tessera-{other.name}").keep_time(True).include_vars(False))
    panel_id = 0
    for row in board.rows:
        panel_id += 1
        drawn.with_row(dashboard.Row(row.title).id(panel_id))
        for width, panel in zip(widths(len(row.panels)), row.panels, strict=True):
            panel_id += 1
            drawn.with_panel(draw(panel, panel_id, width))
    return drawn.build()


def widths(count: int) -> list[int]:
    """Columns of `count` panels that fill a row; the first ones take what does not divide."""
    width, left = divmod(GRID_COLUMNS, count)
    return [width + 1] * left + [width] * (count - left)


def main() -> None:
    """Write the JSON to the committed files, or into the folder given."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else COMMITTED
    for board in BOARDS:
        text = JSONEncoder(sort_keys=True, indent=2).encode(build(board))
        (folder / f"{board.name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
