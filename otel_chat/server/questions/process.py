"""The applications themselves: memory, CPU and threads of their processes, and lost telemetry."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat import semconv
from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.figures import WHOLE, by_bucket
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, mean, moment, nanos, total
from otel_chat.server.figures.window import Bucket, Window

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

MOST: Final = 100


class ProcessPoint(Answer):
    """One bucket of time of one process; null where it said nothing."""

    start: datetime
    memory: float | None = Field(description="Greatest memory in use, bytes.")
    cpu: float | None = Field(description="Processors in use on average; 1 is one whole.")


class Process(Answer):
    """A process of an application."""

    service_name: str
    instance_id: str
    last_seen: datetime
    memory: float | None = figure("process_memory", "By", "Memory in use, when last reported.")
    memory_mean: float | None = Field(description="Bytes.")
    memory_max: float | None = Field(description="Bytes.")
    cpu: float | None = figure(
        "process_cpu",
        "{cpu}",
        "Processor time used ÷ time passed, between the first report and the last; 1 is one whole"
        " processor. A process that starts anew begins anew.",
    )
    threads: int | None = Field(description="When last reported.")
    points: list[ProcessPoint]


class LostTelemetry(Answer):
    """What the applications' own telemetry could not do."""

    errors: int = figure(
        "telemetry_errors", "{error}", "Errors inside the telemetry; no chat noticed them."
    )
    dropped: int = figure(
        "telemetry_dropped", "{record}", "Records that were not sent because a queue was full."
    )


class Processes(Answer):
    """The processes of the applications, by service and instance."""

    window: TimeSpan
    bucket: Bucket
    items: list[Process] = Field(description=f"At most {MOST}, those seen last.")
    others: int = Field(description="Those that are not listed.")
    telemetry: LostTelemetry


Key = tuple[int, str, str, str]
Rows = dict[Key, dict[str, Any]]

MEMORY: Final = semconv.METRIC_PROCESS_MEMORY
CPU_TIME: Final = semconv.METRIC_PROCESS_CPU_TIME
THREADS: Final = semconv.METRIC_PROCESS_THREADS
_OWNER: Final = "tenant, service_name, instance_id"


def _read(statement: Query, window: Window, *names: str) -> str:
    return statement.table(
        "metrics",
        ("tenant", "time", "start", "name", "service_name", "instance_id", "value"),
        [
            statement.within("time", window),
            f"name IN {statement.bind(names, 'Array(String)')}",
        ],
    )


def _gauges(statement: Query, window: Window, part: str) -> Rows:
    """Memory and threads, by part and process, and by process in all of the window."""
    memory, threads = (f"name = '{name}'" for name in (MEMORY, THREADS))
    rows = statement.run(f"""
        SELECT if(grouping(part) = 0, part, {WHOLE}) AS key, {_OWNER},
            {nanos("max(time)")} AS last_ns,
            countIf({memory}) AS memory_n, countIf({threads}) AS threads_n,
            argMaxIf(value, time, {memory}) AS memory, {mean("value", memory)} AS memory_mean,
            maxIf(value, {memory}) AS memory_max, argMaxIf(value, time, {threads}) AS threads
        FROM (
            SELECT *, {part} AS part
            FROM {_read(statement, window, MEMORY, THREADS, CPU_TIME)} AS m
        )
        GROUP BY GROUPING SETS ((part, {_OWNER}), ({_OWNER}))
    """)  # noqa: S608
    return {_key(row): row for row in rows}


def _growth(statement: Query, window: Window, name: str) -> str:
    """Rows of a counter, all its series added: by how much it grew, and in which time.

    A counter of another start is another one, and one that shrank began anew unseen.
    """
    return f"""(
        SELECT {_OWNER}, time,
            lagInFrame(total, 1, total) OVER earlier AS before,
            if(total >= before, total - before, total) AS grown,
            toUnixTimestamp64Nano(time)
                - toUnixTimestamp64Nano(lagInFrame(time, 1, time) OVER earlier) AS passed
        FROM (
            SELECT {_OWNER}, start, time, sum(value) AS total
            FROM {_read(statement, window, name)} AS m
            GROUP BY {_OWNER}, start, time
        )
        WINDOW earlier AS (
            PARTITION BY {_OWNER}, start ORDER BY time
            ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
        )
    )"""  # noqa: S608


def _cpu(statement: Query, window: Window, part: str) -> dict[Key, float | None]:
    """Processor time used by time passed, by part and process and in all of the window."""
    rows = statement.run(f"""
        SELECT {part} AS key, {_OWNER}, {total("grown")} AS used, sum(passed) AS took
        FROM {_growth(statement, window, CPU_TIME)} AS g
        GROUP BY key, {_OWNER}
    """)  # noqa: S608
    used, took = Counter[Key](), Counter[Key]()
    for row in rows:
        for key in (_key(row), _key({**row, "key": WHOLE})):
            used[key] += row["used"]
            took[key] += row["took"]
    return {key: used[key] / took[key] if took[key] else None for key in used}


def _lost(statement: Query, window: Window, name: str) -> int:
    """How often something was counted in the window, the first count of a process among them."""
    row = statement.one(f"""
        SELECT sum(counted) AS lost
        FROM (
            SELECT {_OWNER}, attributes, start,
                max(value) - if(min(start) < {statement.moment(window.start)}, min(value), 0)
                    AS counted
            FROM {
        statement.table(
            "metrics",
            (
                "tenant",
                "time",
                "start",
                "name",
                "service_name",
                "instance_id",
                "attributes",
                "value",
            ),
            [
                statement.within("time", window),
                f"name = {statement.bind(name, 'String')}",
            ],
        )
    } AS m
            GROUP BY {_OWNER}, attributes, start
        )
    """)  # noqa: S608
    return round(row.get("lost") or 0)


def _key(row: dict[str, Any]) -> Key:
    return (row["key"], row["tenant"], row["service_name"], row["instance_id"])


@query()
def processes(
    store: Store, scope: Scope, window: Window, bucket: Bucket | None = None
) -> Processes:
    """Memory, CPU and threads of the applications that send, and what telemetry was lost.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The time to look at.
        bucket: The length of a bucket; one that suits the window without.

    Raises:
        QueryError: If that makes too many buckets.
    """
    width = bucket or window.bucket()
    starts = window.bucket_starts(width)
    statement = Query(store, scope)
    part = by_bucket(window, width)(statement, "time")
    gauges, cpu = _gauges(statement, window, part), _cpu(statement, window, part)
    whole = [row for row in gauges.values() if row["key"] == WHOLE]
    latest = sorted(whole, key=lambda row: (-row["last_ns"], _key(row)))
    return Processes(
        window=TimeSpan.of(window),
        bucket=width,
        items=[_process(row, starts, gauges, cpu) for row in latest[:MOST]],
        others=max(len(latest) - MOST, 0),
        telemetry=LostTelemetry(
            errors=_lost(Query(store, scope), window, semconv.METRIC_TELEMETRY_ERRORS),
            dropped=_lost(Query(store, scope), window, semconv.METRIC_TELEMETRY_DROPPED),
        ),
    )


def _process(
    row: dict[str, Any], starts: list[datetime], gauges: Rows, cpu: dict[Key, float | None]
) -> Process:
    owner = _key(row)[1:]
    return Process(
        service_name=row["service_name"],
        instance_id=row["instance_id"],
        last_seen=moment(row["last_ns"]),
        memory=row["memory"] if row["memory_n"] else None,
        memory_mean=row["memory_mean"] if row["memory_n"] else None,
        memory_max=row["memory_max"] if row["memory_n"] else None,
        cpu=cpu.get(_key(row)),
        threads=round(row["threads"]) if row["threads_n"] else None,
        points=[
            _point(start, gauges.get((n, *owner), {}), cpu.get((n, *owner)))
            for n, start in enumerate(starts)
        ],
    )


def _point(start: datetime, row: dict[str, Any], cpu: float | None) -> ProcessPoint:
    memory = row["memory_max"] if row.get("memory_n") else None
    return ProcessPoint(start=start, memory=memory, cpu=cpu)
