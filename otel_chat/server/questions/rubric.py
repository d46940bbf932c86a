"""The rubric of reviews: which scores and labels a tenant's reviewers give."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from otel_chat.server.access import DEFAULT_TENANT
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query, moment, nanos
from otel_chat.server.figures.verdicts import BETWEEN
from otel_chat.server.patterns import WORD_OF_RUBRIC

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

MOST_SCORES: Final = 8
MOST_VALUES: Final = 10
MOST_LABELS: Final = 30

# Without what stands between the parts of a verdict, and between values in the form of the page.
Word = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=40, pattern=WORD_OF_RUBRIC),
]


def verdict_of(name: str, value: str) -> str:
    """What is kept where a reviewer gives a score a value.

    Example:
        >>> verdict_of("quality", "4")
        'quality: 4'
    """
    return f"{name}{BETWEEN}{value}"


class Score(BaseModel):
    """Something that a reviewer says of each conversation, out of a few values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Word = Field(examples=["resolved"])
    values: list[Word] = Field(
        min_length=2,
        max_length=MOST_VALUES,
        description="In their order; of the first one the rate is told. Where all are numbers, the"
        " score has a mean.",
        examples=[["yes", "partly", "no"]],
    )

    @property
    def numbers(self) -> bool:
        """Whether its values are numbers.

        Example:
            >>> Score(name="quality", values=["1", "2"]).numbers
            True
        """
        return all(value.isascii() and value.isdigit() for value in self.values)

    def verdict(self, value: str) -> str:
        """What is kept where a reviewer gives it this value.

        Example:
            >>> Score(name="resolved", values=["yes", "no"]).verdict("yes")
            'resolved: yes'
        """
        return verdict_of(self.name, value)


class Rubric(BaseModel):
    """What is asked of a reviewer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scores: list[Score] = Field(min_length=1, max_length=MOST_SCORES)
    labels: list[Word] = Field(
        default=[], max_length=MOST_LABELS, description="Several of which may hold, as reasons."
    )

    @model_validator(mode="after")
    def _once(self) -> Rubric:
        for what, words in (
            ("score", [one.name for one in self.scores]),
            ("label", self.labels),
            *((f"value of {one.name}", one.values) for one in self.scores),
        ):
            if twice := [word for word in words if words.count(word) > 1]:
                message = f"The {what} {twice[0]!r} stands there twice."
                raise ValueError(message)
        return self

    def refused(self, given: dict[str, str], labels: list[str]) -> tuple[str, str] | None:
        """What of a verdict the rubric does not know: the field, and what would be right.

        Args:
            given: Values by the name of the score.
            labels: Labels.
        """
        known = {one.name: one for one in self.scores}
        for name, value in given.items():
            if name not in known:
                return "scores", f"There is no score {name[:60]!r}; there are {', '.join(known)}."
            if value not in known[name].values:
                values = ", ".join(known[name].values)
                return "scores", f"{name} is one of {values}, not {value[:60]!r}."
        for label in labels:
            if label not in self.labels:
                there = ", ".join(self.labels) or "none"
                return "labels", f"There is no label {label[:60]!r}; there are {there}."
        return None


USUAL: Final = Rubric(
    scores=[
        Score(name="resolved", values=["yes", "partly", "no"]),
        Score(name="quality", values=["1", "2", "3", "4", "5"]),
    ],
    labels=[
        "misunderstood",
        "wrong answer",
        "did not know",
        "tool failed",
        "should have handed off",
        "too slow",
        "tone",
    ],
)
"""What is asked where a tenant has set nothing."""


class KeptRubric(Answer):
    """A tenant's rubric, and who set it."""

    tenant: str
    rubric: Rubric
    changed_by: str | None = Field(
        None, description="The token's name; null where nobody set it and it is the usual one."
    )
    changed_at: datetime | None = Field(None, description="UTC.")


@query()
def rubric(store: Store, scope: Scope, named: str | None = None) -> KeptRubric:
    """The rubric of a tenant; the usual one where none was set.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        named: The tenant; the first by name of the scope's without.

    Raises:
        AccessError: With status 403, if the tenant is none of the scope.
    """
    tenant = scope.keeper(named, DEFAULT_TENANT) if scope.tenants != frozenset() else ""
    statement = Query(store, scope)
    of_it = [f"tenant = {statement.bind(tenant, 'String')}"]
    source = statement.table("rubrics", ("tenant", "definition", "changed_by", "changed_at"), of_it)
    row = statement.one(f"""
        SELECT definition, changed_by, {nanos("changed_at")} AS changed_ns
        FROM {source} AS r
    """)  # noqa: S608
    if not row:
        return KeptRubric(tenant=tenant, rubric=USUAL)
    return KeptRubric(
        tenant=tenant,
        rubric=Rubric.model_validate_json(row["definition"]),
        changed_by=row["changed_by"],
        changed_at=moment(row["changed_ns"]),
    )
