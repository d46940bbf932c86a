"""Which endpoint tells which figure, and whether it is the one that was counted."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from tests.server.recount.figures import quantile_bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.server.recount.figures import Figures

Answer = dict[str, Any]
QUANTILE: Final = 0.024
"""How far off a quantile may be: times are kept in bins."""


@dataclass(frozen=True)
class Told:
    """A figure of an endpoint.

    Args:
        address: Of the endpoint, below `/api/v1/`.
        name: Of the figure there.
        told: Reads it from the answer.
        counted: Counts it.
        active: Whether the endpoint answers for conversations that were active in a window.
    """

    address: str
    name: str
    told: Callable[[Answer], Any]
    counted: Callable[[Figures], Any]
    active: bool = True

    def __str__(self) -> str:
        return f"{self.address}: {self.name}"


@dataclass(frozen=True)
class Quantile:
    """A quantile of some values, as it was counted."""

    values: tuple[float, ...]
    level: float

    def __repr__(self) -> str:
        if not self.values:
            return "none"
        return "{} to {}".format(*quantile_bounds(self.values, self.level))

    def admits(self, told: float | None) -> bool:
        """Whether what is told is near enough."""
        if not self.values or told is None:
            return not self.values and told is None
        low, high = quantile_bounds(self.values, self.level)
        # Whatever is shorter than 5 ms lies in the first bin.
        return low * (1 - QUANTILE) - 0.005 <= told <= high * (1 + QUANTILE) + 0.005


def same(told: Any, counted: Any) -> bool:
    """Whether what is told is what was counted."""
    if isinstance(counted, Quantile):
        return counted.admits(told)
    if isinstance(counted, Decimal) and told is not None:
        return Decimal(told) == counted
    if isinstance(counted, float) and told is not None:
        return math.isclose(told, counted, rel_tol=1e-9, abs_tol=1e-9)
    return bool(told == counted)


def _at(path: str) -> Callable[[Answer], Any]:
    def read(answer: Answer) -> Any:
        found: Any = answer
        for name in path.split("."):
            found = found[name]
        return found

    return read


def _counted(name: str) -> Callable[[Figures], Any]:
    return lambda figures: getattr(figures, name)


def _fields(address: str, names: Mapping[str, str], *, active: bool = True) -> list[Told]:
    return [Told(address, path, _at(path), _counted(name), active) for path, name in names.items()]


def _quantiles(address: str, path: str, name: str, *levels: int) -> list[Told]:
    def counted(level: int) -> Callable[[Figures], Quantile]:
        return lambda figures: Quantile(tuple(getattr(figures, name)), level / 100)

    made = []
    for level in levels:
        at = f"{path}.p{level}"
        made.append(Told(address, at, _at(at), counted(level), active=address != "overview"))
    return made


_TURNS: Final = {
    "turns": "turns", "response_time.mean": "response_time", "response_time.count": "responses",
    "time_to_first_chunk.mean": "first_chunk", "tokens.input": "input_tokens",
    "tokens.output": "output_tokens", "tokens.total": "total_tokens", "tokens.turns": "token_turns",
    "confidence.mean": "confidence", "confidence.count": "confidence_turns",
    "confidence.low": "low_confidence", "confidence.high": "high_confidence",
    "confidence.low_rate": "low_confidence_rate", "fallback.rate": "fallback_rate",
    "fallback.count": "fallbacks", "fallback.classified": "classified", "errors.turns": "errors",
    "errors.rate": "error_rate", "cost.amount": "cost", "cost.priced_turns": "priced",
    "cost.unpriced_turns": "unpriced",
}  # fmt: skip
_CONVERSATIONS: Final = {
    "conversations": "conversations", "containment.rate": "containment",
    "containment.count": "contained", "containment.settled": "settled",
    "resolution.low": "resolution_low", "resolution.high": "resolution_high",
    "resolution.confirmed": "confirmed", "resolution.assumed": "assumed",
    "handoffs.conversations": "handed_off", "handoffs.rate": "handoff_rate",
}  # fmt: skip
_OVERVIEW: Final = {
    "without_reply": "without_reply",
    "active_conversations": "open", "messages": "messages",
    "messages_by_sender": "messages_by_sender", "outcomes": "outcomes",
    "handoffs.count": "handoffs", "handoffs.turns": "handoff_turns",
    "engagement.score": "engagement", "engagement.turns": "mean_turns",
    "engagement.messages": "mean_messages", "engagement.duration": "mean_duration",
    "satisfaction.top_share": "csat", "satisfaction.mean": "mean_score",
    "satisfaction.original_mean": "original_mean", "satisfaction.count": "ratings",
}  # fmt: skip
_BUSINESS: Final = {
    "cost.amount": "cost", "cost.priced_turns": "priced", "cost.unpriced_turns": "unpriced",
    "cost_per_conversation": "cost_per_conversation", "savings.low": "savings_low",
    "savings.high": "savings_high", "savings.gross": "savings_gross",
}  # fmt: skip
_WORKFLOW: Final = ("conversations", "started", "completed", "failed", "left_open", "running")


def _workflows(answer: Answer) -> dict[str, tuple[int, ...]]:
    return {item["name"]: tuple(item[name] for name in _WORKFLOW) for item in answer["items"]}


def _dropped(kind: str, *names: str) -> Callable[[Answer], Counter[Any]]:
    def read(answer: Answer) -> Counter[Any]:
        found: Counter[Any] = Counter()
        for item in answer[kind]:
            if item["dropped"]:
                key = tuple(item[name] for name in names)
                found[key if len(key) > 1 else key[0]] += item["dropped"]
        return found

    return read


def _of_items(name: str, *values: str, of: str = "items") -> Callable[[Answer], dict[str, Any]]:
    def read(answer: Answer) -> dict[str, Any]:
        if len(values) == 1:
            return {item[name]: item[values[0]] for item in answer[of]}
        return {item[name]: tuple(item[value] for value in values) for item in answer[of]}

    return read


def _intents(answer: Answer) -> dict[str, tuple[int, int]]:
    """Those with any turn or annotation: others are there for what ended with them."""
    found = _of_items("name", "turns", "annotations")(answer)
    return {name: numbers for name, numbers in found.items() if any(numbers)}


def _came_back(answer: Answer) -> tuple[int, int, int]:
    return (answer["with_user"], answer["all"]["observed"], answer["all"]["returned"])


def _report(section: str, line: str) -> Callable[[Answer], Any]:
    def read(answer: Answer) -> Any:
        lines = next(one["lines"] for one in answer["sections"] if one["name"] == section)
        return next(one["value"] for one in lines if one["name"] == line)

    return read


FIGURES: Final = (
    *_fields("overview", _TURNS | _CONVERSATIONS | _OVERVIEW, active=False),
    *_quantiles("overview", "response_time", "response_times", 50, 95, 99),
    *_quantiles("overview", "time_to_first_chunk", "first_chunks", 50, 95, 99),
    *_fields("business", _CONVERSATIONS | _BUSINESS),
    *_fields("interactions/stats", _TURNS | {"handoffs": "handoff_turns"}),
    *_quantiles("interactions/stats", "response_time", "response_times", 50, 95, 99),
    *_fields(
        "performance",
        {"turns": "turns", "errors": "errors", "error_rate": "error_rate", "cancelled": "cancelled"}
        | {"without_reply": "without_reply"}
        | {"response_time.mean": "response_time", "response_time.count": "responses"},
    ),
    *_quantiles("performance", "response_time", "response_times", 50, 75, 90, 95, 99),
    *_fields("journeys/drop-off", {"settled": "settled", "dropped": "dropped"}),
    Told(
        "journeys/drop-off", "intents", _dropped("intents", "intent"), _counted("dropped_by_intent")
    ),
    Told(
        "journeys/drop-off",
        "steps",
        _dropped("steps", "workflow", "step"),
        lambda figures: Counter(
            {(name, step or None): n for (name, step), n in figures.dropped_by_step.items()}
        ),
    ),
    *_fields("journeys/incomplete", {"total": "incomplete"}),
    Told(
        "journeys/paths",
        "conversations",
        _at("conversations"),
        lambda figures: figures.intent_paths.total(),
    ),
    Told("workflows", "items", _workflows, _counted("workflows")),
    Told("intents", "items", _intents, _counted("intents")),
    *_fields(
        "intents",
        {name: of for name, of in _TURNS.items() if name.split(".")[0] in {"fallback", "turns"}},
    ),
    Told("topics", "items", _of_items("name", "conversations"), _counted("topics")),
    *_fields(
        "engagement",
        {
            "conversations": "conversations", "score": "engagement", "users.users": "users",
            "users.repeating": "repeating", "users.returning": "returning",
        },
        active=False,
    ),
    *_fields(
        "leads",
        {"leads": "leads", "converted": "converted", "conversion_rate": "conversion"}
        | {"conversations": "conversations"},
        active=False,
    ),
    Told("leads", "kinds", _of_items("kind", "conversations", of="kinds"), _counted("lead_kinds"),
         active=False),
    *_fields(
        "feedback",
        {
            "all.ratings": "ratings", "all.top_share": "csat", "all.score": "mean_score",
            "all.positive": "positive", "all.negative": "negative", "settled": "settled",
            "rated": "rated",
        },
        active=False,
    ),
    Told("repeat-contact", "came back", _came_back, lambda figures: figures.came_back(24)),
    Told("report", "conversations", _report("sessions", "total"), _counted("conversations"),
         active=False),
    Told("report", "settled", _report("sessions", "closed"), _counted("settled"), active=False),
    Told("report", "messages", _report("messages", "total"), _counted("messages"), active=False),
)  # fmt: skip
