"""Dialogue systems: Rasa (NLU and REST channel), Dialogflow (CX and ES), Azure CLU, Amazon Lex."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from otel_chat.extract._draft import Draft
from otel_chat.extract._reading import first, get, items, name, probability, text

_RASA_FALLBACKS: Final = frozenset({"nlu_fallback", "out_of_scope"})
_MAX_MESSAGES: Final = 100
_LEX_FALLBACKS: Final = frozenset({"FallbackIntent", "AMAZON.FallbackIntent"})
_NO_MATCH: Final = frozenset({"NO_MATCH", "NO_INPUT"})


def is_rasa_parse(value: Any) -> bool:
    """Whether this is what `POST /model/parse` answers, or a tracker's `latest_message`."""
    intent = get(value, "intent")
    return (
        isinstance(value, dict)
        and isinstance(intent, dict)
        and "name" in intent
        and "confidence" in intent
        and isinstance(value.get("entities"), list)
    )


def read_rasa_parse(draft: Draft, value: Any) -> None:
    """Takes intent and confidence; the fallback classifier's intent says that none was found."""
    intent = name(get(value, "intent", "name"))
    draft.fallback = intent is None or intent in _RASA_FALLBACKS
    draft.intent = None if draft.fallback else intent
    draft.confidence = probability(get(value, "intent", "confidence"))


def is_rasa_answer(value: Any) -> bool:
    """Whether these are the messages that the REST channel answers with."""
    message = first(value)
    return isinstance(message, dict) and isinstance(message.get("recipient_id"), str)


def read_rasa_answer(draft: Draft, value: Any) -> None:
    """Takes the bot's messages, one a line."""
    texts = (text(get(message, "text")) for message in items(value))
    draft.say("\n".join(part for part in texts if part))


def is_dialogflow(value: Any) -> bool:
    """Whether this is an answer of `detectIntent`, as REST or as the client gives it."""
    result = _either(value, "query_result", "queryResult")
    return result is not None and (
        _detection_confidence(result) is not None
        or name(get(result, "match", "intent", "displayName")) is not None
        or _match_type(result) is not None
    )


def read_dialogflow(draft: Draft, value: Any) -> None:
    """Takes what was matched: `match` in CX, `intent` in ES."""
    result = _either(value, "query_result", "queryResult")
    draft.answer.response_id = name(_either(value, "response_id", "responseId"))
    match = get(result, "match")
    intent = get(match, "intent") or get(result, "intent")
    draft.fallback = (
        _match_type(result) in _NO_MATCH
        or _either(intent, "is_fallback", "isFallback") is True
        or text(get(result, "action")) == "input.unknown"
    )
    if not draft.fallback:
        draft.intent = name(_either(intent, "display_name", "displayName"))
    confidence = probability(get(match, "confidence"))
    draft.confidence = _detection_confidence(result) if confidence is None else confidence
    messages = _either(result, "response_messages", "responseMessages")
    lines = [
        line
        for message in _sequence(messages)
        for line in _sequence(get(message, "text", "text"))
        if isinstance(line, str)
    ]
    draft.say("\n".join(lines) or text(_either(result, "fulfillment_text", "fulfillmentText")))


def is_clu(value: Any) -> bool:
    """Whether this is what Azure's conversational language understanding answers."""
    return _clu_intent(get(value, "result", "prediction")) is not None


def read_clu(draft: Draft, value: Any) -> None:
    """Takes the top intent; `None` is how a project says that none was found.

    A conversation project lists its intents by `category`, an orchestration by name.
    """
    prediction = get(value, "result", "prediction")
    top = _clu_intent(prediction)
    draft.fallback = top == "None"
    draft.intent = None if draft.fallback else top
    intents = get(prediction, "intents")
    if isinstance(intents, dict):
        found = intents.get(top)
    else:
        found = next((one for one in items(intents) if get(one, "category") == top), None)
    draft.confidence = probability(_either(found, "confidence", "confidenceScore"))


def _clu_intent(prediction: Any) -> str | None:
    return name(_either(prediction, "top_intent", "topIntent"))


def is_lex(value: Any) -> bool:
    """Whether this is what Amazon Lex answers a text or an utterance with (version 2, then 1)."""
    if isinstance(get(value, "interpretations"), list):
        return get(first(get(value, "interpretations")), "intent") is not None
    return probability(get(value, "nluIntentConfidence", "score")) is not None


def read_lex(draft: Draft, value: Any) -> None:
    """Takes the likeliest intent and its score; the built-in fallback has none."""
    best = first(get(value, "interpretations"))
    intent = name(get(best, "intent", "name")) or name(get(value, "intentName"))
    score = get(best, "nluConfidence") or get(value, "nluIntentConfidence")
    inner = get(score, "score")
    draft.fallback = intent in _LEX_FALLBACKS
    draft.intent = None if draft.fallback else intent
    draft.confidence = probability(score if inner is None else inner)
    lines = (text(get(message, "content")) for message in items(get(value, "messages")))
    draft.say("\n".join(line for line in lines if line) or text(get(value, "message")))


def _detection_confidence(result: Any) -> float | None:
    value = _either(result, "intent_detection_confidence", "intentDetectionConfidence")
    return probability(value)


def _sequence(value: Any) -> Iterator[Any]:
    """The items of a list or of the client's own sequences; an iterator is not ours to consume."""
    known = isinstance(value, Sequence) and not isinstance(value, str)
    return islice(value if known else (), _MAX_MESSAGES)


def _match_type(result: Any) -> str | None:
    kind = _either(get(result, "match"), "match_type", "matchType")
    return name(kind)


def _either(value: Any, snake: str, camel: str) -> Any:
    """The client's attribute, or the REST answer's key."""
    found = get(value, snake)
    return get(value, camel) if found is None else found
