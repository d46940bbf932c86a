"""The page of recommendations: which model, what to fix first, what to write next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_chat.errors import ConfigurationError, QueryError
from otel_chat.server.access import CONVERSATIONS_READ
from otel_chat.server.pages import formats
from otel_chat.server.pages.sheets import Asking, Body, Sheet
from otel_chat.server.pages.tables import Cell, Head, Table, Tone, table
from otel_chat.server.questions import losses, model_advice, to_write
from otel_chat.server.questions.model_advice import AgentAdvice, Candidate, Margins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_chat.server.questions.losses import Loss
    from otel_chat.server.questions.to_write import Unwritten

PATH: Final = "/recommendations"
_OFFERED: Final[Mapping[str, tuple[str, tuple[float, ...]]]] = {
    "resolution": ("Resolution", (0.01, 0.03, 0.05, 0.1)),
    "satisfaction": ("CSAT", (0.02, 0.05, 0.1, 0.2)),
    "p95": ("95th percentile", (0.1, 0.2, 0.5, 1.0)),
}
"""The margins that the page offers; the address takes any."""
_TONES: Final[Mapping[str, Tone]] = {"take": "good", "worse": "bad", "not enough data": "warn"}
_CHANCE: Final = (
    "Not worse",
    "At worst, one-sided at 95 %, the figure lies within the margin; each intent weighs as today.",
)


def margins_of(asking: Asking) -> Margins:
    """The margins that the address says.

    Raises:
        QueryError: If one is no number, or out of range.
    """
    given: dict[str, float] = {}
    for name in _OFFERED:
        text = asking.view.value(f"{name}_margin")
        try:
            given |= {name: float(text)} if text else {}
        except ValueError as error:
            raise QueryError("A margin is a number.", field=f"{name}_margin") from error
    return Margins(**given)


def _margin(name: str, value: float) -> str:
    number = f"{100 * value:g}"
    points = "point" if number == "1" else "points"
    return f"{number}{formats.THIN}{'%' if name == 'p95' else points}"


def _margins(asking: Asking, chosen: Margins) -> Table:
    def option(name: str, place: int) -> Cell:
        value = _OFFERED[name][1][place]
        if value == getattr(chosen, name):
            return Cell(_margin(name, value), tone="good", sub="chosen")
        given = {f"{name}_margin": f"{value:g}"}
        return Cell(_margin(name, value), asking.view.narrowed_here(PATH, **given))

    def own(name: str) -> Cell:
        value = getattr(chosen, name)
        return Cell("" if value in _OFFERED[name][1] else _margin(name, value))

    heads: list[Head[str]] = [
        Head("Worse by at most", lambda name: _OFFERED[name][0], number=False),
        *(
            Head(label, lambda name, place=place: option(name, place))  # type: ignore[misc]
            for place, label in enumerate(("Strict", "Usual", "Wide", "Widest"))
        ),
        Head("Your own", own),
    ]
    return table(
        "margins", "Margins", "How much worse may a cheaper model be? A click chooses.",
        heads, list(_OFFERED), nothing="",
    )  # fmt: skip


def _models(one: AgentAdvice, place: int) -> Table:
    def criterion(name: str, candidate: Candidate) -> Cell:
        found = next(each for each in candidate.criteria if each.criterion == name)
        written = formats.duration if name == "p95" else formats.percent
        if found.worst is None or found.difference is None:
            return Cell(formats.NO_DATA if found.model is None else written(found.model))
        unit = f"{formats.THIN}{'%' if name == 'p95' else 'pts'}"
        worst = f"{100 * found.worst:+.1f}{unit}".replace("-", "\u2212")
        tone: Tone = {"not worse": "good", "worse": "bad"}.get(found.verdict, "warn")  # type: ignore[assignment]
        sub = f"today {written(found.today)}; at worst {worst}"
        return Cell(written(found.model), sub=sub, tone=tone)

    def saving(candidate: Candidate) -> Cell:
        if candidate.saving is None:
            return Cell(formats.NO_DATA)
        low, high = formats.money(candidate.saving_low), formats.money(candidate.saving_high)
        return Cell(formats.money(candidate.saving), sub=f"{low} to {high}")

    heads: list[Head[Candidate]] = [
        Head("Model", lambda c: c.model, number=False),
        Head("Advice", lambda c: Cell(c.advice, tone=_TONES.get(c.advice, "")), number=False),
        Head("Conversations", lambda c: formats.count(c.conversations)),
        Head("Resolution", lambda c: criterion("resolution", c), figure="resolution_ratio_high"),
        Head("CSAT", lambda c: criterion("satisfaction", c), figure="csat_top_ratio"),
        Head("95th percentile", lambda c: criterion("p95", c)),
        Head("Of a conversation", lambda c: formats.money(c.cost)),
        Head("Saves in 30 days", saving, figure="model_saving"),
        Head("In words", lambda c: c.said, number=False),
    ]
    cost = formats.money(one.cost)
    several = f" {one.mixed:,} conversations of several models tell of none." if one.mixed else ""
    return table(
        f"models-{place}", f"Models of {one.agent or '(no agent)'}",
        f"{one.said} Today: {one.today}, {formats.plural(one.conversations, 'conversation')},"
        f" {cost} each.{several}",
        heads, one.candidates, nothing=f"Every conversation was with {one.today}.", wide=True,
        more=[_CHANCE],
    )  # fmt: skip


def _losses(asking: Asking) -> Table:
    found = losses.losses(asking.store, asking.scope, asking.window, asking.filters)
    several = asking.scope.tenants is None or len(asking.scope.tenants) > 1

    def name(one: Loss) -> Cell:
        if one.kind == "intent":
            address = asking.view.narrowed("/conversations", intent=one.name)
            return Cell(one.name, address, sub="intent")
        return Cell(one.name, asking.view.at("/performance"), sub="tool that fails")

    def read(one: Loss) -> Cell:
        if not one.read:
            return Cell(formats.NO_DATA)
        newest = one.read[0]
        tenant = newest.tenant if several else None
        return Cell(
            newest.conversation_id, asking.view.conversation(newest.conversation_id, tenant)
        )

    heads: list[Head[Loss]] = [
        Head("What", name, number=False),
        Head(
            "Resolutions lost",
            lambda one: Cell(
                f"{one.lost:,.0f}", sub=f"{one.lost_low:,.0f} to {one.lost_high:,.0f}"
            ),
            figure="resolution_lost",
        ),
        Head("Points of all", lambda one: f"{100 * one.points:.1f}"),
        Head("Arithmetic", lambda one: one.said, number=False),
        Head("Read one", read, number=False),
    ]
    rest = f"{found.unclear:,} without a clear loss, {found.too_few:,} with too few conversations."
    return table(
        "fixes", "What to fix first",
        "Which intents and failing tools go along with the most resolutions lost? That is no proof"
        f" of a cause: hard questions are an intent, too. Beside these: {rest}",
        heads, found.items, nothing="No intent and no failing tool has a clear loss.",
        others=found.others, wide=True,
    )  # fmt: skip


def _to_write(asking: Asking) -> Table:
    title = "What to write next"
    question = (
        "Which questions that the bot does not know go along with the most handoffs? That is no"
        " proof of a cause: some questions are for a human."
    )

    def nothing(why: str) -> Table:
        return table("writing", title, question, heads, [], nothing=why)

    several = asking.scope.tenants is None or len(asking.scope.tenants) > 1

    def read(one: Unwritten) -> Cell:
        newest = one.read[0]
        tenant = newest.tenant if several else None
        return Cell(
            newest.conversation_id, asking.view.conversation(newest.conversation_id, tenant)
        )

    heads: list[Head[Unwritten]] = [
        Head("Question", lambda one: Cell(one.label, quoted=True), number=False),
        Head(
            "Handoffs more",
            lambda one: Cell(
                f"{one.lost:,.0f}",
                sub=f"{one.lost_low:,.0f} to {one.lost_high:,.0f}".replace("-", "\u2212"),
                tone="" if one.clear else "warn",
            ),
            figure="containment_lost",
        ),
        Head("Beyond chance", lambda one: "yes" if one.clear else "not sure", number=False),
        Head("Points of all", lambda one: f"{100 * one.points:.1f}"),
        Head("Arithmetic", lambda one: one.said, number=False),
        Head("Read one", read, number=False),
    ]
    if not asking.scope.allows(CONVERSATIONS_READ):
        return nothing(f"What people wrote needs a token with the scope {CONVERSATIONS_READ}.")
    try:
        found = to_write.to_write(asking.store, asking.scope, asking.window, asking.filters)
    except ConfigurationError as error:
        return nothing(str(error))
    rest = f"{found.free:,} that cost nothing, {found.too_few:,} with too few conversations."
    return table(
        "writing", title, f"{question} Beside these: {rest}", heads, found.items,
        nothing="No question that the bot does not know goes along with handoffs.", wide=True,
    )  # fmt: skip


def body(asking: Asking) -> Body:
    """What stands on the page of recommendations."""
    chosen = margins_of(asking)
    fixes = asking.store.submit(_losses, asking)
    writing = asking.store.submit(_to_write, asking)
    found = model_advice.model_advice(
        asking.store, asking.scope, asking.window, asking.filters, chosen
    )
    tables = [_models(one, place) for place, one in enumerate(found.items)]
    first = [fixes.result(), writing.result()]
    return Body(
        panels=[*first, *tables, *([_margins(asking, chosen)] if tables else [])],
        empty=not found.read and not any(one.rows for one in first),
    )


RECOMMENDATIONS: Final = Sheet(
    "recommendations",
    PATH,
    "Recommendations",
    "advice",
    "What should be done next, and what is that worth?",
    body,
)
