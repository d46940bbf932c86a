"""Writes the rules: `python -m prometheus.generate [--windows-factor 0.01] [--output DIR]`.

`--output` takes the folders `rules/` and `alerts/`; without it, those of this package are written
anew, and the tests for promtool with them. `--grafana` writes the alerts as Grafana's own instead,
`--operator` rules and dashboards as resources of Kubernetes.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import yaml

from prometheus import anomalies, conversations, objectives, operator, pipeline, slo, supply
from prometheus.book import Book
from prometheus.cases import CASES, SILENCES, VALUES
from prometheus.cases.model import Case, Silence, document
from prometheus.managed import FILE, provisioning, settings_for
from prometheus.settings import Settings
from tools.stack.expand import expand

HERE: Final = Path(__file__).parent
HEAD: Final = "# Written by `python -m prometheus.generate`; change that, not this.\n"


def rules(settings: Settings) -> Book:
    """All recording rules and alerts.

    Args:
        settings: Objectives, thresholds and windows.

    Raises:
        UnknownNameError: a rule names what nobody sends.
    """
    book = Book(settings)
    for add in (
        slo.add_objectives,
        slo.add_turns,
        slo.add_understanding,
        conversations.add_handoffs,
        conversations.add_outcomes,
        conversations.add_days,
        conversations.add_feedback,
        objectives.add_objectives,
        supply.add_costs,
        supply.add_budgets,
        supply.add_models,
        supply.add_tools,
        anomalies.add_no_traffic,
        anomalies.add_bands,
        pipeline.add_application,
        pipeline.add_collector,
        pipeline.add_servers,
    ):
        add(book)
    return book


def files(book: Book) -> dict[str, str]:
    """The files of the rules, by their path under the output folder."""
    written = {
        f"rules/{name}.yml": _yaml({"groups": [group]})
        for name, group in book.record_groups().items()
    }
    for name, group in book.alert_groups().items():
        written[f"alerts/{name}.yml"] = _yaml({"groups": [group]})
    return written


def cases() -> dict[str, str]:
    """The files of promtool's tests, by their path: those of a file of alerts and a step."""
    written = files(rules(Settings()))
    by_file: dict[tuple[str, str], list[Case | Silence]] = {}
    shown: tuple[Case | Silence, ...] = (*CASES, *SILENCES)
    for case in shown:
        (home,) = [
            path
            for path, text in written.items()
            if path.startswith("alerts/") and f"alert: {case.alert}\n" in text
        ]
        by_file.setdefault((home, case.step), []).append(case)
    documents = {}
    for (home, step), chosen in by_file.items():
        needed = [f"../{path}" for path in needed_by(home, written)]
        stem = Path(home).stem
        values = [one for one in VALUES if one.home == stem and step == "1m"]
        name = stem + ("" if step == "1m" else f"_{step}")
        documents[f"tests/{name}.yml"] = _yaml(document(chosen, values, needed, step))
    return documents


def needed_by(home: str, written: Mapping[str, str]) -> list[str]:
    """The files of rules that a file of alerts stands on, in the order of their use; it the last.

    Args:
        home: The path of the alerts.
        written: All files.
    """
    found = [home]
    for path in found:
        asked = set(re.findall(r"[a-z_]+:[a-z_0-9]+:[a-z_0-9]+", written[path]))
        found += [
            other
            for other, text in written.items()
            if other not in found and asked & set(re.findall(r"record: (\S+)", text))
        ]
    return found[::-1]


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
    """Several lines as a block; never an alias."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the base class's name
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _yaml(data: Mapping[str, Any]) -> str:
    return HEAD + str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=10_000))


def write(output: Path, contents: Mapping[str, str]) -> None:
    """Writes files, and takes away what was generated before and is no more."""
    for folder in {path.split("/")[0] for path in contents}:
        for old in (output / folder).glob("*.yml"):
            if f"{folder}/{old.name}" not in contents and old.read_text().startswith(HEAD):
                old.unlink()
    for path, text in contents.items():
        (output / path).parent.mkdir(parents=True, exist_ok=True)
        (output / path).write_text(text)


def _flag(value: str) -> bool:
    if value not in {"true", "false"}:
        raise ValueError(f"{value!r} is neither true nor false.")
    return value == "true"


_READ: Final[Mapping[str, Callable[[str], Any]]] = {"int": int, "float": float, "bool": _flag}


def settings_of(assignments: Sequence[str], windows_factor: float = 1.0) -> Settings:
    """Settings with some set, as the command line says them.

    Args:
        assignments: Such as `daily_usd=250`.
        windows_factor: Times every window.

    Raises:
        ValueError: there is no such setting, or that is no value of it.

    Example:
        >>> settings_of(["daily_usd=250"]).daily_usd
        250.0
    """
    kinds = {line.name: line.type for line in fields(Settings)}
    values: dict[str, Any] = {"windows_factor": windows_factor}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        if name not in kinds:
            raise ValueError(f"There is no setting {name!r}: {', '.join(kinds)}.")
        values[name] = _READ.get(str(kinds[name]), str)(value)
    return Settings(**values)


def _write_managed(settings: Settings) -> None:
    text = _yaml(provisioning(rules(settings_for(settings))))
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text)
    sys.stdout.write(f"{FILE} written. Take it away again where Alertmanager tells people.\n")


def _write_operator(settings: Settings) -> None:
    found = {
        "rules.yaml": [operator.prometheus_rule(rules(settings))],
        "dashboards.yaml": operator.dashboards(),
    }
    operator.FOLDER.mkdir(parents=True, exist_ok=True)
    for name, resources in found.items():
        path = operator.FOLDER / name
        text = "---\n".join(_yaml(resource) for resource in resources)
        path.write_text(expand(text, os.environ) if name == "rules.yaml" else text)
        sys.stdout.write(f"{path} written.\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m prometheus.generate", description=__doc__)
    parser.add_argument("--windows-factor", type=float, default=1.0, help="times every window")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--output", type=Path, default=HERE, metavar="DIR")
    parser.add_argument(
        "--grafana",
        action="store_true",
        help="write the alerts for Grafana to work out, for those without Alertmanager",
    )
    parser.add_argument(
        "--operator",
        action="store_true",
        help="write rules and dashboards for Prometheus' operator and Grafana's sidecar",
    )
    given = parser.parse_args(arguments)
    try:
        settings = settings_of(given.set, given.windows_factor)
        if given.operator:
            _write_operator(settings)
            return
        if given.grafana:
            _write_managed(settings)
            return
        contents = files(rules(settings))
    except ValueError as error:
        sys.exit(f"generate: {error}")
    if given.output == HERE:
        contents |= cases()
    write(given.output, contents)


if __name__ == "__main__":
    main()
