"""When reports are sent, and that each is sent once: also after a restart, and by two servers.

A run is claimed first (`claims`). What crashed between claim and answer is not sent again: nobody
knows whether it arrived.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from otel_chat.errors import ConfigurationError, OtelChatError
from otel_chat.server.access import OPEN
from otel_chat.server.questions.reports import ReportRun, State, report_runs
from otel_chat.server.report.claims import Claims, Task
from otel_chat.server.report.definition import Bucket, Email, Folder, Webhook
from otel_chat.server.report.making import Made, make, making_of
from otel_chat.server.report.sending import DeliveryError, Post
from otel_chat.server.summaries.lease import Lease
from otel_chat.server.targets import bucket_of

if TYPE_CHECKING:
    from otel_chat.server.report.definition import Recipient
    from otel_chat.server.report.keeping import Report, Shelf
    from otel_chat.server.settings import ServerSettings
    from otel_chat.server.store import Store

_log = logging.getLogger("otel_chat.server")

ANSWERS_WITHIN: Final = timedelta(minutes=15)
"""A claim that is older has no answer any more."""
_SEEN: Final = "seen"


def key_of(recipient: Recipient) -> str:
    """What a recipient is called in the log: nothing secret.

    Example:
        >>> key_of(Email(to=("boss@example.com",)))
        'email boss@example.com'
    """
    match recipient:
        case Email():
            return f"email {', '.join(sorted(recipient.to))}"
        case Webhook():
            mark = hashlib.sha256(recipient.url.encode()).hexdigest()[:8]
            return f"webhook {recipient.url.split('/', 3)[2]} {mark}"
        case Folder() | Bucket():
            return f"{recipient.kind} {recipient.path}"
        case _:
            return f"{recipient.kind} {recipient.secret}"


def run_id(one: Report, period: str, recipient: str) -> str:
    """The id of a run: the same on every server, and each time that it is tried."""
    parts = json.dumps([one.tenant, one.definition.name, period, recipient])
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"otel-chat-report:{parts}"))


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Sender:
    """Sends reports when they are due, or somebody asks.

    Args:
        store: Where runs are claimed.
        shelf: The reports.
        settings: What the server was told.
        now: The present time.
        grace: How long a claim waits for others, in seconds; without, as long as a served store
            needs, and not at all on an embedded one, which this process alone holds.
        holder: What this server is called in the log; another after each start.
    """

    store: Store
    shelf: Shelf
    settings: ServerSettings
    now: Callable[[], datetime] = _utc_now
    grace: float | None = None
    holder: str = field(default_factory=lambda: str(uuid.uuid4()))
    _lease: Lease = field(init=False)
    _claims: Claims = field(init=False)
    _known: dict[tuple[str, str], datetime] = field(init=False, default_factory=dict)
    _one_at_a_time: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._lease = Lease(self.store, "reports")
        self._claims = Claims(self.store, self.holder, self.now, self.grace)

    @property
    def post(self) -> Post:
        """What it sends with."""
        return Post(self.settings, bucket_of(self.store, self.settings))

    def tick(self) -> None:
        """Sends what is due and was not sent; a report that fails holds up no other."""
        try:
            if not self._lease.held():
                return
            reports = self.shelf.reports(OPEN)
        except OtelChatError as error:
            _log.warning("Reports could not be looked for: %s", error)
            return
        for one in reports:
            try:
                self._send_due(one)
            except OtelChatError as error:
                _log.warning("The report %r was not sent: %s", one.definition.name, error)

    def leave(self) -> None:
        """Lets another server take over at once.

        Raises:
            StoreError: If the store does not answer.
        """
        self._lease.give_up()

    def send(self, one: Report) -> list[ReportRun]:
        """Sends a report to all of its recipients now; once a minute, however often it is asked.

        Args:
            one: The report.

        Returns:
            What came of it, by recipient.
        """
        moment = self.now()
        period = f"{_period(one, moment)} asked {moment:%Y-%m-%dT%H:%M}Z"
        self._send(one, moment, period)
        found = report_runs(self.store, OPEN, one.definition.name, one.tenant, period).items
        return [self._shown(run) for run in found if run.state != "withdrawn"]

    def runs(self, one: Report) -> list[ReportRun]:
        """The attempts to send a report, the newest first.

        Args:
            one: The report.
        """
        found = report_runs(self.store, OPEN, one.definition.name, one.tenant).items
        return [self._shown(run) for run in found if run.state != "withdrawn"]

    def _shown(self, run: ReportRun) -> ReportRun:
        """A run as it is told: a claim without an answer is unknown."""
        if run.state != "claimed" or not self._given_up(run):
            return run
        detail = "The server stopped before it knew: it is not sent again by itself."
        return run.model_copy(update={"state": "unknown", "detail": detail})

    def _given_up(self, run: ReportRun) -> bool:
        embedded = self.store.url.path is not None
        other = run.holder != self.holder
        return (embedded and other) or _utc_now() - run.claimed_at > ANSWERS_WITHIN

    def _send_due(self, one: Report) -> None:
        moment = self.now()
        due = one.definition.due(moment)
        if due is None or not one.definition.recipients or due <= self._since(one, moment):
            return
        self._send(one, due, _period(one, due))

    def _since(self, one: Report, moment: datetime) -> datetime:
        """From when on a report is sent: what was due before is not made up for."""
        if one.saved_at is not None:
            return one.saved_at
        key = (one.tenant, one.definition.name)
        if key not in self._known:
            name, tenant = one.definition.name, one.tenant
            seen = report_runs(self.store, OPEN, name, tenant, _SEEN).items
            if not seen:
                seen_first = Task(tenant, name, _SEEN, "")
                self._claims.write(seen_first, uuid.uuid4().hex, "withdrawn")
            self._known[key] = min((run.claimed_at for run in seen), default=moment)
        return self._known[key]

    def _send(self, one: Report, moment: datetime, period: str) -> None:
        made: Made | None = None
        with self._one_at_a_time:
            for recipient in one.definition.recipients:
                key = key_of(recipient)
                task = Task(one.tenant, one.definition.name, period, key)
                run = self._claims.claim(task)
                if run is None:
                    continue
                state: State
                try:
                    made = made or self._made(one, moment)
                    detail = self.post.deliver(recipient, made, run_id(one, period, key))
                    state = "sent"
                except DeliveryError as error:
                    state, detail = error.outcome, str(error)
                except ConfigurationError as error:
                    state, detail = "refused", str(error)
                except OtelChatError as error:  # the store was away: nothing has left
                    state, detail = "failed", str(error)
                except Exception:
                    self._claims.settle(run, "unknown", "The server failed; its log says how.")
                    raise
                self._claims.settle(run, state, detail)
                if state != "sent":
                    name = one.definition.name
                    _log.warning("The report %r to %s: %s, %s", name, key, state, detail)

    def _made(self, one: Report, moment: datetime) -> Made:
        return make(self.store, one.scope, one, moment, **making_of(self.settings))


def _period(one: Report, moment: datetime) -> str:
    start, end = one.definition.span(moment)
    return f"{start:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}"
