"""Claims: that of several servers one does something, once, also after a restart.

What is to be done is claimed in the store before anything leaves, and what came of it is told there
after. So what crashed in between stays claimed: nobody knows what became of it.

A store has no comparing and setting in one step. On a served one each server writes its claim,
waits, and reads all: the earliest holds. One that read its own late cannot be sure to be seen by
the others in time, and withdraws.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otel_chat._common.moments import nanoseconds
from otel_chat.server.access import OPEN
from otel_chat.server.questions.reports import ReportRun, State, report_runs

if TYPE_CHECKING:
    from otel_chat.server.store import Store

ATTEMPTS: Final = 8
FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(hours=1)
GRACE_SECONDS: Final = 4.0
"""So long a claim waits for others on a served store; a write is seen in less than half of it."""
_CLAIM: Final = """
INSERT INTO report_runs (tenant, report, period, recipient, attempt, holder, state, detail,
  claimed_ns, at_ns, version)
SELECT {tenant:String}, {report:String}, {period:String}, {recipient:String}, {attempt:String},
  {holder:String}, {state:String}, '', toUnixTimestamp64Nano(now64(9)) AS now, now, now
"""
_NOW: Final = "SELECT toUnixTimestamp64Nano(now64(9)) AS now"


class Task(NamedTuple):
    """What is to be done once.

    Args:
        tenant: Whose it is.
        report: What it is called.
        period: Of which time it is.
        recipient: Who gets it.
    """

    tenant: str
    report: str
    period: str
    recipient: str


def pause(failures: int) -> timedelta:
    """How long to wait after so many failures.

    Example:
        >>> [int(pause(n).total_seconds()) for n in (1, 2, 3, 20)]
        [60, 120, 240, 3600]
    """
    doubled: timedelta = FIRST_PAUSE * 2 ** min(failures - 1, 10)
    return min(doubled, LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of one server.

    Args:
        store: Where they are.
        holder: What this server is called there; another after each start.
        now: The present time.
        grace: How long a claim waits for others, in seconds; without, as long as a served store
            needs, and not at all on an embedded one, which this process alone holds.
    """

    store: Store
    holder: str
    now: Callable[[], datetime]
    grace: float | None = None

    def claim(self, task: Task) -> ReportRun | None:
        """A claim that holds; None where it is done, in hand, or not to be tried yet.

        Args:
            task: What is to be done.
        """
        if self._blocked(self.told(task)):
            return None
        attempt = uuid.uuid4().hex
        self.write(task, attempt, "claimed")
        grace = self.grace
        if grace is None:
            grace = GRACE_SECONDS if self.store.url.path is None else 0
        late = grace > 0 and self._age(task, attempt) > grace / 2
        time.sleep(grace)
        told = self.told(task)
        mine = next(run for run in told if run.attempt == attempt)
        others = [run for run in told if run.attempt != attempt and run.state != "failed"]
        earlier = [
            run for run in others if (run.claimed_at, run.attempt) < (mine.claimed_at, attempt)
        ]
        if late or earlier or any(run.state != "claimed" for run in others):
            self.settle(mine, "withdrawn", "")
            return None
        return mine

    def _age(self, task: Task, attempt: str) -> float:
        """How long ago a claim was made, by the store's clock, in seconds."""
        [mine] = [run for run in self.told(task) if run.attempt == attempt]
        now = int(self.store.query(_NOW)[0]["now"])
        return now / 1e9 - mine.claimed_at.timestamp()

    def told(self, task: Task) -> list[ReportRun]:
        """What became of a task until now.

        Args:
            task: The task.
        """
        found = report_runs(
            self.store, OPEN, task.report, task.tenant, task.period, task.recipient
        ).items
        return [run for run in found if run.state != "withdrawn"]

    def _blocked(self, told: Sequence[ReportRun]) -> bool:
        """Whether nothing is to be done now."""
        if any(run.state != "failed" for run in told):
            return True
        last = max((run.at for run in told), default=None)
        if last is None:
            return False
        return len(told) >= ATTEMPTS or self.now() < last + pause(len(told))

    def write(self, task: Task, attempt: str, state: State) -> None:
        """Writes an attempt.

        Args:
            task: The task.
            attempt: What tells the attempt apart.
            state: How it stands.
        """
        values = {
            **task._asdict(),
            "attempt": attempt,
            "holder": self.holder,
            "state": state,
        }
        self.store.command(_CLAIM, values)

    def settle(self, run: ReportRun, state: State, detail: str) -> None:
        """Tells what came of a claim.

        Args:
            run: The claim.
            state: How it stands now.
            detail: In words.
        """
        now = time.time_ns()
        row: dict[str, Any] = {
            **run.model_dump(exclude={"claimed_at", "at", "state", "detail"}),
            "state": state,
            "detail": detail,
            "claimed_ns": nanoseconds(run.claimed_at),
            "at_ns": now,
            # After the claim's, whose version is of the store's clock.
            "version": max(now, nanoseconds(run.claimed_at) + 1_000_000_000),
        }
        self.store.insert_rows("report_runs", [row])
