"""The runbooks of the alerts as pages: what an alert means, how to look, what to do.

They hold nothing of anybody's conversations, and whoever is called at night may have no token at
hand: they are for everybody who reaches the server.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi import Request, Response
from markdown_it import MarkdownIt
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse

from otel_chat.server.api.security import own_router
from otel_chat.server.pages.errors import PageRoute
from otel_chat.server.pages.render import page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.resources.abc import Traversable

    from markdown_it.token import Token

INDEX: Final = "README"

router = own_router(
    prefix="", route_class=PageRoute, include_in_schema=False, default_response_class=HTMLResponse
)


def _folder() -> Traversable:
    """The runbooks of the package; those of the repository, where it runs from there."""
    packed = files("otel_chat.server") / "runbooks"
    return packed if packed.is_dir() else Path(__file__).parents[3] / "docs" / "runbooks"


@cache
def runbooks() -> Mapping[str, str]:
    """The runbooks as HTML, by the name of the alert; the list of all as `README`.

    Example:
        >>> "<h2>What to do</h2>" in runbooks()["ChatNoTraffic"]
        True
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    found = {}
    for path in _folder().iterdir():
        name, _, ending = path.name.rpartition(".")
        if ending == "md":
            tokens = markdown.parse(path.read_text(encoding="utf-8"))
            found[name] = markdown.renderer.render(_inside(tokens), markdown.options, {})
    return found


def _inside(tokens: Sequence[Token]) -> Sequence[Token]:
    """Without links that leave the runbooks for pages that are not served; their words stay."""
    for token in tokens:
        left_out = False
        kept = []
        for child in token.children or ():
            if child.type == "link_open":
                left_out = str(child.attrGet("href")).startswith("..")
            if not (left_out and child.type in {"link_open", "link_close"}):
                kept.append(child)
        if token.children:
            token.children = kept
    return tokens


@router.get("/runbooks")
def runbooks_page() -> Response:
    """Leads to the list, from where its links are right."""
    return RedirectResponse(f"/runbooks/{INDEX}.md", status_code=303)


@router.get("/runbooks/{name}")
def runbook_page(request: Request, name: str) -> Response:
    """One runbook, by the name of its alert, with `.md` or without."""
    name = name.removesuffix(".md")
    text = runbooks().get(name)
    if text is None:
        raise HTTPException(404, name)
    title = "Alerts and what to do" if name == INDEX else name
    return page(request, "runbook.html", "", title=title, text=text)
