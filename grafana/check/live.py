"""Every query of every dashboard, run on a live Prometheus."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

import httpx

from grafana.board import INFINITY
from grafana.check.filled import chosen, fill, interval, opened, times
from grafana.panels import QUIET, RARE, UNKNOWN_BUDGET, UNKNOWN_COST

_TIMEOUT: Final = 60.0
MAY_BE_EMPTY: Final = (QUIET, RARE, UNKNOWN_BUDGET, UNKNOWN_COST)


@dataclass(slots=True)
class Result:
    """How one dashboard did.

    Args:
        title: The dashboard's.
        panels: How many it has.
        others: Those of them that ask others than Prometheus, and are not run here.
        queries: How many were run, each once with all values and once with every value ticked.
        with_data: Panels that showed something.
        quiet: Panels without data that say that they may be empty.
        empty: Panels without data.
        failing: Panels and what Prometheus said.
    """

    title: str
    panels: int = 0
    others: int = 0
    queries: int = 0
    with_data: int = 0
    quiet: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    failing: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing failed and nothing was empty that must not be."""
        return not self.empty and not self.failing


class QueryError(Exception):
    """Prometheus could not run a query."""


class Live:
    """A Prometheus: a context manager.

    Args:
        url: Its address.
        seconds: The time that dashboards are asked for; it ends now.
        analytics: The address of the analytics server; what asks it is not run without.
    """

    def __init__(self, url: str, seconds: float, analytics: str = "") -> None:
        self._analytics = analytics
        self._http = httpx.Client(base_url=url, timeout=_TIMEOUT, trust_env=False)
        self._end = time.time()
        self._seconds = seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._http.close()

    def run(self, dashboard: Mapping[str, Any]) -> Result:
        """Runs what a dashboard asks.

        Args:
            dashboard: As Grafana reads it.
        """
        result = Result(str(dashboard["title"]))
        every = opened(dashboard)
        try:
            ticked = self._ticked(dashboard, every)
            self._annotations(dashboard, every, result)
        except QueryError as error:
            result.failing.append(str(error))
            return result
        for panel in dashboard["panels"]:
            result.panels += 1
            asks = panel["datasource"]["type"]
            if asks != "prometheus" and not (asks == INFINITY and self._analytics):
                result.others += 1
                continue
            try:
                if asks == INFINITY:
                    found = self._answers(panel, every, result)
                else:
                    found = self._panel(panel, every, result)
                    self._panel(panel, ticked, result)
            except QueryError as error:
                result.failing.append(f"{panel['title']}: {error}")
                continue
            if found:
                result.with_data += 1
            elif panel["description"].endswith(MAY_BE_EMPTY):
                result.quiet.append(panel["title"])
            else:
                result.empty.append(panel["title"])
        return result

    def _annotations(
        self, dashboard: Mapping[str, Any], values: Mapping[str, str], result: Result
    ) -> None:
        for annotation in dashboard["annotations"]["list"]:
            result.queries += 1
            self._course(fill(annotation["expr"], values), 60_000)

    def _ticked(self, dashboard: Mapping[str, Any], every: Mapping[str, str]) -> dict[str, str]:
        """Variables with each value ticked that there is."""
        found = dict(every)
        for variable in dashboard["templating"]["list"]:
            if variable["type"] != "query":
                continue
            inside = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"])
            if inside is None:
                raise QueryError(f"{variable['name']}: {variable['definition']} is no label_values")
            asked = {"match[]": fill(inside[1], found), "start": self._end - self._seconds}
            values = self._ask(f"label/{inside[2]}/values", asked, post=False)
            if values:
                found[variable["name"]] = chosen(values)
        return found

    def _panel(self, panel: Mapping[str, Any], values: Mapping[str, str], result: Result) -> bool:
        step = interval(self._seconds, panel["gridPos"]["w"], panel.get("interval"))
        filled = {**values, **times(self._seconds, step)}
        found = False
        for target in panel["targets"]:
            result.queries += 1
            expr = fill(target["expr"], filled)
            numbers = self._now(expr) if target.get("instant") else self._course(expr, step)
            found = any(not math.isnan(number) for number in numbers) or found
            if target.get("exemplar"):
                start = self._end - self._seconds
                asked = {"query": expr, "start": start, "end": self._end}
                self._ask("query_exemplars", asked)
        return found

    def _answers(self, panel: Mapping[str, Any], values: Mapping[str, str], result: Result) -> bool:
        """Whether the analytics server answers with all that a panel shows."""
        start, end = (
            f"{datetime.fromtimestamp(at, UTC):%FT%TZ}"
            for at in (self._end - self._seconds, self._end)
        )
        found = False
        for target in panel["targets"]:
            result.queries += 1
            url = fill(target["url"], {**values, "__from": start, "__to": end})
            try:
                answer = self._http.get(f"{self._analytics}{url}")
            except httpx.HTTPError as error:
                raise QueryError(f"{url}: {error}") from error
            if answer.is_error:
                raise QueryError(f"{answer.text} at {url}")
            items = _at(answer.json(), target["root_selector"])
            for item in [items] if isinstance(items, Mapping) else items:
                for column in target["columns"]:
                    _at(item, column["selector"])
                found = True
        return found

    def _now(self, expr: str) -> Iterator[float]:
        answer = self._ask("query", {"query": expr, "time": self._end})
        yield from (float(series["value"][1]) for series in answer["result"])

    def _course(self, expr: str, step: int) -> Iterator[float]:
        seconds = step / 1000
        start, end = (
            math.floor(moment / seconds) * seconds
            for moment in (self._end - self._seconds, self._end)
        )
        asked = {"query": expr, "start": start, "end": end, "step": seconds}
        for series in self._ask("query_range", asked)["result"]:
            yield from (float(number) for _, number in series["values"])

    def _ask(self, path: str, asked: Mapping[str, Any], *, post: bool = True) -> Any:
        try:
            if post:
                answer = self._http.post(f"/api/v1/{path}", data=dict(asked)).json()
            else:
                answer = self._http.get(f"/api/v1/{path}", params=dict(asked)).json()
        except (httpx.HTTPError, ValueError) as error:
            raise QueryError(f"{path}: {error}") from error
        if answer.get("status") != "success":
            raise QueryError(f"{answer.get('error')} in {asked.get('query')}")
        return answer["data"]


def _at(value: Any, path: str) -> Any:
    """What stands at a path of names.

    Raises:
        QueryError: there is nothing of that name.
    """
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            raise QueryError(f"the answer has no {path}")
        value = value[name]
    return value


def table(results: Sequence[Result]) -> str:
    """The results as lines of text."""
    width = max(len(one.title) for one in results)
    lines = [f"{'dashboard':{width}}  panels  queries  with data  empty (allowed)  failing"]
    for one in results:
        empty = f"{len(one.empty)} ({len(one.quiet)})"
        lines.append(
            f"{one.title:{width}}  {one.panels:6}  {one.queries:7}  {one.with_data:9}"
            f"  {empty:>15}  {len(one.failing):7}"
        )
        lines += [f"  not run, for others than Prometheus: {one.others}"] if one.others else []
        lines += [f"  no data: {title}" for title in one.empty]
        lines += [f"  no data, as it may be: {title}" for title in one.quiet]
        lines += [f"  failing: {text}" for text in one.failing]
    return "\n".join(lines)
