"""The SQL by which rows are worked out."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from jinja2 import Environment, StrictUndefined

from otel_chat import semconv
from otel_chat.server import rules

MOST_TURNS: Final = 100_000
"""Turns, and steps, that stand in the arrays of a conversation's row."""


@cache
def conversations_sql(chosen: rules.Rules, *, synthetic: bool = False) -> str:
    """A SELECT of the rows of some conversations, worked out from their turns and events.

    Its parameters are `tenants` and `ids` of the conversations, `first` and `last`, nanoseconds
    between which all that there is of them lies, and the `version` of the rows.

    Args:
        chosen: The rules to go by.
        synthetic: Whether synthetic turns count, which are in no figure.
    """
    source = files(__package__).joinpath("conversations.sql").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - SQL
    known = {"n": semconv, "rules": rules, "low": chosen.low, "most": MOST_TURNS}
    return environment.from_string(source).render(known, synthetic=synthetic)
