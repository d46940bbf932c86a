"""A/B tests: which variant somebody gets, the same each time, in every process."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from opentelemetry import context as otel_context

from otel_chat import semconv as sc
from otel_chat._common.checks import is_a
from otel_chat._telemetry.runtime import NO_SPAN, current, report_error
from otel_chat._turns.conversation import Conversation, context_attributes
from otel_chat._turns.turn import CONVERSATION_KEY, NO_TURN, current_turn
from otel_chat.errors import ConfigurationError

NAME_LENGTH: Final = 60
"""Characters of a test's and of a variant's name: both fit into one label of a metric."""


def variant(experiment: str, weights: Mapping[str, float], *, key: str | int | UUID) -> str:
    """The variant that somebody gets in an A/B test, and notes it on the turn.

    The same key gets the same variant in every process, release and order of the weights. The
    turn around the call, or the conversation's later turns, carry `otel_chat.variant` as
    `experiment:variant`; the counter `otel_chat.exposures` counts whom it was shown to. A turn
    belongs to one test: the last that was asked for.

    How it is chosen, by weighted rendezvous hashing (C. Schindelhauer and G. Schomaker, Weighted
    distributed hash tables, SPAA 2005): for each variant u = (the first 53 bits of the SHA-256 of
    the JSON array [experiment, variant, key], in ASCII, without blanks, + 0.5) ÷ 2**53; the variant
    with the least -ln(u) ÷ weight is taken. A variant that is added, or whose weight grows, takes
    keys from the others, and none moves between those.

    Args:
        experiment: The test's name, 1 to 60 printable characters. Under another name the same keys
            are dealt anew.
        weights: Variant to its weight, 0 or more, not all 0; they need not add up to 1.
        key: Who gets it: a user's id, or the conversation's where nobody is signed in.

    Raises:
        ConfigurationError: a name, the weights or the key cannot be used; says which.

    Example:
        >>> [variant("greeting", {"short": 0.5, "warm": 0.5}, key=user) for user in ("ada", "bob")]
        ['warm', 'short']
    """
    chosen = choose(experiment, weights, key)
    try:
        _note(f"{experiment}:{chosen}")
    except Exception as error:  # noqa: BLE001 - never in the caller's way
        report_error("variant", error)
    return chosen


def choose(experiment: str, weights: Mapping[str, float], key: str | int | UUID) -> str:
    """The same choice, noted nowhere.

    Raises:
        ConfigurationError: as `variant`.

    Example:
        >>> choose("greeting", {"short": 1, "warm": 0}, "ada")
        'short'
    """
    _check_name(experiment, "experiment")
    _check_weights(weights)
    if is_a(key, bool) or not is_a(key, str, int, UUID) or key == "":
        raise ConfigurationError(
            f"key must be a text that is not empty, a whole number or a UUID, not"
            f" {type(key).__name__}; give the conversation's id where there is no user."
        )
    taken = {name: weight for name, weight in weights.items() if weight > 0}
    return min(taken, key=lambda name: (_draw(experiment, name, str(key)) / taken[name], name))


def _draw(experiment: str, name: str, key: str) -> float:
    written = json.dumps([experiment, name, key], separators=(",", ":"))
    number = int.from_bytes(hashlib.sha256(written.encode()).digest()[:8]) >> 11
    return -math.log((number + 0.5) / 2**53)


def _check_name(name: object, field: str) -> None:
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_LENGTH or not name.isprintable():
        raise ConfigurationError(
            f"{field} must be a name of 1 to {NAME_LENGTH} printable characters, not {name!r}."
        )


def _check_weights(weights: Mapping[str, float]) -> None:
    if not is_a(weights, Mapping) or not weights:
        raise ConfigurationError(
            f"weights must map each variant to its weight, as {{'a': 0.5, 'b': 0.5}}, not"
            f" {weights!r}."
        )
    for name, weight in weights.items():
        _check_name(name, "weights: a variant")
        if is_a(weight, bool) or not is_a(weight, int, float) or not 0 <= weight < math.inf:
            raise ConfigurationError(
                f"weights: that of {name!r} must be a number of 0 or more, not {weight!r}."
            )
    if not any(weights.values()):
        raise ConfigurationError("weights: one must be more than 0, or nobody gets a variant.")


def _note(value: str) -> None:
    runtime, turn = current(), current_turn()
    clean = runtime.name(value, "variant")
    known = context_attributes(None, None)
    around = otel_context.get_current().get(CONVERSATION_KEY)
    if turn is not NO_TURN:
        turn.fields(variant=clean)
    elif isinstance(around, Conversation):
        around.attributes[sc.VARIANT] = clean
    if known.get(sc.VARIANT) != clean:
        series = {**known, sc.VARIANT: clean}
        add = runtime.instruments.add
        runtime.delivery.put((add, sc.METRIC_EXPOSURES, 1, series, NO_SPAN))
