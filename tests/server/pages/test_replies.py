"""Replies as they are drawn: their Markdown, and nothing that a model could be talked into."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otel_chat.server.pages.replies import HEADING, LONGEST, SCHEMES, drawn
from tests.examples import examples

LINK = 'target="_blank" rel="noopener noreferrer nofollow"'
TAGS = {
    *("a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "s", "strong"),
    *("table", "tbody", "td", "th", "thead", "tr", "ul"),
}
PIECES = (
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>"),
    *("<iframe src=//evil.example>", "<a href=javascript:alert(1)>x</a>", "<style>*{}</style>"),
    *(
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt&colon;alert(1))",
        "[x](data:text/html;base64,PA)",
    ),
    *("[x](vbscript:x)", "[x](//evil.example)", "[x](/api/v1/tokens)", "[x](\x01javascript:a)"),
    *("![x](https://evil.example/?q=1)", "![x][r]\n\n[r]: https://evil.example/p.png", "![](x)"),
    *("<javascript:alert(1)>", "<https://shop.example>", "[x](https://a.example 'onclick=x')"),
    *('[x](https://a.example" onmouseover="alert(1))', "[x](<https://a.example onclick=a>)"),
    *("`<b>`", "```html\n<b onclick=x>\n```", "    <b>\n", "# <i>x", "> <u>", "- <b>", "1. <b>"),
    *("|<b>|b|\n|-|-|\n|<img src=x>|x|\n", "&lt;script&gt;", "&#106;avascript:", "<!--", "-->"),
    *("<![CDATA[", "]]>", "</p>", "</div></li></ol>", "<math><mtext><style>", "**", "_", "~~"),
    *("[", "](", ")", "<", ">", '"', "'", "\n", "\n\n", " ", "x", "\0", "\u202e"),
)


class Seen(HTMLParser):
    """Every tag and attribute that a browser would make of a text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.others: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Takes note of an element."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        """Takes note of text."""
        self.text += data

    def handle_comment(self, data: str) -> None:
        """Takes note of what should not be there."""
        self.others.append(data)

    def handle_decl(self, decl: str) -> None:
        """Takes note of what should not be there."""
        self.others.append(decl)

    def unknown_decl(self, data: str) -> None:
        """Takes note of what should not be there."""
        self.others.append(data)

    def handle_pi(self, data: str) -> None:
        """Takes note of what should not be there."""
        self.others.append(data)


def seen(text: str) -> Seen:
    """What is made of a reply."""
    found = Seen()
    found.feed(drawn(text))
    found.close()
    return found


@example("".join(PIECES))
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=12).map("".join))
@examples(150, 5000)
def test_nothing_of_a_reply_takes_effect(text: str) -> None:
    """No tag, attribute, address or comment is left but those of plain Markdown."""
    found = seen(text)
    assert found.others == []
    for tag, attributes in found.tags:
        assert tag in TAGS
        if tag == "a":
            assert attributes["rel"] == "noopener noreferrer nofollow"
            assert attributes["target"] == "_blank"
            assert set(attributes) <= {"href", "rel", "target"}
            if "href" in attributes:
                assert urlsplit(attributes["href"]).scheme in SCHEMES
        else:
            assert set(attributes) <= {"class", "start"}
            assert attributes.get("class", HEADING) == HEADING


@given(st.text("abc xyz.,!?\u00e9\u05d0\U0001f44d", max_size=40))
@examples(50, 2000)
def test_a_plain_text_stays_as_it_is(text: str) -> None:
    """What has no Markdown in it is shown letter by letter."""
    assert seen(text).text == text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**now** and *then*", "<p><strong>now</strong> and <em>then</em></p>"),
        ("# Plans\n\nTwo", f'<p class="{HEADING}">Plans</p>\n<p>Two</p>'),
        ("1. a\n2. b", "<ol>\n<li>a</li>\n<li>b</li>\n</ol>"),
        ("one\ntwo", "<p>one\ntwo</p>"),
        ("see ![the *cat*](https://cats.example/c.png)", "<p>see the *cat*</p>"),
        ("1 < 2 && 3 > 2", "<p>1 &lt; 2 &amp;&amp; 3 &gt; 2</p>"),
        ("[account](/account)", f"<p><a {LINK}>account</a></p>"),
    ],
)  # fmt: skip
def test_markdown_is_drawn(text: str, html: str) -> None:
    """Emphasis, lists, headings as paragraphs, pictures as their words, links without a place."""
    assert drawn(text) == html


def test_a_long_text_is_shown_as_it_stands() -> None:
    """Beyond the limit nothing is parsed: it would take a reader's time."""
    text = "**a** " * LONGEST
    assert drawn(text) == f"<p>{text}</p>"
