"""The examination: hop by hop, none waited for longer than it was said."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import Final

from otel_chat.doctor.addresses import Addresses
from otel_chat.doctor.collector import Waiting, healthy
from otel_chat.doctor.findings import Diagnosis, Hop, Marked, State, TroubleError
from otel_chat.doctor.sending import UnreachableError, probe, send, settings_of_sdk
from otel_chat.doctor.servers import Analytics, End, Prometheus, Tempo

APPLICATION: Final = "application"
COLLECTOR: Final = "collector"
ENDS: Final = ("analytics", "prometheus", "tempo")
_PAUSE: Final = 0.1
Send = Callable[[str | None, float], Marked]


def examine(addresses: Addresses, *, seconds: float = 30.0, send: Send = send) -> Diagnosis:
    """Sends one marked turn and follows it.

    Args:
        addresses: Where to send and where to look.
        seconds: How long the turn may take to arrive everywhere, more than 0.
        send: What makes and sends the turn.

    Example:
        >>> away = Addresses("http://127.0.0.1:1", analytics="http://127.0.0.1:1")
        >>> examine(away).failed
        'application'
    """
    waiting = Waiting(addresses.collector_metrics)
    first, marked = _first_hops(addresses, min(seconds, 10.0), send)
    if marked is None:
        unseen = [Hop(name, State.NOT_ASKED, "no turn was sent") for name in ENDS]
        return Diagnosis([*first, *unseen])
    ends = _ends(addresses)
    found = follow(ends, marked, seconds, waiting)
    rest = [found.get(name) or Hop(name, State.NOT_ASKED, "no address given") for name in ENDS]
    return Diagnosis([*first, *rest], marked)


def _first_hops(
    addresses: Addresses, seconds: float, send: Send
) -> tuple[list[Hop], Marked | None]:
    urls = addresses.sends_to()
    collector = _collector(addresses)
    try:
        settings_of_sdk()
        probe(urls)
        marked = send(addresses.for_setup(), seconds)
    except UnreachableError as error:
        if collector.state is State.FAILED:
            away = Hop(APPLICATION, State.NOT_ASKED, f"nothing was sent: {error.detail}")
            return [away, collector], None
        return [Hop(APPLICATION, State.FAILED, error.detail, error.fix), collector], None
    except TroubleError as error:
        return [Hop(APPLICATION, State.FAILED, error.detail, error.fix), collector], None
    detail = f"sent one turn, trace {marked.trace_id}, to {urls['traces']}"
    return [Hop(APPLICATION, State.OK, detail), collector], marked


def _collector(addresses: Addresses) -> Hop:
    if addresses.collector is None:
        return Hop(COLLECTOR, State.NOT_ASKED, addresses.without_collector)
    try:
        return Hop(COLLECTOR, State.OK, healthy(addresses.collector))
    except TroubleError as error:
        return Hop(COLLECTOR, State.FAILED, error.detail, error.fix)


def _ends(addresses: Addresses) -> list[End]:
    ends: list[End] = []
    if addresses.analytics is not None:
        ends.append(Analytics(addresses.analytics, addresses.token))
    if addresses.prometheus is not None:
        ends.append(Prometheus(addresses.prometheus))
    if addresses.tempo is not None:
        ends.append(Tempo(addresses.tempo))
    return ends


def follow(
    ends: Sequence[End], marked: Marked, seconds: float, waiting: Waiting
) -> Mapping[str, Hop]:
    """Looks at all ends in turn until each is known, or the time is over.

    Args:
        ends: Where the turn should arrive.
        marked: The turn.
        seconds: How long to wait for it.
        waiting: What the collector tells of what did not arrive.
    """
    deadline = time.monotonic() + seconds
    found: dict[str, Hop] = {}
    pause = Event()
    while True:
        for end in ends:
            if end.name not in found and (hop := _look(end, marked)) is not None:
                found[end.name] = hop
        if len(found) == len(ends):
            return found
        if time.monotonic() > deadline:
            break
        pause.wait(_PAUSE)
    for end in ends:
        if end.name not in found:
            detail = f"answers, but the turn did not come within {seconds:g} s"
            told = waiting.told(end.name)
            found[end.name] = Hop(end.name, State.FAILED, f"{detail}{told}", end.overdue)
    return found


def _look(end: End, marked: Marked) -> Hop | None:
    try:
        seen = end.look(marked)
    except TroubleError as error:
        return Hop(end.name, State.FAILED, error.detail, error.fix)
    return None if seen is None else Hop(end.name, State.OK, seen)
