"""Dashboards as Grafana exports them: whoever imports one is asked for data sources and addresses.

Grafana fills in what `__inputs` names wherever `${NAME}` stands in the file.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from grafana.board import INFINITY

GRAFANA: Final = "13.2.2"
_PLUGINS: Final = {"prometheus": "Prometheus", "tempo": "Tempo", INFINITY: "Infinity"}
_VERSION: Final = "1.0.0"
"""Of a plugin that comes with Grafana."""


def importable(dashboard: dict[str, Any]) -> dict[str, Any]:
    """A dashboard that any Grafana imports.

    Args:
        dashboard: As it is provisioned.
    """
    found = copy.deepcopy(dashboard)
    inputs: list[dict[str, Any]] = []
    for variable in found["templating"]["list"]:
        if variable["type"] == "datasource":
            asked = _of_source(variable)
        elif variable["type"] == "constant":
            asked = _of_constant(variable)
        else:
            continue
        inputs.append(asked)
    sources = [one["pluginId"] for one in inputs if one["type"] == "datasource"]
    kinds = sorted({panel["type"] for panel in found["panels"]})
    return {
        "__inputs": inputs,
        "__elements": {},
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": GRAFANA},
            *(
                {"type": "datasource", "id": one, "name": _PLUGINS[one], "version": _VERSION}
                for one in sources
            ),
            *({"type": "panel", "id": kind, "name": kind, "version": ""} for kind in kinds),
        ],
        **found,
    }


def _of_source(variable: dict[str, Any]) -> dict[str, Any]:
    plugin = variable["query"]
    name = f"DS_{variable['name'].upper()}"
    place = f"${{{name}}}"
    variable["current"] = {"selected": False, "text": place, "value": place}
    return {
        "name": name,
        "label": _PLUGINS[plugin],
        "description": "",
        "type": "datasource",
        "pluginId": plugin,
        "pluginName": _PLUGINS[plugin],
    }


def _of_constant(variable: dict[str, Any]) -> dict[str, Any]:
    name, value = f"VAR_{variable['name'].upper()}", variable["query"]
    place = f"${{{name}}}"
    variable["query"] = place
    variable["current"] = {"selected": False, "text": place, "value": place}
    variable["options"] = [{"selected": False, "text": place, "value": place}]
    return {
        "name": name,
        "label": variable["label"],
        "description": variable.get("description", ""),
        "type": "constant",
        "value": value,
    }
