"""Makes the README and docs/ a site with a search: `make docs`, which any warning ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = html_title = "otel-chat"
extensions = ["myst_parser"]
myst_heading_anchors = 4
root_doc = "README"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**"]
exclude_patterns = ["docs/site"]
# Names of recorded rules are PromQL that the highlighter does not know.
suppress_warnings = ["misc.highlighting_failure"]
html_theme = "furo"
html_extra_path = ["index.html"]
html_show_copyright = html_show_sphinx = False


def add_contents(_: Sphinx, document: str, text: list[str]) -> None:
    """Puts the contents behind the README: on GitHub nobody knows what they are written in."""
    if document == root_doc:
        text[0] += Path(__file__).with_name("contents.md").read_text(encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_contents)
