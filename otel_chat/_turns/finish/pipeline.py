"""What a finished turn was: status, intent, usage, cost, whether it is kept, content."""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING

from opentelemetry.trace import StatusCode
from opentelemetry.util.types import AnyValue

from otel_chat import privacy
from otel_chat import semconv as sc
from otel_chat._telemetry.runtime import report_error
from otel_chat._telemetry.workers import Reader
from otel_chat._turns.finish.hooks import run_hooks
from otel_chat._turns.finish.metrics import record_turn_metrics
from otel_chat._turns.model_results import settle_confidence, take, usages_of
from otel_chat._turns.usage import GEN_AI_KEYS, TURN_KEYS, Usage, priced, total, with_result

if TYPE_CHECKING:
    from otel_chat._turns.lifecycle import Lifecycle


def note_error(turn: Lifecycle, error: BaseException) -> None:
    """Notes what ended the turn. The exception is not kept: it holds the handler's frames."""
    if not isinstance(error, Exception):
        turn._status = sc.STATUS_CANCELLED
        return
    turn._status = sc.STATUS_ERROR
    kind = turn._late[sc.ERROR_TYPE] = type(error).__qualname__
    attributes: dict[str, AnyValue] = {sc.EXCEPTION_TYPE: kind, sc.ERROR_TYPE: kind}
    if turn._runtime.config.capture_content:
        try:
            attributes.update(_exceptions.read(error, _told))
        except Exception as problem:  # noqa: BLE001 - it says what it is in its own way
            report_error("turn", problem)
    turn.emit(sc.EVENT_EXCEPTION, attributes)


_exceptions = Reader(seconds=0.25)
"""Reads them in the handler's way: kept until later, one would keep the handler's frames."""


def _told(error: BaseException) -> dict[str, AnyValue]:
    return {
        sc.EXCEPTION_MESSAGE: str(error),
        sc.EXCEPTION_STACKTRACE: "".join(traceback.format_exception(error)),
    }


def complete(turn: Lifecycle, *, whole: bool = True) -> None:
    """Works out what a turn was that is over, ends its span and records its metrics.

    Args:
        turn: A turn whose end was noted.
        whole: Without it the parts that may take time are left out: the queue was full, so this
            runs in the caller's thread.
    """
    turn._duration = (turn._end_ns - turn._start_ns) / 1e9
    try:
        _settle(turn, whole=whole)
    finally:
        span = turn._span
        for link in turn._links:
            span.add_link(link)
        if turn._before is not None and turn._before.kept:
            span.add_link(turn._before.context)
        span.set_attributes({**turn._early, **turn._late})
        if turn._status == sc.STATUS_ERROR:
            span.set_status(StatusCode.ERROR)
        span.end(turn._end_ns)
    if turn._outer is None:
        turn._runtime.ended_a_turn()
        if whole:
            record_turn_metrics(turn)


def _settle(turn: Lifecycle, *, whole: bool) -> None:
    late = turn._late
    late[sc.STATUS] = turn._status
    if turn._mute and turn._status == sc.STATUS_OK:
        late[sc.REPLY] = False
    says_provider = provider_of(turn) is not None
    if not (turn._result is turn._stream is turn._returned is None):
        take(turn, whole=whole)
    if turn._intents:
        _settle_intents(turn)
    settle_confidence(turn)
    _settle_usage(turn, says_provider=says_provider)
    if turn._outer is None:
        if whole and turn._runtime.hooks and not turn._runtime.delivery.ending:
            run_hooks(turn)
        late[sc.KEEP] = turn._keep = _is_kept(turn)
        if turn._as_before is not None:
            turn._as_before.kept = turn._keep
        _settle_cost(turn, whole=whole)
    else:
        turn._outer.children.take_over(turn.children)
    if not whole:
        turn._runtime.dropped(sc.SIGNAL_RECORDS)
        return
    if turn._metadata:
        late[sc.METADATA] = turn._runtime.redact_json(turn._metadata, privacy.redact_mappings)
    if turn._runtime.config.capture_content:
        _settle_content(turn)


def _is_kept(turn: Lifecycle) -> bool:
    config = turn._runtime.config
    return (
        turn._status == sc.STATUS_ERROR
        or turn._duration >= config.slow_seconds
        or sc.HANDOFF_TRIGGERED in turn._late
        or (turn._confidence is not None and turn._confidence < config.low_confidence)
        or turn._runtime.keeps(turn.conversation_id or f"{turn._span_context.trace_id:032x}")
    )


def _settle_intents(turn: Lifecycle) -> None:
    """The turn's intent is the surest of the classifier's, else of the annotations."""
    late = turn._late
    ours = [intent for intent in turn._intents if intent[3] != "annotation"]
    name, confidence, fallback, _ = max(
        ours or turn._intents, key=lambda intent: -1.0 if intent[1] is None else intent[1]
    )
    if name is not None:
        late[sc.INTENT_NAME] = name
    late[sc.FALLBACK] = fallback
    if confidence is not None and turn._confidence is None:
        turn._confidence = late[sc.CONFIDENCE] = confidence


def _settle_usage(turn: Lifecycle, *, says_provider: bool) -> None:
    late = turn._late
    inside = turn.children.calls()
    own = turn._usage
    told = [] if turn._found is None else [part for part in usages_of(turn._found) if part]
    parts = [own] if own else with_result(inside, told)
    _settle_model(turn, parts, says_provider=says_provider)
    if not parts:
        return
    for part in parts:
        part.model = part.model or model_of(turn)
        part.provider = part.provider or provider_of(turn)
    turn._parts = parts
    turn._tokens = tokens = parts[0] if len(parts) == 1 else total(parts)
    if not inside:
        late.update(tokens.attributes(GEN_AI_KEYS))
    if turn._outer is None:
        late.update(tokens.attributes(TURN_KEYS))
    elif own or parts != inside:
        tokens.parts = tuple(parts) if len(parts) > 1 else ()
        turn._outer.children.used(turn._span_context.span_id, tokens)


def _settle_model(turn: Lifecycle, parts: list[Usage], *, says_provider: bool) -> None:
    """What its model calls were said to be, where the handler did not say it of the turn."""
    children, late = turn.children, turn._late
    if turn._outer is not None:
        return
    if turn._get(sc.REQUEST_MODEL) is None:
        model = next((part.model for part in parts if part.model is not None), children.model)
        if model is not None:
            late[sc.REQUEST_MODEL] = model
    if not says_provider:
        known = next((part.provider for part in parts if part.provider is not None), None)
        provider = children.provider or provider_of(turn) or known
        if provider is not None:
            late[sc.PROVIDER_NAME] = provider


def model_of(turn: Lifecycle) -> str | None:
    """The model that answered, else the one asked."""
    found = turn._get(sc.RESPONSE_MODEL) or turn._get(sc.REQUEST_MODEL)
    return found if isinstance(found, str) else None


def provider_of(turn: Lifecycle) -> str | None:
    """Who runs the model."""
    found = turn._get(sc.PROVIDER_NAME)
    return found if isinstance(found, str) else None


def _settle_cost(turn: Lifecycle, *, whole: bool) -> None:
    late = turn._late
    if turn._cost is not None:
        late[sc.COST_AMOUNT] = turn._cost
        late[sc.COST_SOURCE] = "provider"
    elif turn._parts:
        prices = turn._runtime.prices
        if whole:
            for part in turn._parts:
                if part.model is not None:
                    prices.load(part.model, part.provider)
        turn._cost, late[sc.COST_SOURCE] = priced(turn._parts, prices, turn._start_ns)
        if turn._cost is not None:
            late[sc.COST_AMOUNT] = turn._cost
        elif whole and model_of(turn) is not None:
            turn._runtime.ended_unpriced()
    elif model_of(turn) is not None and not turn._get(sc.CACHED):
        late[sc.COST_SOURCE] = "unpriced"


def _settle_content(turn: Lifecycle) -> None:
    redact = turn._runtime.redact
    if turn._input is not None:
        turn._late[sc.INPUT_MESSAGES] = _messages("user", redact(turn._input))
    if turn._output is not None:
        turn._late[sc.OUTPUT_MESSAGES] = _messages("assistant", redact(turn._output))


def _messages(role: str, text: str) -> str:
    parts = [{"type": "text", "content": text}]
    return json.dumps([{"role": role, "parts": parts}], ensure_ascii=False, separators=(",", ":"))
