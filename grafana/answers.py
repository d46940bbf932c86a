"""Tables of what the analytics server answers at `/api/v1`, by the data source Infinity.

The data source has the server's address and its token; a dashboard has neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from grafana.board import INFINITY, NOW
from grafana.panels import LEAST_WIDTH, About, Column, Link, Placed, Steps, linked, of_column, said
from grafana.sdk import Plain, models, shapes, table, variants

DATASOURCE: Final = shapes.DataSourceRef(type_val=INFINITY, uid="${answers}")


@dataclass(frozen=True, slots=True)
class Told:
    """A column of a table: a field of each item of an answer.

    Args:
        title: Its head.
        field: Where in an item it stands, as `tokens.input`.
        unit: Grafana's name of the unit, of a number.
        decimals: Digits after the point.
        thresholds: Colours of a number.
        time: Whether it is a moment.
        width: In pixels.
        links: Where a cell leads.
    """

    title: str
    field: str
    unit: str | None = None
    decimals: int | None = None
    thresholds: Steps = ()
    time: bool = False
    width: int | None = None
    links: Sequence[Link] = ()


@dataclass(frozen=True, slots=True)
class _Asked(variants.Dataquery):
    """A query of the data source Infinity, for which the SDK has no builder."""

    asked: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As Grafana reads it."""
        return self.asked


def answer_table(
    about: About,
    path: str,
    items: str,
    columns: Sequence[Told],
    *,
    links: Sequence[Link] = (),
    width: int = 24,
    height: int = 8,
) -> Placed:
    """A table with a row for each item of an answer, in the answer's order.

    Args:
        about: What it is.
        path: Behind `/api/v1`, with the panel's condition; what the dashboard is limited to is
            added.
        items: Where in the answer the items are.
        columns: What is shown of them.
        links: Where the panel leads.
        width: In 24ths.
        height: In units of 38 pixels.
    """
    separator = "&" if "?" in path else "?"
    asked = {
        "refId": "A",
        "datasource": {"type": INFINITY, "uid": "${answers}"},
        "type": "json",
        "parser": "backend",
        "source": "url",
        "format": "table",
        "url": f"/api/v1{path}{separator}{NOW}",
        "url_options": {"method": "GET", "data": ""},
        "root_selector": items,
        "columns": [
            {
                "selector": one.field,
                "text": one.title,
                "type": "timestamp" if one.time else "string",
            }
            for one in columns
        ],
        "filters": [],
        "global_query_id": "",
    }
    numbers = [one.title for one in columns if one.unit is not None]
    conversions = [{"targetField": name, "destinationType": "number"} for name in numbers]
    panel = (
        table.Panel()
        .show_header(True)
        .cell_height(shapes.TableCellHeight.SM)
        .min_width(LEAST_WIDTH)
        .targets([Plain[variants.Dataquery](_Asked(asked))])
        # Money is a text, so that none of its digits is lost on the way
        .with_transformation(
            models.DataTransformerConfig(
                id_val="convertFieldType", options={"conversions": conversions, "fields": {}}
            )
        )
    )
    for one in columns:
        if properties := _properties(one):
            panel = panel.override_by_name(one.title, properties)
    panel = said(panel, about, links, "thresholds", DATASOURCE).no_value("")
    return Placed(panel, width, height, asks=INFINITY)


def _properties(one: Told) -> list[models.DynamicConfigValue]:
    found: list[models.DynamicConfigValue] = []
    if one.unit is not None:
        found += of_column(Column(one.title, "", one.unit, one.thresholds, one.decimals))
    if one.width is not None:
        found.append(models.DynamicConfigValue(id_val="custom.width", value=one.width))
    if one.links:
        found.append(linked(one.links))
    return found
