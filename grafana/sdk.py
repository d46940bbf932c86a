"""The builders of Grafana's foundation SDK that the dashboards use.

Importing `builders.dashboard` warns that newer dashboards have another schema. File provisioning
takes this one (schemaVersion 42), so the warning is kept from every run.
"""

from __future__ import annotations

import warnings
from typing import TypeVar

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import (
        bargauge,
        common,
        dashboard,
        heatmap,
        prometheus,
        stat,
        table,
        tempo,
        timeseries,
    )
    from grafana_foundation_sdk.cog import variants
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import common as shapes
    from grafana_foundation_sdk.models import dashboard as models
    from grafana_foundation_sdk.models import heatmap as cells
    from grafana_foundation_sdk.models import prometheus as promql
    from grafana_foundation_sdk.models import tempo as traceql

T = TypeVar("T")


class Plain(Builder[T]):
    """What is built already, where the SDK wants a builder.

    Args:
        built: It.
    """

    def __init__(self, built: T) -> None:
        self._built = built

    def build(self) -> T:
        """As it is."""
        return self._built


__all__ = [
    "Builder",
    "JSONEncoder",
    "Plain",
    "bargauge",
    "cells",
    "common",
    "dashboard",
    "heatmap",
    "models",
    "prometheus",
    "promql",
    "shapes",
    "stat",
    "table",
    "tempo",
    "timeseries",
    "traceql",
    "variants",
]
