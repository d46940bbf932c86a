"""`intent_classifier`: intent and confidence from what a classifier returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar, overload

from otel_chat import semconv as sc
from otel_chat._common.checks import is_plain, one_of
from otel_chat._telemetry.runtime import current, report_error, reporting
from otel_chat._telemetry.workers import reader
from otel_chat._turns.turn import Turn
from otel_chat._wrap.arguments import is_function
from otel_chat._wrap.steps import Step, configured
from otel_chat.errors import ArgumentTypeError
from otel_chat.extract import extract

F = TypeVar("F", bound=Callable[..., Any])

NAMES: Final = ("intent", "name", "label", "intent_name")
SURENESS: Final = ("confidence", "score", "probability")
MOST_CANDIDATES: Final = 1000
MOST_ALTERNATIVES: Final = 5


class Classified(NamedTuple):
    """An intent that a classifier found; None is none.

    Args:
        name: The intent.
        confidence: 0 to 1, where the classifier says it.
        fallback: Whether no intent matched.
        alternatives: What else it might be, the surest first.
    """

    name: str | None
    confidence: float | None = None
    fallback: bool = False
    alternatives: tuple[tuple[str | None, float | None], ...] = ()


def read_intent(value: object) -> Classified:
    """The intent in whatever a classifier returned.

    Args:
        value: A name; a pair of name and confidence; a mapping or object with an intent and a
            confidence; a mapping of intents to confidences; an answer of Rasa or Dialogflow; a
            list of any of these, of which the surest counts; None for no intent.

    Raises:
        TypeError: it is nothing of the kind.

    Example:
        >>> read_intent(("order_status", 0.9))
        Classified(name='order_status', confidence=0.9, fallback=False, alternatives=())
        >>> read_intent([{"label": "a", "score": 0.2}, {"label": "b", "score": 0.7}]).name
        'b'
        >>> read_intent({"a": 0.25, "b": 0.75}).alternatives
        (('a', 0.25),)
        >>> read_intent(None).fallback
        True
    """
    if value is None or isinstance(value, str):
        return Classified(value or None, None, not value)
    if isinstance(value, tuple) and _is_pair(value):
        return Classified(value[0] or None, _number(value[1]), not value[0])
    found = extract(value)
    if found is not None and (found.intent is not None or found.fallback is not None):
        return Classified(found.intent, found.confidence, bool(found.fallback))
    if isinstance(value, Mapping) and _are_scores(value):
        return _surest([Classified(name, _number(score)) for name, score in value.items()])
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        candidates = [read_intent(one) for one in islice(value, MOST_CANDIDATES)]
        return _surest(candidates) if candidates else Classified(None, None, fallback=True)
    return _of_fields(value)


def _is_pair(value: tuple[Any, ...]) -> bool:
    return (
        len(value) == 2  # noqa: PLR2004 - a pair
        and isinstance(value[0], str | None)
        and (value[1] is None or _number(value[1]) is not None)
    )


def _are_scores(value: Mapping[Any, Any]) -> bool:
    return (
        bool(value)
        and not any(known in value for known in (*NAMES, *SURENESS))
        and all(isinstance(k, str) and _number(v) is not None for k, v in value.items())
    )


def _surest(candidates: list[Classified]) -> Classified:
    ordered = sorted(candidates, key=lambda c: -1.0 if c.confidence is None else -c.confidence)
    if any(c.confidence is None for c in candidates):
        ordered = candidates  # as the classifier gave them: it did not say how sure it is
    best, *others = ordered
    rest = tuple((c.name, c.confidence) for c in others[:MOST_ALTERNATIVES])
    return best._replace(alternatives=rest)


def _of_fields(value: object) -> Classified:
    named, name = _first(value, NAMES)
    _, confidence = _first(value, SURENESS)
    if named and not isinstance(name, str | None):
        inner = read_intent(name)
        known = inner.confidence if confidence is None else _number(confidence)
        return inner._replace(confidence=known)
    if not named:
        raise ArgumentTypeError(
            "the classifier's result",
            "a name, a pair of name and confidence, or have an intent and a confidence",
            value,
        )
    _, fallback = _first(value, ("fallback", "is_fallback"))
    return Classified(name or None, _number(confidence), not name or fallback is True)


def _first(value: object, names: Sequence[str]) -> tuple[bool, Any]:
    """Whether there is a field of one of these names, and what it holds."""
    for name in names:
        if isinstance(value, Mapping):
            if name in value:
                return True, value[name]
        elif hasattr(value, name):
            return True, getattr(value, name)
    return False, None


def _number(value: object) -> float | None:
    """A number, also one of NumPy's."""
    if value is None or isinstance(value, bool | str | bytes):
        return None
    try:
        return float(value)  # type: ignore[arg-type] # asked, not known
    except (TypeError, ValueError):
        return None


def _found(value: object) -> tuple[tuple[str | None, float | None, bool], object]:
    """Name, confidence and whether it is a fallback; the others as an event's data."""
    found = read_intent(value)
    others = [{"name": name, "confidence": sure} for name, sure in found.alternatives]
    return found[:3], {"alternatives": others} if others else None


def _take(turn: Turn, value: object, when: tuple[int, str | None], source: str) -> None:
    """Takes an intent into its turn, in the delivery thread."""
    try:
        found, data = reader.read(value, _found)
        turn.intent_at(when, found, source, data)
    except Exception as error:  # noqa: BLE001 - somebody else's object
        report_error("intent_classifier", error)


class Classification(Step):
    """One classification, as `intent_classifier` makes it."""

    operation = sc.OPERATION_CLASSIFY

    def __init__(self, name: str, source: str) -> None:
        super().__init__(name, {})
        self._source = source

    def check(self) -> None:
        """Looks at the source, for a decorator; a block's is looked at with its intent.

        Raises:
            ConfigurationError: there is no such source.
        """
        super().check()
        configured(partial(one_of, allowed=sc.SOURCES), self._source, "intent_classifier: source")

    def on_result(self, value: object, /) -> None:
        """Reports the intent of a decorated function's result."""
        self.result(value)

    @reporting("intent_classifier")
    def result(self, value: object) -> None:
        """Takes intent and confidence from a classifier's answer, see `read_intent`."""
        turn = self._turn
        if is_plain(value) or not turn.is_live:
            found, data = _found(value)
            turn.intent(*found[:2], fallback=found[2], source=self._source, data=data)
        else:  # somebody else's object: to look into it may take any time
            current().delivery.put((_take, turn, value, turn.event_stamp(), self._source))

    @reporting("intent_classifier")
    def intent(self, name: str | None, confidence: float | None = None) -> None:
        """Reports the intent, as `Turn.intent` does."""
        self._turn.intent(name, confidence, source=self._source)


@overload
def intent_classifier(function: F, /) -> F: ...


@overload
def intent_classifier(name: str = "intent", /, *, source: str = "classifier") -> Classification: ...


def intent_classifier(
    function: F | str = "intent", /, *, source: str = "classifier"
) -> F | Classification:
    """Makes what a classifier returns the turn's intent; as a decorator or as a block.

    The result passes through as it is. Each call is a child span `classify_intent {name}` and one
    `otel_chat.intent` event; other candidates go into the event's data.

    Args:
        function: The classifier, where the decorator stands bare; else its name, for the span.
        source: `classifier`, or `annotation` for what a person or a data set says.

    Raises:
        ConfigurationError: used as a decorator, where there is no such source.

    Example:
        >>> from otel_chat import turn
        >>> @intent_classifier
        ... def classify(text: str) -> tuple[str, float]:
        ...     return "order_status", 0.93
        >>> with turn(agent="support"):
        ...     classify("Where is my parcel?")
        ...     with intent_classifier("nlu") as nlu:
        ...         nlu.result({"intent": "order_status", "confidence": 0.8})
        ('order_status', 0.93)
    """
    if is_function(function):
        return Classification("intent", source)(function)  # type: ignore[type-var,return-value] # a function
    return Classification(function, source)  # type: ignore[arg-type] # looked at later
