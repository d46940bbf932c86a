"""One of several servers on a served store does a chore, as long as it renews its lease.

A store has no comparing and setting in one step. So each server writes a claim of its own, reads
all that have not run out, and the earliest holds. Two that claim at the same moment may both hold
until their next look: what they do then must do no harm twice.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otel_chat.server.store import Store

LASTS_SECONDS: Final = 25.0
LOOK_SECONDS: Final = 5.0
"""Together half a minute, within which another takes over from one that was killed."""

# Times are the store's: the clocks of the servers may differ.
_CLAIM: Final = """
INSERT INTO leases (name, holder, taken, until, at)
WITH toUnixTimestamp64Nano(now64(9)) AS now
SELECT {name:String}, {holder:String}, if(max(until) > now, argMax(taken, at), now),
  if({lasts:Int64} > 0, now + {lasts:Int64}, 0), now
FROM leases FINAL WHERE name = {name:String} AND holder = {holder:String}
"""
_HOLDER: Final = """
SELECT holder FROM leases FINAL
WHERE name = {name:String} AND until > toUnixTimestamp64Nano(now64(9))
ORDER BY taken, holder LIMIT 1
"""


class Lease:
    """A claim to be the one that does a chore.

    Args:
        store: The store; in an embedded one, which one process holds, the lease is always held.
        name: Of the chore.
        lasts: How long a claim lasts that is not renewed, in seconds.
        look: How long the last answer counts before the store is asked again, in seconds.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        lasts: float = LASTS_SECONDS,
        look: float = LOOK_SECONDS,
    ) -> None:
        self._store = store
        self._name = name
        self._lasts = lasts
        self._look = look
        self._holder = str(uuid.uuid4())
        self._held = False
        self._looked = -look

    def held(self) -> bool:
        """Whether this server is the one; claims it, or renews its claim, when that is due.

        Raises:
            StoreError: If the store does not answer, or refuses.
        """
        if self._store.url.path is not None:
            return True
        now = time.monotonic()
        if now - self._looked >= self._look:
            self._claim(self._lasts)
            first = self._store.query(_HOLDER, {"name": self._name})
            self._held = bool(first) and first[0]["holder"] == self._holder
            self._looked = now
        return self._held

    def give_up(self) -> None:
        """Lets another take over at once.

        Raises:
            StoreError: If the store does not answer, or refuses.
        """
        if self._store.url.path is None:
            self._held = False
            self._claim(0)

    def _claim(self, lasts: float) -> None:
        self._store.command(
            _CLAIM,
            {"name": self._name, "holder": self._holder, "lasts": int(lasts * 1e9)},
        )
