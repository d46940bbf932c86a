"""When reports are sent, and that each is sent once: also after a restart, and by two servers.

A run is claimed in the store before anything leaves, and what came of it is told there after. So
what crashed in between stays claimed: nobody knows whether it arrived, and it is not sent again.

A store has no comparing and setting in one step. On a served one each server writes its claim,
waits, and reads all: the earliest sends. One that read its own late cannot be sure to be seen by
the others in time, and withdraws.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from otel_chat.errors import ConfigurationError, OtelChatError
from otel_chat.server.access import OPEN
from otel_chat.server.questions.reports import ReportRun, State, report_runs
from otel_chat.server.report.definition import Email, Folder, Webhook
from otel_chat.server.report.making import Made, make, making_of
from otel_chat.server.report.sending import DeliveryError, Post
from otel_chat.server.summaries.lease import Lease

if TYPE_CHECKING:
    from otel_chat.server.report.definition import Recipient
    from otel_chat.server.report.keeping import Report, Shelf
    from otel_chat.server.settings import ServerSettings
    from otel_chat.server.store import Store

_log = logging.getLogger("otel_chat.server")

ATTEMPTS: Final = 8
FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(hours=1)
ANSWERS_WITHIN: Final = timedelta(minutes=15)
"""A claim that is older has no answer any more."""
GRACE_SECONDS: Final = 4.0
"""So long a claim waits for others on a served store; a write is seen in less than half of it."""
_SEEN: Final = "seen"
_CLAIM: Final = """
INSERT INTO report_runs (tenant, report, period, recipient, attempt, holder, state, detail,
  claimed_ns, at_ns, version)
SELECT {tenant:String}, {report:String}, {period:String}, {recipient:String}, {attempt:String},
  {holder:String}, {state:String}, '', toUnixTimestamp64Nano(now64(9)) AS now, now, now
"""
_NOW: Final = "SELECT toUnixTimestamp64Nano(now64(9)) AS now"


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
        case Folder():
            return f"folder {recipient.path}"
        case _:
            return f"{recipient.kind} {recipient.secret}"


def run_id(one: Report, period: str, recipient: str) -> str:
    """The id of a run: the same on every server, and each time that it is tried."""
    parts = json.dumps([one.tenant, one.definition.name, period, recipient])
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"otel-chat-report:{parts}"))


def pause(failures: int) -> timedelta:
    """How long to wait after so many failures.

    Example:
        >>> [int(pause(n).total_seconds()) for n in (1, 2, 3, 20)]
        [60, 120, 240, 3600]
    """
    doubled: timedelta = FIRST_PAUSE * 2 ** min(failures - 1, 10)
    return min(doubled, LONGEST_PAUSE)


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
    _known: dict[tuple[str, str], datetime] = field(init=False, default_factory=dict)
    _one_at_a_time: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._lease = Lease(self.store, "reports")

    @property
    def post(self) -> Post:
        """What it sends with."""
        return Post(self.settings)

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
                self._write(one, _SEEN, "", uuid.uuid4().hex, "withdrawn")
            self._known[key] = min((run.claimed_at for run in seen), default=moment)
        return self._known[key]

    def _send(self, one: Report, moment: datetime, period: str) -> None:
        made: Made | None = None
        with self._one_at_a_time:
            for recipient in one.definition.recipients:
                key = key_of(recipient)
                run = self._claim(one, period, key)
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
                    self._settle(run, "unknown", "The server failed; its log says how.")
                    raise
                self._settle(run, state, detail)
                if state != "sent":
                    name = one.definition.name
                    _log.warning("The report %r to %s: %s, %s", name, key, state, detail)

    def _made(self, one: Report, moment: datetime) -> Made:
        return make(self.store, one.scope, one, moment, **making_of(self.settings))

    def _claim(self, one: Report, period: str, recipient: str) -> ReportRun | None:
        """A claim that holds; None where it was sent, is being sent, or is not to be tried yet."""
        if self._blocked(self._told(one, period, recipient)):
            return None
        attempt = uuid.uuid4().hex
        self._write(one, period, recipient, attempt, "claimed")
        grace = self.grace
        if grace is None:
            grace = GRACE_SECONDS if self.store.url.path is None else 0
        late = grace > 0 and self._age(one, period, recipient, attempt) > grace / 2
        time.sleep(grace)
        told = self._told(one, period, recipient)
        mine = next(run for run in told if run.attempt == attempt)
        others = [run for run in told if run.attempt != attempt and run.state != "failed"]
        earlier = [
            run for run in others if (run.claimed_at, run.attempt) < (mine.claimed_at, attempt)
        ]
        if late or earlier or any(run.state != "claimed" for run in others):
            self._settle(mine, "withdrawn", "")
            return None
        return mine

    def _age(self, one: Report, period: str, recipient: str, attempt: str) -> float:
        """How long ago a claim was made, by the store's clock, in seconds."""
        told = self._told(one, period, recipient)
        [mine] = [run for run in told if run.attempt == attempt]
        now = int(self.store.query(_NOW)[0]["now"])
        return now / 1e9 - mine.claimed_at.timestamp()

    def _told(self, one: Report, period: str, recipient: str) -> list[ReportRun]:
        name, tenant = one.definition.name, one.tenant
        found = report_runs(self.store, OPEN, name, tenant, period, recipient).items
        return [run for run in found if run.state != "withdrawn"]

    def _blocked(self, told: Sequence[ReportRun]) -> bool:
        """Whether nothing is to be sent now."""
        if any(run.state != "failed" for run in told):
            return True
        last = max((run.at for run in told), default=None)
        if last is None:
            return False
        return len(told) >= ATTEMPTS or self.now() < last + pause(len(told))

    def _write(self, one: Report, period: str, recipient: str, attempt: str, state: State) -> None:
        values = {
            "tenant": one.tenant,
            "report": one.definition.name,
            "period": period,
            "recipient": recipient,
            "attempt": attempt,
            "holder": self.holder,
            "state": state,
        }
        self.store.command(_CLAIM, values)

    def _settle(self, run: ReportRun, state: State, detail: str) -> None:
        """Tells what came of a claim."""
        now = time.time_ns()
        row: dict[str, Any] = {
            **run.model_dump(exclude={"claimed_at", "at", "state", "detail"}),
            "state": state,
            "detail": detail,
            "claimed_ns": _nanoseconds(run.claimed_at),
            "at_ns": now,
            # After the claim's, whose version is of the store's clock.
            "version": max(now, _nanoseconds(run.claimed_at) + 1_000_000_000),
        }
        self.store.insert_rows("report_runs", [row])


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def _period(one: Report, moment: datetime) -> str:
    start, end = one.definition.span(moment)
    return f"{start:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}"
