"""Chat over HTTP: plain and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator

from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt
from shopbot import answer, classify, words

import otel_chat


@csrf_exempt
def chat(request: HttpRequest, **_path: str) -> JsonResponse:
    """One question, one answer; the session's id stands in the path or in the body."""
    return JsonResponse({"reply": reply(json.loads(request.body)["text"])})


@csrf_exempt
def stream(request: HttpRequest) -> StreamingHttpResponse:
    """The answer word by word."""
    return StreamingHttpResponse(streamed(json.loads(request.body)["text"]))


@otel_chat.chat_handler(agent="shop", message="text")
def reply(text: str) -> str:
    """Answers a message."""
    intent, confidence = classify(text)
    otel_chat.current_turn().intent(intent, confidence)
    return answer(intent)


@otel_chat.chat_handler(agent="shop", message="text")
def streamed(text: str) -> Iterator[str]:
    """Its turn ends with the last word."""
    intent, confidence = classify(text)
    otel_chat.current_turn().intent(intent, confidence)
    yield from words(answer(intent))
