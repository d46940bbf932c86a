"""A dashboard: rows of panels on the grid, variables, annotations, links."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from grafana import names
from grafana.panels import DATASOURCE, Placed
from grafana.promql import Scope
from grafana.sdk import Builder, JSONEncoder, dashboard, models, prometheus
from otel_chat import semconv as sc
from prometheus.names import ENVIRONMENT, Metric, gauge, histogram, label

COLUMNS: Final = 24
MOST_PANELS: Final = 18
TAG: Final = "otel-chat"
ANALYTICS_URL: Final = "http://127.0.0.1:8400"
NOW: Final = "from=${__from:date:iso}&to=${__to:date:iso}"
"""The dashboard's time in the address of a page of the analytics server."""
WINDOW: Final = "window=${window}"
"""The time of figures of settled conversations in such an address."""
EVERY: Final = ".*"
INFINITY: Final = "yesoreyeram-infinity-datasource"
"""The data source, out of Grafana's catalogue, that asks the analytics server."""
WINDOWS: Final = ("24h", "7d")
_LABELS: Final[Mapping[str, str]] = {
    "environment": "Environment",
    "agent": "Agent",
    "channel": "Channel",
    "model": "Model",
}
_FILTERS: Final = ("environment", "agent", "channel", "model")
"""Variables that are filters of the analytics server, by the same names."""
_AT_FIRST: Final = "24h"
_NOISE: Final = (
    ("placement", "inControlsMenu"),
    ("auto", False),
    ("auto_min", "10s"),
    ("auto_count", 30),
)


class LayoutError(Exception):
    """A dashboard does not fit its grid."""


@dataclass(slots=True)
class Board:
    """One dashboard.

    Args:
        slug: Its place in the address: `/d/otel-chat-{slug}`.
        title: Its name.
        description: Whom it is for and what it answers.
        variables: What a reader can choose, out of `names.VARIABLES`.
        since: Where its time begins at first, as `now-6h`.
        texts: What a reader can enter, or a link fills in: label by name of the variable.
        choices: What a reader can choose of fixed values: label, and value by text, by name.
    """

    slug: str
    title: str
    description: str
    variables: tuple[str, ...]
    since: str = "now-6h"
    texts: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    _rows: list[tuple[Placed, ...]] = field(default_factory=list)

    @property
    def uid(self) -> str:
        """The unique id."""
        return f"{TAG}-{self.slug}"

    @property
    def scope(self) -> Scope:
        """What its queries are limited to."""
        return Scope(self.variables)

    def row(self, *panels: Placed) -> None:
        """Adds panels of one height that fill the width.

        Raises:
            LayoutError: they do not.
        """
        if sum(one.width for one in panels) != COLUMNS:
            raise LayoutError(f"{self.slug}: a row is not {COLUMNS} wide.")
        if len({one.height for one in panels}) != 1:
            raise LayoutError(f"{self.slug}: a row has panels of different heights.")
        self._rows.append(panels)
        if sum(map(len, self._rows)) > MOST_PANELS:
            raise LayoutError(f"{self.slug}: more than {MOST_PANELS} panels.")

    def as_json(self, analytics: str = ANALYTICS_URL) -> str:
        """The dashboard as Grafana reads it.

        Args:
            analytics: The address of the analytics server, for links.
        """
        built = (
            dashboard.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags([TAG])
            .timezone("browser")
            .time(self.since, "now")
            .refresh("30s")
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .variables([*self._variables(), _constant(analytics)])
            .annotations([_deployments(self.variables), _alerts()])
            .links(_links())
        )
        for panel in self._placed():
            built = built.with_panel(panel)
        plain = _plain(json.loads(json.dumps(built.build(), cls=JSONEncoder)))
        _keep(plain, self.variables)
        _say_window(plain["panels"])
        return written(plain)

    def _variables(self) -> list[Any]:
        sources = [_datasource()]
        if any(one.asks == "tempo" for panels in self._rows for one in panels):
            sources.append(dashboard.DatasourceVariable("tempo").label("Traces").type("tempo"))
        if any(one.asks == INFINITY for panels in self._rows for one in panels):
            answers = dashboard.DatasourceVariable("answers").label("Answers").type(INFINITY)
            sources.append(answers)
        return [
            *sources,
            *(_text(name, label) for name, label in self.texts.items()),
            *map(_variable, self.variables),
            *(_choice(name, label, of) for name, (label, of) in self.choices.items()),
        ]

    def _placed(self) -> list[Any]:
        found: list[Any] = []
        top = 0
        for panels in self._rows:
            left = 0
            for one in panels:
                at = models.GridPos(x=left, y=top, w=one.width, h=one.height)
                found.append(one.panel.id(len(found) + 1).grid_pos(at))
                left += one.width
            top += panels[0].height
        return found


def written(dashboard: Any) -> str:
    """A dashboard as the text of a file."""
    return f"{json.dumps(dashboard, indent=2, ensure_ascii=False)}\n"


def _plain(built: Any) -> Any:
    """Without what the SDK writes though nobody asked: it would hide links in a menu, for one."""
    if isinstance(built, list):
        return [_plain(one) for one in built]
    if isinstance(built, dict):
        return {name: _plain(value) for name, value in built.items() if (name, value) not in _NOISE}
    return built


def _say_window(panels: list[Any]) -> None:
    """Has panels of settled conversations say over how long, which is not the time at the top."""
    for panel in panels:
        if any('window="$window"' in target.get("expr", "") for target in panel["targets"]):
            panel["title"] += ", $window"


def _keep(built: Any, variables: tuple[str, ...]) -> None:
    """Has all links keep what the dashboard is limited to."""
    if isinstance(built, list):
        for one in built:
            _keep(one, variables)
    elif isinstance(built, dict):
        if isinstance(url := built.get("url"), str):
            built["url"] = kept(url, variables)
        for inside in built.values():
            _keep(inside, variables)


def kept(url: str, variables: tuple[str, ...]) -> str:
    """A link that keeps what its dashboard is limited to, as far as it says nothing of it itself.

    Args:
        url: To another dashboard, or to a page of the analytics server.
        variables: The dashboard's.

    Example:
        >>> kept("${analytics}/turns?from=1&agent=b", ("agent", "channel"))
        '${analytics}/turns?from=1&agent=b&${channel:customqueryparam}'
        >>> kept("${analytics}/conversations?window=${window}", ("environment", "agent"))
        '${analytics}/conversations?window=${window}&${agent:customqueryparam:first_agent}'
        >>> kept("/d/otel-chat-conversation?var-trace=1", ("agent", "window"))
        '/d/otel-chat-conversation?var-trace=1&${agent:queryparam}'
    """
    chosen = [name for name in variables if name in _FILTERS]
    _, _, query = url.partition("?")
    said = {part.partition("=")[0].removeprefix("var-") for part in query.split("&")}
    if url.startswith("/d/"):
        added = [f"${{{name}:queryparam}}" for name in chosen if name not in said]
    elif WINDOW in query:  # the gauges of settled conversations tell the place of the first turn
        added = [
            f"${{{name}:customqueryparam:first_{name}}}"
            for name in chosen
            if name in names.PLACE and f"first_{name}" not in said
        ]
    elif NOW.partition("=")[0] in said:
        added = [f"${{{name}:customqueryparam}}" for name in chosen if name not in said]
    else:
        return url
    return "&".join([url, *added])


def _datasource() -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _text(name: str, label: str) -> dashboard.TextBoxVariable:
    nothing = models.VariableOption(text="", value="", selected=True)
    return dashboard.TextBoxVariable(name).label(label).default_value("").current(nothing)


def _choice(name: str, label: str, of: Mapping[str, str]) -> dashboard.CustomVariable:
    first, value = next(iter(of.items()))
    return (
        dashboard.CustomVariable(name)
        .label(label)
        .values(", ".join(f"{text} : {meant}" for text, meant in of.items()))
        .current(models.VariableOption(text=first, value=value, selected=True))
    )


def _constant(analytics: str) -> dashboard.ConstantVariable:
    return (
        dashboard.ConstantVariable("analytics")
        .label("Analytics server")
        .description("Where links to conversations and traces lead.")
        .value(analytics)
    )


def _variable(name: str) -> dashboard.QueryVariable | dashboard.CustomVariable:
    if name == "window":
        return (
            dashboard.CustomVariable("window")
            .label("Window (settled)")
            .values(",".join(WINDOWS))
            .current(models.VariableOption(text=_AT_FIRST, value=_AT_FIRST, selected=True))
        )
    turns = histogram(sc.METRIC_TURN_DURATION, "count")
    (wanted,) = names.VARIABLES[name] & turns.labels
    earlier = () if name == "environment" else ("environment",)
    source = names.chosen(turns, earlier)
    query = f"label_values({source}, {wanted})"
    return (
        dashboard.QueryVariable(name)
        .label(_LABELS[name])
        .datasource(DATASOURCE)
        .query({"query": query, "refId": f"variable-{name}"})
        .definition(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(EVERY)
        .current(models.VariableOption(text=["All"], value=["$__all"], selected=True))
    )


def _links() -> list[Builder[models.DashboardLink]]:
    others = (
        dashboard.DashboardLink("otel-chat dashboards")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )
    conversations = (
        dashboard.DashboardLink("Conversations")
        .type(models.DashboardLinkType.LINK)
        .icon("external link")
        .tooltip("The conversations of this time, in the analytics server")
        .url(f"${{analytics}}/conversations?{NOW}")
        .target_blank(True)
    )
    return [others, conversations]


def _annotation(name: str, colour: str, expr: str, title: str, text: str, tags: str) -> Any:
    return (
        dashboard.AnnotationQuery()
        .name(name)
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color(colour)
        .expr(expr)
        .step("60s")
        .title_format(title)
        .text_format(text)
        .tag_keys(tags)
        .target(prometheus.Dataquery().ref_id("Anno").expr(expr).interval("60s").range())
    )


def _deployments(variables: tuple[str, ...]) -> Any:
    """Where a version of a service is told of that was not there in the hour before."""
    process = gauge(sc.METRIC_PROCESS_MEMORY)
    versions = Metric(process.name, process.labels | {label("service.version")}, process.matchers)
    versions = versions.where(label("service.version"), "", "!=")
    if "environment" in variables:
        versions = names.chosen(versions, ("environment",))
    by = f"count by (service_name, {label('service.version')}, {ENVIRONMENT})"
    now, before = f"{by} ({versions})", f"{by} (last_over_time({versions}[1h] offset 2m))"
    return _annotation(
        "Deployments",
        "blue",
        f"{now} unless {before}",
        "Deployment",
        "{{service_name}} {{service_version}}",
        "service_name",
    )


def _alerts() -> Any:
    firing = names.ALERTS.where("alertstate", "firing").where("severity", "page|ticket", "=~")
    return _annotation(
        "Firing alerts",
        "red",
        f"max by (alertname, severity) ({firing})",
        "{{alertname}}",
        "{{severity}}",
        "severity",
    )
