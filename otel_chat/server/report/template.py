"""Templates of one's own: Jinja in a sandbox, which writes Markdown and can reach nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from jinja2 import (
    StrictUndefined,
    TemplateError,
    TemplateRuntimeError,
    TemplateSyntaxError,
    Undefined,
    nodes,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from otel_chat.errors import ConfigurationError

SECONDS: Final = 5.0
LONGEST: Final = 1_000_000
_MOST_RANGE: Final = 1000


# What makes much out of little is not among these: texts only get shorter.
_FILTERS: Final = (
    "abs", "capitalize", "count", "d", "default", "first", "float", "int", "last", "length",
    "lower", "max", "min", "reject", "rejectattr", "reverse", "round", "select", "selectattr",
    "sort", "sum", "title", "trim", "truncate", "unique", "upper",
)  # fmt: skip
_OF_TEXTS: Final = ("capitalize", "endswith", "lower", "startswith", "strip", "title", "upper")
_REFUSED: Final = (
    nodes.AssignBlock,
    nodes.CallBlock,
    nodes.Concat,
    nodes.Dict,
    nodes.Extends,
    nodes.FilterBlock,
    nodes.FromImport,
    nodes.Import,
    nodes.Include,
    nodes.List,
    nodes.Macro,
    nodes.Mul,
    nodes.Pow,
)


class _Environment(ImmutableSandboxedEnvironment):
    """Also bounded in what it may take."""

    intercepted_binops = frozenset({"+", "%"})
    ends = float("inf")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuses what makes long texts."""
        if any(not isinstance(one, int | float) for one in (left, right)):
            raise TemplateRuntimeError(f"{operator} is for numbers here")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may have it; of texts a few that make no longer ones."""
        known = not isinstance(obj, str) or attr in _OF_TEXTS
        return known and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """Leaves `format` to be refused as any other attribute of texts."""

    def call(self, context: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Refuses to go on for ever: a loop in a loop calls `range` again and again."""
        self.in_time()
        return super().call(context, function, *args, **kwargs)

    def in_time(self) -> None:
        """Refuses to go on for ever."""
        if time.monotonic() > self.ends:
            raise TemplateRuntimeError(f"it takes longer than {SECONDS:g} s")


def _range(*bounds: int) -> range:
    made = range(*bounds)
    if len(made) > _MOST_RANGE:
        raise TemplateRuntimeError(f"a range has at most {_MOST_RANGE} numbers")
    return made


def _environment(escape: Callable[[str], str]) -> _Environment:
    def written(value: Any) -> Any:
        """What a template writes is text, unless it is Markdown that the report itself made."""
        if isinstance(value, Markup):
            return value
        if not isinstance(value, str | int | float | Undefined | None):
            raise TemplateRuntimeError(f"a {type(value).__name__} is not written: write its parts")
        return escape(str(value))

    made = _Environment(
        undefined=StrictUndefined,
        autoescape=False,  # it writes Markdown, of which `written` takes care
        finalize=written,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals = {"range": _range}
    made.filters = {name: made.filters[name] for name in _FILTERS}
    return made


def _parsed(environment: _Environment, template: str) -> nodes.Template:
    tree = environment.parse(template)
    for refused in tree.find_all(_REFUSED):
        kind = type(refused).__name__
        raise TemplateSyntaxError(f"{kind} is not taken here: see docs/reports.md", refused.lineno)
    for used in tree.find_all(nodes.Filter):
        if used.name not in environment.filters:
            known = ", ".join(sorted(environment.filters))
            raise TemplateSyntaxError(f"no filter {used.name!r}; known: {known}", used.lineno)
    return tree


def check(template: str) -> None:
    """Refuses a template that cannot be read.

    Raises:
        ValueError: Names the line.

    Example:
        >>> check("{% for one in worse %}")
        Traceback (most recent call last):
        ValueError: line 1: Unexpected end of template. ...
    """
    try:
        _parsed(_environment(str), template)
    except TemplateError as error:
        line = getattr(error, "lineno", 0)
        raise ValueError(f"line {line}: {error.message}") from error


def render(template: str, values: Mapping[str, Any], escape: Callable[[str], str]) -> str:
    r"""What a template makes of a report: Markdown.

    Args:
        template: The template.
        values: What it may write.
        escape: Takes away what a text would mean in Markdown.

    Raises:
        ConfigurationError: If it fails, takes too long or writes too much.

    Example:
        >>> render("{% for one in worse %}- {{ one }}\n{% endfor %}", {"worse": ["*a*"]}, repr)
        "- '*a*'\n"
        >>> render("{{ ''.__class__.__mro__ }}", {}, str)
        Traceback (most recent call last):
        otel_chat.errors.ConfigurationError: template: access to attribute '__class__' ...
    """
    environment = _environment(escape)
    environment.ends = time.monotonic() + SECONDS
    written: list[str] = []
    size = 0
    try:
        for piece in environment.from_string(_parsed(environment, template)).generate(**values):
            environment.in_time()
            size += len(piece)
            if size > LONGEST:
                break
            written.append(piece)
    except TemplateError as error:
        raise ConfigurationError(f"template: {error.message}") from error
    except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise ConfigurationError(f"template: {error}") from error
    if size > LONGEST:
        raise ConfigurationError(f"template: it writes more than {LONGEST:,} characters.")
    return "".join(written)
