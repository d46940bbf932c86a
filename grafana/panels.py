"""Panels: a figure, a course, a ranking, a table; each says what it shows and when it is bad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from grafana.promql import a_week_before
from grafana.sdk import (
    Plain,
    bargauge,
    cells,
    common,
    dashboard,
    heatmap,
    models,
    prometheus,
    promql,
    shapes,
    stat,
    table,
    timeseries,
)

DATASOURCE: Final = shapes.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN: Final = "green"
ORANGE: Final = "orange"
RED: Final = "red"
BLUE: Final = "blue"
GREY: Final = "text"
PALE: Final = "#808080"
"""Readable on either background, and behind what stands beside it."""
QUIET: Final = "Empty when healthy."
RARE: Final = "Empty without such conversations."
UNKNOWN_COST: Final = "Empty until the server is told what a conversation with a human costs."
UNKNOWN_BUDGET: Final = "Empty until the server is given a budget."
"""Ends of a description: the panel may be empty."""
CHANGE: Final = "in a week"
POINTS: Final = "suffix: points"
LEAST_WIDTH: Final = 70
"""Pixels of a table's column; Grafana's own least width pushes columns out of narrow tables."""
_LEAST: Final = -1e9
NOTHING: Final = "no data"
NONE: Final = "none in this time"

Steps = tuple[tuple[float | None, str], ...]
Built = (
    stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel | heatmap.Panel | dashboard.Panel
)
P = TypeVar(
    "P",
    stat.Panel,
    timeseries.Panel,
    bargauge.Panel,
    table.Panel,
    heatmap.Panel,
    dashboard.Panel,
)

NEUTRAL: Final[Steps] = ((None, BLUE),)
"""Of a figure that is neither good nor bad by itself."""


def bad_from(warn: float, bad: float) -> Steps:
    """The more, the worse.

    Args:
        warn: From here on it deserves a look.
        bad: From here on it is bad.
    """
    return ((None, GREEN), (warn, ORANGE), (bad, RED))


def good_from(fair: float, good: float) -> Steps:
    """The more, the better.

    Args:
        fair: Below it is bad.
        good: From here on it is good.
    """
    return ((None, RED), (fair, ORANGE), (good, GREEN))


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel.

    Args:
        expr: PromQL.
        legend: What a series is called, with `{{label}}`.
        exemplars: Whether traces of single turns are marked on it.
    """

    expr: str
    legend: str = "__auto"
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class About:
    """What every panel says.

    Args:
        title: In a few words.
        description: What exactly is counted, over which time, and what to make of it.
        unit: Grafana's name of the unit.
        thresholds: When it is good and when bad.
        decimals: Digits after the point; only a unit that Grafana scales, as seconds, goes without.
    """

    title: str
    description: str
    unit: str
    thresholds: Steps = NEUTRAL
    decimals: int | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """Where a panel or a series of it leads.

    Args:
        title: What is there.
        url: The address; `${analytics}` stands for the analytics server.
    """

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Look:
    """How a course is drawn.

    Args:
        bars: Counts per interval, of a minute at least, instead of lines.
        stacked: Whether the series add up.
        colours: Series that have a colour of their own, by name.
        shades: The colour whose shades the series have; different ones without.
        reach: The axis reaches at least this far.
    """

    bars: bool = False
    stacked: bool = False
    colours: Mapping[str, str] = field(default_factory=dict)
    shades: str | None = None
    reach: float | None = None


LINES: Final = Look()
AREAS: Final = Look(stacked=True)
BARS: Final = Look(bars=True, stacked=True)
FAULTS: Final = Look(bars=True, stacked=True, shades=RED, reach=5)
"""Of what should not be: a single one is not drawn as tall as a hundred."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A panel and the room that it takes.

    Args:
        panel: The panel.
        width: In 24ths of the dashboard.
        height: In units of 38 pixels.
        asks: The type of its data source.
    """

    panel: Built
    width: int
    height: int
    asks: str = "prometheus"


def figure(
    about: About,
    query: str,
    *,
    course: bool = False,
    change: bool = False,
    links: Sequence[Link] = (),
    width: int = 4,
    height: int = 4,
) -> Placed:
    """One number.

    Args:
        about: What it is.
        query: An expression of one series.
        course: Whether its course stands behind it: for gauges, whose last value is shown; an
            instant query otherwise.
        change: Whether its change in a week stands beside it, uncoloured: it may be chance.
        links: Where to read on.
        width: In 24ths.
        height: In units of 38 pixels.
    """
    graph = shapes.BigValueGraphMode.AREA if course else shapes.BigValueGraphMode.NONE
    panel = (
        stat.Panel()
        .graph_mode(graph)
        .color_mode(shapes.BigValueColorMode.VALUE)
        .justify_mode(shapes.BigValueJustifyMode.AUTO)
        .text_mode(shapes.BigValueTextMode.AUTO)
        .orientation(shapes.VizOrientation.AUTO)
        .wide_layout(True)
        .reduce_options(_last())
    )
    targets: list[Any] = [
        _target(Query(query, "now" if change else "__auto"), "A", instant=not course)
    ]
    if change:
        of_share = about.unit == "percentunit"
        targets.append(_target(Query(_change(query, share=of_share), CHANGE), "B", instant=True))
        panel = panel.override_by_name(CHANGE, _of_change(share=of_share))
    panel = panel.targets(targets)
    first, *more = about.thresholds
    if first == (None, RED):  # "no data" is not bad
        about = replace(about, thresholds=((None, GREY), (_LEAST, RED), *more))
    return Placed(said(panel, about, links, "thresholds"), width, height)


def _change(query: str, *, share: bool) -> str:
    before = a_week_before(query)
    return f"100 * (({query}) - {before})" if share else f"({query}) / ({before} != 0) - 1"


def _of_change(*, share: bool) -> list[models.DynamicConfigValue]:
    unit, digits = (POINTS, 1) if share else ("percentunit", 0)
    return [
        models.DynamicConfigValue(id_val="unit", value=unit),
        models.DynamicConfigValue(id_val="decimals", value=digits),
        _fixed(PALE),
    ]


def course(
    about: About,
    *queries: Query,
    look: Look = LINES,
    links: Sequence[Link] = (),
    each: Sequence[Link] = (),
    width: int = 12,
    height: int = 8,
) -> Placed:
    """What happened over time.

    Args:
        about: What it is.
        queries: What is drawn.
        look: How it is drawn.
        links: Where the panel leads.
        each: Where each series leads.
        width: In 24ths.
        height: In units of 38 pixels.
    """
    mode = shapes.StackingMode.NORMAL if look.stacked else shapes.StackingMode.NONE
    marked = len(about.thresholds) > 1
    line = shapes.GraphThresholdsStyleMode.DASHED if marked else shapes.GraphThresholdsStyleMode.OFF
    panel = (
        timeseries.Panel()
        .draw_style(shapes.GraphDrawStyle.BARS if look.bars else shapes.GraphDrawStyle.LINE)
        .fill_opacity(70 if look.bars else (30 if look.stacked else 0))
        .line_width(0 if look.bars else 2)
        .line_interpolation(shapes.LineInterpolation.LINEAR)
        .show_points(shapes.VisibilityMode.NEVER)
        .span_nulls(60_000)
        .stacking(common.StackingConfig().mode(mode).group("A"))
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(line))
        .axis_soft_min(0)
        .legend(_legend())
        .tooltip(
            common.VizTooltipOptions()
            .mode(shapes.TooltipDisplayMode.MULTI)
            .sort(shapes.SortOrder.DESCENDING)
        )
        .targets([_target(one, chr(ord("A") + at)) for at, one in enumerate(queries)])
        .data_links([_link(one) for one in each])
    )
    if look.bars:
        panel = panel.interval("1m")
    if look.reach is not None:
        panel = panel.axis_soft_max(look.reach)
    for name, colour in look.colours.items():
        panel = panel.override_by_name(name, [_fixed(colour)])
    panel = said(panel, about, links, "palette-classic")
    if look.shades is not None:
        of_one = models.FieldColorModeId.SHADES
        panel = panel.color_scheme(dashboard.FieldColor().mode(of_one).fixed_color(look.shades))
    return Placed(panel, width, height)


def ranking(
    about: About,
    query: Query,
    *,
    links: Sequence[Link] = (),
    each: Sequence[Link] = (),
    width: int = 8,
    height: int = 8,
) -> Placed:
    """The greatest ones as bars, greatest first.

    Args:
        about: What it is.
        query: An expression with a series for each bar.
        links: Where the panel leads.
        each: Where each bar leads.
        width: In 24ths.
        height: In units of 38 pixels.
    """
    panel = (
        bargauge.Panel()
        .display_mode(shapes.BarGaugeDisplayMode.BASIC)
        .orientation(shapes.VizOrientation.HORIZONTAL)
        .value_mode(shapes.BarGaugeValueMode.TEXT)
        .name_placement(shapes.BarGaugeNamePlacement.TOP)
        .show_unfilled(False)
        .sizing(shapes.BarGaugeSizing.AUTO)
        .min(0)
        .max_viz_height(40)
        .min_viz_height(28)
        .text(common.VizTextDisplayOptions().title_size(13).value_size(14))
        .reduce_options(_last())
        .targets([_target(query, "A", instant=True)])
        .data_links([_link(one) for one in each])
    )
    return Placed(said(panel, about, links, "thresholds"), width, height)


def heat(
    about: About,
    query: str,
    *,
    links: Sequence[Link] = (),
    width: int = 12,
    height: int = 8,
) -> Placed:
    """How many there were of each size over time: the darker a cell, the more.

    Args:
        about: What it is; its unit is that of the sizes.
        query: What the buckets of a histogram grew by in an interval, by `le`.
        links: Where the panel leads.
        width: In 24ths.
        height: In units of 38 pixels.
    """
    colours = cells.HeatmapColorOptions(
        mode=cells.HeatmapColorMode.SCHEME,
        scheme="Warm",
        fill="dark-orange",
        exponent=0.5,
        steps=64,
        reverse=False,
    )
    target = _target(Query(query, "{{le}}", exemplars=True), "A")
    panel = (
        heatmap.Panel()
        .calculate(False)
        .color(Plain(colours))
        .cell_gap(1)
        .filter_values(Plain(cells.FilterValueRange(le=1e-9)))
        .y_axis(Plain(cells.YAxisConfig(unit=about.unit)))
        .cell_values(Plain(cells.CellValues(unit="locale", decimals=0)))
        .show_legend()
        .interval("1m")
        .targets([target.format(promql.PromQueryFormat.HEATMAP)])
    )
    return Placed(said(panel, about, links, "thresholds"), width, height)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table that holds a query's values.

    Args:
        title: Its head.
        expr: An instant query.
        unit: Grafana's name of the unit.
        thresholds: Colours of the text.
        decimals: Digits after the point.
    """

    title: str
    expr: str
    unit: str
    thresholds: Steps = ()
    decimals: int | None = None


def sheet(
    about: About,
    keys: Mapping[str, str],
    *columns: Column,
    links: Sequence[Link] = (),
    each: Sequence[Link] = (),
    width: int = 24,
    height: int = 8,
) -> Placed:
    """A table: a row for each combination of labels, a column for each query.

    Args:
        about: What it is; its unit is that of columns without their own.
        keys: The labels that name a row, and the heads of their columns.
        columns: The queries; the first one orders the rows, greatest first.
        links: Where the panel leads.
        each: Where a row's first cell leads.
        width: In 24ths.
        height: In units of 38 pixels.
    """
    # So Grafana names the values of a query alone, and of several
    several = len(columns) > 1
    names = [f"Value #{chr(ord('A') + at)}" if several else "Value" for at in range(len(columns))]
    panel = (
        table.Panel()
        .show_header(True)
        .cell_height(shapes.TableCellHeight.SM)
        .min_width(LEAST_WIDTH)
        .sort_by([common.TableSortByFieldState().display_name(columns[0].title).desc(True)])
        .targets(
            [
                _target(Query(one.expr), chr(ord("A") + at), instant=True, as_table=True)
                for at, one in enumerate(columns)
            ]
        )
        .with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(_organised(keys, dict(zip(names, columns, strict=True))))
    )
    for one in columns:
        panel = panel.override_by_name(one.title, of_column(one))
    if each:
        first = next(iter(keys.values()))
        panel = panel.override_by_name(first, [linked(each)])
    panel = said(panel, about, links, "thresholds").no_value("")  # of a label that is not there
    return Placed(panel, width, height)


def _organised(keys: Mapping[str, str], columns: Mapping[str, Column]) -> Any:
    order = [*keys, *columns]
    return models.DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": {"Time": True},
            "indexByName": {name: at for at, name in enumerate(order)},
            "renameByName": {**keys, **{name: one.title for name, one in columns.items()}},
        },
    )


def of_column(column: Column) -> list[models.DynamicConfigValue]:
    """How the numbers of a table's column are written."""
    found = [
        models.DynamicConfigValue(id_val="unit", value=column.unit),
        models.DynamicConfigValue(id_val="noValue", value=NOTHING),
        models.DynamicConfigValue(id_val="custom.align", value="right"),
    ]
    if column.decimals is not None:
        found.append(models.DynamicConfigValue(id_val="decimals", value=column.decimals))
    if column.thresholds:
        steps = _thresholds(column.thresholds).build()
        found.append(models.DynamicConfigValue(id_val="thresholds", value=steps))
        found.append(
            models.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"})
        )
    return found


def said(
    panel: P,
    about: About,
    links: Sequence[Link],
    colour: str,
    datasource: shapes.DataSourceRef = DATASOURCE,
) -> P:
    """The panel with what every panel says.

    Args:
        panel: The panel.
        about: What it says.
        links: Where it leads.
        colour: The mode of its colours.
        datasource: Whom it asks.
    """
    panel = (
        panel.title(about.title)
        .description(about.description)
        .datasource(datasource)
        .unit(about.unit)
        .no_value(NONE if about.description.endswith(QUIET) else NOTHING)
        .thresholds(_thresholds(about.thresholds))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId(colour)))
        .links([_link(one) for one in links])
    )
    if about.decimals is not None:
        panel = panel.decimals(about.decimals)
    if about.minimum is not None:
        panel = panel.min(about.minimum)
    if about.maximum is not None:
        panel = panel.max(about.maximum)
    return panel


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=readable(at), color=colour) for at, colour in steps])
    )


def readable(number: float | None) -> float | None:
    """A number as people write it, without what floating point adds: they see it in Grafana.

    Example:
        >>> readable((1 - 0.99) / 2)
        0.005
    """
    return None if number is None else float(f"{number:.6g}")


def _target(
    query: Query, letter: str, *, instant: bool = False, as_table: bool = False
) -> prometheus.Dataquery:
    target = (
        prometheus.Dataquery()
        .ref_id(letter)
        .expr(query.expr)
        .legend_format(query.legend)
        .exemplar(query.exemplars)
        .editor_mode(promql.QueryEditorMode.CODE)
        .datasource(DATASOURCE)
    )
    target = target.instant() if instant else target.range()
    return target.format(promql.PromQueryFormat.TABLE) if as_table else target


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields("")


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(shapes.LegendDisplayMode.LIST)
        .placement(shapes.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs([])
    )


def _fixed(colour: str) -> models.DynamicConfigValue:
    return models.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})


def linked(links: Sequence[Link]) -> models.DynamicConfigValue:
    """Where the cells of a column lead."""
    return models.DynamicConfigValue(id_val="links", value=[_link(one).build() for one in links])


def _link(link: Link) -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink(link.title)
        .type(models.DashboardLinkType.LINK)
        .url(link.url)
        .target_blank(not link.url.startswith("/d/"))
    )
