"""What a turn and a conversation can be said to be, and how the values are checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, TypedDict

from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat.errors import ConfigurationError
from otel_chat.runtime import Runtime


class ConversationFields(TypedDict, total=False):
    """Fields of a conversation, which its turns take over."""

    agent_id: str | None
    agent_version: str | None
    variant: str | None
    channel: str | None
    platform: str | None
    location: str | None
    user_type: str | None
    user_id: str | None
    tenant: str | None
    page: str | None
    referrer: str | None
    user_agent: str | None


class TurnFields(ConversationFields, total=False):
    """Fields of a turn; all optional."""

    model: str | None
    provider: str | None
    message_type: str | None
    turn_index: int | None
    context_size: int | None
    route: str | None
    http_status: int | None


TEXT_KEYS: Final[Mapping[str, str]] = {
    "agent_id": sc.AGENT_ID,
    "agent_version": sc.AGENT_VERSION,
    "variant": sc.VARIANT,
    "channel": sc.CHANNEL,
    "platform": sc.PLATFORM,
    "location": sc.LOCATION,
    "user_type": sc.USER_TYPE,
    "tenant": sc.TENANT,
    "page": sc.PAGE,
    "referrer": sc.REFERRER,
    "user_agent": sc.USER_AGENT,
    "model": sc.REQUEST_MODEL,
    "provider": sc.PROVIDER_NAME,
    "message_type": sc.MESSAGE_TYPE,
    "route": sc.HTTP_ROUTE,
}
COUNT_KEYS: Final[Mapping[str, str]] = {
    "turn_index": sc.TURN_INDEX,
    "context_size": sc.CONTEXT_SIZE,
    "http_status": sc.HTTP_STATUS_CODE,
}
FIELD_NAMES: Final = frozenset({*TEXT_KEYS, *COUNT_KEYS, "user_id"})
EVENT_KEYS: Final = (
    sc.AGENT_NAME,
    sc.AGENT_VERSION,
    sc.VARIANT,
    sc.CONVERSATION_ID,
    sc.CHANNEL,
    sc.PLATFORM,
    sc.LOCATION,
    sc.USER_TYPE,
    sc.USER_HASH,
    sc.TENANT,
    sc.PAGE,
)
"""What every event takes over from its turn or conversation."""

ID_LIMIT: Final = 256


def check_names(fields: Mapping[str, object], where: str) -> None:
    """Refuses fields that do not exist, when something is configured.

    Raises:
        ConfigurationError: names the field and those there are.
    """
    for name in fields:
        if name not in FIELD_NAMES:
            raise ConfigurationError(
                f"{where} has no argument {name!r}; there are {', '.join(sorted(FIELD_NAMES))}."
            )


def span_attributes(runtime: Runtime, fields: Mapping[str, object]) -> dict[str, AnyValue]:
    """The attributes that fields become; None is left out.

    Raises:
        TypeError, ValueError: a value is of the wrong type or out of range; names the field.
    """
    attributes: dict[str, AnyValue] = {}
    for name, value in fields.items():
        if value is None:
            continue
        if name == "user_id":
            hashed = runtime.user_hash(value)
            if hashed is not None:
                attributes[sc.USER_HASH] = hashed
        elif name in COUNT_KEYS:
            attributes[COUNT_KEYS[name]] = count(value, name)
        else:
            attributes[TEXT_KEYS[name]] = runtime.name(value)
    return attributes


def identifier(value: object) -> str | None:
    """A conversation's id as given; '' and None are none.

    Raises:
        TypeError: it is neither text, a number nor a UUID.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value[:ID_LIMIT]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if hasattr(value, "hex") and hasattr(value, "urn"):
        return str(value)
    raise TypeError(f"conversation_id must be text, not {type(value).__name__}")


def count(value: object, name: str) -> int:
    """A whole number that is not negative.

    Raises:
        TypeError, ValueError: it is not; names it.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {type(value).__name__}")
    if not 0 <= value < 2**53:
        raise ValueError(f"{name} must lie between 0 and 2^53, not {value}")
    return value


def number(value: object, name: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number within bounds.

    Raises:
        TypeError, ValueError: it is not; names it.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        kind = getattr(value, "item", None)  # numpy's scalars are what classifiers return
        value = kind() if callable(kind) else value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    plain = float(value)
    if not (math.isfinite(plain) and low <= plain <= high):
        raise ValueError(f"{name} must be finite and lie between {low} and {high}, not {plain}")
    return plain


def one_of(value: object, name: str, allowed: tuple[str, ...]) -> str:
    """One of a closed set.

    Raises:
        ValueError: it is not; names it and those allowed.
    """
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
    return value
