"""The page of settings: tokens, erasing, and what the figures mean. Forms that change something."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from starlette.requests import Request

from otel_chat.errors import AccessError, ConfigurationError, QueryError
from otel_chat.server.access import ADMIN, PERMISSIONS, Scope
from otel_chat.server.api.security import COOKIE, access_of, addressed, from_here
from otel_chat.server.erase import Eraser, limit_of
from otel_chat.server.figures.window import Window
from otel_chat.server.pages import formats
from otel_chat.server.pages.overview import meanings
from otel_chat.server.pages.tables import Cell, Head, Table, table
from otel_chat.server.questions import definitions, packs
from otel_chat.server.questions.unclaimed import Unclaimed, unclaimed_spans

if TYPE_CHECKING:
    from otel_chat.server.rules import Rules
    from otel_chat.server.store import Store
    from otel_chat.server.tokens import NewToken, Token

MEANT: Final = {
    "analytics:view": "sees figures, lists and traces; no text that anybody wrote",
    "conversations:read": "reads texts too: transcripts, comments, unanswered questions",
    "marks:write": "notes, tags and reviews conversations, draws samples, and saves views",
    "export:create": "downloads exports",
    "metrics:read": "reads /metrics, for Prometheus",
    "ingest:write": "sends telemetry and outcomes, for applications",
    "feedback:write": "sends feedback and nothing else, for browsers",
    "admin": "makes and revokes tokens, sets the rubric of reviews, and erases",
}
LIVES: Final = (("90", "90 days"), ("30", "30 days"), ("365", "A year"), ("", "For ever"))
_UNITS: Final = {"s": "seconds", "1": "share of 1", "USD": "US dollars", "By": "bytes"}


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a form.

    Args:
        text: In words.
        bad: Whether nothing was done.
        made: The token that was made, to show once.
    """

    text: str
    bad: bool = False
    made: NewToken | None = None


async def form_of(request: Request) -> dict[str, list[str]]:
    """The fields of a form of this site.

    Raises:
        AccessError: With status 403, if the form may stand on another site. Where no token is
            needed, nothing else would keep that site out.
    """
    if not from_here(request):
        raise AccessError("Another site may not change this.", status=403)
    return parse_qs((await request.body()).decode("utf-8", "replace"))


def reader_with(request: Request, permission: str) -> Scope:
    """The scope of a signed-in reader who holds a permission, for what a form changes.

    Raises:
        AccessError: With status 401 or 403, if the reader does not.
    """
    access = access_of(request)
    scope = access.authenticate(request.cookies.get(COOKIE), host=addressed(request))
    request.state.scope = scope
    scope.require(permission)
    return scope


def admin_of(request: Request) -> Scope:
    """The scope of a reader who may change settings.

    Raises:
        AccessError: With status 401 or 403, if the reader may not.
    """
    return reader_with(request, ADMIN)


def first_of(form: dict[str, list[str]], name: str) -> str:
    """What a field of a form holds; empty where it is not there.

    Example:
        >>> first_of({"id": [" 7 "]}, "id"), first_of({}, "id")
        ('7', '')
    """
    return form.get(name, [""])[0].strip()


def make_token(request: Request, scope: Scope, form: dict[str, list[str]]) -> Told:
    """Makes the token that a form asks for; its text is told this once."""
    tenants = [one.strip() for one in first_of(form, "tenants").split(",") if one.strip()]
    if not scope.covers(tenants):
        return Told("A token can reach no tenant that its maker does not.", bad=True)
    days = first_of(form, "days")
    try:
        life = timedelta(days=float(days)) if days else None
        made = access_of(request).tokens.create(
            first_of(form, "name"),
            scopes=form.get("scopes", []),
            tenants=tenants,
            expires_in=life,
            manageable=True,
        )
    except (ConfigurationError, ValueError, OverflowError) as error:
        return Told(str(error), bad=True)
    return Told(f"The token {made.name} is made. Copy it now: it is not shown again.", made=made)


def revoke_token(request: Request, scope: Scope, form: dict[str, list[str]]) -> Told:
    """Revokes the token that a form names."""
    tokens, wanted = access_of(request).tokens, first_of(form, "id")
    named = [one for one in tokens.list() if one.id == wanted and scope.covers(one.tenants)]
    if not named:
        return Told("There is no token of this id.", bad=True)
    try:
        revoked = tokens.revoke(wanted, manageable=True)
    except ConfigurationError as error:
        return Told(str(error), bad=True)
    return Told(f"The token {revoked.name} is revoked: it opens nothing any more.")


def erase(store: Store, scope: Scope, form: dict[str, list[str]]) -> Told:
    """Erases what a form names, for good."""
    kind, named = first_of(form, "kind"), first_of(form, "named")
    if first_of(form, "sure") != "yes":
        return Told("Nothing was erased: say that you are sure, for it cannot be undone.", bad=True)
    if not named:
        return Told("Nothing was erased: name what to erase.", bad=True)
    eraser = Eraser(store, scope, first_of(form, "tenant") or None)
    if kind == "conversation":
        done = eraser.conversation(named)
    elif kind == "user":
        done = eraser.user(named)
    else:
        try:
            moment = limit_of(named)
        except QueryError as error:
            return Told(f"Nothing was erased: {error}", bad=True)
        done = eraser.before(moment)
    if not (done.turns or done.spans or done.events):
        return Told("Nothing was erased: there is nothing of this.", bad=True)
    counts = ", ".join(
        formats.plural(number, noun)
        for number, noun in ((done.turns, "turn"), (done.spans, "span"), (done.events, "event"))
    )
    return Told(f"Erased for good: {counts}.")


@dataclass(frozen=True, slots=True)
class Known:
    """A token in the list.

    Args:
        token: The token.
        state: Whether it opens anything.
        active: The same, for a machine.
    """

    token: Token
    state: str
    active: bool


def tokens(request: Request, scope: Scope, now: datetime) -> list[Known]:
    """The tokens that a reader manages, the newest first."""
    found = [one for one in access_of(request).tokens.list() if scope.covers(one.tenants)]
    return [Known(one, _state(one, now), one.active(now)) for one in reversed(found)]


def _state(token: Token, now: datetime) -> str:
    if token.revoked_at is not None:
        return f"revoked {formats.when(token.revoked_at, zone=True)}"
    if token.expires_at is None:
        return "for ever"
    expired = token.expires_at <= now
    return f"{'expired' if expired else 'until'} {formats.when(token.expires_at, zone=True)}"


def open_to_all(request: Request) -> bool:
    """Whether no token was ever made, so that none is asked for."""
    return not access_of(request).tokens.exist()


def tenants(scope: Scope) -> str:
    """The tenants that a new token reaches unless its maker says otherwise."""
    return "*" if scope.tenants is None else ", ".join(sorted(scope.tenants))


def meaning_of_figures(rules: Rules) -> Table:
    """Every figure with its unit and its definition, by the rules that the server goes by."""
    found = definitions.definitions(rules)
    heads: list[Head[definitions.Definition]] = [
        Head("Figure", lambda d: Cell(meanings(d.name)[0][0]), number=False),
        Head("Counted in", lambda d: _UNITS.get(d.unit, d.unit.strip("{}")), number=False),
        Head("What it means", lambda d: d.definition, number=False),
        Head("In the API", lambda d: d.name, number=False),
    ]
    return table(
        "definitions",
        "What the figures mean",
        "The same words stand beside each figure on the pages and in the API. The threshold of"
        f" confidence is {rules.low_confidence:g}.",
        heads,
        found.items,
        nothing="",
        wide=True,
        shown=len(found.items),
    )


def unclaimed(store: Store, scope: Scope) -> Table:
    """What other libraries sent in the last day that became part of no turn."""
    found = unclaimed_spans(store, scope, Window.last("24h"))
    heads: list[Head[Unclaimed]] = [
        Head("Instrumentation", lambda one: Cell(one.instrumentation, tag=True), number=False),
        Head("Why", lambda one: one.reason, number=False),
        Head("What to do", lambda one: one.fix, number=False),
        Head("Spans", lambda one: formats.count(one.spans)),
        Head("Traces", lambda one: formats.count(one.traces)),
    ]
    return table(
        "unclaimed",
        "Spans that became part of no turn",
        "What agents and models sent in the last 24 hours that stands in no figure, and why.",
        heads,
        found.items,
        nothing="Every span of an agent or a model is part of a turn.",
        wide=True,
    )


def packs_of_rules() -> Table:
    """The definition packs: the figures of each with its rule, and where they are asked for."""
    rows = [(pack, rule) for pack in packs.PACKS.values() for rule in pack.rules]
    heads: list[Head[tuple[packs.Pack, packs.Rule]]] = [
        Head(
            "Product",
            lambda row: Cell(row[0].product, f"/api/v1/definitions/packs/{row[0].name}"),
            number=False,
        ),
        Head("Figure", lambda row: row[1].name, number=False),
        Head("Its rule", lambda row: row[1].rule, number=False),
        Head("Our nearest", lambda row: row[1].ours or "none", number=False),
    ]
    return table(
        "packs",
        "Definition packs",
        "The same conversations by the rules that other products publish. They are part of the"
        " server, nothing needs to be set; a product leads to its figures in the API.",
        heads,
        rows,
        nothing="",
        wide=True,
        more=[
            (pack.product, " ".join(("After", ", ".join(pack.sources) + ".", *pack.missing)))
            for pack in packs.PACKS.values()
        ],
    )


def permissions() -> list[tuple[str, str]]:
    """What a token may be allowed, with what that means."""
    return [(name, MEANT.get(name, "")) for name in PERMISSIONS]
