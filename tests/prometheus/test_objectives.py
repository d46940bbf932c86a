"""Objectives of whole conversations: when they tell, and how often they would have told."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from otel_chat.client.local_server import free_port
from prometheus.backtest import main
from prometheus.cases.conversations import CONTAINED, OF_ANALYTICS, PLACE, SETTLED, TICKET, USUAL
from prometheus.cases.model import Case, document
from prometheus.generate import files, rules, write
from prometheus.settings import Settings
from tests.prometheus.conftest import program
from tools.stack.processes import HOST, Part, Stack

pytestmark = pytest.mark.stack

OF_WEEK = SETTLED.replace('"24h"', '"7d"')
MANY = {SETTLED: "100x200", OF_WEEK: "700x200"}
CASE = Case(
    "ChatConversationObjectiveMissed", {**TICKET, **PLACE, **OF_ANALYTICS, "slo": "containment"},
    # 0.75 of 700, but for chance: 0.717
    {USUAL: "0.73x10 0.71x120 0.73x60", CONTAINED: "0.7x200", **MANY}, "11m", "1h", "2h20m",
    {
        "within chance": {USUAL: "0.72x200", CONTAINED: "0.7x200", **MANY},
        "met again on the last day": {USUAL: "0.6x200", CONTAINED: "0.76x200", **MANY},
        "too few": {USUAL: "0.1x200", CONTAINED: "0.1x200", SETTLED: "49x200", OF_WEEK: "49x200"},
        "nothing settled": {USUAL: "_x200", CONTAINED: "_x200"},
    },
)  # fmt: skip


def test_an_objective_tells_beyond_chance_and_while_it_lasts(
    ruletest: Callable[..., str], tmp_path: Path
) -> None:
    """Below by two standard errors over a week, and below over the last day."""
    write(tmp_path, files(rules(Settings(containment_target=0.75))))
    tests = document([CASE], [], ["alerts/objectives.yml"], "1m")
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests))
    assert ruletest(str(tmp_path / "tests.yml")) == ""


def test_without_an_objective_there_is_no_alert() -> None:
    """What nobody promised is not missed."""
    assert "objectives" not in rules(Settings()).alert_groups()


HOURS = 40


def _past(end: float) -> str:
    """Forty hours of figures up to now, a minute apart, in OpenMetrics' text.

    Containment falls for two hours, and later for twenty minutes.
    """
    begin = int(end) // 60 * 60 - HOURS * 3600
    lines = []
    for name, more in (
        ("otel_chat_containment_ratio", ""),
        ("otel_chat_conversations_settled", ',outcome="resolved"'),
    ):
        lines.append(f"# TYPE {name} gauge")
        for window, many in (("24h", 100), ("7d", 700)):
            for minute in range(HOURS * 60 + 1):
                fallen = 600 <= minute < 720 or 1800 <= minute < 1820
                value = many if more else (0.5 if fallen else 0.8)
                labels = f'agent="support",channel="web",window="{window}"{more}'
                lines.append(f"{name}{{{labels}}} {value} {begin + minute * 60}")
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture
def url(promtool: Callable[..., str], tmp_path: Path) -> Iterator[str]:
    """A Prometheus that knows those forty hours."""
    (tmp_path / "past.txt").write_text(_past(time.time()))
    data = tmp_path / "data"
    promtool("tsdb", "create-blocks-from", "openmetrics", str(tmp_path / "past.txt"), str(data))
    (tmp_path / "prometheus.yml").write_text("{}")
    port = free_port()
    command = [
        program("prometheus"), f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={data}", f"--web.listen-address={HOST}:{port}",
        "--enable-feature=promql-extended-range-selectors",
    ]  # fmt: skip
    here = f"http://{HOST}:{port}"
    part = Part("prometheus", command, {"prometheus": port}, f"{here}/-/ready")
    with Stack([part], tmp_path / "logs"):
        yield here


def test_a_backtest_says_how_often_an_objective_would_have_told(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two hours below are told after one, for ten minutes longer; a lower share tells nothing."""
    looking = ["--prometheus", url, "--weeks", "0.25"]
    main([*looking, "--objective", "containment=0.75"])
    told = capsys.readouterr().out
    place = "ChatConversationObjectiveMissed containment {agent=support, channel=web}"
    assert f"{place}: 1 times, 1.1 hours" in told
    main([*looking, "--objective", "containment=0.4"])
    assert "ChatConversationObjectiveMissed containment: never" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--objective", "joy=0.5"], "There is no objective 'joy': containment, resolution"),
        (["--objective", "csat=80"], "The objective csat must lie between 0 and 1, not '80'."),
        (["--alert", "Nothing"], "No alert is called Nothing with these settings."),
        (["--set", "joy=1"], "There is no setting 'joy'"),
        (["--prometheus", "http://127.0.0.1:9"], "give --prometheus."),
    ],
)
def test_what_cannot_be_asked_is_said(arguments: list[str], said: str) -> None:
    """The name and what there is, in one line."""
    with pytest.raises(SystemExit, match=re.escape(said)):
        main(["--weeks", "0.01", *arguments])
