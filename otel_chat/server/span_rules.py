"""What a tenant's spans mean that no convention says: handoffs, intents, workflows, outcomes.

For bots that nobody decorated. A rule names spans by patterns, and what one inside a turn says of
the turn or of its conversation. Rules come from a file and are tried before they are used.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Protocol

from otel_chat import semconv as sc
from otel_chat._common import text_files
from otel_chat.errors import ConfigurationError

HANDOFF: Final = "handoff"
INTENT: Final = "intent"
WORKFLOW: Final = "workflow"
OUTCOME: Final = "outcome"
EFFECTS: Final[Mapping[str, tuple[str, ...]]] = {
    HANDOFF: ("reason", "reason_from", "target", "target_from"),
    INTENT: ("name", "name_from", "confidence_from"),
    WORKFLOW: ("name", "name_from", "step", "step_from", "status"),
    OUTCOME: ("name", "name_from"),
}
"""What a rule can say, and by which keys; `_from` names the attribute that holds it."""
_NEEDED: Final[Mapping[str, str]] = {
    HANDOFF: "reason", INTENT: "name", WORKFLOW: "name", OUTCOME: "name",
}  # fmt: skip
_KEYS: Final = ("name", "tenant", "span", "where", *EFFECTS)
_STATUSES: Final = {
    "started": sc.EVENT_WORKFLOW_STARTED,
    "completed": sc.EVENT_WORKFLOW_COMPLETED,
    "failed": sc.EVENT_WORKFLOW_FAILED,
}


class Spanlike(Protocol):
    """What a rule looks at."""

    @property
    def name(self) -> str:
        """The span's name."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """Its attributes as text."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule.

    Args:
        name: What it is called, unique in its file.
        effect: One of `EFFECTS`.
        says: What it says, by the keys of the effect.
        tenant: Whose spans it is for; None is for all.
        span: A pattern of the span's name, with `*` and `?`; case does not matter.
        where: Patterns of attributes, by their name; all must match.
    """

    name: str
    effect: str
    says: Mapping[str, str]
    tenant: str | None = None
    span: str = "*"
    where: Mapping[str, str] = field(default_factory=dict)

    def matches(self, tenant: str, span: Spanlike) -> bool:
        """Whether it is about a span.

        Args:
            tenant: Whose the span is.
            span: The span.
        """
        return (
            self.tenant in (None, tenant)
            and _like(span.name, self.span)
            and all(
                key in span.attributes and _like(span.attributes[key], pattern)
                for key, pattern in self.where.items()
            )
        )

    def told(self, span: Spanlike, key: str) -> str:
        """What it says under a key, of a span; empty where it says nothing."""
        return self.says.get(key) or span.attributes.get(self.says.get(f"{key}_from", ""), "")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the rules say of a turn.

    Args:
        attributes: Of the turn, under the names of `semconv`.
        events: The spans that are events of the conversation, with the rule, the event's name and
            its attributes.
        rules: The names of the rules that said something.
    """

    attributes: dict[str, str] = field(default_factory=dict)
    events: list[tuple[Any, str, str, dict[str, str]]] = field(default_factory=list)
    rules: set[str] = field(default_factory=set)


def meaning(rules: Sequence[Rule], tenant: str, spans: Iterable[Spanlike]) -> Meaning:
    """What the rules say of a turn: of each kind of effect the first rule that matches a span.

    What the spans themselves say under the names of `semconv` is not theirs to change; callers
    let that go before.

    Args:
        rules: The rules, in the order of their file.
        tenant: Whose the turn is.
        spans: The turn's spans, by time.

    Example:
        >>> from types import SimpleNamespace
        >>> span = SimpleNamespace(name="execute_tool", attributes={"tool": "transfer_to_sales"})
        >>> rule = Rule("t", "handoff", {"reason": "sales"}, where={"tool": "transfer_to_*"})
        >>> meaning([rule], "default", [span]).attributes["otel_chat.handoff.reason"]
        'sales'
    """
    found = Meaning()
    for span in spans:
        for rule in rules:
            if not rule.matches(tenant, span) or not rule.told(span, _NEEDED[rule.effect]):
                continue
            if rule.effect in (HANDOFF, INTENT):
                for name, value in _attributes(rule, span).items():
                    found.attributes.setdefault(name, value)
            elif (event := _event(rule, span)) is not None:
                found.events.append((span, rule.name, *event))
            found.rules.add(rule.name)
    return found


def read_rules(path: Path | None) -> tuple[Rule, ...]:
    """The rules of a file; none without one.

    Args:
        path: A file of TOML.

    Raises:
        ConfigurationError: If it cannot be read, or a rule in it; names the rule and the key.
    """
    return () if path is None else parse_rules(rules_text(path), f"span rules {path}")


def rules_text(path: Path) -> str:
    """The text of a file of rules.

    Args:
        path: The file.

    Raises:
        ConfigurationError: If it cannot be read.
    """
    try:
        return text_files.read(path)
    except text_files.UNREADABLE as error:
        raise ConfigurationError(f"span rules {path}: {error}") from error


def parse_rules(text: str, where: str = "span rules") -> tuple[Rule, ...]:
    r"""The rules of a text.

    Args:
        text: TOML.
        where: What messages call it.

    Raises:
        ConfigurationError: If a rule cannot be read; names it and the key.

    Example:
        >>> text = '[[rule]]\nname = "t"\nspan = "ask_human"\nhandoff = { reason = "asked" }'
        >>> parse_rules(text)[0].effect
        'handoff'
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{where}: {error}") from error
    rules = data.get("rule")
    if not isinstance(rules, list) or len(data) > 1:
        raise ConfigurationError(f"{where}: rules named 'rule' are needed, and nothing else")
    found = tuple(_rule(f"{where}, rule {number}", one) for number, one in enumerate(rules, 1))
    names = [one.name for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"{where}: two rules are named {twice[0]!r}")
    return found


def _rule(where: str, entry: object) -> Rule:
    if not isinstance(entry, Mapping):
        raise ConfigurationError(f"{where}: a table is needed")
    if unknown := sorted(set(entry) - set(_KEYS)):
        raise ConfigurationError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(_KEYS)}")
    effects = [name for name in EFFECTS if name in entry]
    if len(effects) != 1:
        raise ConfigurationError(f"{where}: exactly one of {', '.join(EFFECTS)} is needed")
    (effect,) = effects
    says = _texts(f"{where}, {effect}", entry[effect])
    if unknown := sorted(set(says) - set(EFFECTS[effect])):
        known = ", ".join(EFFECTS[effect])
        raise ConfigurationError(f"{where}, {effect}: unknown key {unknown[0]!r}; known: {known}")
    needed = _NEEDED[effect]
    if not {needed, f"{needed}_from"} & set(says):
        raise ConfigurationError(f"{where}, {effect}: '{needed}' or '{needed}_from' is needed")
    for key, known_values in (("status", tuple(_STATUSES)), ("name", sc.OUTCOMES[:-1])):
        wrong = effect == (WORKFLOW if key == "status" else OUTCOME) and key in says
        if wrong and says[key] not in known_values:
            raise ConfigurationError(
                f"{where}, {effect}: '{key}' is one of {', '.join(known_values)}"
            )
    plain = {key: entry[key] for key in ("name", "tenant", "span") if key in entry}
    told = _texts(where, plain)
    conditions = _texts(f"{where}, where", entry.get("where", {}))
    if not told.get("name"):
        raise ConfigurationError(f"{where}: 'name' is needed")
    if "span" not in told and not conditions:
        raise ConfigurationError(f"{where}: 'span' or 'where' is needed, or it is about every span")
    return Rule(
        name=told["name"],
        effect=effect,
        says=says,
        tenant=told.get("tenant"),
        span=told.get("span", "*"),
        where=conditions,
    )


def _texts(where: str, given: object) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{where}: a table is needed")
    for key, value in given.items():
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"{where}: {key!r} is a text, not {value!r}")
    return dict(given)


def _like(text: str, pattern: str) -> bool:
    return fnmatchcase(text.lower(), pattern.lower())


def _attributes(rule: Rule, span: Spanlike) -> dict[str, str]:
    if rule.effect == HANDOFF:
        told = {
            sc.HANDOFF_TRIGGERED: "true",
            sc.HANDOFF_REASON: rule.told(span, "reason"),
            sc.HANDOFF_TARGET: rule.told(span, "target"),
        }
    else:
        told = {
            sc.INTENT_NAME: rule.told(span, "name"),
            sc.CONFIDENCE: rule.told(span, "confidence"),
        }
    return {name: value for name, value in told.items() if value}


def _event(rule: Rule, span: Spanlike) -> tuple[str, dict[str, str]] | None:
    name = rule.told(span, "name")
    if rule.effect == OUTCOME:
        if name not in sc.OUTCOMES[:-1]:
            return None
        return sc.EVENT_CONVERSATION_END, {sc.OUTCOME: name}
    status = rule.says.get("status", "started")
    told = {
        sc.WORKFLOW_NAME: name,
        sc.WORKFLOW_STEP: rule.told(span, "step"),
        sc.WORKFLOW_STATUS: status,
    }
    return _STATUSES[status], {key: value for key, value in told.items() if value}
