"""The checks find what is wrong with a dashboard, and nothing with those that are generated."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest

from grafana.check.__main__ import main
from grafana.check.expressions import Expression
from grafana.check.lint import lint
from grafana.generate import DASHBOARDS

Change = Callable[[dict[str, Any]], object]


def test_nothing_is_wrong_with_the_generated_dashboards(dashboards: list[dict[str, Any]]) -> None:
    """All rules hold for all of them."""
    assert [str(finding) for finding in lint(dashboards)] == []
    assert len(dashboards) == 12


def panel(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A panel of a dashboard by its title."""
    return lambda one: next(p for p in one["panels"] if p["title"] == name)


TURNS, TIMES, TILE = panel("Turns by result"), panel("Response time"), panel("Turns")
AGENTS = panel("Agents and channels")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(uid="abc"), "no uid of the form"),
        (lambda d: d.update(schemaVersion=36), "schemaVersion 42"),
        (lambda d: d.update(tags=[]), "no tag"),
        (lambda d: d.update(surprise=1), r"\.surprise, which Grafana's schema does not know"),
        (lambda d: d["panels"].extend(copy.deepcopy(d["panels"][:5])), "more than 18 panels"),
        (lambda d: TILE(d).update(id=1), "panels of the same id"),
        (lambda d: TILE(d).update(description=""), "no title or no description"),
        (lambda d: TILE(d)["fieldConfig"]["defaults"].pop("unit"), "no unit"),
        (lambda d: TILE(d)["fieldConfig"]["defaults"].update(unit="cps"), "the unit cps"),
        (lambda d: TILE(d)["fieldConfig"]["defaults"].pop("decimals"), "leaves open how many"),
        (lambda d: TILE(d)["fieldConfig"]["defaults"].update(decimals=7), "with 7 digits"),
        (
            lambda d: TILE(d)["fieldConfig"]["defaults"].update(max=0.0050000000000000044),
            "of more than 6 digits",
        ),
        (lambda d: TILE(d)["fieldConfig"]["defaults"].pop("thresholds"), "no thresholds"),
        (lambda d: TILE(d).update(datasource={"uid": "fixed"}), "data source that was chosen"),
        (lambda d: TILE(d).update(targets=[]), "asks nothing"),
        (lambda d: TILE(d).update(title="Turns, $window"), "or says one in vain"),
        (lambda d: TILE(d)["gridPos"].update(x=0), "over Open conversations"),
        (lambda d: TILE(d)["gridPos"].update(x=22), "outside of the grid"),
        (lambda d: TIMES(d)["targets"][1].update(exemplar=False), "without exemplars"),
        (lambda d: TIMES(d)["targets"][1].update(refId="A"), "the same refId"),
        (lambda d: TURNS(d)["targets"][0].update(legendFormat="{{le}}"), "a legend of le"),
        (lambda d: TILE(d)["links"][0].update(url="http://elsewhere/"), "to elsewhere"),
        (
            lambda d: TILE(d)["links"][0].update(
                url="${analytics}/?a=${__field.labels.b:percentencode}"
            ),
            "a link with b",
        ),
        (
            lambda d: TILE(d)["links"][0].update(url="${analytics}/turns?failed=true"),
            "does not keep the time",
        ),
        (
            lambda d: AGENTS(d)["links"].append({"title": "x", "url": "/${__field.labels.a}"}),
            "which the rows of a table do not have",
        ),
        (lambda d: TILE(d)["targets"][0].update(expr="sum($unknown)"), r"uses \$unknown"),
        (lambda d: d["templating"]["list"].reverse(), "data source first"),
        (
            lambda d: d["templating"]["list"].append({"name": "more", "type": "custom"}),
            "offers more, which no query uses",
        ),
        (
            lambda d: d["templating"]["list"][1].update(definition="label_values(up, agent)"),
            "groups by agent",
        ),
        (lambda d: d["annotations"]["list"][0].update(expr="none_such"), "nobody sends"),
    ],
)
def test_each_rule_finds_its_fault(
    change: Change, words: str, dashboards: list[dict[str, Any]]
) -> None:
    """One change of a good dashboard is one kind of finding."""
    (overview,) = (one for one in dashboards if one["uid"] == "otel-chat-overview")
    change(overview)
    assert re.search(words, "; ".join(map(str, lint(dashboards))))


def test_uids_are_not_shared(dashboards: list[dict[str, Any]]) -> None:
    """Grafana would keep only one of two dashboards with the same uid."""
    dashboards[1]["uid"] = dashboards[0]["uid"]
    assert "uid is not unique" in "; ".join(map(str, lint(dashboards)))


TURN = "otel_chat_turn_duration_seconds"


@pytest.mark.parametrize(
    ("text", "instant", "words"),
    [
        ("sum(otel_chat_turns_total)", False, "names otel_chat_turns_total, which nobody sends"),
        ('sum(otel_chat_handoffs_total{intent="x"})', False, "matches intent"),
        ("sum by (le) (otel_chat_handoffs_total)", False, None),
        ("sum by (window) (otel_chat_handoffs_total)", False, "groups by window"),
        ("rate(otel_chat_handoffs_total[5m])", False, "not over $__rate_interval"),
        ("rate(otel_chat_handoffs_total)", False, "no time"),
        ("rate(otel_chat_handoffs_total[$__rate_interval])", False, None),
        ("increase(otel_chat_handoffs_total[$__range])", True, "not anchored"),
        ("increase(otel_chat_handoffs_total[$__range] anchored)", True, None),
        ("increase(otel_chat_handoffs_total[$__range] anchored)", False, "at every step"),
        ("increase(otel_chat_handoffs_total[$__rate_interval] anchored)", False, "overlaps"),
        (f"avg({TURN}_bucket)", False, "averages buckets"),
        (f"histogram_quantile(0.9, sum(rate({TURN}_bucket[$__rate_interval])))", False, "`le`"),
        (f'{TURN}_count{{otel_chat_status="a{{b}}c"}} or vector(0)', False, None),
    ],
)
def test_faults_of_expressions(text: str, instant: bool, words: str | None) -> None:
    """Names that do not exist, and ways of looking at time that mislead."""
    found = list(Expression(text).wrong(instant=instant))
    if words is None:
        assert found == []
    else:
        assert words in "; ".join(found)


def test_the_command_ends_with_the_number_of_findings(
    capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    """0 and a summary where nothing is wrong; 1 and the findings where something is."""
    with pytest.raises(SystemExit, match="0"):
        main([])
    assert capsys.readouterr().out == "12 dashboards, 0 findings\n"

    text = (DASHBOARDS / "overview.json").read_text()
    (tmp_path / "overview.json").write_text(text.replace("otel-chat-overview", "other"))
    with pytest.raises(SystemExit, match="1"):
        main(["--dashboards", str(tmp_path)])
    assert "1 Overview: has no uid of the form" in capsys.readouterr().out
