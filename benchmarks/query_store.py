"""A store of many turns, made inside the engine: nobody waits for telemetry to be sent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from otel_chat.server.store import Store, open_store

DAYS: Final = 90
HALF_A_DAY: Final = 43_200_000
LATE_PARTS: Final = 5
TURNS_EACH: Final = 10
BLOCK: Final = 1_000_000
SENT_TWICE: Final = 100
READY: Final = "ready"
TABLES: Final = ("turns", "spans", "events", "metrics")
SETTLED: Final = ("conversations",)

# Of conversation `c` and turn `k` of it, everything follows from hashes: the same store each time.
_TURNS: Final = """
INSERT INTO turns (tenant, start, end, conversation_id, trace_id, span_id, agent, agent_version,
    variant, channel, platform, user_type, user_hash, service_name, instance_id, duration,
    request_model, response_model, provider, input_tokens, output_tokens, cost, cost_source,
    intent, confidence, fallback, handoff, handoff_reason, time_to_first_chunk, status,
    error_type, route, http_status, user_agent, referrer, page, message_type, sentiment,
    input_messages, output_messages)
WITH intDiv(number, {each}) AS c, number % {each} AS k,
    sipHash64(c, 'c') AS hc, sipHash64(number, 't') AS ht,
    toUInt64(hc % {span}) AS ms,
    {begin} + toInt64(if(ms < {closed}, ms, {closed} + intDiv((ms - {closed}) * {today}, {half}))
        * 1000000) + toInt64(k * 30 * 1000000000) AS ns,
    0.2 + (ht % 4000) / 1000 AS seconds
SELECT 'default', fromUnixTimestamp64Nano(ns, 'UTC'),
    fromUnixTimestamp64Nano(ns + toInt64(seconds * 1e9), 'UTC'),
    concat('conversation-', toString(c)), unhex(hex(sipHash128(number, 'trace'))),
    unhex(leftPad(hex(ht), 16, '0')), ['support', 'sales', 'billing'][hc % 3 + 1],
    ['1.0', '1.1'][hc % 2 + 1], ['a', 'b'][intDiv(hc, 2) % 2 + 1],
    ['web', 'whatsapp', 'voice', 'app'][intDiv(hc, 3) % 4 + 1],
    ['ios', 'android', 'web'][hc % 3 + 1],
    ['client', 'guest'][intDiv(hc, 5) % 2 + 1], hex(hc % {users}), 'bot', toString(hc % 4),
    seconds, 'gpt-4o', ['gpt-4o-2024-08-06', 'gpt-4o-mini', 'claude-sonnet'][ht % 3 + 1], 'openai',
    200 + ht % 3000, 20 + ht % 400, toDecimal64((200 + ht % 3000) * 0.0000025, 9), 'local',
    if(ht % 20 = 0, '', concat('intent-', toString(intDiv(ht, 7) % 60))),
    if(ht % 20 = 0, 0.2, 0.4 + (ht % 600) / 1000), ht % 20 = 0,
    k = {each} - 1 AND hc % 12 = 0, if(k = {each} - 1 AND hc % 12 = 0,
        ['user_request', 'low_confidence'][hc % 2 + 1], ''),
    0.1 + (ht % 700) / 1000, if(ht % 50 = 0, 'error', 'ok'), if(ht % 50 = 0, 'Timeout', ''),
    '/chat', if(ht % 50 = 0, 500, 200), concat('Mozilla/5.0 (X11; Linux x86_64) Chrome/',
        toString(100 + hc % 40), '.0.0.0 Safari/537.36'), 'https://shop.example/',
    concat('/page-', toString(hc % 40)), 'text', ['positive', 'neutral', 'negative'][ht % 3 + 1],
    concat('[{"role":"user","parts":[{"type":"text","content":"Where is my order ',
        toString(ht % 100000), '?"}]}]'),
    '[{"role":"assistant","parts":[{"type":"text","content":"It is on its way."}]}]'
FROM (SELECT {first} + number * {step} AS number FROM numbers({count}))
"""
_SPANS: Final = """
INSERT INTO spans (tenant, start, end, conversation_id, trace_id, span_id, parent_span_id, name,
    kind, status_code, service_name, scope_name, operation, agent, model, provider, tool,
    input_tokens, output_tokens, error_type)
WITH intDiv(number, {each}) AS c, number % {each} AS k,
    sipHash64(c, 'c') AS hc, sipHash64(number, 't') AS ht,
    toUInt64(hc % {span}) AS ms,
    {begin} + toInt64(if(ms < {closed}, ms, {closed} + intDiv((ms - {closed}) * {today}, {half}))
        * 1000000) + toInt64(k * 30 * 1000000000) AS ns
SELECT 'default', fromUnixTimestamp64Nano(ns, 'UTC'),
    fromUnixTimestamp64Nano(ns + toInt64(150000000), 'UTC'),
    concat('conversation-', toString(c)), unhex(hex(sipHash128(number, 'trace'))),
    unhex(leftPad(hex(ht + 1), 16, '0')), unhex(leftPad(hex(ht), 16, '0')), 'work', 'client',
    if(ht % 70 = 0, 'error', 'unset'), 'bot', 'otel_chat',
    ['chat', 'execute_tool'][ht % 2 + 1], 'support',
    if(ht % 2 = 0, 'gpt-4o', ''), 'openai',
    if(ht % 2 = 1, concat('tool-', toString(intDiv(ht, 3) % 12)), ''), 200, 40,
    if(ht % 70 = 0, 'Timeout', '')
FROM (SELECT {first} + number * {step} AS number FROM numbers({count}))
"""
_EVENTS: Final = """
INSERT INTO events (tenant, time, name, uid, conversation_id, trace_id, span_id, agent, channel,
    intent, confidence, fallback, source, topic, action, workflow, step, reason, lead_kind,
    evaluation, score, value, scale_min, scale_max)
WITH intDiv(number, {each}) AS c, number % {each} AS k,
    sipHash64(c, 'c') AS hc, sipHash64(number, 't') AS ht,
    toUInt64(hc % {span}) AS ms,
    {begin} + toInt64(if(ms < {closed}, ms, {closed} + intDiv((ms - {closed}) * {today}, {half}))
        * 1000000) + toInt64(k * 30 * 1000000000) AS ns,
    ['otel_chat.intent', 'otel_chat.intent', 'otel_chat.topic', 'otel_chat.intent',
     'otel_chat.workflow.started', 'otel_chat.intent', 'otel_chat.workflow.completed',
     'otel_chat.action', 'otel_chat.intent', 'gen_ai.evaluation.result'][k + 1] AS called,
    called = 'gen_ai.evaluation.result' AND hc % 4 = 0 AS rated
SELECT 'default', fromUnixTimestamp64Nano(ns + toInt64(1000000), 'UTC'),
    multiIf(called != 'gen_ai.evaluation.result' OR rated, called, 'otel_chat.lead'),
    toString(number), concat('conversation-', toString(c)),
    unhex(hex(sipHash128(number, 'trace'))), unhex(leftPad(hex(ht), 16, '0')),
    ['support', 'sales', 'billing'][hc % 3 + 1],
    ['web', 'whatsapp', 'voice', 'app'][intDiv(hc, 3) % 4 + 1],
    if(called = 'otel_chat.intent', concat('intent-', toString(intDiv(ht, 7) % 60)), ''),
    0.8, false,
    'classifier', if(called = 'otel_chat.topic', concat('topic-', toString(hc % 30)), ''),
    if(called = 'otel_chat.action', 'change_order', ''),
    if(called LIKE '%workflow%', concat('workflow-', toString(hc % 5)), ''), 'details', '',
    'demo', if(rated, 'user_feedback', ''), if(rated, (ht % 5) / 4, NULL),
    if(rated, 1 + ht % 5, NULL), if(rated, 1, NULL), if(rated, 5, NULL)
FROM (SELECT {first} + number * {step} AS number FROM numbers({count}))
"""
_METRICS: Final = """
INSERT INTO metrics (tenant, time, start, name, kind, service_name, instance_id, value)
SELECT 'default', fromUnixTimestamp64Nano({begin} + toInt64(number) * 60000000000, 'UTC'),
    fromUnixTimestamp64Nano({begin}, 'UTC'), called, 'gauge', 'bot', toString(n),
    if(called = 'process.cpu.time', number * 3, 150000000 + number % 1000000)
FROM numbers({minutes}) ARRAY JOIN ['process.memory.usage', 'process.cpu.time'] AS called
ARRAY JOIN range(4) AS n
"""


_LATE: Final = """
INSERT INTO events (tenant, time, name, uid, conversation_id, evaluation, score, value, scale_min,
    scale_max)
SELECT tenant, min(start) + INTERVAL 1 HOUR, 'gen_ai.evaluation.result',
    concat('late-', any(conversation_id)), any(conversation_id), 'user_feedback', 1, 5, 1, 5
FROM turns GROUP BY tenant, toDate(start)
"""


def _key(turns: int) -> str:
    text = "".join((_TURNS, _SPANS, _EVENTS, _METRICS, _LATE, str(turns), str(SENT_TWICE)))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _sql(text: str, **values: object) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text


def place_of(folder: Path, turns: int) -> Path:
    """Where the store of so many turns is kept; tomorrow it is another."""
    return folder / f"{turns}-{_key(turns)}-{datetime.now(UTC):%Y%m%d}"


def _times(turns: int) -> dict[str, object]:
    """When conversations begin: evenly over whole days, and half a day's worth of them today."""
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    closed = (DAYS - 1) * 86_400_000
    return {
        "each": TURNS_EACH,
        "begin": f"toInt64({int(midnight.timestamp()) * 1000 - closed}000000)",
        "closed": closed,
        "half": HALF_A_DAY,
        "today": max(int((now - midnight).total_seconds() * 1000) - 600_000, 1),
        "span": closed + HALF_A_DAY,
        "users": max(turns // 40, 1),
        "minutes": DAYS * 1440,
    }


def filled(folder: Path, turns: int, keep: Callable[[Store], object]) -> Store:
    """A store of so many turns, made if it is not there; open.

    As a store is that people have: the present day is open and half full; one turn in a hundred
    came twice, and an event comes late for every day, in parts that are not merged yet.

    Args:
        folder: Where such stores are kept.
        turns: In a tenth as many conversations.
        keep: Called with the store before what is late comes, to settle it.
    """
    place = place_of(folder, turns)
    store = open_store(f"chdb:{place}")
    store.migrate()
    if (place / READY).exists():
        return store
    for table in TABLES:
        store.command(f"TRUNCATE TABLE {table}")
    values = _times(turns)
    for sql in (_TURNS, _SPANS, _EVENTS):
        for first in range(0, turns, BLOCK):
            count = min(BLOCK, turns - first)
            store.command(_sql(sql, first=first, count=count, step=1, **values))
    store.command(_sql(_METRICS, **values))
    put_together(store, TABLES)
    keep(store)
    every = SENT_TWICE * LATE_PARTS
    for part in range(LATE_PARTS):
        for sql in (_TURNS, _SPANS, _EVENTS):
            first, count = part * SENT_TWICE, max(turns // every, 1)
            store.command(_sql(sql, first=first, count=count, step=every, **values))
    store.command(_sql(_LATE, days=DAYS, **values))
    (place / READY).touch()
    return store


def put_together(store: Store, tables: tuple[str, ...]) -> None:
    """All parts of tables, as the engine does by itself an hour after they came."""
    for table in tables:
        store.command(f"OPTIMIZE TABLE {table} FINAL")
