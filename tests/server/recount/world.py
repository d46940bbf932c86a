"""A small world of conversations, by chance of a seed, as the OTLP bodies that tell of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_chat import semconv as sc
from tests.server.ingest.sending import digest, put

if TYPE_CHECKING:
    from collections.abc import Mapping

SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
ENVIRONMENT: Final = "deployment.environment.name"

INTENTS: Final = ("greet", "order", "refund", "track")
WORKFLOWS: Final = ("booking", "return")
SCALES: Final = ((1, 5), (0, 1), (0, 10), (1, 3), (0, 100))
CONFIDENCES: Final = (0.2, 0.55, 0.69, 0.7, 0.71, 0.95)
DEVICES: Final = {
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": (
        "Desktop", "Linux", "Firefox",
    ),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1": (
        "Phone", "iOS", "Mobile Safari",
    ),
    "": ("", "", ""),
}  # fmt: skip
"""Device, operating system and browser of user agents."""
EVENT_NS: Final = 1_000_003
"""Events of one conversation are so far apart at least: the definitions order those of one moment
by uid alone, which only what is told of the whole conversation (outcomes, ratings) is tried by."""


@dataclass(frozen=True)
class Sent:
    """A span or a log record, and whose it is.

    Args:
        tenant: Named by the resource.
        environment: Named by it too.
        item: What is sent.
    """

    tenant: str
    environment: str
    item: Span | LogRecord

    @property
    def path(self) -> str:
        """Where it goes to."""
        return "traces" if isinstance(self.item, Span) else "logs"


@dataclass
class Talk:
    """A conversation under construction.

    Args:
        rng: What happens in it is drawn from here.
        tenant: Whose it is.
        name: Its id.
        now: Nothing happens later than this.
        sent: All there is to send of it.
    """

    rng: random.Random
    tenant: str
    name: str
    now: int
    sent: list[Sent] = field(default_factory=list)
    events: int = 0
    environment: str = "prod"
    habits: dict[str, object] = field(default_factory=dict)

    def turn(self, number: int, start: int, length: int, attributes: dict[str, object]) -> Span:
        """A marked turn."""
        span = Span(
            trace_id=digest(self.tenant, self.name, number, size=16),
            span_id=digest(self.tenant, self.name, number, "turn", size=8), kind=1,
            name="invoke_agent", start_time_unix_nano=start, end_time_unix_nano=start + length,
        )  # fmt: skip
        known = {
            sc.TURN_ROOT: True,
            sc.OPERATION_NAME: sc.OPERATION_INVOKE_AGENT,
            sc.CONVERSATION_ID: self.name,
            sc.STATUS: sc.STATUS_OK,
        }
        put(span, known | attributes)
        self.sent.append(Sent(self.tenant, self.environment, span))
        return span

    def event(
        self, name: str, time: int, attributes: Mapping[str, object] | None = None,
        of: Span | None = None, *, exact: bool = False,
    ) -> None:  # fmt: skip
        """An event, in a turn or outside of any; unless it is exact, apart from all others."""
        self.events += 1
        at = time if exact else time + self.events * EVENT_NS
        if at >= self.now:
            return
        uid = digest(self.tenant, self.name, self.events, size=8).hex()
        record = LogRecord(time_unix_nano=at, event_name=name)
        if of is not None:
            record.trace_id, record.span_id = of.trace_id, of.span_id
        known: dict[str, object] = {sc.CONVERSATION_ID: self.name, sc.EVENT_UID: uid}
        put(record, {**known, **(attributes or {})})
        self.sent.append(Sent(self.tenant, self.environment, record))


def _habits(rng: random.Random) -> dict[str, object]:
    """What the turns of a conversation have in common, most often."""
    found: dict[str, object] = {
        sc.AGENT_NAME: rng.choice(("support", "sales", "free")),
        sc.AGENT_VERSION: rng.choice(("1", "2")),
        sc.CHANNEL: rng.choice(("web", "mobile", "voice")),
        sc.REQUEST_MODEL: rng.choice(("small", "large")),
        sc.USER_TYPE: rng.choice(("client", "provider", "anonymous")),
    }
    if rng.random() < 0.6:
        found[sc.VARIANT] = rng.choice(("a", "b"))
    if rng.random() < 0.4:
        found[sc.PROMPT_NAME] = rng.choice(("greeting", "refund"))
        found[sc.PROMPT_VERSION] = rng.choice(("1", "2"))
    return found


def _around(rng: random.Random) -> dict[str, object]:
    """Where a turn came from, as far as it was told."""
    drawn = {
        sc.USER_AGENT: rng.choice(tuple(DEVICES)),
        sc.REFERRER: rng.choice(("https://shop.example/help", "https://news.example")),
        sc.PAGE: rng.choice(("/cart", "/help")),
        sc.HTTP_ROUTE: rng.choice(("/chat", "/ask")),
        sc.HTTP_STATUS_CODE: rng.choice((200, 202, 500)),
    }
    return {name: value for name, value in drawn.items() if rng.random() < 0.5}


def _understood(rng: random.Random) -> dict[str, object]:
    found: dict[str, object] = {}
    drawn = rng.random()
    if drawn < 0.15:
        found[sc.FALLBACK] = True
    elif drawn < 0.75:
        found[sc.INTENT_NAME] = rng.choice(INTENTS)
        if rng.random() < 0.7:
            found[sc.FALLBACK] = False
    if rng.random() < 0.6:
        found[sc.CONFIDENCE] = rng.choice(CONFIDENCES)
    if rng.random() < 0.4:
        found[sc.SENTIMENT] = rng.choice(sc.SENTIMENTS)
    return found


def _paid(rng: random.Random, agent: object) -> dict[str, object]:
    """Tokens and cost: agent `free` uses models without a price."""
    if rng.random() < 0.2:
        return {}
    found: dict[str, object] = {sc.USAGE_INPUT_TOKENS: rng.randint(1, 2000)}
    if rng.random() < 0.8:
        found[sc.USAGE_OUTPUT_TOKENS] = rng.randint(0, 500)
    if agent == "free":
        found[sc.COST_SOURCE] = "unpriced"
    elif rng.random() < 0.8:
        found |= {sc.COST_SOURCE: "local", sc.COST_AMOUNT: rng.randint(1, 10**8) / 10**10}
    return found


def _ended(rng: random.Random) -> dict[str, object]:
    """How a turn went."""
    drawn = rng.random()
    if drawn < 0.08:
        return {sc.STATUS: sc.STATUS_ERROR, sc.ERROR_TYPE: "TimeoutError"}
    if drawn < 0.13:
        return {sc.STATUS: sc.STATUS_CANCELLED}
    if drawn < 0.18:
        return {sc.STATUS: sc.STATUS_CANCELLED, sc.TIME_TO_FIRST_CHUNK: 0.25}
    if drawn < 0.23:
        return {sc.REPLY: False}
    return {sc.TIME_TO_FIRST_CHUNK: rng.randint(1, 900) / 1000} if drawn < 0.6 else {}


def _gap(rng: random.Random) -> int:
    """From the start of a turn to the start of the next one: now and then nothing, or 900 ns."""
    drawn = rng.random()
    if drawn < 0.06:
        return 0
    if drawn < 0.12:
        return 900
    if drawn < 0.2:
        return rng.randint(1, 4) * HOUR
    return rng.randint(2, 240) * SECOND + rng.randint(0, 999_999_999)


def _rating(rng: random.Random) -> dict[str, object]:
    low, high = rng.choice(SCALES)
    value = rng.choice([low, high, rng.randint(low, high)])
    found: dict[str, object] = {
        sc.EVALUATION_NAME: sc.EVALUATION_USER_FEEDBACK,
        sc.FEEDBACK_VALUE: float(value),
        sc.FEEDBACK_SCALE_MIN: float(low),
        sc.FEEDBACK_SCALE_MAX: float(high),
    }
    if rng.random() < 0.5:
        found[sc.EVALUATION_SCORE] = (value - low) / (high - low)
    return found


def _late(rng: random.Random, start: int, of: Span) -> int:
    """When something is told of a turn: at once, or up to three days later."""
    after = of.end_time_unix_nano
    return after + (rng.randint(1, 3 * DAY) if rng.random() < 0.4 else rng.randint(0, 20) * SECOND)


def _tell_of_turn(talk: Talk, span: Span, *, marked: bool) -> None:
    rng = talk.rng
    at = span.start_time_unix_nano
    if marked and rng.random() < 0.7:
        talk.event(sc.EVENT_HANDOFF_REQUESTED, at, {sc.REASON: "asked"}, span)
    if rng.random() < 0.15:
        intent = {sc.INTENT_NAME: rng.choice((*INTENTS, "told_only")), sc.SOURCE: "annotation"}
        talk.event(sc.EVENT_INTENT, _late(rng, at, span), intent, span)
    if rng.random() < 0.25:
        talk.event(sc.EVENT_ACTION, at, {sc.ACTION_TYPE: rng.choice(("click", "pay"))}, span)
    if rng.random() < 0.2:
        topic = {sc.TOPIC_NAME: rng.choice(("delivery", "money"))}
        talk.event(sc.EVENT_TOPIC, _late(rng, at, span), topic, span)
    if rng.random() < 0.15:
        sender = {sc.MESSAGE_SENDER: rng.choice(sc.SENDERS)}
        talk.event(sc.EVENT_MESSAGE, at + rng.randint(1, 3) * MINUTE, sender)
    if rng.random() < 0.12:
        talk.event(sc.EVENT_EVALUATION, _late(rng, at, span), _rating(rng), span)
    if rng.random() < 0.2:
        workflow = {sc.WORKFLOW_NAME: rng.choice(WORKFLOWS), sc.WORKFLOW_STEP: rng.choice("pqr")}
        kinds = (
            sc.EVENT_WORKFLOW_STARTED, sc.EVENT_WORKFLOW_STARTED, sc.EVENT_WORKFLOW_COMPLETED,
            sc.EVENT_WORKFLOW_FAILED,
        )  # fmt: skip
        for number in range(rng.randint(1, 3)):
            talk.event(rng.choice(kinds), at + number * SECOND, workflow, span)


def _tell_of_whole(talk: Talk, last: Span) -> None:
    rng, end = talk.rng, last.end_time_unix_nano
    if rng.random() < 0.1:
        for kind in (
            sc.EVENT_HANDOFF_REQUESTED, sc.EVENT_HANDOFF_ACCEPTED, sc.EVENT_HANDOFF_ENDED,
        ):  # fmt: skip
            if rng.random() < 0.7:
                talk.event(kind, end, {sc.REASON: "angry"})
    if rng.random() < 0.1:
        talk.event(sc.EVENT_LEAD, _late(rng, 0, last), {sc.LEAD_KIND: rng.choice(("call", "mail"))})
    if rng.random() < 0.15:
        at = _late(rng, 0, last)
        for _ in range(rng.randint(1, 2)):
            talk.event(sc.EVENT_EVALUATION, at, _rating(rng), exact=True)
    drawn = rng.random()
    if drawn < 0.1:
        talk.event(sc.EVENT_CONVERSATION_END, end, {sc.REASON: "closed"})
    elif drawn < 0.35:
        at = _late(rng, 0, last)
        for _ in range(rng.choice((1, 1, 2))):
            outcome = {sc.OUTCOME: rng.choice(sc.OUTCOMES[:4])}
            talk.event(sc.EVENT_CONVERSATION_END, at, outcome, exact=True)


def talk_of(
    rng: random.Random, tenant: str, name: str, start: int, now: int, gaps: list[int] | None = None
) -> Talk:
    """A conversation by chance.

    Args:
        rng: Decides.
        tenant: Whose it is.
        name: Its id.
        start: When its first turn starts, nanoseconds since 1970.
        now: Nothing happens later.
        gaps: From start to start; by chance without.
    """
    talk = Talk(rng, tenant, name, now, environment=rng.choice(("prod", "test")))
    habits = _habits(rng)
    user = rng.choice(("u1", "u2", "u3", "")) if rng.random() < 0.7 else ""
    if gaps is None:
        gaps = [_gap(rng) for _ in range(rng.choice((0, 0, 1, 1, 2, 3, 5, 12)))]
    around = random.Random(f"{tenant} {name}")
    last = None
    for number, gap in enumerate([0, *gaps]):
        start += gap
        length = rng.choice((0, 900, *[rng.randint(1, 9000) * SECOND // 1000] * 8))
        if start + length >= now:
            break
        if rng.random() < 0.1:
            habits |= _habits(rng)
        attributes = habits | _understood(rng) | _paid(rng, habits[sc.AGENT_NAME]) | _ended(rng)
        attributes |= _around(around)
        attributes[sc.MESSAGE_TYPE] = rng.choice(("text", "text", "voice"))
        if rng.random() < 0.3:
            attributes[sc.RESPONSE_MODEL] = rng.choice(("small-7", "large-7"))
        if number and user:
            attributes[sc.USER_HASH] = user
        marked = rng.random() < 0.06
        if marked:
            attributes |= {sc.HANDOFF_TRIGGERED: True, sc.HANDOFF_REASON: "asked"}
        last = talk.turn(number, start, length, attributes)
        _tell_of_turn(talk, last, marked=marked)
        if around.random() < 0.2:
            entity = {sc.ENTITY_TYPE: around.choice(("order", "date"))}
            talk.event(sc.EVENT_ENTITY, start, entity | {sc.PAGE: "/faq"}, last)
    if last is not None:
        _tell_of_whole(talk, last)
    return talk


@dataclass(frozen=True)
class World:
    """All that happened.

    Args:
        now: When it is asked about, nanoseconds since 1970.
        tenants: Whose conversations they are.
        sent: All there is to send.
    """

    now: int
    tenants: tuple[str, ...]
    sent: tuple[Sent, ...]


def world_of(seed: int, now: int, tenants: tuple[str, ...], conversations: int) -> World:
    """The world of a seed.

    Args:
        seed: The same one makes the same world of the same `now`.
        now: Nanoseconds since 1970; conversations that are going on lie within minutes before it,
            the others on the twelve days before its own.
        tenants: Their names.
        conversations: How many each of them has.
    """
    rng = random.Random(seed)
    today = now // DAY * DAY
    sent: list[Sent] = []
    for tenant in tenants:
        for number in range(conversations):
            # On edges of hours and of days now and then: windows begin and end there.
            at = today - rng.randint(1, 12) * DAY + rng.randint(0, 21) * HOUR
            if rng.random() < 0.7:
                at += rng.randint(0, HOUR)
            sent += talk_of(rng, tenant, f"c{number}", at, today - HOUR).sent
        for number in range(3):
            at = now - rng.randint(3, 12) * MINUTE
            gaps = [20 * SECOND] * rng.randint(0, 4)
            sent += talk_of(rng, tenant, f"going-on-{number}", at, now - MINUTE, gaps).sent
        days = [DAY * 2 + 900, DAY * 3, DAY * 4 + HOUR]
        sent += talk_of(rng, tenant, "ten-days", today - 11 * DAY, today - HOUR, days).sent
        alone = Talk(rng, tenant, "no-turns", now)
        alone.event(sc.EVENT_HANDOFF_REQUESTED, today - 2 * DAY, {sc.REASON: "nobody"})
        sent += alone.sent
        doctor = talk_of(rng, tenant, "doctor", today - 2 * DAY, today, [MINUTE] * 3)
        for one in doctor.sent:
            put(one.item, {sc.SYNTHETIC: True})
        sent += doctor.sent
    return World(now, tenants, tuple(sent))


def bodies(sent: tuple[Sent, ...], rng: random.Random | None = None) -> list[tuple[str, bytes]]:
    """Paths and bodies that tell all of it.

    Args:
        sent: What to tell.
        rng: Doubles some, and decides how it is split and in which order it comes; whole without.
    """
    made = []
    for path in ("traces", "logs"):
        pool = [one for one in sent if one.path == path]
        size = len(pool) or 1
        if rng is not None:
            pool += rng.sample(pool, len(pool) // 5)
            rng.shuffle(pool)
        while pool:
            if rng is not None:
                size = rng.randint(1, max(2, len(pool) // 3))
            made.append((path, _body(path, pool[:size])))
            pool = pool[size:]
    if rng is not None:
        rng.shuffle(made)
    return made


def _body(path: str, sent: list[Sent]) -> bytes:
    traces, logs = ExportTraceServiceRequest(), ExportLogsServiceRequest()
    for tenant, environment in sorted({(one.tenant, one.environment) for one in sent}):
        items = [one.item for one in sent if (one.tenant, one.environment) == (tenant, environment)]
        resource: dict[str, object] = {sc.TENANT: tenant, ENVIRONMENT: environment}
        spans, records = traces.resource_spans.add(), logs.resource_logs.add()
        put(spans.resource, resource)
        put(records.resource, resource)
        spans.scope_spans.add().spans.extend(i for i in items if isinstance(i, Span))
        records.scope_logs.add().log_records.extend(i for i in items if isinstance(i, LogRecord))
    return (traces if path == "traces" else logs).SerializeToString()
