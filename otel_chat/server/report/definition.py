"""A report of one's own: what is in it, of which time, who gets it and when. One shape for all.

The server keeps definitions in its store and reads others from a folder of YAML files; both are
checked here, and nowhere else. Nothing secret stands in one: passwords and addresses that are
secrets are named, and the server's environment or files hold them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from otel_chat._common.moments import UTC_NAME, PeriodName, period, zone_of
from otel_chat._common.wrong_input import in_words
from otel_chat.errors import DefinitionError, QueryError
from otel_chat.server import patterns
from otel_chat.server.figures.fields import PARAMETERS, field_and_operator
from otel_chat.server.figures.filters import OF_TREES, Filters
from otel_chat.server.figures.window import WINDOWS
from otel_chat.server.report.template import check

LONGEST_NAME: Final = 100
MOST_RECIPIENTS: Final = 20
MOST_SECTIONS: Final = 40
TableName = Literal[
    "sessions", "messages", "performance", "satisfaction", "usage", "topics", "issues",
    "user_types", "hours",
]  # fmt: skip
ChartName = Literal["conversations", "response_time", "hours"]
Period = Literal["day", "week", "month", "24h", "7d", "30d", "90d"]
_WHOLE: Final[Mapping[str, PeriodName]] = {
    "day": "yesterday",
    "week": "last_week",
    "month": "last_month",
}
Side = Literal["agent", "model", "version", "variant", "channel"]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
SecretName = Annotated[str, Field(pattern=patterns.NAME_OF_KEPT)]
Address = Annotated[str, Field(pattern=patterns.EMAIL, max_length=254)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Goal(_Part):
    """A figure with its target.

    Args:
        name: As in `/api/v1/definitions`, one that comparisons tell.
        target: What it is to reach, or to stay below where less is better.
    """

    name: Name
    target: float | None = None


def _goal(given: object) -> object:
    return {"name": given} if isinstance(given, str) else given


class Headline(_Part):
    """One sentence: what changed."""

    kind: Literal["headline"] = "headline"


class Goals(_Part):
    """Figures with change, interval and target."""

    kind: Literal["figures"] = "figures"
    of: Annotated[
        tuple[Annotated[Goal, BeforeValidator(_goal)], ...], Field(min_length=1, max_length=20)
    ] = (
        Goal(name="containment_ratio"),
        Goal(name="resolution_ratio_high"),
        Goal(name="csat_top_ratio"),
        Goal(name="response_time_p95"),
    )


class Worse(_Part):
    """What got worse beyond chance, and why."""

    kind: Literal["worse"] = "worse"
    most: Annotated[int, Field(ge=1, le=20)] = 3


class Better(_Part):
    """What got better beyond chance."""

    kind: Literal["better"] = "better"
    most: Annotated[int, Field(ge=1, le=20)] = 3


class Days(_Part):
    """Days of agents that were unlike the eight weeks before them, beyond chance."""

    kind: Literal["days"] = "days"
    most: Annotated[int, Field(ge=1, le=20)] = 5


class Quotes(_Part):
    """What users said, each with a link."""

    kind: Literal["quotes"] = "quotes"
    most: Annotated[int, Field(ge=1, le=10)] = 1


class Unanswered(_Part):
    """Questions that the bot did not understand, by theme."""

    kind: Literal["unanswered"] = "unanswered"
    most: Annotated[int, Field(ge=1, le=20)] = 3


class Spent(_Part):
    """Costs and savings."""

    kind: Literal["money"] = "money"


class Tables(_Part):
    """Figures beside those before, and what was most frequent."""

    kind: Literal["tables"] = "tables"
    of: Annotated[tuple[TableName, ...], Field(min_length=1)] = (
        "sessions", "messages", "performance", "satisfaction", "usage", "topics", "issues",
        "user_types",
    )  # fmt: skip


class Charts(_Part):
    """The course of figures."""

    kind: Literal["charts"] = "charts"
    of: Annotated[tuple[ChartName, ...], Field(min_length=1)] = (
        "conversations",
        "response_time",
        "hours",
    )


class Versus(_Part):
    """Two agents, models, versions, variants or channels side by side."""

    kind: Literal["comparison"] = "comparison"
    by: Side
    a: Name
    b: Name


class Words(_Part):
    """Free text in Markdown; HTML in it is shown as it stands."""

    kind: Literal["text"] = "text"
    markdown: Annotated[str, Field(min_length=1, max_length=20_000)]


Section = Annotated[
    Headline
    | Goals
    | Worse
    | Better
    | Days
    | Quotes
    | Unanswered
    | Spent
    | Tables
    | Charts
    | Versus
    | Words,
    Field(discriminator="kind"),
]


def _section(given: object) -> object:
    return {"kind": given} if isinstance(given, str) else given


STANDARD: Final[tuple[Section, ...]] = (
    Headline(), Goals(), Worse(), Quotes(), Better(), Unanswered(), Spent(), Charts(), Days(),
    Tables(),
)  # fmt: skip
"""What a manager reads, on one page; details after."""


class Email(_Part):
    """Sent by the server's SMTP server.

    Args:
        to: Who gets it, each at most 254 characters.
        attach: What is attached beside the text and the page.
    """

    kind: Literal["email"] = "email"
    to: Annotated[tuple[Address, ...], Field(min_length=1, max_length=MOST_RECIPIENTS)]
    attach: tuple[Literal["pdf", "csv"], ...] = ("pdf", "csv")


class Webhook(_Part):
    """Posted as JSON, signed as standardwebhooks.com says.

    Args:
        url: Where to; its origin must be among `OTEL_CHAT_SERVER_REPORT_ORIGINS`.
        secret: The name of the signing secret.
    """

    kind: Literal["webhook"] = "webhook"
    url: Annotated[str, Field(pattern=patterns.HOOK, max_length=2000)]
    secret: SecretName


class Slack(_Part):
    """Posted to a channel of Slack.

    Args:
        secret: The name of the secret that is the webhook's address.
    """

    kind: Literal["slack"] = "slack"
    secret: SecretName


class Teams(_Part):
    """Posted to a channel of Microsoft Teams.

    Args:
        secret: The name of the secret that is the workflow's address.
    """

    kind: Literal["teams"] = "teams"
    secret: SecretName


class _Files(_Part):
    path: Annotated[str, Field(min_length=1, max_length=200)]
    formats: Annotated[
        tuple[Literal["html", "pdf", "markdown", "text", "json", "csv"], ...], Field(min_length=1)
    ] = ("html",)

    @field_validator("path")
    @classmethod
    def _inside(cls, path: str) -> str:
        parts = PurePosixPath(path)
        outside = parts.is_absolute() or ".." in parts.parts or "\\" in path
        if outside or not path.isprintable():
            raise ValueError("a folder is named inside of the server's, as weekly/support")
        return path


class Folder(_Files):
    """Written as files.

    Args:
        path: Where, inside of `OTEL_CHAT_SERVER_REPORT_FOLDER`.
        formats: What is written.
    """

    kind: Literal["folder"] = "folder"


class Bucket(_Files):
    """Put into the server's bucket as files.

    Args:
        path: Where, beneath `OTEL_CHAT_SERVER_S3_URL`.
        formats: What is put there.
    """

    kind: Literal["bucket"] = "bucket"


Recipient = Annotated[
    Email | Webhook | Slack | Teams | Folder | Bucket, Field(discriminator="kind")
]


class ReportDefinition(_Part):
    """A report of one's own.

    Args:
        name: What it is called, 1 to 100 characters on one line; unique in its tenant.
        title: What stands above it; the name without.
        period: The last full day, week (Monday to Sunday) or month in `timezone`; or 24h, 7d, 30d
            or 90d up to the moment at which it is made.
        timezone: Of days, hours and the schedule, as Europe/Berlin.
        schedule: When it is sent: a cron expression of five fields, as `0 9 * * 1` for Mondays at
            nine. Only when somebody asks without.
        filters: What it is limited to, by the names of the API's filters.
        sections: What is in it, in their order.
        template: Its Markdown, written with Jinja, in place of the sections' own.
        recipients: Who gets it.
    """

    name: Name
    title: Annotated[str, Field(max_length=200)] = ""
    period: Period = "week"
    timezone: Annotated[str, Field(max_length=100)] = UTC_NAME
    schedule: Annotated[str, Field(max_length=100)] | None = None
    filters: dict[str, str | bool | float | tuple[str, ...]] = Field(default_factory=dict)
    sections: Annotated[
        tuple[Annotated[Section, BeforeValidator(_section)], ...],
        Field(min_length=1, max_length=MOST_SECTIONS),
    ] = STANDARD
    template: Annotated[str, Field(min_length=1, max_length=20_000)] | None = None
    recipients: Annotated[tuple[Recipient, ...], Field(max_length=MOST_RECIPIENTS)] = ()

    @field_validator("name", "title")
    @classmethod
    def _one_line(cls, text: str) -> str:
        tidy = " ".join(text.split())
        if not tidy.isprintable() or (text and not tidy):
            raise ValueError("it is one line of text")
        return tidy

    @field_validator("name")
    @classmethod
    def _in_addresses(cls, name: str) -> str:
        if "/" in name or "\\" in name or set(name) == {"."}:
            raise ValueError("a name has no slash: it stands in addresses")
        return name

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            zone_of(name)
        except QueryError as error:
            raise ValueError(str(error)) from error
        return name

    @field_validator("schedule")
    @classmethod
    def _cron(cls, schedule: str | None) -> str | None:
        if schedule is None:
            return None
        tidy = " ".join(schedule.split())
        next_time(tidy, UTC_NAME, datetime(2026, 1, 1, tzinfo=UTC))
        return tidy

    @field_validator("filters")
    @classmethod
    def _known_filters(cls, given: dict[str, Any]) -> dict[str, Any]:
        filters_of(given)
        return given

    @field_validator("template")
    @classmethod
    def _can_be_read(cls, template: str | None) -> str | None:
        if template is not None:
            check(template)
        return template

    @property
    def heading(self) -> str:
        """What stands above it."""
        return self.title or self.name

    def span(self, moment: datetime) -> tuple[datetime, datetime]:
        """The time that it covers when it is made.

        Args:
            moment: When it is made.

        Returns:
            The first moment, and the first after it, in UTC.

        Example:
            >>> weekly = ReportDefinition(name="w", timezone="Europe/Berlin")
            >>> made = datetime(2026, 3, 30, 7, tzinfo=UTC)  # clocks went forward on the 29th
            >>> [one.isoformat() for one in weekly.span(made)]
            ['2026-03-22T23:00:00+00:00', '2026-03-29T22:00:00+00:00']
        """
        if self.period in WINDOWS:
            return moment - WINDOWS[self.period], moment
        return period(_WHOLE[self.period], ZoneInfo(self.timezone), moment)

    def due(self, moment: datetime) -> datetime | None:
        """The last time up to a moment at which it was to be sent; None without a schedule.

        Example:
            >>> weekly = ReportDefinition(name="w", schedule="0 9 * * 1", timezone="Asia/Tokyo")
            >>> weekly.due(datetime(2026, 11, 23, tzinfo=UTC)).isoformat()
            '2026-11-23T00:00:00+00:00'
        """
        if self.schedule is None:
            return None
        after = moment.astimezone(ZoneInfo(self.timezone)) + timedelta(seconds=1)
        return _simulated(self.schedule, after, reverse=True).astimezone(UTC)

    def following(self, moment: datetime) -> datetime | None:
        """The next time after a moment at which it is to be sent; None without a schedule."""
        if self.schedule is None:
            return None
        return next_time(self.schedule, self.timezone, moment)


def _simulated(schedule: str, moment: datetime, *, reverse: bool = False) -> datetime:
    from cronsim import CronSim, CronSimError

    try:
        return next(CronSim(schedule, moment, reverse=reverse))
    except (CronSimError, StopIteration) as error:
        reason = str(error) or "it never comes"
        raise ValueError(
            f"a schedule has minute, hour, day, month and weekday, as '0 9 * * 1': {reason}"
        ) from error


def next_time(schedule: str, timezone: str, moment: datetime) -> datetime:
    """The next time of a schedule after a moment.

    Where clocks go forward over it, it comes as soon as they have; where they go back, once.

    Args:
        schedule: A cron expression of five fields.
        timezone: Whose clock it goes by.
        moment: After which.

    Raises:
        ValueError: If it is no such expression, or never comes.

    Example:
        >>> spring = datetime(2026, 3, 28, 12, tzinfo=UTC)
        >>> next_time("30 2 * * *", "Europe/Berlin", spring).isoformat()
        '2026-03-29T01:00:00+00:00'
    """
    return _simulated(schedule, moment.astimezone(ZoneInfo(timezone))).astimezone(UTC)


def _any_segment(name: str) -> str:  # noqa: ARG001 - it is looked up when the report is made
    return "conversation_id != ''"


def last_time(schedule: str, moment: datetime) -> datetime:
    """The last time of a schedule up to a moment, UTC.

    Args:
        schedule: A cron expression of five fields.
        moment: Up to when.

    Raises:
        ValueError: If it is no such expression.

    Example:
        >>> last_time("17 * * * *", datetime(2026, 3, 28, 12, 5, tzinfo=UTC)).isoformat()
        '2026-03-28T11:17:00+00:00'
    """
    after = moment.astimezone(UTC) + timedelta(seconds=1)
    return _simulated(schedule, after, reverse=True)


def filters_of(given: Mapping[str, Any]) -> Filters:
    """What a report is limited to; a segment by any name is taken.

    Raises:
        ValueError: If there is no such filter, or not with such a value.

    Example:
        >>> filters_of({"agent": "support", "handoff": True}).words
        ['Agent is support', 'With a handoff']
    """
    for name in given:
        if field_and_operator(name) is None and name not in OF_TREES:
            raise ValueError(_unknown("filter", name, [*PARAMETERS, *OF_TREES]))
    try:
        return Filters.given(given, _any_segment)
    except QueryError as error:
        raise ValueError(str(error)) from error


def _unknown(what: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    meant = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"there is no {what} {name!r}: {meant}"


_KNOWN: Final = tuple(ReportDefinition.model_fields)


def read_definition(given: object, where: str = "report") -> ReportDefinition:
    """A definition out of what JSON or YAML holds.

    Args:
        given: What was read.
        where: What messages call it, as the file's name.

    Raises:
        DefinitionError: If something in it is wrong; names the field and how to mend it.

    Example:
        >>> read_definition({"name": "Weekly", "schedul": "0 9 * * 1"})
        Traceback (most recent call last):
        otel_chat.errors.DefinitionError: report: schedul: there is no field 'schedul': did ...
    """
    if not isinstance(given, Mapping):
        raise DefinitionError(where, "a report has fields, at least its name.")
    try:
        return ReportDefinition.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DefinitionError(where, _mended(first, place), field=place) from error


def _mended(problem: Mapping[str, Any], place: str) -> str:
    if problem["type"] == "extra_forbidden":
        known = list(_KNOWN) if "." not in place else []
        name = str(problem["loc"][-1])
        return _unknown("field", name, known) if known else f"there is no field {name!r} here."
    words = in_words(problem, patterns.WORDS)
    return words if words.endswith((".", "?")) else f"{words}."
