"""Replies as they are shown: their Markdown is drawn, and nothing else of them takes effect.

A reply is written by a model, and a user may have told it what to write. So no HTML of it is
taken, no picture is fetched, and a link says nothing of the page that it stands on.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

if TYPE_CHECKING:
    from markdown_it.rules_core import StateCore

LONGEST: Final = 10_000
"""Longer texts are shown as they stand: to draw them would take a reader's time for little."""
HEADING: Final = "reply-heading"
SCHEMES: Final = frozenset({"http", "https", "mailto", "tel"})
_TAGS: Final = (
    "a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "s", "strong", "table",
    "tbody", "td", "th", "thead", "tr", "ul",
)  # fmt: skip
_ATTRIBUTES: Final = {"*": (), "a": ("href",), "ol": ("start",)}
_MARKS: Final = re.compile(
    r"[*_`#\[\]<>~\\&|=]|^\s*(?:[-+]|\d+[.)])\s|^\s*-{3}|\n\s*\n|^ {4}", re.MULTILINE
)
"""Without any of these Markdown draws a text as it stands."""


def drawn(text: str) -> Markup:
    """A reply as HTML that is safe to show.

    Args:
        text: The reply, as it was sent to the user.

    Example:
        >>> drawn("Pay **now** at [our shop](https://shop.example/)")
        Markup('<p>Pay <strong>now</strong> at <a href="https://shop.example/" \
target="_blank" rel="noopener noreferrer nofollow">our shop</a></p>')
        >>> drawn("<b>![cat](https://cats.example/cat.png)</b>")
        Markup('<p>&lt;b&gt;cat&lt;/b&gt;</p>')
    """
    if len(text) > LONGEST or not _MARKS.search(text):
        return Markup("<p>{}</p>").format(text)
    clean = _cleaner().clean(_parser().render(text))
    return Markup(clean.strip())  # noqa: S704 - cleaned of all that is not in the lists above


@cache
def _cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        allowed_classes={"p": {HEADING}},
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes=set(SCHEMES),
        # What is relative belongs to the site that the reply was shown on: here it would lead to
        # an address of this server.
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
    )


@cache
def _parser() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    made.core.ruler.push("plain", _plain)
    return made


def _plain(state: StateCore) -> None:
    """Headings become paragraphs, for the page has its own; pictures become their description."""
    for token in state.tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = "p"
            if token.nesting == 1:
                token.attrSet("class", HEADING)
        for inner in token.children or ():
            if inner.type == "image":
                inner.type, inner.tag = "text", ""
