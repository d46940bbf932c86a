"""Keeping what reviewers say, the rubric by which they do, and the samples that they read."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from otel_chat._common.moments import nanoseconds
from otel_chat.errors import AccessError, QueryError
from otel_chat.server.access import (
    ADMIN,
    CONVERSATIONS_READ,
    DEFAULT_TENANT,
    MARKS_WRITE,
)
from otel_chat.server.figures.conversation_rows import Selection, conversation_rows
from otel_chat.server.figures.sql import Query
from otel_chat.server.marks import MarkChange, set_mark
from otel_chat.server.names import LONGEST_NAME, tidy_name
from otel_chat.server.questions.conversation import find
from otel_chat.server.questions.reviews import Review, reviews_by_key
from otel_chat.server.questions.rubric import KeptRubric, rubric
from otel_chat.server.questions.samples import Sample, one_sample, samples

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.figures.window import Window
    from otel_chat.server.questions.rubric import Rubric
    from otel_chat.server.store import Store

USUAL_SIZE: Final = 100
LARGEST: Final = 2000
LARGEST_SEED: Final = 2**32 - 1

Label = Annotated[str, StringConstraints(strip_whitespace=True, max_length=60)]


class GivenReview(BaseModel):
    """What a reviewer says, in place of what the same one said before."""

    model_config = ConfigDict(extra="forbid")

    scores: dict[str, str] = Field(
        default={},
        max_length=20,
        description="Values by the names of the rubric's scores; those left out are not given.",
        examples=[{"resolved": "no", "quality": "2"}],
    )
    labels: list[Label] = Field(default=[], max_length=50, description="Labels of the rubric.")
    comment: str | None = Field(
        default=None,
        max_length=10_000,
        description="In place of the one before, which stays without; empty for none.",
    )


class SampleWish(BaseModel):
    """What sample to draw."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(
        default=None, max_length=LONGEST_NAME, description="Of its size, days and seed without."
    )
    size: int = Field(
        default=USUAL_SIZE, ge=1, le=LARGEST, description="How many conversations at most."
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        le=LARGEST_SEED,
        description="The same one draws the same conversations; any without.",
    )


def set_rubric(store: Store, scope: Scope, wanted: Rubric, tenant: str | None = None) -> KeptRubric:
    """Set what reviewers are asked. What they said by another rubric stays as it is.

    Args:
        store: Where it is kept.
        scope: Who sets it; needs admin.
        wanted: The rubric.
        tenant: Whose it is; the scope's own tenant without, the first by name of several.

    Raises:
        AccessError: Without the scope, or for a tenant that is not its own.
    """
    scope.require(ADMIN)
    made = KeptRubric(
        tenant=scope.keeper(tenant, DEFAULT_TENANT),
        rubric=wanted,
        changed_by=scope.who,
        changed_at=datetime.now(UTC),
    )
    row = {
        "tenant": made.tenant,
        "definition": wanted.model_dump_json(),
        "changed_by": made.changed_by,
        "changed_at": made.changed_at,
        "version": time.time_ns(),
    }
    store.insert_rows("rubrics", [row])
    return made


def keep_review(
    store: Store,
    scope: Scope,
    window: Window,
    conversation_id: str,
    given: GivenReview,
    tenant: str | None = None,
) -> Review:
    """Keep what a reviewer says of a conversation, and mark it as reviewed.

    Args:
        store: Where it is kept.
        scope: Who reviews, by its name; needs marks:write.
        window: When the conversation is asked about.
        conversation_id: Its id.
        given: What is said; nothing at all says that it was read.
        tenant: Its tenant, where several of the scope's tenants have one of this id.

    Raises:
        AccessError: Without the scope, or with status 404, if there is no such conversation.
        QueryError: If the rubric knows no such score, value or label.
    """
    scope.require(MARKS_WRITE)
    key = find(store, scope, conversation_id, tenant).key
    asked = rubric(store, scope, key[0]).rubric
    if wrong := asked.refused(given.scores, given.labels):
        field, message = wrong
        raise QueryError(message, field=field)
    before = _own(store, scope, key)
    comment = given.comment.strip() if given.comment is not None else before
    review = Review(
        conversation_id=key[1],
        tenant=key[0],
        reviewer=scope.who,
        scores=given.scores,
        labels=sorted(set(given.labels), key=asked.labels.index),
        comment=(comment or None) if scope.allows(CONVERSATIONS_READ) else None,
        reviewed_at=datetime.now(UTC),
    )
    verdicts = [
        one.verdict(given.scores[one.name]) for one in asked.scores if one.name in given.scores
    ]
    _write(store, review, verdicts, comment, dropped=False)
    set_mark(store, scope, window, key[1], MarkChange(reviewed=True), key[0])
    return review


def _own(store: Store, scope: Scope, key: tuple[str, str]) -> str:
    """The comment that a reviewer left before, whether or not it may be read."""
    statement = Query(store, scope)
    of_it = [
        f"tenant = {statement.bind(key[0], 'String')}",
        f"conversation_id = {statement.bind(key[1], 'String')}",
        f"reviewer = {statement.bind(scope.who, 'String')}",
        "NOT dropped",
    ]
    source = statement.table("reviews", ["comment"], of_it)
    return str(statement.one(f"SELECT comment FROM {source} AS r").get("comment", ""))  # noqa: S608


def _write(
    store: Store, review: Review, verdicts: list[str], comment: str, *, dropped: bool
) -> None:
    row = {
        "tenant": review.tenant,
        "conversation_id": review.conversation_id,
        "reviewer": review.reviewer,
        "verdicts": verdicts,
        "labels": review.labels,
        "comment": comment,
        "dropped": dropped,
        "reviewed_at": review.reviewed_at,
        "version": time.time_ns(),
    }
    store.insert_rows("reviews", [row])


def drop_review(
    store: Store,
    scope: Scope,
    window: Window,
    conversation_id: str,
    tenant: str | None = None,
) -> Review:
    """Take back what one said oneself; where nobody else said anything, it is to review again.

    Args:
        store: Where it is kept.
        scope: Who said it, by its name; needs marks:write.
        window: When the conversation is asked about.
        conversation_id: Its id.
        tenant: Its tenant, where several of the scope's tenants have one of this id.

    Raises:
        AccessError: Without the scope, or with status 404, if there is no such conversation, or
            nothing that was said.
    """
    scope.require(MARKS_WRITE)
    key = find(store, scope, conversation_id, tenant).key
    there = reviews_by_key(store, scope, [key]).items
    own = next((one for one in there if one.reviewer == scope.who), None)
    if own is None:
        raise AccessError("You said nothing of this conversation.", status=404)
    _write(store, own, [], "", dropped=True)
    if len(there) == 1:
        set_mark(store, scope, window, key[1], MarkChange(reviewed=False), key[0])
    return own


def draw_sample(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    wanted: SampleWish,
    tenant: str | None = None,
) -> Sample:
    """Draw settled conversations at random, each as likely as any other, and keep which.

    They are put in the order of a keyed hash (SipHash) of their ids, of which the seed is the key,
    and the first are taken: so the same seed draws the same ones, and reading them in this order
    leaves a random sample wherever one stops.

    Args:
        store: The store.
        scope: Who draws; needs marks:write.
        window: They began in it.
        filters: What they are limited to.
        wanted: How many, and by which seed.
        tenant: Whose they are; the scope's own tenant without, the first by name of several.

    Raises:
        AccessError: Without the scope, or for a tenant that is not its own.
        QueryError: If there is none to draw, the name is taken or is none.
    """
    scope.require(MARKS_WRITE)
    owner = scope.keeper(tenant, DEFAULT_TENANT)
    seed = secrets.randbelow(LARGEST_SEED + 1) if wanted.seed is None else wanted.seed
    name = tidy_name(wanted.name or _named(window, wanted.size, seed))
    own = replace(scope, tenants=frozenset({owner}))
    if samples(store, own, name).items:
        message = f"There is a sample {name!r}: take another name, or forget that one first."
        raise QueryError(message, field="name")
    population, drawn = _drawn(Query(store, own), window, filters, seed, wanted.size)
    if not drawn:
        message = "There is no settled conversation to draw in this window."
        raise QueryError(message, field="window")
    kept = {"tenant": owner, "dropped": False, "version": time.time_ns()}
    store.insert_rows(
        "sampled",
        [{**kept, "sample": name, "place": place, **row} for place, row in enumerate(drawn, 1)],
    )
    about = {
        "name": name,
        "from_ns": nanoseconds(window.start),
        "to_ns": nanoseconds(window.end),
        "filters": urlencode(_written(filters), doseq=True),
        "words": filters.words,
        "seed": seed,
        "size": wanted.size,
        "drawn": len(drawn),
        "population": population,
        "drawn_by": scope.who,
        "drawn_at": datetime.now(UTC),
    }
    store.insert_rows("samples", [{**kept, **about}])
    return samples(store, own, name).items[0]


def _drawn(
    statement: Query, window: Window, filters: Filters, seed: int, size: int
) -> tuple[int, list[dict[str, Any]]]:
    """How many settled conversations there are, and those that the seed draws, in its order."""
    settled = Selection(window, filters.narrowed(state="settled"))
    rows = conversation_rows(statement, settled, "settled")
    (found,) = statement.run(f"SELECT count() AS population FROM {rows} AS c")  # noqa: S608
    key = f"sipHash64Keyed(({statement.bind(seed, 'UInt64')}, toUInt64(0)), conversation_id)"
    drawn = statement.run(f"""
        SELECT conversation_id FROM {rows} AS c
        ORDER BY {key}, conversation_id LIMIT {statement.bind(size, "UInt32")}
    """)  # noqa: S608
    return found["population"], drawn


def _written(filters: Filters) -> dict[str, list[str]]:
    """Filters as an address has them."""
    flat = {
        name: [str(one).lower() if isinstance(one, bool) else str(one) for one in values]
        for name, values in filters.named().items()
    }
    return flat | {one.parameter: list(one.values) for one in filters.limits}


def _named(window: Window, size: int, seed: int) -> str:
    return f"{size} of {window.start:%Y-%m-%d} to {window.end:%Y-%m-%d}, seed {seed}"


def drop_sample(store: Store, scope: Scope, name: str, tenant: str | None = None) -> Sample:
    """Forget a sample; what was said of its conversations stays.

    Args:
        store: The store.
        scope: Who forgets it; needs marks:write.
        name: What it is called.
        tenant: Whose it is, where several have one of this name.

    Raises:
        AccessError: Without the scope, or with status 404, if there is none.
    """
    scope.require(MARKS_WRITE)
    one = one_sample(store, scope, name, tenant)
    values = {"tenant": one.tenant, "name": one.name, "version": time.time_ns()}
    for table, column in (("sampled", "sample"), ("samples", "name")):
        store.command(
            f"INSERT INTO {table} SELECT * REPLACE (true AS dropped, {{version:UInt64}} AS version)"  # noqa: S608
            f" FROM {table} FINAL WHERE tenant = {{tenant:String}} AND {column} = {{name:String}}",
            values,
        )
    return one
