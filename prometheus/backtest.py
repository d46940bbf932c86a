"""How often alerts would have told in the last weeks, as a running Prometheus knows them.

`python -m prometheus.backtest --objective containment=0.75 [--weeks 4] [--prometheus URL]` takes
the rules with other objectives than those that run; `--set` takes any setting of theirs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from prometheus.book import Alert
from prometheus.generate import rules, settings_of
from prometheus.settings import Settings

OBJECTIVES: Final = {
    "containment": "containment_target",
    "resolution": "resolution_target",
    "csat": "csat_target",
    "errors": "error_target",
    "response_time": "response_target",
}
"""What an objective is called, also as the label `slo`, and its setting."""
STEP: Final = 60
MOST_STEPS: Final = 10_000
"""Prometheus answers with 11,000 points a series at most."""
WEEK: Final = 7 * 86_400


class BacktestError(Exception):
    """Prometheus cannot be asked, or refuses; says why."""


@dataclass(frozen=True, slots=True)
class Firing:
    """A time for which an alert would have fired.

    Args:
        begin: When it would have told, in seconds since 1970.
        end: When it would have been over.
    """

    begin: float
    end: float


def firings(times: Iterable[float], wait: float, keep: float, step: float = STEP) -> list[Firing]:
    """When an alert fires whose condition holds at these times.

    Args:
        times: When it holds, in seconds, ascending, each at most once.
        wait: How long it must hold, in seconds: `for`.
        keep: How long it goes on after it held for the last time, in seconds.
        step: The time between two evaluations, in seconds.

    Example:
        >>> firings([0, 60, 120, 600], wait=60, keep=0)
        [Firing(begin=60, end=120)]
        >>> firings([0, 60, 120, 600], wait=60, keep=600)
        [Firing(begin=60, end=1200)]
    """
    found: list[Firing] = []
    since = last = None
    for moment in times:
        if last is None or since is None or moment - last > step * 1.5:
            since = moment
        last = moment
        if found and moment <= found[-1].end + max(0, step * 1.5 - keep):
            found[-1] = Firing(found[-1].begin, moment + keep)
        elif moment - since >= wait:
            found.append(Firing(moment, moment + keep))
    return found


def asked(given: Sequence[str]) -> dict[str, float]:
    """Objectives by the name of their setting.

    Args:
        given: Such as `containment=0.75`.

    Raises:
        ValueError: there is none of that name, or it is no share.

    Example:
        >>> asked(["csat=0.8"])
        {'csat_target': 0.8}
    """
    values = {}
    for one in given:
        name, _, text = one.partition("=")
        if name not in OBJECTIVES:
            raise ValueError(f"There is no objective {name!r}: {', '.join(OBJECTIVES)}.")
        value = float(text) if text.replace(".", "", 1).isdigit() else 0.0
        if not 0 < value < 1:
            raise ValueError(f"The objective {name} must lie between 0 and 1, not {text!r}.")
        values[OBJECTIVES[name]] = value
    return values


class Prometheus:
    """A running Prometheus.

    Args:
        client: What speaks to it; its base URL is Prometheus'.
    """

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def times(self, expr: str, begin: float, end: float) -> dict[tuple[tuple[str, str], ...], Any]:
        """When an expression had a value, by the labels of what had it.

        Raises:
            BacktestError: it cannot be asked, or refuses.
        """
        found: dict[tuple[tuple[str, str], ...], list[float]] = {}
        while begin <= end:
            until = min(end, begin + STEP * MOST_STEPS)
            asking = {"query": expr, "start": begin, "end": until, "step": STEP}
            for series in self._ask("query_range", asking)["result"]:
                labels = tuple(sorted(series["metric"].items()))
                found.setdefault(labels, []).extend(moment for moment, _ in series["values"])
            begin = until + STEP
        return found

    def _ask(self, what: str, parameters: Mapping[str, Any]) -> Any:
        try:
            answer = self._client.post(f"/api/v1/{what}", data=dict(parameters))
            told = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise BacktestError(
                f"No Prometheus answers at {self._client.base_url} ({error}): give --prometheus."
            ) from error
        if told.get("status") != "success":
            raise BacktestError(f"Prometheus refuses: {told.get('error')}")
        return told["data"]


def report(
    alerts: Iterable[Alert], prometheus: Prometheus, settings: Settings, begin: float, end: float
) -> list[str]:
    """The lines that say how often alerts would have told between two moments.

    Args:
        alerts: Those to look at.
        prometheus: Who knows.
        settings: What the alerts were made with.
        begin: Seconds since 1970.
        end: The same.

    Raises:
        BacktestError: Prometheus cannot be asked, or refuses.
    """
    lines = []
    for alert in alerts:
        wait = settings.milliseconds(alert.wait) / 1000
        keep = settings.milliseconds(alert.keep) / 1000 if alert.keep else 0
        kind = " ".join(alert.labels[name] for name in ("slo", "window") if name in alert.labels)
        title = f"{alert.name} {kind}".strip()
        told = [
            (labels, fired)
            for labels, times in sorted(prometheus.times(alert.expr, begin, end).items())
            if (fired := firings(times, wait, keep))
        ]
        if not told:
            lines.append(f"{title}: never")
        for labels, fired in told:
            where = ", ".join(f"{name}={value}" for name, value in labels)
            hours = sum(min(one.end, end) - one.begin for one in fired) / 3600
            lines.append(
                f"{title} {{{where}}}: {len(fired)} times, {hours:.1f} hours,"
                f" first {_moment(fired[0].begin)}, last {_moment(fired[-1].begin)}"
            )
    return lines


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def _chosen(given: argparse.Namespace) -> tuple[Settings, list[Alert]]:
    objectives = asked(given.objective)
    settings = settings_of([*given.set, *(f"{k}={v}" for k, v in objectives.items())])
    every = rules(settings).alerts
    if unknown := set(given.alert) - {alert.name for alert in every}:
        raise ValueError(f"No alert is called {', '.join(sorted(unknown))} with these settings.")
    slos = {slo for slo, name in OBJECTIVES.items() if name in objectives}
    wanted = [
        alert
        for alert in every
        if (alert.name in given.alert or alert.labels.get("slo") in slos)
        or not (given.alert or slos)
    ]
    return settings, wanted


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m prometheus.backtest", description=__doc__)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", metavar="URL")
    parser.add_argument("--weeks", type=float, default=4.0, help="how far to look back")
    parser.add_argument("--objective", action="append", default=[], metavar="NAME=SHARE")
    parser.add_argument("--alert", action="append", default=[], metavar="NAME", help="all without")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args(arguments)
    end = time.time() // STEP * STEP
    begin = end - given.weeks * WEEK
    try:
        settings, alerts = _chosen(given)
        with httpx.Client(base_url=given.prometheus, timeout=120) as client:
            lines = report(alerts, Prometheus(client), settings, begin, end)
    except (ValueError, BacktestError) as error:
        sys.exit(f"backtest: {error}")
    sys.stdout.write(f"From {_moment(begin)} to {_moment(end)} UTC:\n")
    sys.stdout.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
