"""What a turn and a conversation can be said to be, and how the values are checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypedDict

from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat._common.checks import count, flag, text
from otel_chat._telemetry.runtime import Runtime, report_error
from otel_chat.errors import ArgumentNameError, ConfigurationError


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
    synthetic: bool | None


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
FIELD_NAMES: Final = frozenset({*TEXT_KEYS, *COUNT_KEYS, "user_id", "synthetic"})
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
    sc.SYNTHETIC,
)
"""What every event takes over from its turn or conversation."""


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

    One of a wrong type or out of range costs itself alone: it is reported with its name.
    """
    attributes: dict[str, AnyValue] = {}
    for name, value in fields.items():
        if value is not None:
            try:
                _add(attributes, runtime, name, value)
            except Exception as error:  # noqa: BLE001 - never in the caller's way
                report_error("fields", error)
    return attributes


def _add(attributes: dict[str, AnyValue], runtime: Runtime, name: str, value: object) -> None:
    if name == "user_id":
        hashed = runtime.user_hash(value)
        if hashed is not None:
            attributes[sc.USER_HASH] = hashed
    elif name == "synthetic":
        attributes[sc.SYNTHETIC] = flag(value, name)
    elif name in COUNT_KEYS:
        attributes[COUNT_KEYS[name]] = count(value, name)
    elif name in TEXT_KEYS:
        attributes[TEXT_KEYS[name]] = runtime.name(value, name)
    else:
        there = f"there are {', '.join(sorted(FIELD_NAMES))}"
        raise ArgumentNameError(f"there is no field {text(name, 'field')[:64]!r}; {there}")
