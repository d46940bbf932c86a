"""Rows for the figures to be worked out of, written by hand in tests."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from otel_chat.server.access import PERMISSIONS, Scope
from otel_chat.server.figures.window import Window

if TYPE_CHECKING:
    from otel_chat.server.store import Store

Kind = Literal["turns", "events", "spans", "metrics"]

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
DAY = Window(
    datetime(2026, 11, 10, tzinfo=UTC),
    datetime(2026, 11, 11, tzinfo=UTC),
    now=datetime(2026, 11, 12, tzinfo=UTC),
)

_numbers = itertools.count(1)


def at(seconds: float) -> datetime:
    """So many seconds after noon of the day that the tests ask about."""
    return NOON + timedelta(seconds=seconds)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


@dataclass
class Given:
    """Turns, events and spans of one tenant, kept until `save` writes them."""

    store: Store
    tenant: str = field(default_factory=lambda: f"tenant-{next(_numbers)}")
    rows: list[tuple[Kind, dict[str, Any]]] = field(default_factory=list)

    @property
    def scope(self) -> Scope:
        """Everything that may be done, in this tenant alone."""
        return Scope(frozenset({self.tenant}), frozenset(PERMISSIONS))

    def turn(
        self, conversation: str = "c", seconds: float = 0, duration: float = 1, **columns: Any
    ) -> dict[str, Any]:
        """A turn of one second that went well, so many seconds after noon."""
        number = next(_numbers)
        row = {
            "tenant": self.tenant,
            "conversation_id": conversation,
            "start": _time(at(seconds)),
            "end": _time(at(seconds + duration)),
            "duration": duration,
            "trace_id": f"{number:032x}",
            "span_id": f"{number:016x}",
            "status": "ok",
            **columns,
        }
        self.rows.append(("turns", row))
        return row

    def event(
        self, name: str, conversation: str = "c", seconds: float = 0, **columns: Any
    ) -> dict[str, Any]:
        """An event, so many seconds after noon."""
        prefix = "" if name.startswith("gen_ai.") else "otel_chat."
        row = {
            "tenant": self.tenant,
            "conversation_id": conversation,
            "time": _time(at(seconds)),
            "name": f"{prefix}{name}",
            "uid": f"uid-{next(_numbers)}",
            **columns,
        }
        self.rows.append(("events", row))
        return row

    def feedback(
        self,
        value: float,
        conversation: str = "c",
        seconds: float = 0,
        scale: tuple[float, float] = (1, 5),
    ) -> dict[str, Any]:
        """What a user thought of a conversation."""
        low, high = scale
        return self.event(
            "gen_ai.evaluation.result",
            conversation,
            seconds,
            evaluation="user_feedback",
            score=(value - low) / (high - low),
            value=value,
            scale_min=low,
            scale_max=high,
        )

    def span(
        self, trace_id: str, parent: str, seconds: float = 0, **columns: Any
    ) -> dict[str, Any]:
        """A span of a second inside a turn."""
        row = {
            "tenant": self.tenant,
            "start": _time(at(seconds)),
            "end": _time(at(seconds + 1)),
            "trace_id": trace_id,
            "span_id": f"{next(_numbers):016x}",
            "parent_span_id": parent,
            **columns,
        }
        self.rows.append(("spans", row))
        return row

    def metric(
        self, name: str, value: float, seconds: float = 0, *, start: float = -3600, **columns: Any
    ) -> dict[str, Any]:
        """A data point of a process that began an hour before noon."""
        row = {
            "tenant": self.tenant,
            "time": _time(at(seconds)),
            "start": _time(at(start)),
            "name": name,
            "service_name": "bot",
            "instance_id": "one",
            "value": float(value),
            **columns,
        }
        self.rows.append(("metrics", row))
        return row

    def save(self, *, shuffle: int | None = None) -> None:
        """Write what was given: in order, or in the order and the parts that a seed makes."""
        rows = list(self.rows)
        if shuffle is None:
            parts = [rows]
        else:
            order = random.Random(shuffle)
            order.shuffle(rows)
            cuts = sorted(order.randint(0, len(rows)) for _ in range(3))
            parts = [rows[a:b] for a, b in itertools.pairwise([0, *cuts, len(rows)])]
        for part in parts:
            for kind in ("turns", "events", "spans", "metrics"):
                insert(self.store, kind, [row for table, row in part if table == kind])


_TYPES: dict[str, str] = {
    "input_tokens": "Nullable(UInt64)",
    "output_tokens": "Nullable(UInt64)",
    "cache_read_tokens": "Nullable(UInt64)",
    "reasoning_tokens": "Nullable(UInt64)",
    "context_size": "Nullable(UInt64)",
    "http_status": "Nullable(UInt16)",
    "turn_index": "Nullable(UInt32)",
    "cost": "Nullable(Decimal(18, 9))",
    "duration": "Nullable(Float64)",
    "confidence": "Nullable(Float64)",
    "time_to_first_chunk": "Nullable(Float64)",
    "score": "Nullable(Float64)",
    "value": "Nullable(Float64)",
    "scale_min": "Nullable(Float64)",
    "scale_max": "Nullable(Float64)",
    "wait": "Nullable(Float64)",
    "fallback": "Nullable(Bool)",
    "success": "Nullable(Bool)",
    "cached": "Nullable(Bool)",
    "handoff": "Bool",
    "foreign": "Bool",
    "start": "DateTime64(9, 'UTC')",
    "end": "DateTime64(9, 'UTC')",
    "time": "DateTime64(9, 'UTC')",
    "attributes": "Map(String, String)",
}
_IDS = ("trace_id", "span_id", "parent_span_id")


def insert(store: Store, table: Kind, rows: list[dict[str, Any]]) -> None:
    """Insert rows as they are, what a row leaves out being empty or nothing, in one statement."""
    if not rows:
        return
    columns = sorted({name for row in rows for name in row})
    values = ", ".join(f"unhex({name})" if name in _IDS else name for name in columns)
    structure = ", ".join(f"{name} {_TYPES.get(name, 'String')}" for name in columns)
    store.command(
        f"INSERT INTO {table} ({', '.join(columns)})"
        f" SELECT {values} FROM format(JSONEachRow, {{structure:String}}, {{lines:String}})",
        {"structure": structure, "lines": "\n".join(map(json.dumps, rows))},
    )
