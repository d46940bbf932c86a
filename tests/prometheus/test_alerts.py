"""The alerts, minute by minute, in Prometheus' own engine; and that the cases would notice."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from prometheus.cases import CASES
from prometheus.generate import HERE, cases, files, rules, write
from prometheus.settings import Settings
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
    conversations=0,
    ratings=0,
    expected_turns=1,
    handoff_least=1,
    throttled_least=1,
    unpriced_turns=1,
    capped_values=1,
)


def failed(folder: Path, settings: Settings, paths: Sequence[Path]) -> str:
    """What is printed about cases that do not hold with other settings."""
    write(folder, {**cases(), **files(rules(settings))})
    given = [str(folder / "tests" / path.name) for path in paths]
    done = subprocess.run(
        [program("ruletest"), *given], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    return done.stdout


@pytest.mark.timeout(600)
def test_the_cases_of_low_volume_would_notice_missing_limits(tmp_path: Path) -> None:
    """Without least numbers each alert that has one fires at low volume, and its case fails."""
    printed = failed(tmp_path, NO_LIMITS, [path for path in FILES if "15m" not in path.stem])
    quiet = [
        f"{case.alert} {case.labels.get('window', '')}".strip() + f": {why}"
        for case in CASES
        for why in case.quiet
        if why.startswith(("too few", "four", "nine", "few turns"))
    ]
    assert len(quiet) > 20
    assert [case for case in quiet if f"{case}: " not in printed] == []


def test_the_cases_would_notice_longer_waits(tmp_path: Path) -> None:
    """With all times doubled each alert fires late, and its case fails."""
    short = [path for path in FILES if not path.stem.endswith("5m")]
    printed = failed(tmp_path, Settings(windows_factor=2), short)
    names = {case.alert for case in CASES if case.step == "1m"}
    assert {name for name in names if f": {name}" not in printed} == set()


def test_every_alert_has_cases() -> None:
    """Each alert, and each window of an objective, is shown to fire and to stay silent."""
    shown = {(case.alert, case.labels.get("window")) for case in CASES}
    book = rules(Settings())
    assert shown == {(alert.name, alert.labels.get("window")) for alert in book.alerts}
    assert {case.alert for case in CASES if case.quiet} == {alert.name for alert in book.alerts}
