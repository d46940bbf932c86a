"""Every alert has a page that helps: it names the alert, and what it tells to look at is there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from otel_chat._telemetry.instruments import TABLE, Kind
from prometheus.book import VARIABLES
from prometheus.generate import HERE, rules
from prometheus.names import COLLECTOR, PROMETHEUS, SERVER, TEMPO, counter, gauge, histogram
from prometheus.settings import Settings

ROOT = HERE.parent
FOLDER = ROOT / "docs" / "runbooks"
BOOK = rules(Settings(containment_target=0.75, resolution_target=0.6, csat_target=0.8))
NAMES = sorted({alert.name for alert in BOOK.alerts})
ELSEWHERE = {
    "otel_chat_drop_off_conversations",
    "prometheus_rule_group_last_duration_seconds",
    "prometheus_rule_group_interval_seconds",
}
"""Told by the servers, but in no rule."""


def queries(page: str) -> list[str]:
    """The PromQL of a page."""
    return re.findall(r"^```promql\n(.*?)\n```", page, re.MULTILINE | re.DOTALL)


def known() -> set[str]:
    """All metrics that are sent, told or recorded."""
    sent = set()
    for line in TABLE:
        if line.kind is Kind.HISTOGRAM:
            sent |= {histogram(line.name, part).name for part in ("count", "sum", "bucket")}
        elif line.kind in {Kind.UP_DOWN, Kind.GAUGE}:
            sent.add(gauge(line.name).name)
        else:
            sent.add(counter(line.name).name)
    recorded = {
        rule["record"] for group in BOOK.record_groups().values() for rule in group["rules"]
    }
    return sent | recorded | {*SERVER, *COLLECTOR, *PROMETHEUS, *TEMPO} | ELSEWHERE


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    """No alert without a runbook, and none left over."""
    assert sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "README") == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_page_names_its_alert_and_says_what_how_and_what_to_do(name: str) -> None:
    """A title, three sections with text, and a query for Prometheus in the second."""
    page = (FOLDER / f"{name}.md").read_text()
    title, *sections = re.split(r"^#+ (.+)$", page, flags=re.MULTILINE)[1:]
    assert title == name
    assert sections[1::2] == ["What it means", "How to look", "What to do"]
    assert all(len(text.split()) >= 10 for text in sections[2::2])
    assert queries(sections[4])


@pytest.mark.parametrize("name", NAMES)
def test_the_limits_that_a_page_tells_are_the_alerts(name: str) -> None:
    """A page tells the numbers of minutes, hours and shares of the rules that are shipped."""
    page = (FOLDER / f"{name}.md").read_text()
    settings = Settings()
    told = {
        "ChatResponseTimeBudgetBurn": (
            settings.response_seconds,
            settings.enough(settings.response_target),
        ),
        "ChatErrorBudgetBurn": (
            (1 - settings.error_target) * 100,
            settings.enough(settings.error_target),
        ),
        "ChatMostTurnsBad": (settings.bad * 100, settings.bad_least, settings.response_seconds),
        "ChatProcessFailing": (settings.bad * 100, settings.bad_least),
        "ChatTurnsStuck": (settings.stuck_seconds / 60,),
        "ChatSilentForHours": (settings.expected_turns,),
        "ChatProcessesShortLived": (settings.short_lived,),
        "AnalyticsFiguresOld": (settings.gauges_seconds,),
        "ChatFirstChunkLate": (settings.first_chunk_late * 100, settings.first_chunk_seconds),
        "ChatCancelledRateHigh": (settings.cancelled * 100, settings.minimum_turns),
        "ChatLowConfidenceRateHigh": (settings.low_confidence * 100,),
        "ChatFallbackRateHigh": (settings.fallback * 100, settings.minimum_turns),
        "ChatHandoffSpike": (settings.handoff_least,),
        "ChatContainmentFalling": (settings.containment_fall * 100, settings.conversations),
        "ChatAbandonmentHigh": (settings.abandonment * 100, settings.conversations),
        "ChatFeedbackFalling": (settings.feedback_fall * 100, settings.ratings),
        "ChatConversationCostHigh": (settings.conversation_usd, settings.conversations),
        "ChatDailyBudgetSpent": (settings.daily_usd,),
        "ChatDailyBudgetForecast": (settings.daily_usd,),
        "ChatBudgetSpent": (settings.budget_share * 100,),
        "ChatModelUnpriced": (settings.unpriced_turns,),
        "ChatProviderThrottling": (settings.throttled * 100, settings.throttled_least),
        "ChatToolErrors": (settings.tool_errors * 100, settings.tool_least),
        "ChatNoTraffic": (settings.expected_turns,),
        "ChatTrafficAnomaly": (1 + settings.band, 1 - settings.band, settings.minimum_turns),
    }.get(name, ())
    for number in told:
        assert re.search(rf"(?<![\d.]){number:g}(0)?(?![\d.]*\d)", page), number


def test_the_index_lists_every_alert_with_its_severities() -> None:
    """A line each, linked, with page, ticket or info."""
    index = (FOLDER / "README.md").read_text()
    rows = dict(re.findall(r"^\| \[(\w+)\]\(\w+\.md\) \| ([\w, ]+) \|", index, re.MULTILINE))
    severities: dict[str, set[str]] = {}
    for alert in BOOK.alerts:
        severities.setdefault(alert.name, set()).add(alert.severity)
    assert {name: set(text.split(", ")) for name, text in rows.items()} == severities


@pytest.mark.parametrize("name", NAMES)
def test_metrics_in_queries_are_sent_or_recorded(name: str) -> None:
    """A renamed metric or rule is noticed in the page, too."""
    text = "\n".join(queries((FOLDER / f"{name}.md").read_text()))
    outside_labels = re.sub(r"\{[^}]*\}|\bby \([^)]*\)", "", text)
    words = set(
        re.findall(
            r"[\w:]*(?:otel|gen_ai|process_|prometheus|alertmanager|tempo_|\bup\b)[\w:]*",
            outside_labels,
        )
    )
    assert words
    assert words <= known()


@pytest.mark.stack
def test_queries_of_the_pages_are_promql(promtool: Callable[..., str]) -> None:
    """Prometheus' own parser reads each."""
    for path in FOLDER.glob("*.md"):
        for query in queries(path.read_text()):
            promtool("--experimental", "promql", "format", query)


@pytest.mark.parametrize("path", sorted((HERE / "alerts").glob("*.yml")), ids=lambda p: p.stem)
def test_alerts_link_to_a_dashboard_that_is_there_and_to_their_page(path: Path) -> None:
    """The dashboard has the variables that the link sets; texts are complete."""
    for rule in yaml.safe_load(path.read_text())["groups"][0]["rules"]:
        notes = rule["annotations"]
        told = {"summary", "description", "runbook_url", "dashboard_url"}
        assert set(notes) - {"turns_url"} == told
        of_an_agent = "&var-agent=" in notes["dashboard_url"]
        assert ("&var-agent=" in notes.get("turns_url", "")) == of_an_agent
        assert all(notes.values())
        assert notes["runbook_url"].endswith(f"/{rule['alert']}.md")
        assert rule["labels"]["severity"] in {"page", "ticket", "info"}
        uid = re.search(r"/d/otel-chat-([a-z-]+)", notes["dashboard_url"])
        assert uid
        board = json.loads((ROOT / "grafana" / "dashboards" / f"{uid[1]}.json").read_text())
        assert board["uid"] == f"otel-chat-{uid[1]}"
        variables = {variable["name"] for variable in board["templating"]["list"]}
        chosen = set(re.findall(r"&var-(\w+)=", notes["dashboard_url"]))
        assert chosen <= variables, rule["alert"]
        assert chosen <= set(VARIABLES.values())


def test_situations_are_tests_by_name() -> None:
    """What the table says is shown is shown."""
    page = (FOLDER / "README.md").read_text()
    _, _, table = page.partition("## Situations")
    named = re.findall(r"\| `([^`]+)` \|$", table.partition("\n## ")[0], re.MULTILINE)
    tests = {
        test["name"]
        for path in (HERE / "tests").glob("*.yml")
        for test in yaml.safe_load(path.read_text())["tests"]
    }
    assert len(named) > 30
    assert [name for name in named if name not in tests] == []
