"""Making a report of one's own: its figures, and each of its forms."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from markdown_it import MarkdownIt
from markupsafe import Markup

from otel_chat._common.extras import require
from otel_chat._version import __version__
from otel_chat.errors import ConfigurationError
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.pages import formats, links
from otel_chat.server.questions.brief import Brief, Question, Quote, brief
from otel_chat.server.questions.clear_changes import ClearChange, Read
from otel_chat.server.questions.comparison import Comparison, Sides, comparison
from otel_chat.server.questions.day_changes import DayChange, DayChanges, day_changes
from otel_chat.server.questions.report import SHORT, report
from otel_chat.server.questions.segments import conditions_of
from otel_chat.server.questions.sentence import phrase
from otel_chat.server.report import template, words
from otel_chat.server.report.definition import Days, Goals, Versus
from otel_chat.server.report.render import environment, labels_of, markdown, style

if TYPE_CHECKING:
    from decimal import Decimal

    from otel_chat.server.access import Scope
    from otel_chat.server.questions.report import Report as Details
    from otel_chat.server.report.keeping import Report
    from otel_chat.server.settings import ServerSettings
    from otel_chat.server.store import Store

Form = Literal["html", "markdown", "text", "json", "csv", "pdf"]
TYPES: Final[dict[Form, str]] = {
    "html": "text/html; charset=utf-8",
    "markdown": "text/markdown; charset=utf-8",
    "text": "text/plain; charset=utf-8",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "pdf": "application/pdf",
}
SUFFIXES: Final[dict[Form, str]] = {"markdown": "md", "text": "txt"}
_NO_TEXTS: Final = "What was said is not told: who saved this report may not read it."
_NO_COMMENTS: Final = "Nobody wrote a comment in this period."
_NO_QUESTIONS: Final = (
    "None were found that the bot did not understand, or the server lacks the extra themes."
)


@dataclass(frozen=True, slots=True)
class Made:
    """A report of a period, ready to be written in any form.

    Args:
        report: What it was made of.
        brief: What stands first.
        details: What stands after.
        versus: The comparisons, in the order of their sections.
        days: Which days were unlike others, if a section tells them.
        address: The server's address for links; empty without.
    """

    report: Report
    brief: Brief
    details: Details
    versus: dict[Versus, Comparison] = field(default_factory=dict)
    days: DayChanges | None = None
    address: str = ""
    _forms: dict[Form, bytes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def heading(self) -> str:
        """What stands above it."""
        return self.report.definition.heading

    @property
    def sentence(self) -> str:
        """What stands first."""
        return self.brief.sentence

    @property
    def period(self) -> str:
        """The time that it covers, in words of its own time zone."""
        zone = ZoneInfo(self.report.definition.timezone)
        now, before = self.brief.window, self.brief.previous_window
        return (
            f"{_span(now.start.astimezone(zone), now.end.astimezone(zone))} ({zone.key}), compared"
            f" with {_span(before.start.astimezone(zone), before.end.astimezone(zone))};"
            f" {formats.plural(self.brief.conversations, 'conversation')}"
            f", {self.brief.previous_conversations:,} before"
        )

    @property
    def filename(self) -> str:
        """What a file of it is called, without its ending."""
        zone = ZoneInfo(self.report.definition.timezone)
        name = "".join(c if c.isalnum() else "-" for c in self.report.definition.name)
        day = self.brief.window.start.astimezone(zone)
        return f"{name.strip('-').lower() or 'report'}-{day:%Y-%m-%d}"

    def written(self, form: Form) -> bytes:
        """The report in one of its forms, drawn once however many get it.

        Raises:
            MissingExtraError: If it is to be a PDF, and the extra `pdf` is not installed.
            ConfigurationError: If the machine has no Pango to draw it with, or its own template
                fails.
        """
        if form not in self._forms:
            self._forms[form] = self._drawn(form)
        return self._forms[form]

    def _drawn(self, form: Form) -> bytes:
        if form == "json":
            return json.dumps(self.document(), ensure_ascii=False).encode()
        if form == "csv":
            return self._csv().encode()
        if form == "pdf":
            return _pdf(self._rendered("own.html.jinja", form))
        suffix = {"html": "html", "markdown": "md", "text": "txt"}[form]
        return self._rendered(f"own.{suffix}.jinja", form).encode()

    def fragment(self) -> Markup:
        """What stands on its page, to be shown within another one."""
        return Markup(self._rendered("_own.html.jinja", "html", within=True))  # noqa: S704 - escaped

    def document(self) -> dict[str, Any]:
        """The report for machines."""
        return {
            "name": self.report.definition.name,
            "title": self.heading,
            "tenant": self.report.tenant,
            "sentence": self.sentence,
            **self.brief.model_dump(mode="json"),
            "details": self.details.model_dump(mode="json"),
            "days": None if self.days is None else self.days.model_dump(mode="json"),
        }

    def goals(self, section: Goals) -> list[words.Shown]:
        """The figures of a section with their targets; those that are not known are left out."""
        known = {one.figure: one for one in self.brief.figures}
        return [words.shown(known[goal.name], goal) for goal in section.of if goal.name in known]

    def _rendered(self, name: str, form: Form, *, within: bool = False) -> str:
        values = {**self._values(form), "within": within}
        rendered: str = environment().get_template(name).render(**values)
        return rendered

    def _values(self, form: Form) -> dict[str, Any]:
        own = self.report.definition.template
        read = self.brief.quotes is not None
        return {
            "address": self.address,
            "brief": self.brief,
            "compared": self._compared,
            "day_of": self._day,
            "days": self.days,
            "figures": self.goals,
            "heading": self.heading,
            "reading_of": self._reading,
            "labels": labels_of(self.details),
            "link": self._link,
            "money": _money(self.brief),
            "nothing_asked": _NO_QUESTIONS if read else _NO_TEXTS,
            "nothing_said": _NO_COMMENTS if read else _NO_TEXTS,
            "own": self._own(own, form) if own else "",
            "period": self.period,
            "phrase": self.phrase,
            "plural": formats.plural,
            "prose": prose,
            "report": self.details,
            "sections": self.report.definition.sections,
            "sentence": self.sentence,
            "style": style(),
            "version": __version__,
        }

    def _own(self, text: str, form: Form) -> str:
        """What its own template makes of it."""
        values = {
            "address": self.address,
            "brief": self.brief.model_dump(),
            "details": self.details.model_dump(),
            "heading": self.heading,
            "period": self.period,
            "sentence": self.sentence,
            "worse": [self.phrase(one) for one in self.brief.worse],
            "better": [self.phrase(one) for one in self.brief.better],
            "money": _money(self.brief),
        }
        made = template.render(text, values, markdown)
        return prose(made) if form in {"html", "pdf"} else made

    def _link(self, quoted: Quote | Question | Read) -> str:
        if not self.address:
            return ""
        tenant = None if self.report.tenant == quoted.tenant else quoted.tenant
        path = links.conversation(quoted.conversation_id, tenant=tenant)
        return f"{self.address.rstrip('/')}{path}"

    def phrase(self, one: ClearChange) -> str:
        """What changed, in words."""
        return phrase(one, hourly=self.brief.window.end - self.brief.window.start <= SHORT)

    def _reading(self, one: ClearChange) -> str:
        """Where to read what changed: the conversations of an intent, else one to begin with."""
        intents = [part.name for part in one.parts if part.kind == "intent" and part.name]
        if not self.address or not (intents or one.read):
            return ""
        if not intents:
            return self._link(one.read[0])
        window = self.brief.window
        times = {"from": links.written(window.start), "to": links.written(window.end)}
        asked = urlencode({**self._filters(), **times, "intent": intents[0]}, doseq=True)
        return f"{self.address.rstrip('/')}{links.LIST}?{asked}"

    def _day(self, one: DayChange) -> str:
        """Where to look at a day of an agent."""
        if not self.address:
            return ""
        zone = ZoneInfo(self.report.definition.timezone)
        start = datetime.combine(one.day, time(0), zone)
        end = datetime.combine(one.day + timedelta(days=1), time(0), zone)
        times = {"from": links.written(start), "to": links.written(end)}
        asked = {**self._filters(), **times, "agent": one.agent}
        return f"{self.address.rstrip('/')}/?{urlencode(asked, doseq=True)}"

    def _filters(self) -> dict[str, Any]:
        """What it is limited to, as addresses say it."""
        return {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in self.report.definition.filters.items()
        }

    def _compared(self, section: Versus) -> list[words.Shown]:
        found = self.versus[section]
        known = {one.figure: one for one in self.brief.figures}
        return [
            words.Shown(
                words.label(known[one.figure]),
                words.written(one.a.value, known[one.figure].unit),
                words.written(one.b.value, known[one.figure].unit),
                "",
                one.verdict,
                "",
                "",
                None,
            )
            for one in (*found.rates, *found.quantiles, *found.means)
            if one.figure in known and one.verdict != "no data"
        ]

    def _csv(self) -> str:
        file = io.StringIO()
        rows = csv.writer(file, lineterminator="\r\n")
        rows.writerow(["section", "name", "label", "unit", "value", "previous", "difference"])
        for section in self.details.sections:
            for line in section.lines:
                values = (line.value, line.previous, line.difference)
                rows.writerow([section.name, line.name, line.label, line.unit, *values])
        return file.getvalue()


def _span(start: datetime, end: datetime) -> str:
    """From a day to another, which counts; with times where they are not whole days."""
    if any(one.hour or one.minute for one in (start, end)):
        return f"{start:%a} {start.day} {start:%b %Y %H:%M} to {end:%a} {end.day} {end:%b %Y %H:%M}"
    last = end - timedelta(days=1)
    if last.date() <= start.date():
        return f"{start:%a} {start.day} {start:%b %Y}"
    return f"{start:%a} {start.day} {start:%b %Y} to {last:%a} {last.day} {last:%b %Y}"


def _money(found: Brief) -> list[str]:
    money = found.money
    before = formats.money(money.previous)
    lines = [f"Models cost {formats.money(money.cost)}, {before} in the period before."]
    if money.per_conversation is not None:
        lines.append(f"A settled conversation cost {formats.money(money.per_conversation)}.")
    if money.unpriced_turns:
        count = formats.plural(money.unpriced_turns, "turn")
        lines.append(f"The price of {count} is not known and not in these sums.")
    if money.saved_low is not None and money.saved_high is not None:
        lines.append(
            f"Against humans at {formats.money(money.per_human)} a conversation that saved"
            f" {formats.money(money.saved_low)} to {formats.money(money.saved_high)}."
        )
    return lines


def prose(text: str) -> Markup:
    r"""Markdown as HTML; HTML in it is shown as it stands, and links lead to the web alone.

    Example:
        >>> prose("*so* <b>")
        Markup('<p><em>so</em> &lt;b&gt;</p>\n')
    """
    # An image would be fetched from somewhere by whoever reads the report.
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return Markup(reader.render(text))  # noqa: S704 - without HTML of its own


def _refused(url: str, *_: Any, **__: Any) -> Any:
    raise ValueError(f"{url} is not fetched")


PANGO: Final = "apt-get install libpangoft2-1.0-0 libharfbuzz-subset0"
"""What brings on Debian what WeasyPrint draws with."""


def _pdf(page: str) -> bytes:
    require("A report as PDF", "pdf")
    try:
        import weasyprint
    except OSError as error:
        message = f"A report as PDF needs Pango where the server runs: {PANGO}. ({error})"
        raise ConfigurationError(message) from error

    made = weasyprint.HTML(string=page, url_fetcher=_refused).write_pdf()
    return cast("bytes", made)


class Given(TypedDict):
    """What a server's settings say of its reports."""

    idle: float
    human_cost: Decimal | None
    address: str
    false_alarms: float


def making_of(settings: ServerSettings) -> Given:
    """What a server's settings say of its reports, as `make` takes it."""
    return {
        "idle": settings.idle_seconds,
        "human_cost": settings.cost_per_interaction,
        "address": settings.address or "",
        "false_alarms": settings.false_alarms,
    }


def make(
    store: Store,
    scope: Scope,
    one: Report,
    moment: datetime,
    *,
    idle: float,
    human_cost: Decimal | None = None,
    address: str = "",
    false_alarms: float = 1.0,
) -> Made:
    """Makes a report.

    Args:
        store: The store to ask.
        scope: What may be in it.
        one: The report.
        moment: The moment at which it is made, which its period ends with or before.
        idle: After so many seconds a conversation is settled.
        human_cost: What a conversation with a human costs, USD.
        address: The server's address for links; none without.
        false_alarms: How many days a month are told to be unlike others by chance alone.
    """
    definition = one.definition
    start, end = definition.span(moment)
    zone = ZoneInfo(definition.timezone)
    moment = max(datetime.now(UTC), end)
    window = Window(start, end, moment, timedelta(seconds=idle), zone=zone)
    filters = Filters.given(definition.filters, conditions_of(store, lambda: scope))
    asked = (store, scope, window, filters)
    versus = {
        section: comparison(*asked, Sides(section.by, section.a, section.b))
        for section in definition.sections
        if isinstance(section, Versus)
    }
    days = None
    if any(isinstance(section, Days) for section in definition.sections):
        days = day_changes(*asked, false_alarms, definition.timezone)
    return Made(
        one,
        brief(*asked, human_cost),
        report(*asked, definition.timezone),
        versus,
        days,
        address,
    )
