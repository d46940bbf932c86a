"""One case of an alert, and how promtool reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus.settings import Settings, text_of

Series = Mapping[str, str]
AGENT: Final = {
    "service_name": "shop",
    "deployment_environment_name": "live",
    "gen_ai_agent_name": "support",
}
APPLICATION: Final = {"service_name": "shop", "deployment_environment_name": "live"}
KEPT: Final = 10
"""Minutes for which an alert goes on after it was so for the last time."""
FALSIFIED: Final = {"falsified_by": "pipeline"}
PIPELINE: Final = {"component": "pipeline"}


def series(metric: str, /, **labels: str) -> str:
    """A series as promtool reads it.

    Example:
        >>> series("up", job="a")
        'up{job="a"}'
    """
    matchers = (f'{name}="{value}"' for name, value in labels.items())
    return f"{metric}{{{','.join(matchers)}}}"


def course(*parts: tuple[float, int], start: float = 0.0) -> str:
    """A counter that grows at one rate after the other.

    Args:
        parts: What it grows by in a minute, and for how many minutes.
        start: What it begins at.

    Example:
        >>> course((2, 60), (0.5, 30))
        '0+2x59 120+0.5x29'
    """
    words = []
    for rate, minutes in parts:
        words.append(f"{start:.9g}{f'+{rate:.9g}' if rate else ''}x{minutes - 1}")
        start = round(start + rate * minutes, 9)
    return " ".join(words)


def of_agent(metric: str, /, **labels: str) -> str:
    """A series of the agent that the cases are about, sent by one process."""
    return series(metric, **AGENT, service_instance_id="a", **labels)


def of_application(metric: str, /, **labels: str) -> str:
    """A series of the application that the cases are about, sent by one process."""
    return series(metric, **APPLICATION, service_instance_id="a", **labels)


@dataclass(frozen=True, slots=True)
class Case:
    """When an alert fires, and when it does not.

    Args:
        alert: Its name.
        labels: All its labels when it fires, but for `alertname` and `alertstate`.
        given: The series that make it fire; a value a minute.
        begins: The first evaluation at which what it is about is so.
        wait: How long it must be so, as the alert has it.
        resolved: A time at which it must not be so any more; `KEPT` later it is over.
        quiet: What must not make it fire, by why: series of too little, or of the usual.
        until: How long the quiet series are looked at; else as long as the others.
        lately: How far back they are looked at then; else from the beginning.
        step: Time between evaluations.
        of: What it is about, where its alert has several.
    """

    alert: str
    labels: Mapping[str, str]
    given: Series
    begins: str
    wait: str
    resolved: str
    quiet: Mapping[str, Series]
    until: str | None = None
    lately: str | None = None
    step: str = "1m"
    of: str = ""

    @property
    def head(self) -> str:
        """The alert, with its window where it has several: how names of its tests begin."""
        return " ".join([self.alert, self.labels.get("window", "")]).strip()

    @property
    def name(self) -> str:
        """The name of the test that it fires."""
        return f"{self.head}: {self.of}" if self.of else self.head

    def groups(self) -> list[dict[str, Any]]:
        """The groups of promtool's tests."""
        step, begins, wait = (_minutes(time) for time in (self.step, self.begins, self.wait))
        moments = {
            "nothing yet": (begins - step, None),
            "just begun": (begins, "pending"),
            "just before its time": (begins + wait - step, "pending"),
            "its time has come": (begins + wait, "firing"),
            "over": (_minutes(self.resolved) + KEPT, None),
        }
        fires = [self._expected(minute, state) for minute, state in moments.values()]
        return [
            _group(self.name, self.given, fires),
            *(
                _group(f"{self.head}: {why}", given, [self._never()])
                for why, given in self.quiet.items()
            ),
        ]

    def _selector(self, **more: str) -> str:
        window = self.labels.get("window")
        return series(
            "ALERTS", alertname=self.alert, **({"window": window} if window else {}), **more
        )

    def _expected(self, minute: int, state: str | None) -> dict[str, Any]:
        if state is None:
            return self._none(minute)
        labels = {"alertname": self.alert, "alertstate": state, **self.labels}
        found = {"labels": series("ALERTS", **labels), "value": 1}
        return {**self._none(minute), "exp_samples": [found]}

    def _none(self, minute: int) -> dict[str, Any]:
        time = text_of(minute * 60_000)
        return {"expr": self._selector(), "eval_time": time, "exp_samples": []}

    def _never(self) -> dict[str, Any]:
        """That it did not fire at any time."""
        end = self.until or self.resolved
        return _silent(self._selector(alertstate="firing"), end, self.lately)


@dataclass(frozen=True, slots=True)
class Silence:
    """When alerts do not fire, where that takes days to show.

    Args:
        alerts: Their names.
        why: What is shown.
        given: The series; a value a minute.
        until: How long they are looked at.
        lately: How far back they are looked at then.
        step: Time between evaluations.
    """

    alerts: tuple[str, ...]
    why: str
    given: Series
    until: str
    lately: str | None = None
    step: str = "15m"

    @property
    def alert(self) -> str:
        """One of them: all are in one file."""
        return self.alerts[0]

    def groups(self) -> list[dict[str, Any]]:
        """The group of promtool's tests."""
        names = "|".join(self.alerts)
        firing = f'ALERTS{{alertname=~"{names}",alertstate="firing"}}'
        silent = _silent(firing, self.until, self.lately)
        return [_group(f"{' and '.join(self.alerts)}: {self.why}", self.given, [silent])]


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression must be worth at a time.

    Args:
        name: What is shown.
        given: The series; a value a minute.
        expr: What is asked.
        at: When.
        expected: The values by labels.
        home: The file of alerts beside which it stands.
    """

    name: str
    given: Series
    expr: str
    at: str
    expected: Mapping[str, float] = field(default_factory=dict)
    home: str = "conversations"

    def group(self) -> dict[str, Any]:
        """The group of promtool's tests."""
        samples = [{"labels": labels, "value": value} for labels, value in self.expected.items()]
        test = {"expr": self.expr, "eval_time": self.at, "exp_samples": samples}
        return _group(self.name, self.given, [test])


def _group(name: str, given: Series, tests: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": s, "values": values} for s, values in given.items()],
        "promql_expr_test": tests,
    }


def _silent(firing: str, end: str, lately: str | None) -> dict[str, Any]:
    expr = f"count_over_time({firing}[{lately or end}])"
    return {"expr": expr, "eval_time": end, "exp_samples": []}


def _minutes(time: str) -> int:
    return Settings().milliseconds(time) // 60_000 if time != "0m" else 0


def document(
    cases: Sequence[Case | Silence], values: Sequence[Value], rule_files: Sequence[str], step: str
) -> dict[str, Any]:
    """A file of promtool's tests.

    Args:
        cases: Those of one alert and step.
        values: Further expectations.
        rule_files: What is loaded, relative to the file.
        step: Time between evaluations.
    """
    groups = [group for case in cases for group in case.groups()]
    return {
        "rule_files": list(rule_files),
        "evaluation_interval": step,
        "tests": [*groups, *(value.group() for value in values)],
    }
