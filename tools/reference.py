"""Writes docs/reference.md from the code: functions, metrics, settings, figures, exports.

python tools/reference.py
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, get_args

import otel_chat
from otel_chat import config, semconv
from otel_chat._telemetry import instruments
from otel_chat._telemetry.instruments import Instrument, Kind
from otel_chat._turns import fields
from otel_chat.server import app  # noqa: F401 - makes every figure known
from otel_chat.server.figures.registry import FIGURES, Quotient
from otel_chat.server.questions.exports import Export, columns_of
from otel_chat.server.settings import ServerSettings
from prometheus import names

PAGE: Final = Path(__file__).parent.parent / "docs" / "reference.md"
_INTRODUCTION: Final = """\
# Reference

What the library can report, the metrics that it records, the settings, the figures of the server \
and the columns of its exports. This page is made from the code by `python tools/reference.py`; a \
test compares the two.
"""
_ARGUMENT: Final = re.compile(r"^    (\w+): (.+?)(?=^    \w+: |^\w|\Z)", re.DOTALL | re.MULTILINE)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        f"| {' | '.join(one.replace('|', chr(92) + '|') for one in line)} |\n" for line in lines
    )


def summary(of: object) -> str:
    """The first sentence of a docstring."""
    return (inspect.getdoc(of) or "").split("\n\n", 1)[0].replace("\n", " ")


def arguments(of: object) -> dict[str, str]:
    """What a docstring says of each argument."""
    _, _, told = (inspect.getdoc(of) or "").partition("Args:\n")
    return {name: " ".join(text.split()) for name, text in _ARGUMENT.findall(told)}


def signature(function: Callable[..., object], name: str) -> str:
    """A call with the names of its parameters, those that are optional with their defaults."""
    asked = inspect.signature(function)
    plain = [
        parameter.replace(annotation=parameter.empty)
        for parameter in asked.parameters.values()
        if parameter.name != "self"
    ]
    return f"`{name}{asked.replace(parameters=plain, return_annotation=asked.empty)}`"


def methods(of: type) -> list[tuple[str, Callable[..., object]]]:
    """What a class offers its users: the methods that it defines itself, in their order."""
    return [
        (name, function)
        for name, function in vars(of).items()
        if inspect.isfunction(function) and not name.startswith("_")
    ]


def functions() -> str:
    """What the library can report, one table for each place to report it from."""
    turn = [
        (signature(function, f"turn.{name}"), summary(function))
        for name, function in methods(otel_chat.Turn)
        if hasattr(function, "__wrapped__")  # the others are the library's own
    ]
    conversation = [
        (signature(function, f"conversation.{name}"), summary(function))
        for name, function in methods(otel_chat.Conversation)
        if name != "begin"
    ]
    rest = [
        (
            signature(getattr(otel_chat, name), f"otel_chat.{name}"),
            summary(getattr(otel_chat, name)),
        )
        for name in otel_chat.__all__
        if inspect.isfunction(getattr(otel_chat, name))
    ]
    head = ("call", "what it does")
    return (
        "## Functions of a turn\n\n`turn = otel_chat.current_turn()` inside a handler. Outside a"
        " turn each of them does nothing.\n\n"
        f"{table(head, turn)}\n## Functions of a conversation\n\n"
        '`with otel_chat.conversation("session-1") as conversation:`\n\n'
        f"{table(head, conversation)}\n## Functions of the module\n\n{table(head, rest)}"
    )


def fields_of_turns() -> str:
    """The table of what stands on every span and event of a turn."""
    rows = [
        (f"`{name}`", f"`{key}`", kind)
        for keys, kind in ((fields.TEXT_KEYS, "text"), (fields.COUNT_KEYS, "whole number from 0"))
        for name, key in keys.items()
    ]
    rows.append(("`user_id`", f"`{semconv.USER_HASH}`", "text, hashed with `user_hash_key`"))
    return (
        "## Fields of a turn\n\nArguments by name of `chat_handler`, `turn`, `conversation`,"
        " `record_turn` and of `turn.fields()`; on handlers a function of the call's arguments may"
        " stand for the value.\n\n" + table(("field", "attribute", "kind"), rows)
    )


def _in_prometheus(line: Instrument) -> tuple[str, str]:
    """A metric's name in Prometheus, and an example of a query."""
    by = f" by ({names.label(line.attributes[0])})" if line.attributes else ""
    if line.kind is Kind.HISTOGRAM:
        bucket, count = (names.histogram(line.name, part) for part in ("bucket", "count"))
        inner = f"sum by (le) (rate({bucket}[5m]))"
        return str(count).removesuffix("_count"), f"histogram_quantile(0.95, {inner})"
    if line.kind in {Kind.UP_DOWN, Kind.GAUGE}:
        gauge = str(names.gauge(line.name))
        return gauge, f"{'sum' if line.kind is Kind.UP_DOWN else 'max'}{by} ({gauge})"
    counter = str(names.counter(line.name))
    return counter, f"sum{by} (rate({counter}[5m]))"


def metrics() -> str:
    """The table of metrics."""
    rows = []
    for line in instruments.TABLE:
        called, query = _in_prometheus(line)
        bounds = ", ".join(f"{bound:g}" for bound in line.bounds or ())
        labels = ", ".join(f"`{one}`" for one in line.attributes)
        rows.append(
            (
                f"`{line.name}`<br>`{called}`",
                f"{line.kind.value}, `{line.unit}`",
                f"{line.description}, {line.when}",
                labels,
                bounds,
                f"`{query}`",
            )
        )
    head = (
        "name, and in Prometheus",
        "kind, unit",
        "what, when",
        "attributes",
        "buckets",
        "example",
    )
    return (
        "## Metrics\n\nIn Prometheus a label is the attribute's name with `_` for each dot;"
        " `service_name` and `deployment_environment_name` stand beside."
        " [How many series a process can make](metrics.md).\n\n" + table(head, rows)
    )


def settings() -> str:
    """The table of the library's settings."""
    told = arguments(otel_chat.Config)
    variables: dict[str, list[str]] = {}
    for variable, (name, _) in config.ENVIRONMENT.items():
        variables.setdefault(name, []).append(f"`{variable}`")
    rows = []
    defaults = otel_chat.Config()
    for field in dataclasses.fields(defaults):
        setters = "<br>".join(variables.get(field.name, []))
        default = f"`{getattr(defaults, field.name)!r}`"
        rows.append((f"`{field.name}`", setters, default, told[field.name]))
    return (
        "## Settings of the library\n\n`otel_chat.setup(config=otel_chat.Config(...))`;"
        " without a `config` they are read from the environment.\n\n"
        + table(("setting", "environment variable", "default", "what it does"), rows)
    )


def server_settings() -> str:
    """The table of the analytics server's settings."""
    told = arguments(ServerSettings)
    rows = [
        (f"`OTEL_CHAT_SERVER_{name.upper()}`", f"`{field.default!s}`", told[name])
        for name, field in ServerSettings.model_fields.items()
    ]
    return "## Settings of the analytics server\n\n" + table(
        ("environment variable", "default", "what it does"), rows
    )


def figures() -> str:
    """The table of what the analytics server works out, as `/api/v1/definitions` tells it."""
    rows = [
        (
            f"`{one.name}`",
            f"`{one.unit}`",
            one.definition,
            f"`{one.gauge}`" if isinstance(one, Quotient) and one.gauge else "",
        )
        for _, one in sorted(FIGURES.items())
    ]
    return (
        "## Figures\n\nAs `/api/v1/definitions` tells them; the threshold of confidence is a"
        " setting. Gauges are of conversations that started in a window.\n\n"
        + table(("figure", "unit", "definition", "gauge"), rows)
    )


def exports() -> str:
    """The columns of each export, in their order."""
    rows = [
        (f"`{kind}`", ", ".join(f"`{column.name}`" for column in columns_of(kind)))
        for kind in get_args(Export)
    ]
    return (
        "## Columns of exports\n\nIn this order. [What each type has a row of](exports.md).\n\n"
        + table(("type", "columns"), rows)
    )


def page() -> str:
    """The whole page."""
    parts = (functions, fields_of_turns, metrics, settings, server_settings, figures, exports)
    return "\n".join((_INTRODUCTION, *(part() for part in parts)))


def main() -> None:
    """Writes it."""
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")


if __name__ == "__main__":
    main()
