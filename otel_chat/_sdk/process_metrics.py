"""Memory, processor time and threads of this process, from the standard library."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from otel_chat import semconv as sc
from otel_chat._telemetry.instruments import Instruments

STATM: Final = Path("/proc/self/statm")


def observe(instruments: Instruments) -> None:
    """Makes the `process.*` instruments; each is read when metrics are exported."""
    instruments.observe(sc.METRIC_PROCESS_MEMORY, _memory)
    instruments.observe(sc.METRIC_PROCESS_CPU_TIME, _cpu)
    instruments.observe(sc.METRIC_PROCESS_THREADS, lambda: {(): threading.active_count()})


def _memory() -> Mapping[tuple[str, ...], float]:
    """Resident bytes; where there is no /proc the highest so far, which is what is known there."""
    try:
        pages = int(STATM.read_text().split()[1])
        return {(): pages * os.sysconf("SC_PAGE_SIZE")}
    except (OSError, ValueError, IndexError):
        pass
    try:
        import resource
    except ImportError:
        return {}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {(): peak if sys.platform == "darwin" else peak * 1024}


def _cpu() -> Mapping[tuple[str, ...], float]:
    times = os.times()
    return {("user",): times.user, ("system",): times.system}
