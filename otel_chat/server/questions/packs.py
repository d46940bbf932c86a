"""The same conversations by the published rules of other products, beside our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from otel_chat.errors import QueryError
from otel_chat.server.figures.answers import Answer, Fallback, TimeSpan, exact_mean
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.figures import ratings, turn_sums
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query, ratio
from otel_chat.server.figures.sums import whole
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.headlines import Handoffs, Resolution

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

PackName = Literal["copilot-studio", "lex-v2"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A figure by another product's rule.

    Args:
        name: What the product calls it.
        rule: The rule, in our terms.
        part: What is counted, of the pack's counts.
        of: What it is divided by; empty for a count.
        ours: Our own figure that comes nearest; empty for none.
    """

    name: str
    rule: str
    part: str
    of: str = ""
    ours: str = ""


@dataclass(frozen=True, slots=True)
class Pack:
    """A product's rules.

    Args:
        name: Its name in addresses.
        product: The product.
        sources: Where it publishes its rules.
        counts: SQL conditions on settled conversations (columns of `conversation_rows`), by name.
        rules: Its figures.
        missing: What it has and telemetry does not tell.
    """

    name: PackName
    product: str
    sources: tuple[str, ...]
    counts: Mapping[str, str]
    rules: tuple[Rule, ...]
    missing: tuple[str, ...]


_ENGAGED: Final = "(classified > 0 OR handed_off)"
_SOLVED: Final = "(outcome = 'resolved' AND (confirmed OR (ended AND negative = 0)))"
_COPILOT: Final = Pack(
    "copilot-studio",
    "Microsoft Copilot Studio",
    (
        "https://learn.microsoft.com/en-us/microsoft-copilot-studio/analytics-summary",
        "https://learn.microsoft.com/en-us/microsoft-copilot-studio/guidance/measuring-outcomes",
    ),
    {
        "engaged": _ENGAGED,
        "escalated": "handed_off",
        "solved": f"({_ENGAGED} AND NOT handed_off AND {_SOLVED})",
        "given_up": f"({_ENGAGED} AND NOT handed_off AND NOT {_SOLVED})",
    },
    (
        Rule(
            "Engagement rate",
            "Sessions with a classified turn, a fallback among them, or a handoff ÷ sessions.",
            "engaged",
            "settled",
        ),
        Rule(
            "Resolution rate",
            "Engaged sessions without a handoff that were ended, and whose user confirmed the"
            " success or did not answer ÷ engaged sessions. One that merely went quiet is not"
            " resolved.",
            "solved",
            "engaged",
            "resolution_ratio_high",
        ),
        Rule(
            "Escalation rate",
            "Engaged sessions with a handoff, whether or not a human took over ÷ engaged sessions.",
            "escalated",
            "engaged",
            "handoff_ratio",
        ),
        Rule(
            "Abandon rate",
            "Engaged sessions that were neither resolved nor escalated ÷ engaged sessions.",
            "given_up",
            "engaged",
            "abandoned_ratio",
        ),
    ),
    (
        "Sessions within a conversation: each conversation counts as one session.",
        "The survey from 0 to 5: satisfaction is our own, on whatever scale it was given.",
    ),
)
_BROKEN: Final = "(last_turn = 2 OR last_fallback)"
_LEX: Final = Pack(
    "lex-v2",
    "Amazon Lex V2",
    ("https://docs.aws.amazon.com/lexv2/latest/dg/analytics-key-definitions.html",),
    {
        "success": f"(NOT {_BROKEN} AND NOT unfinished)",
        "failed": _BROKEN,
        "dropped": f"(NOT {_BROKEN} AND unfinished)",
    },
    (
        Rule(
            "Conversations succeeded",
            "The last turn had neither an error nor a fallback, and no workflow was left open ÷"
            " conversations.",
            "success",
            "settled",
            "resolution_ratio_high",
        ),
        Rule(
            "Conversations failed",
            "The last turn ended in an error, a fallback or before any reply ÷ conversations.",
            "failed",
            "settled",
            "failed_ratio",
        ),
        Rule(
            "Conversations dropped",
            "The last turn went well, but the user left before its workflow was completed or had"
            " failed ÷ conversations.",
            "dropped",
            "settled",
            "abandoned_ratio",
        ),
        Rule(
            "Utterances missed",
            "Turns in which no intent was recognised ÷ turns that were classified.",
            "fallbacks",
            "classified_turns",
            "fallback_ratio",
        ),
    ),
    (
        "Handoffs: Lex knows none; what a human ended succeeded if its last turn did.",
        "Slots: what was asked for within an intent is not told.",
    ),
)
PACKS: Final[dict[str, Pack]] = {pack.name: pack for pack in (_COPILOT, _LEX)}


class PackSummary(Answer):
    """A definition pack."""

    name: str
    product: str
    sources: list[str]


class OurFigure(Answer):
    """Our own figure that comes nearest."""

    name: str
    definition: str
    value: float | None


class PackFigure(Answer):
    """A figure by the product's rule."""

    name: str = Field(description="What the product calls it.")
    rule: str = Field(description="The rule, in the terms of this server.")
    numerator: int
    denominator: int
    value: float | None = Field(description="Null over none.")
    ours: OurFigure | None


class PackAnswer(Answer):
    """The settled conversations of the window by another product's rules."""

    window: TimeSpan
    pack: PackSummary
    conversations: int = Field(description="Settled conversations.")
    figures: list[PackFigure]
    satisfaction: float | None = Field(
        description="Ours: mean rating of the user feedback of the conversations."
    )
    missing: list[str] = Field(description="What the product has and telemetry does not tell.")


def summaries() -> list[PackSummary]:
    """The packs that there are."""
    return [
        PackSummary(name=pack.name, product=pack.product, sources=list(pack.sources))
        for pack in PACKS.values()
    ]


_COLUMNS: Final = (
    "settled", "handed_off", "outcome", "confirmed", "ended", "negative", "classified",
    "last_turn", "last_fallback", "unfinished", "feedback",
)  # fmt: skip


def _counts(statement: Query, window: Window, filters: Filters, pack: Pack) -> dict[str, Any]:
    rows = conversation_rows(statement, Selection(window, filters), *_COLUMNS)
    wanted = {
        **pack.counts,
        "resolved": "outcome = 'resolved'",
        "abandoned": "outcome = 'abandoned'",
        "broken": "outcome = 'failed'",
    }
    sums = ", ".join(f"countIf(settled AND {sql}) AS n_{name}" for name, sql in wanted.items())
    row = statement.one(f"""
        SELECT countIf(settled) AS n_settled,
            countIf(settled AND handed_off) AS n_handoffs, {sums}, {ratings("feedback")}
        FROM {rows} AS c
    """)  # noqa: S608
    turns = statement.one(f"""
        SELECT sum(p_fallbacks) AS fallbacks, sum(p_classified) AS classified
        FROM {turn_sums(statement, window, filters, whole)} AS s
    """)  # noqa: S608
    found = {name.removeprefix("n_"): value for name, value in row.items()}
    return found | {
        "fallbacks": turns.get("fallbacks", 0),
        "classified_turns": turns.get("classified", 0),
    }


_OURS: Final[Mapping[str, tuple[str, str, str | None]]] = {
    "resolution_ratio_high": (
        "resolved",
        "settled",
        Resolution.model_fields["high"].description,
    ),
    "handoff_ratio": ("handoffs", "settled", Handoffs.model_fields["rate"].description),
    "fallback_ratio": ("fallbacks", "classified_turns", Fallback.model_fields["rate"].description),
    "abandoned_ratio": (
        "abandoned",
        "settled",
        "Settled conversations that ended abandoned ÷ settled.",
    ),
    "failed_ratio": ("broken", "settled", "Settled conversations that failed ÷ settled."),
}
"""Our own figures: counts above and below the line, and what they mean."""


@query()
def pack(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    name: str = _COPILOT.name,
) -> PackAnswer:
    """The conversations that started in the window, by the rules of another product.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations, and the turns, to take.
        filters: What they are limited to.
        name: One of `PACKS`.

    Raises:
        QueryError: If there is no such pack.
    """
    if name not in PACKS:
        raise QueryError(f"A pack is one of {', '.join(PACKS)}.", field="pack")
    chosen = PACKS[name]
    statement = Query(store, scope)
    counts = _counts(statement, window, filters, chosen)
    return PackAnswer(
        window=TimeSpan.of(window),
        pack=next(one for one in summaries() if one.name == name),
        conversations=counts.get("settled", 0),
        figures=[_figure(rule, counts) for rule in chosen.rules],
        satisfaction=exact_mean(counts.get("score_sum"), counts.get("ratings")),
        missing=list(chosen.missing),
    )


def _figure(rule: Rule, counts: dict[str, Any]) -> PackFigure:
    part, every = counts.get(rule.part, 0), counts.get(rule.of, 0)
    ours = None
    if rule.ours:
        above, below, meaning = _OURS[rule.ours]
        ours = OurFigure(
            name=rule.ours,
            definition=meaning or "",
            value=ratio(counts.get(above, 0), counts.get(below, 0)),
        )
    return PackFigure(
        name=rule.name,
        rule=rule.rule,
        numerator=part,
        denominator=every,
        value=ratio(part, every),
        ours=ours,
    )
