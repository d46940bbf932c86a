"""The alerts, minute by minute, in Prometheus' own engine; and that the cases would notice."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from prometheus.cases import CASES
from prometheus.generate import HERE, cases, files, rules, write
from prometheus.settings import Settings
from prometheus.supply import ERRORS
from tests.prometheus.conftest import program

pytestmark = pytest.mark.stack
FILES = sorted((HERE / "tests").glob("*.yml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_alerts_fire_in_time_and_resolve_and_stay_silent(
    ruletest: Callable[..., str], path: Path
) -> None:
    """Silent before `for:` ends, firing then, over later; silent at low volume and as usual."""
    assert ruletest(str(path)) == ""


NO_LIMITS = Settings(
    minimum_turns=0,
    budget_turns=0,
    bad_least=1,
    tool_least=1,
    short_lived=1,
    conversations=0,
    ratings=0,
    expected_turns=1,
    handoff_least=1,
    throttled_least=1,
    unpriced_turns=1,
    capped_values=1,
)


LOW = ("too few", "four", "nine", "few turns")


def failed(folder: Path, settings: Settings, wanted: Callable[[str], bool]) -> str:
    """What is printed about the wanted cases, by their names, where they do not hold any more."""
    write(folder, files(rules(settings)))
    given = []
    for path, text in cases().items():
        document = yaml.safe_load(text)
        document["tests"] = [one for one in document["tests"] if wanted(one["name"])]
        if document["tests"]:
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(yaml.safe_dump(document))
            given.append(str(folder / path))
    done = subprocess.run(
        [program("ruletest"), *given], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    return done.stdout


def test_the_cases_of_low_volume_would_notice_missing_limits(tmp_path: Path) -> None:
    """Without least numbers each alert that has one fires at low volume, and its case fails."""
    quiet = [f"{case.head}: {why}" for case in CASES for why in case.quiet if why.startswith(LOW)]
    printed = failed(tmp_path, NO_LIMITS, lambda name: name in quiet)
    assert len(quiet) > 20
    assert [case for case in quiet if f"{case}: " not in printed] == []


def test_the_cases_would_notice_longer_waits(tmp_path: Path) -> None:
    """With all times doubled each alert fires late, and its case fails."""
    names = {case.alert for case in CASES if case.step == "1m"}
    firing = {case.name for case in CASES}
    slow = {case.alert for case in CASES if case.step != "1m"}
    printed = failed(
        tmp_path,
        Settings(windows_factor=2),
        lambda name: name in firing and name.split()[0] not in slow,
    )
    assert {name for name in names if name not in slow and f": {name}" not in printed} == set()


def test_every_alert_has_cases() -> None:
    """Each alert, and each window of an objective, is shown to fire and to stay silent.

    The watchdog alone is never silent.
    """
    shown = {(case.alert, case.labels.get("window")) for case in CASES} | {("Watchdog", None)}
    book = rules(Settings())
    assert shown == {(alert.name, alert.labels.get("window")) for alert in book.alerts}
    quiet = {case.alert for case in CASES if case.quiet} | {"Watchdog"}
    assert quiet == {alert.name for alert in book.alerts}


@pytest.mark.parametrize(
    "name",
    [
        "RateLimitError", "rate_limit_error", "rate_limit_exceeded", "RateLimitReached",
        "insufficient_quota", "engine_overloaded", "slow_down",
        "OverloadedError", "overloaded_error", "529",
        "ResourceExhausted", "RESOURCE_EXHAUSTED", "TooManyRequests", "google.429",
        "ThrottlingException", "botocore.errorfactory.ThrottlingException",
        "ServiceQuotaExceededException",
        "TooManyRequestsError", "too_many_requests",
        "service_tier_capacity_exceeded", "over_capacity", "HTTPStatusError_429",
    ],
)  # fmt: skip
def test_errors_of_six_providers_count_as_throttling(name: str) -> None:
    """OpenAI, Anthropic, Google, AWS, Cohere and Mistral, and those who speak like them."""
    assert re.fullmatch(ERRORS, name)


@pytest.mark.parametrize("name", ["BadRequestError", "TimeoutError", "14290", "CapacityPlanning"])
def test_other_errors_do_not(name: str) -> None:
    """What is wrong with a call itself says nothing about their number."""
    assert not re.fullmatch(ERRORS, name)
