"""What reviewers say of conversations: of one, and of many, with how far they agree.

A verdict stands beside the outcome and never changes it. Only a random sample tells a rate: what
was picked for review in another way is no picture of the rest.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.server.figures import content
from otel_chat.server.figures.agreement import kappa
from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.conversation_rows import KEY, Selection, among, conversation_rows
from otel_chat.server.figures.intervals import Sample as Values
from otel_chat.server.figures.intervals import mean_interval, wilson
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query, moment, nanos
from otel_chat.server.figures.verdicts import BETWEEN, agreed
from otel_chat.server.questions.conversation import find
from otel_chat.server.questions.rubric import rubric
from otel_chat.server.questions.samples import Sample, in_order, sample_of, window_of_sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.window import Window
    from otel_chat.server.questions.rubric import Rubric
    from otel_chat.server.store import Store

MOST: Final = 1000
MOST_PAIRS: Final = 20
NO_RATE: Final = (
    "No rate: these conversations were picked, not drawn at random, and say nothing of the rest."
    " Draw a random sample for one."
)
NOT_YET: Final = (
    "No rate yet: the first of the sample in the order it was drawn is not reviewed, and those that"
    " were may have been picked."
)
_SCORE: Final = f"splitByString('{BETWEEN}', verdict)[1]"
_VALUE: Final = f"substring(verdict, length(score) + {len(BETWEEN) + 1})"

Key = tuple[str, str]


class Review(Answer):
    """What a reviewer says of a conversation."""

    conversation_id: str
    tenant: str
    reviewer: str = Field(description="The token's name; `no token` where none is needed.")
    scores: dict[str, str] = Field(description="Values by the names of scores.")
    labels: list[str]
    comment: str | None = Field(
        None,
        description="Null where there is none, or where the token lacks conversations:read.",
    )
    reviewed_at: datetime = Field(description="UTC.")


class Reviews(Answer):
    """What reviewers say, whoever did so last first."""

    items: list[Review] = Field(description=f"At most {MOST}.")


class Verdict(Answer):
    """What the reviewers of a conversation say together."""

    verdicts: list[str] = Field(description="What more than half of those say who gave the score.")
    labels: list[str]
    reviewers: list[str]


def _read(scope: Scope, row: dict[str, Any]) -> Review:
    return Review(
        conversation_id=row["conversation_id"],
        tenant=row["tenant"],
        reviewer=row["reviewer"],
        scores=dict(verdict.split(BETWEEN, 1) for verdict in row["verdicts"]),
        labels=row["labels"],
        comment=content.said(scope, row["comment"]),
        reviewed_at=moment(row["reviewed_ns"]),
    )


@query()
def reviews_of(
    store: Store,
    scope: Scope,
    window: Window,  # noqa: ARG001
    conversation_id: str,
    tenant: str | None = None,
) -> Reviews:
    """What reviewers say of a conversation.

    Args:
        store: The store to ask.
        scope: What the caller may see; comments only with conversations:read.
        window: When it is asked about; a conversation of any time is found.
        conversation_id: Its id.
        tenant: Its tenant, where several of the scope's tenants have one of this id.

    Raises:
        AccessError: With status 404, if the scope has no conversation of this id.
    """
    key = find(store, scope, conversation_id, tenant).key
    return reviews_by_key(store, scope, [key])


@query()
def reviews_by_key(store: Store, scope: Scope, keys: Sequence[Key]) -> Reviews:
    """What reviewers say of some conversations.

    Args:
        store: The store to ask.
        scope: What the caller may see; comments only with conversations:read.
        keys: Their tenants and ids.
    """
    statement = Query(store, scope)
    read = (
        "tenant", "conversation_id", "reviewer", "verdicts", "labels", "comment", "reviewed_at",
    )  # fmt: skip
    source = statement.table("reviews", read, ["NOT dropped", *among(statement, keys)])
    rows = statement.run(f"""
        SELECT *, {nanos("reviewed_at")} AS reviewed_ns FROM {source} AS r
        ORDER BY reviewed_ns DESC, {KEY}, reviewer LIMIT {MOST}
    """)  # noqa: S608
    return Reviews(items=[_read(scope, row) for row in rows])


@query()
def verdicts(store: Store, scope: Scope, keys: Sequence[Key]) -> dict[Key, Verdict]:
    """What the reviewers of some conversations say together; nothing where nobody did.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        keys: Their tenants and ids.
    """
    if not keys:
        return {}
    statement = Query(store, scope)
    source = agreed(statement, among(statement, keys))
    rows = statement.run(f"SELECT {KEY}, verdicts, labels, reviewers FROM {source} AS g")  # noqa: S608
    return {
        (row["tenant"], row["conversation_id"]): Verdict(
            verdicts=row["verdicts"], labels=row["labels"], reviewers=row["reviewers"]
        )
        for row in rows
    }


class Share(Answer):
    """How often something was said, and the rate where a random sample tells one."""

    value: str
    conversations: int
    rate: float | None = Field(
        None, description="Share of those that rates are told of; null without a random sample."
    )
    low: float | None = Field(None, description="Wilson's 95 % interval of the rate.")
    high: float | None = None


class ScoreResult(Answer):
    """What was said of a score."""

    name: str
    conversations: int = Field(description="Conversations for which anybody gave it.")
    rated: int = Field(description="Those of them that its rates are told of.")
    values: list[Share] = Field(description="In the rubric's order.")
    differ: int = Field(description="Those for which no value has more than half of the reviewers.")
    mean: float | None = Field(
        None,
        description="Of a score of numbers, the mean over conversations of their reviewers' mean;"
        " null without a random sample.",
    )
    mean_low: float | None = Field(None, description="Student's 95 % interval of the mean.")
    mean_high: float | None = None


class Agreement(Answer):
    """How far two reviewers agree on a score."""

    first: str
    second: str
    score: str
    conversations: int = Field(description="Those for which both gave it.")
    same: int = Field(description="Those for which both gave the same value.")
    kappa: float | None = Field(
        description="Cohen's kappa, of numbers with quadratic weights: 1 is full agreement, 0 what"
        " chance alone would make; null where both always gave one and the same value."
    )


class OutcomeCell(Answer):
    """Conversations of an outcome and a verdict."""

    outcome: str
    confirmed: bool
    value: str
    conversations: int


class ReviewResults(Answer):
    """What reviewers say of the conversations of a window, or of a random sample."""

    window: TimeSpan
    sample: Sample | None = Field(
        description="The sample, where the filters limit to one and to nothing else."
    )
    no_rate: str | None = Field(description="Why there is no rate; null where there is one.")
    rated: int = Field(
        description="Conversations that rates are told of: those of the sample that were reviewed"
        " in the order they were drawn, without a gap."
    )
    conversations: int = Field(description="Conversations that somebody reviewed.")
    reviewers: dict[str, int] = Field(description="How many each of them did.")
    scores: list[ScoreResult]
    labels: list[Share] = Field(description="The most frequent first.")
    outcomes: list[OutcomeCell] = Field(
        description="How the first score stands to the outcome, which no verdict changes."
    )
    agreement: list[Agreement] = Field(description=f"At most {MOST_PAIRS}, the most common first.")


def share(value: str, conversations: int, part: int, whole: int) -> Share:
    """How often something was said.

    Args:
        value: What.
        conversations: Of how many conversations.
        part: Of how many of those that rates are told of.
        whole: How many these are.
    """
    found = wilson(part, whole)
    if found is None:
        return Share(value=value, conversations=conversations)
    rate = part / whole
    return Share(
        value=value, conversations=conversations, rate=rate, low=found.low, high=found.high
    )


@query()
def review_results(store: Store, scope: Scope, window: Window, filters: Filters) -> ReviewResults:
    """What reviewers say of the conversations that began in the window, or of a random sample.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The conversations to take; a sample has its own.
        filters: What they are limited to; a rate is told where that is one sample and no more.
    """
    drawn = sample_of(store, scope, filters)
    asked = window if drawn is None else window_of_sample(window, drawn)
    statement = Query(store, scope)
    rows = conversation_rows(statement, Selection(asked, filters), "outcome", "confirmed")
    told = in_order(statement, drawn)
    source = f"""(
        SELECT *, {told} AS told FROM {agreed(statement)} AS g JOIN {rows} AS c USING ({KEY})
    )"""  # noqa: S608
    paired = store.submit(_pairs, statement.again(), asked, filters)
    given = statement.run(_given_sql(source))
    said = statement.run(f"""
        SELECT verdict, outcome, confirmed, count() AS found, countIf(told) AS told
        FROM {source} AS s
        ARRAY JOIN verdicts AS verdict GROUP BY verdict, outcome, confirmed
    """)  # noqa: S608
    (whole,) = statement.run(f"""
        SELECT count() AS found, sumMap(reviewers, arrayMap(x -> 1, reviewers)) AS people,
            sumMap(labels, arrayMap(x -> 1, labels)) AS all_labels,
            sumMapIf(labels, arrayMap(x -> 1, labels), told) AS told_labels
        FROM {source} AS s
    """)  # noqa: S608
    known = rubric(store, scope, None if drawn is None else drawn.tenant).rubric
    people = dict(zip(*whole["people"], strict=True))
    labelled, of_them = (
        dict(zip(*whole[name], strict=True)) for name in ("all_labels", "told_labels")
    )
    rated = 0 if drawn is None else drawn.in_order
    return ReviewResults(
        window=TimeSpan.of(asked),
        sample=drawn,
        no_rate=NO_RATE if drawn is None else None if rated else NOT_YET,
        rated=rated,
        conversations=whole["found"],
        reviewers=dict(sorted(people.items(), key=lambda one: (-one[1], one[0]))),
        scores=_scores(known, given, said),
        labels=[
            share(label, labelled[label], of_them.get(label, 0), rated)
            for label in sorted(labelled, key=lambda one: (-labelled[one], one))
        ],
        outcomes=_outcomes(known, said),
        agreement=_agreement(known, paired.result()),
    )


def _given_sql(source: str) -> str:
    """SQL for how many conversations have each score, and for their means where it is a number."""
    numbers = (
        f"arrayAvg(arrayMap(v -> toFloat64OrZero(substring(v, length(score) + {len(BETWEEN) + 1})),"
        f" arrayFilter(v -> startsWith(v, concat(score, '{BETWEEN}')), said)))"
    )
    names = f"arrayDistinct(arrayMap(v -> splitByString('{BETWEEN}', v)[1], said))"
    return f"""
        SELECT score, count() AS found, countIf(told) AS rated,
            avgIf({numbers}, told) AS mean, varSampIf({numbers}, told) AS variance
        FROM (SELECT said, told, arrayJoin({names}) AS score FROM {source} AS s) AS n
        GROUP BY score
    """  # noqa: S608


def _pairs(statement: Query, window: Window, filters: Filters) -> list[dict[str, Any]]:
    """How often two reviewers gave the same conversation these values."""
    rows = conversation_rows(statement, Selection(window, filters))
    such = ["NOT dropped", f"({KEY}) IN (SELECT {KEY} FROM {rows} AS c)"]  # noqa: S608
    read = ("tenant", "conversation_id", "reviewer", "verdicts")
    each = f"""(
        SELECT {KEY}, reviewer, {_SCORE} AS score, {_VALUE} AS value
        FROM {statement.table("reviews", read, such)} AS r ARRAY JOIN verdicts AS verdict
    )"""  # noqa: S608
    return statement.run(f"""
        SELECT a.reviewer AS first, b.reviewer AS second, a.score AS score, a.value AS one,
            b.value AS other, count() AS found
        FROM {each} AS a
        JOIN {each} AS b ON a.tenant = b.tenant AND a.conversation_id = b.conversation_id
            AND a.score = b.score
        WHERE first < second
        GROUP BY first, second, score, one, other
    """)  # noqa: S608


def _order(known: Rubric, name: str, said: Iterable[str]) -> list[str]:
    """The values of a score: those of the rubric, then what was said under one before it."""
    values = next((one.values for one in known.scores if one.name == name), [])
    return [*values, *sorted(set(said) - set(values))]


def _scores(
    known: Rubric, given: Sequence[Mapping[str, Any]], said: Sequence[Mapping[str, Any]]
) -> list[ScoreResult]:
    rows = {row["score"]: row for row in given}
    counts: dict[str, dict[str, tuple[int, int]]] = {}
    for row in said:
        name, value = row["verdict"].split(BETWEEN, 1)
        found, told = counts.setdefault(name, {}).get(value, (0, 0))
        counts[name][value] = found + row["found"], told + row["told"]
    return [
        _score(known, name, rows.get(name, {}), counts.get(name, {}))
        for name in _names(known, rows)
    ]


def _score(
    known: Rubric, name: str, row: Mapping[str, Any], counts: Mapping[str, tuple[int, int]]
) -> ScoreResult:
    order = _order(known, name, counts)
    total, rated = row.get("found", 0), row.get("rated", 0)
    numbers = all(value.isdigit() for value in order)
    mean = row["mean"] if rated and numbers else None
    within = None
    if mean is not None:
        within = mean_interval(Values(rated, mean, row["variance"] or 0.0))
    return ScoreResult(
        name=name,
        conversations=total,
        rated=rated,
        values=[share(value, *counts.get(value, (0, 0)), rated) for value in order],
        differ=total - sum(found for found, _ in counts.values()),
        mean=mean,
        mean_low=within and within.low,
        mean_high=within and within.high,
    )


def _names(known: Rubric, rows: Iterable[str]) -> list[str]:
    names = [one.name for one in known.scores]
    return [*names, *sorted(set(rows) - set(names))]


def _outcomes(known: Rubric, said: Sequence[Mapping[str, Any]]) -> list[OutcomeCell]:
    first = known.scores[0]
    cells = [
        OutcomeCell(
            outcome=row["outcome"],
            confirmed=row["confirmed"],
            value=row["verdict"].split(BETWEEN, 1)[1],
            conversations=row["found"],
        )
        for row in said
        if row["verdict"].startswith(first.verdict(""))
    ]
    return sorted(cells, key=lambda one: (one.outcome, not one.confirmed, one.value))


def _agreement(known: Rubric, rows: Sequence[Mapping[str, Any]]) -> list[Agreement]:
    tables: dict[tuple[str, str, str], dict[tuple[str, str], int]] = {}
    for row in rows:
        of_two = tables.setdefault((row["first"], row["second"], row["score"]), {})
        of_two[row["one"], row["other"]] = row["found"]
    made = []
    for (first, second, name), pairs in tables.items():
        order = _order(known, name, {value for pair in pairs for value in pair})
        numbers = all(value.isdigit() for value in order)
        if numbers:
            order.sort(key=int)
        made.append(
            Agreement(
                first=first,
                second=second,
                score=name,
                conversations=sum(pairs.values()),
                same=sum(times for (one, other), times in pairs.items() if one == other),
                kappa=kappa(pairs, order, weighted=numbers),
            )
        )
    places = {one.name: place for place, one in enumerate(known.scores)}
    made.sort(
        key=lambda one: (
            -one.conversations, one.first, one.second, places.get(one.score, len(places)), one.score
        )
    )  # fmt: skip
    return made[:MOST_PAIRS]
