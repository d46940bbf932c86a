"""Panels that ask Tempo: tables of turns by TraceQL, and one trace."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from grafana.panels import About, Column, Link, Placed, Steps, linked, of_column, said
from grafana.sdk import common, dashboard, models, shapes, table, tempo, traceql
from otel_chat import semconv as sc

DATASOURCE: Final = shapes.DataSourceRef(type_val="tempo", uid="${tempo}")
MOST_TRACES: Final = 200
MOST_SPANS: Final = 20
"""Traces of an answer at most, and spans of each."""
TRACE: Final = "traceIdHidden"
START: Final = "time"
DURATION: Final = "duration"
_GIVEN: Final = (TRACE, "traceService", "traceName", "spanID", START, "name", DURATION)
"""The fields that Grafana makes of each span, beside the attributes that the query selects."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a table of turns.

    Args:
        title: Its head.
        name: An attribute of the turn's span, or `TRACE`, `START`, `DURATION`.
        unit: Grafana's name of the unit, of a number.
        decimals: Digits after the point.
        thresholds: Colours of a number.
        colours: Colours of texts, by text.
        width: In pixels.
        links: Where a cell leads.
    """

    title: str
    name: str
    unit: str | None = None
    decimals: int | None = None
    thresholds: Steps = ()
    colours: Mapping[str, str] = field(default_factory=dict)
    width: int | None = None
    links: Sequence[Link] = ()


def turns(where: Sequence[str], fields: Sequence[Field]) -> str:
    """TraceQL for turns: the spans of agents that were asked.

    Args:
        where: Further conditions.
        fields: What is shown of them.

    Example:
        >>> turns(['status = error'], [Field("Intent", "otel_chat.intent.name")])
        '{ span.gen_ai.operation.name = "invoke_agent" && status = error }
        | select(span.otel_chat.intent.name) with (most_recent=true)'
    """
    asked = f'span.{sc.OPERATION_NAME} = "{sc.OPERATION_INVOKE_AGENT}"'
    chosen = ", ".join(f"span.{one.name}" for one in fields if one.name not in _GIVEN)
    latest = " with (most_recent=true)"  # else which of many traces are told is chance
    return f"{{ {' && '.join([asked, *where])} }} | select({chosen}){latest}"


def turn_table(
    about: About,
    where: Sequence[str],
    fields: Sequence[Field],
    *,
    latest_first: bool = False,
    slowest_first: bool = False,
    links: Sequence[Link] = (),
    width: int = 24,
    height: int = 10,
) -> Placed:
    """A table with a row for each turn.

    Args:
        about: What it is.
        where: Conditions of TraceQL.
        fields: The columns.
        latest_first: The order; the earliest first without.
        slowest_first: The order, of the latest that match.
        links: Where the panel leads.
        width: In 24ths.
        height: In units of 38 pixels.
    """
    by = DURATION if slowest_first else START
    first = next(one.title for one in fields if one.name == by)
    falling = latest_first or slowest_first
    numbers = [one for one in fields if one.unit is not None and one.name != DURATION]
    panel = (
        table.Panel()
        .show_header(True)
        .cell_height(shapes.TableCellHeight.SM)
        .sort_by([common.TableSortByFieldState().display_name(first).desc(falling)])
        .targets([_target(turns(where, fields))])
        .with_transformation(_converted(numbers))
        .with_transformation(_organised(fields, turns(where, fields)))
    )
    for one in fields:
        panel = panel.override_by_name(one.title, _properties(one))
    panel = said(panel, about, links, "thresholds", DATASOURCE).no_value("")  # of an empty cell
    return Placed(panel, width, height, asks="tempo")


def trace_view(about: About, query: str, *, height: int = 16) -> Placed:
    """One trace, as a waterfall.

    Args:
        about: What it is.
        query: The trace's id, or the variable that holds it.
        height: In units of 38 pixels.
    """
    panel = dashboard.Panel().type("traces").targets([_target(query)])
    return Placed(said(panel, about, (), "thresholds", DATASOURCE), 24, height, asks="tempo")


def _target(query: str) -> tempo.Dataquery:
    return (
        tempo.Dataquery()
        .ref_id("A")
        .query_type(traceql.TempoQueryType.TRACEQL)
        .query(query)
        .table_type(traceql.SearchTableType.SPANS)
        .limit(MOST_TRACES)
        .spss(MOST_SPANS)
        .datasource(DATASOURCE)
    )


def _converted(numbers: Sequence[Field]) -> models.DataTransformerConfig:
    """Tempo tells attributes as text; what is not there is no number, rather than 0."""
    conversions = [{"targetField": one.name, "destinationType": "number"} for one in numbers]
    return models.DataTransformerConfig(
        id_val="convertFieldType", options={"conversions": conversions, "fields": {}}
    )


def _organised(fields: Sequence[Field], query: str) -> models.DataTransformerConfig:
    shown = {one.name: one.title for one in fields}
    # Tempo also tells what a query only asks for
    told = (*_GIVEN, "status", *re.findall(r"\bspan\.([\w.]+)", query))
    return models.DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": {name: True for name in told if name not in shown},
            "indexByName": {name: at for at, name in enumerate(shown)},
            "renameByName": shown,
        },
    )


def _properties(one: Field) -> list[models.DynamicConfigValue]:
    found: list[models.DynamicConfigValue] = []
    if one.unit is not None:
        found += of_column(Column(one.title, "", one.unit, one.thresholds, one.decimals))
    if one.colours:
        shown = {text: {"color": colour} for text, colour in one.colours.items()}
        found += [
            models.DynamicConfigValue(
                id_val="mappings", value=[{"type": "value", "options": shown}]
            ),
            models.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
        ]
    if one.width is not None:
        found.append(models.DynamicConfigValue(id_val="custom.width", value=one.width))
    if one.name == TRACE:
        found.append(models.DynamicConfigValue(id_val="custom.hidden", value=False))
    if one.links:
        found.append(linked(one.links))
    return found


def conversation_link(conversation: str, trace: str = "") -> str:
    """The address of the dashboard of one conversation.

    Args:
        conversation: Its id, as a template of Grafana's.
        trace: That of the trace to show beneath.

    Example:
        >>> conversation_link("${__value.raw}")
        '/d/otel-chat-conversation?var-conversation=${__value.raw}&${__url_time_range}'
    """
    asked: Mapping[str, str] = {"conversation": conversation, "trace": trace}
    chosen = "&".join(f"var-{name}={value}" for name, value in asked.items() if value)
    return f"/d/otel-chat-conversation?{chosen}&${{__url_time_range}}"
