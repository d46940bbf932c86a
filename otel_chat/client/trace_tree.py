"""Prints a conversation in the terminal: each turn a tree of its spans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text
from rich.tree import Tree

from otel_chat.client import AnalyticsClient

_MESSAGE = 160
_COLOURS = {"ok": "green", "error": "red", "cancelled": "yellow"}


def traces_of(client: AnalyticsClient, conversation: Mapping[str, Any]) -> dict[str, Any]:
    """The traces of a conversation's turns, by trace id.

    Args:
        client: Asks the server.
        conversation: The answer of `/api/v1/conversations/{id}`.
    """
    ids = dict.fromkeys(turn["trace_id"] for turn in conversation["turns"])
    return {trace_id: client.trace(trace_id) for trace_id in ids}


def print_conversation(
    conversation: Mapping[str, Any],
    traces: Mapping[str, Any],
    console: Console | None = None,
) -> None:
    """Prints the turns as trees.

    Args:
        conversation: The answer of `/api/v1/conversations/{id}`.
        traces: The answers of `/api/v1/traces/{trace_id}` by trace id.
        console: Where to print; standard output by default.
    """
    console = console or Console(highlight=False)
    console.print(_heading(conversation))
    for number, turn in enumerate(conversation["turns"], 1):
        spans = traces.get(turn["trace_id"], {}).get("spans", [])
        console.print(turn_tree(number, turn, spans))


def _heading(conversation: Mapping[str, Any]) -> Text:
    summary = conversation["summary"]
    facts = [str(summary["conversation_id"])]
    facts += [str(summary[key]) for key in ("agent", "channel") if summary.get(key)]
    count = len(conversation["turns"])
    facts += [f"{count} turn{'' if count == 1 else 's'}", str(summary["outcome"])]
    return Text("  ".join(facts), style="bold")


def turn_tree(number: int, turn: Mapping[str, Any], spans: Sequence[Mapping[str, Any]]) -> Tree:
    """One turn as a tree: what was said, what was understood, and its spans.

    Args:
        number: Its number in the conversation, from 1.
        turn: The turn, as the API gives it.
        spans: The spans of its trace; those below the turn's own span are shown.
    """
    status = str(turn.get("status") or "ok")
    colour = _COLOURS.get(status, "white")
    tree = Tree(
        f"[bold]turn {number}[/] [{colour}]{status}[/] {_seconds(turn.get('duration'))}"
        f" [dim]{_clock(str(turn['start']))} {turn['trace_id']}[/]"
    )
    for sender, key in (("user", "user_message"), ("bot", "reply")):
        if turn.get(key):
            tree.add(f"[cyan]{sender}[/] {escape(_short(str(turn[key])))}")
    facts = _facts(turn)
    if facts:
        tree.add(escape("  ".join(facts)))
    _add_spans(tree, spans, str(turn["span_id"]))
    return tree


def _facts(turn: Mapping[str, Any]) -> list[str]:
    facts = []
    if turn.get("intent"):
        facts.append(f"intent {turn['intent']}")
    if turn.get("confidence") is not None:
        facts.append(f"confidence {turn['confidence']:.2f}")
    if turn.get("fallback"):
        facts.append("fallback")
    tokens = turn.get("tokens") or {}
    counted = [f"{n} {kind}" for kind in ("input", "output") if (n := tokens.get(kind)) is not None]
    if counted:
        facts.append(f"tokens {', '.join(counted)}")
    if turn.get("cost") is not None:
        facts.append(f"cost {turn['cost']} USD ({turn.get('cost_source')})")
    handoff = turn.get("handoff")
    reason = handoff.get("reason") if isinstance(handoff, Mapping) else turn.get("handoff_reason")
    if reason:
        facts.append(f"handoff {reason}")
    if turn.get("error_type"):
        facts.append(f"error {turn['error_type']}")
    return facts


def _add_spans(tree: Tree, spans: Sequence[Mapping[str, Any]], root: str) -> None:
    children: dict[str, list[Mapping[str, Any]]] = {}
    for span in spans:
        children.setdefault(str(span.get("parent_span_id") or ""), []).append(span)
    waiting = [(tree, root)]
    seen = {root}
    while waiting:
        branch, parent = waiting.pop()
        for span in children.get(parent, []):
            span_id = str(span["span_id"])
            if span_id in seen:
                continue
            seen.add(span_id)
            failed = str(span.get("status", "")).lower() == "error"
            mark = " [red]error[/]" if failed else ""
            label = f"{escape(str(span['name']))} {_seconds(span.get('duration'))}{mark}"
            waiting.append((branch.add(label), span_id))


def _clock(moment: str) -> str:
    """The time of day of an RFC 3339 time, to the second."""
    return escape(moment[11:19])


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def _short(text: str) -> str:
    return text if len(text) <= _MESSAGE else f"{text[: _MESSAGE - 1]}…"
