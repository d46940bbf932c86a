"""The pages of review: what to read, the queue with its rubric, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends, Query, Request, Response
from pydantic import ValidationError
from starlette.responses import HTMLResponse, RedirectResponse

from otel_chat import semconv
from otel_chat._common.wrong_input import in_words
from otel_chat.errors import QueryError
from otel_chat.server import patterns
from otel_chat.server import reviews as keeping
from otel_chat.server.access import ADMIN, EXPORT_CREATE, MARKS_WRITE, Scope
from otel_chat.server.api.parameters import (
    FiltersParameter,
    NowParameter,
    StoreParameter,
    TenantParameter,
    Viewer,
)
from otel_chat.server.api.security import own_router
from otel_chat.server.figures.intervals import wilson
from otel_chat.server.pages import conversation as transcript
from otel_chat.server.pages import formats, periods
from otel_chat.server.pages.administration import admin_of, first_of, form_of, reader_with
from otel_chat.server.pages.errors import PageRoute
from otel_chat.server.pages.links import LIST, QUEUE, REVIEW, TIMES, View, written
from otel_chat.server.pages.render import page
from otel_chat.server.pages.showing import outlined, sees_several, shown
from otel_chat.server.pages.tables import Cell, Head, Table, rate, table
from otel_chat.server.questions import choices
from otel_chat.server.questions.conversation import conversation
from otel_chat.server.questions.presets import PRESETS, count_presets
from otel_chat.server.questions.reviews import (
    Agreement,
    OutcomeCell,
    ReviewResults,
    ScoreResult,
    Share,
    review_results,
)
from otel_chat.server.questions.rubric import Rubric, Score, rubric, verdict_of
from otel_chat.server.questions.samples import Queue, Sample, queue, samples

if TYPE_CHECKING:
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.window import Window
    from otel_chat.server.store import Store

router = own_router(
    prefix="", route_class=PageRoute, include_in_schema=False, default_response_class=HTMLResponse
)

RUBRIC: Final = f"{REVIEW}/rubric"
OUTCOMES: Final = {
    ("resolved", True): "Resolved, confirmed",
    ("resolved", False): "Resolved, assumed",
    ("handed_off", False): "Handed off",
    ("abandoned", False): "Abandoned",
    ("failed", False): "Failed",
    ("open", False): "Open",
}
KAPPA: Final = (
    "Cohen's kappa: 1 is full agreement, 0 what chance alone would make. Of scores of numbers with"
    " quadratic weights: 4 against 5 differs less than 1 against 5."
)
_TAKEN: Final = "jksxr"
"""Keys that mean something else on the page."""


def _marker(request: Request) -> Scope:
    return reader_with(request, MARKS_WRITE)


Form = Annotated[dict[str, list[str]], Depends(form_of)]
Marker = Annotated[Scope, Depends(_marker)]
Manager = Annotated[Scope, Depends(admin_of)]
NamedConversation = Annotated[str | None, Query(alias="id", max_length=1000)]


# What to read, and what was found


@dataclass(frozen=True, slots=True)
class SampleRow:
    """A sample in the list.

    Args:
        sample: The sample.
        found: What was found so far, in words; empty where nothing was.
        results: Where all of it stands.
        queue: Where it is read on.
    """

    sample: Sample
    found: str
    results: str
    queue: str


def told_rate(name: str, value: str, part: int, whole: int) -> str:
    """A rate in words, with how far the truth may lie from it.

    Example:
        >>> told_rate("resolved", "yes", 85, 120).replace("\u202f", " ")
        'resolved: yes 71 % ± 9'
    """
    found = wilson(part, whole)
    if found is None:
        return ""
    within = max(part / whole - found.low, found.high - part / whole)
    return f"{name}: {value} {formats.percent(part / whole)} ± {100 * within:.0f}"


def _sample_rows(store: Store, scope: Scope) -> list[SampleRow]:
    found = samples(store, scope).items
    asked = {
        one: rubric(store, scope, one).rubric.scores[0] for one in {one.tenant for one in found}
    }
    rows = []
    for one in found:
        first = asked[one.tenant]
        value = first.values[0]
        counts = one.verdicts.get(first.verdict(value), 0), one.given.get(first.name, 0)
        bare = View(REVIEW, (("sample", one.name),))
        told = told_rate(first.name, value, *counts)
        rows.append(SampleRow(one, told, bare.at(REVIEW), bare.at(QUEUE)))
    return rows


def _to_read(store: Store, scope: Scope, window: Window, filters: Filters, view: View) -> list[Any]:
    """The presets as queues: what nobody reviewed, with how many there are."""
    counts = count_presets(store, scope, window, filters, {"reviewed": "false"})
    bare = view.without_values(*(name for one in PRESETS for name in one.parameters))
    return [
        (one.label, bare.narrowed(QUEUE, **{**one.parameters, "reviewed": "false"}), count)
        for one, count in zip(PRESETS, counts, strict=True)
    ]


@router.get(REVIEW)
def review_page(
    request: Request,
    store: StoreParameter,
    scope: Viewer,
    window: periods.WindowParameter,
    filters: FiltersParameter,
) -> Response:
    """What there is to read, random samples, and what reviewers found."""
    return _review_page(request, store, scope, window, filters)


def _review_page(
    request: Request,
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    told: str = "",
) -> Response:
    view = View.of(REVIEW, request.query_params)
    found = review_results(store, scope, window, filters)
    within = _view_of(found, view)
    return page(
        request,
        "review.html",
        "review",
        status=422 if told else 200,
        told=told,
        view=view,
        window=window,
        filters=filters,
        choices=choices.choices(store, scope, window),
        to_read=_to_read(store, scope, window, filters, view),
        queue_here=view.at(QUEUE),
        samples=_sample_rows(store, scope),
        found=found,
        sentence=_sentence(found),
        tables=_tables(found, within) if found.conversations else [],
        reviewed=within.narrowed(LIST, reviewer=list(found.reviewers)),
        people=[
            (name, count, within.narrowed(LIST, reviewer=name))
            for name, count in found.reviewers.items()
        ],
        download=within.narrowed("/api/v1/exports/reviews", format="csv", bom="true"),
        rubric=rubric(store, scope, found.sample.tenant if found.sample else None),
        rubric_address=RUBRIC,
        usual_size=keeping.USUAL_SIZE,
        largest=keeping.LARGEST,
        largest_seed=keeping.LARGEST_SEED,
        may_mark=scope.allows(MARKS_WRITE),
        may_change=scope.allows(ADMIN),
        may_export=scope.allows(EXPORT_CREATE),
    )


def _view_of(found: ReviewResults, view: View) -> View:
    """The view that the lists behind the results have: a sample's own time, where it is one."""
    if found.sample is None:
        return view
    span = found.window
    times = (("from", written(span.start)), ("to", written(span.end)))
    return View(REVIEW, (*times, ("sample", found.sample.name)))


def _sentence(found: ReviewResults) -> str:
    """What a sample says, in one sentence; empty where it says nothing yet."""
    if not found.rated:
        return ""
    drawn, first = found.sample, found.scores[0]
    if drawn is None or not first.rated:
        return ""
    value = first.values[0].value
    part = drawn.verdicts.get(verdict_of(first.name, value), 0)
    told = told_rate(first.name, value, part, first.rated)
    return f"{told[:1].upper()}{told[1:]} by {formats.count(first.rated)} reviewed"


def _tables(found: ReviewResults, view: View) -> list[Table]:
    made = [_score_table(one, view) for one in found.scores if one.conversations]
    if found.labels:
        made.append(_label_table(found.labels, view, rated=bool(found.rated)))
    if found.outcomes:
        made.append(_outcome_table(found.scores[0], found.outcomes, view))
    made.append(_agreement_table(found.agreement))
    return made


def _score_table(one: ScoreResult, view: View) -> Table:
    def opened(share: Share) -> Cell:
        href = view.narrowed(LIST, verdict=verdict_of(one.name, share.value))
        return Cell(formats.count(share.conversations), href, counts=share.conversations)

    heads: list[Head[Share]] = [
        Head("Verdict", lambda share: Cell(share.value, tag=True), number=False),
        Head("Conversations", opened),
    ]
    if one.rated:
        heads += [
            Head("Rate", lambda share: rate(share.rate)),
            Head("95 % within", lambda share: formats.between(share.low, share.high)),
        ]
    differ = f" On {one.differ} the reviewers differ." if one.differ else ""
    mean = ""
    if one.mean is not None:
        mean = f" On average {one.mean:.1f}"
        if one.mean_low is not None and one.mean_high is not None:
            mean += f" ({one.mean_low:.1f} to {one.mean_high:.1f})"
        mean += "."
    return table(
        f"score-{one.name}",
        f"{one.name[:1].upper()}{one.name[1:]}",
        f"Over {formats.plural(one.conversations, 'conversation')}.{mean}{differ}",
        heads,
        one.values,
        nothing="",
    )


def _label_table(labels: Sequence[Share], view: View, *, rated: bool) -> Table:
    def opened(share: Share) -> Cell:
        href = view.narrowed(LIST, label=share.value)
        return Cell(formats.count(share.conversations), href, counts=share.conversations)

    heads: list[Head[Share]] = [
        Head("Label", lambda share: Cell(share.value, tag=True), number=False),
        Head("Conversations", opened),
    ]
    if rated:
        heads.append(Head("Rate", lambda share: rate(share.rate)))
    question = "What reviewers labelled conversations with; one may have several."
    return table("labels", "Labels", question, heads, labels, nothing="")


def _outcome_table(first: ScoreResult, cells: Sequence[OutcomeCell], view: View) -> Table:
    """How the first score stands to the outcomes: no verdict changes one."""
    counts = {(one.outcome, one.confirmed, one.value): one.conversations for one in cells}
    rows = [key for key in OUTCOMES if any(found[:2] == key for found in counts)]

    def column(value: str) -> Head[tuple[str, bool]]:
        def cell(row: tuple[str, bool]) -> Cell:
            outcome, confirmed = row
            count = counts.get((outcome, confirmed, value), 0)
            own = {"confirmed": str(confirmed).lower()} if outcome == "resolved" else {}
            verdict = verdict_of(first.name, value)
            href = view.narrowed(LIST, outcome=outcome, verdict=verdict, **own)
            return Cell(formats.count(count), href, counts=count)

        return Head(value, cell)

    heads: list[Head[tuple[str, bool]]] = [
        Head("Outcome", lambda row: OUTCOMES[row], number=False),
        *(column(share.value) for share in first.values),
    ]
    return table(
        "outcomes",
        f"Outcome and {first.name}",
        "The outcome is what was measured, the verdict what was read. Neither changes the other.",
        heads,
        rows,
        nothing="",
    )


def _agreement_table(found: Sequence[Agreement]) -> Table:
    heads: list[Head[Agreement]] = [
        Head("Score", lambda one: one.score, number=False),
        Head("Reviewers", lambda one: f"{one.first}, {one.second}", number=False),
        Head("Both read", lambda one: formats.count(one.conversations)),
        Head("Same", lambda one: formats.count(one.same)),
        Head("Kappa", lambda one: formats.NO_DATA if one.kappa is None else f"{one.kappa:.2f}"),
    ]
    return table(
        "agreement",
        "Agreement",
        "How far two reviewers of the same conversations agree beyond chance.",
        heads,
        found,
        nothing="No two reviewers read the same conversation yet. Two who read one sample tell how"
        " far the rubric is understood alike.",
        more=[
            ("Kappa", KAPPA),
        ],
    )


@router.post(f"{REVIEW}/samples")
def draw_sample(
    request: Request,
    store: StoreParameter,
    scope: Marker,
    window: periods.WindowParameter,
    filters: FiltersParameter,
    form: Form,
) -> Response:
    """Draws a random sample of what the address limits to, and begins to read it."""
    given = {name: first_of(form, name) for name in ("name", "size", "seed")}
    try:
        wanted = keeping.SampleWish.model_validate({k: v for k, v in given.items() if v})
        drawn = keeping.draw_sample(store, scope, window, filters, wanted)
    except ValidationError as error:
        (first, *_) = error.errors()
        told = f"{first['loc'][0]}: {in_words(first, patterns.WORDS)}."
        return _review_page(request, store, scope, window, filters, told)
    except QueryError as error:
        return _review_page(request, store, scope, window, filters, str(error))
    address = View(REVIEW, (("sample", drawn.name),)).at(QUEUE)
    return RedirectResponse(address, status_code=303)


@router.post(f"{REVIEW}/samples/forget")
def drop_sample(store: StoreParameter, scope: Marker, form: Form) -> Response:
    """Forgets a sample; what was said of its conversations stays."""
    keeping.drop_sample(store, scope, first_of(form, "name"), first_of(form, "tenant") or None)
    return RedirectResponse(REVIEW, status_code=303)


@router.get(f"{REVIEW}/samples")
@router.get(f"{REVIEW}/samples/forget")
def back_to_review() -> Response:
    """Leads back whoever reloads the address that a form was sent to."""
    return RedirectResponse(REVIEW, status_code=303)


# The queue


@dataclass(frozen=True, slots=True)
class Asked:
    """A score as it is asked for.

    Args:
        score: The score.
        values: Its values, each with the key that chooses it; empty for none.
    """

    score: Score
    values: Sequence[tuple[str, str]]


def keyed(asked: Rubric) -> list[Asked]:
    """The scores of a rubric with a key for each value, as far as there are keys.

    Example:
        >>> usual = Rubric(scores=[Score(name="resolved", values=["yes", "no", "not sure"])])
        >>> keyed(usual)[0].values
        [('yes', 'y'), ('no', 'n'), ('not sure', 'o')]
    """
    taken, made = set(_TAKEN), []
    for score in asked.scores:
        values = []
        for value in score.values:
            letters = [one for one in value.lower() if one.isascii() and one.isalnum()]
            if score.numbers:
                letters = letters if len(value) == 1 else []
            key = next((one for one in letters if one not in taken), "")
            taken.add(key)
            values.append((value, key))
        made.append(Asked(score, values))
    return made


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of a queue."""

    store: StoreParameter
    now: NowParameter
    window: periods.WindowParameter
    filters: FiltersParameter
    conversation_id: NamedConversation = None
    tenant: TenantParameter = None


ReadingParameter = Annotated[Reading, Depends(Reading)]


def _queue_address(view: View, item: Any, *, several: bool) -> str:
    return view.reviewing(item.conversation_id, item.tenant if several else None)


def _of_queue(view: View, there: Queue) -> str:
    """What a queue is of, in words."""
    if there.sample is not None:
        return f"Random sample: {there.sample.name}"
    params = {name: view.value(name) for name in dict(view.parameters)}
    label = next(
        (
            one.label
            for one in PRESETS
            if one.parameters.items() <= params.items() and one.label != "To review"
        ),
        "",
    )
    return label or "Conversations"


@router.get(QUEUE)
def queue_page(request: Request, scope: Viewer, reading: ReadingParameter) -> Response:
    """A conversation of the queue, with the rubric beside it; without an id the first to do."""
    view = View.of(QUEUE, request.query_params)
    store = reading.store
    there = queue(store, scope, reading.window, reading.filters)
    several = sees_several(scope)
    if reading.conversation_id is None:
        if there.to_do is not None:
            address = _queue_address(view, there.to_do, several=several)
            return RedirectResponse(address, status_code=303)
        return page(
            request,
            "review_done.html",
            "review",
            view=view,
            of=_of_queue(view, there),
            there=there,
            results=_results(view, there),
        )
    found = conversation(store, scope, reading.now, reading.conversation_id, reading.tenant)
    key = (found.summary.tenant, found.summary.conversation_id)
    before, after = there.around(key)
    context = shown(request, store, scope, found, None)
    context |= outlined(request, store, scope, reading.now, found)
    own = next((one for one in context["reviews"] if one.reviewer == scope.who), None)
    if own is None:
        context["shown"] = _blind(context["shown"])
    return page(
        request,
        "review_queue.html",
        "review",
        **{
            **context,
            "view": view,
            "open_address": View.of(LIST, request.query_params).conversation(
                key[1], key[0] if several else None
            ),
            "facts": transcript.facts(found.summary),
            "asked": keyed(asked := rubric(store, scope, key[0]).rubric),
            "labels": asked.labels,
            "own": own,
            "others": [one for one in context["reviews"] if one is not own],
            "of": _of_queue(view, there),
            "there": there,
            "place": next((n for n, one in enumerate(there.items, 1) if one.key == key), None),
            "done": sum(one.done for one in there.items),
            "before": before and _queue_address(view, before, several=several),
            "after": after and _queue_address(view, after, several=several),
            "here_address": view.reviewing(key[1], key[0] if several else None),
            "results": _results(view, there),
            "permission": MARKS_WRITE,
        },
    )


def _blind(seen: transcript.ConversationView) -> transcript.ConversationView:
    """A conversation without what was told of its end: a reviewer is to make up their own mind."""
    outside = [one for one in seen.outside if one.event.name != semconv.EVENT_CONVERSATION_END]
    turns = [
        replace(
            turn,
            events=[one for one in turn.events if one.event.name != semconv.EVENT_CONVERSATION_END],
        )
        for turn in seen.turns
    ]
    return transcript.ConversationView(turns, outside)


def _results(view: View, there: Queue) -> str:
    """Where the results of what is read stand."""
    if there.sample is not None:
        return View(REVIEW, (("sample", there.sample.name),)).at(REVIEW)
    return View(REVIEW, tuple(pair for pair in view.parameters if pair[0] in TIMES)).at(REVIEW)


@router.post(QUEUE)
def keep_review(request: Request, scope: Marker, reading: ReadingParameter, form: Form) -> Response:
    """Keeps what a reviewer says, and goes on to what is to be done next."""
    view = View.of(QUEUE, request.query_params)
    scores = {
        name.removeprefix("score:"): values[-1]
        for name, values in form.items()
        if name.startswith("score:") and values[-1]
    }
    given = keeping.GivenReview(
        scores=scores,
        labels=form.get("label", []),
        # A form without the field says nothing of it; an emptied one is not sent with it.
        comment=first_of(form, "comment") if "commented" in form else None,
    )
    store, named = reading.store, reading.conversation_id or ""
    review = keeping.keep_review(store, scope, reading.now, named, given, reading.tenant)
    there = queue(store, scope, reading.window, reading.filters)
    _, after = there.around((review.tenant, review.conversation_id))
    address = view.at(QUEUE)
    if after is not None:
        address = _queue_address(view, after, several=sees_several(scope))
    return RedirectResponse(address, status_code=303)


# The rubric


def lines(asked: Rubric) -> str:
    """The scores of a rubric as they are written: one to a line.

    Example:
        >>> lines(Rubric(scores=[Score(name="resolved", values=["yes", "no"])]))
        'resolved: yes, no'
    """
    return "\n".join(f"{one.name}: {', '.join(one.values)}" for one in asked.scores)


def read_rubric(scores: str, labels: str) -> Rubric:
    """The rubric that a form holds.

    Raises:
        QueryError: If it is none; names the line.

    Example:
        >>> read_rubric("resolved: yes, no", "tone").scores[0].values
        ['yes', 'no']
    """
    made = []
    for line in filter(None, map(str.strip, scores.splitlines())):
        name, there, values = line.partition(":")
        if not there:
            message = f"{line[:60]!r} has no values: write it as 'resolved: yes, no'."
            raise QueryError(message, field="scores")
        made.append({"name": name, "values": [one for one in values.split(",") if one.strip()]})
    words = [line.strip() for line in labels.splitlines() if line.strip()]
    try:
        return Rubric.model_validate({"scores": made, "labels": words})
    except ValidationError as error:
        (first, *_) = error.errors()
        at = [part for part in first["loc"] if isinstance(part, int)]
        of = f" {made[at[0]]['name']!r}" if first["loc"][:1] == ("scores",) and at else ""
        what = first["loc"][0] if first["loc"] else "rubric"
        message = f"{what}{of}: {in_words(first, patterns.WORDS)}."
        raise QueryError(message, field=str(what)) from None


@router.get(RUBRIC)
def rubric_page(
    request: Request, store: StoreParameter, scope: Viewer, tenant: TenantParameter = None
) -> Response:
    """What reviewers are asked, to change for whoever may."""
    kept = rubric(store, scope, tenant)
    return _rubric_page(request, scope, kept.tenant, lines(kept.rubric), kept.rubric.labels)


def _rubric_page(
    request: Request,
    scope: Scope,
    tenant: str,
    scores: str,
    labels: Sequence[str],
    told: str = "",
) -> Response:
    return page(
        request,
        "rubric.html",
        "review",
        status=422 if told else 200,
        tenant=tenant,
        scores=scores,
        labels="\n".join(labels),
        told=told,
        may_change=scope.allows(ADMIN),
        permission=ADMIN,
        several=sees_several(scope),
    )


@router.post(RUBRIC)
def change_rubric(request: Request, store: StoreParameter, scope: Manager, form: Form) -> Response:
    """Sets what reviewers are asked."""
    scores, labels, tenant = (first_of(form, name) for name in ("scores", "labels", "tenant"))
    try:
        keeping.set_rubric(store, scope, read_rubric(scores, labels), tenant or None)
    except QueryError as error:
        return _rubric_page(request, scope, tenant, scores, labels.splitlines(), str(error))
    return RedirectResponse(REVIEW, status_code=303)
