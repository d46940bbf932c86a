"""Static files: what is vendored is what it says, and what browsers load stays small."""

from __future__ import annotations

import gzip
import hashlib
import re

import pytest

from otel_chat.server.pages import assets

VENDOR = assets.ROOT / "vendor"
ROW = re.compile(
    r"^\| (?P<file>\S+) \| (?P<name>\S+) \| (?P<version>\d+\.\d+\.\d+) \| .*\]\((?P<licence>\S+)\)"
    r" \| (?P<hash>[0-9a-f]{64}) \| .+ \|$",
    re.MULTILINE,
)


def test_vendored_files_are_those_that_were_noted() -> None:
    """Each vendored script and style stands in VENDORED.md with its hash, version and licence."""
    rows = list(ROW.finditer((VENDOR / "VENDORED.md").read_text()))
    assert {row["file"] for row in rows} == {path.name for path in VENDOR.glob("*.*s")}
    for row in rows:
        content = (VENDOR / row["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["hash"], row["file"]
        assert row["version"].encode() in content or row["file"].endswith(".css")
        licence = (VENDOR / row["licence"]).read_text()
        assert "permission" in licence.lower()


def test_scripts_and_styles_together_stay_small() -> None:
    """All that the pages may ever load, as it is sent: below 200 KB; the API's page 600 KB more."""
    sent: dict[bool, int] = {True: 0, False: 0}
    for name, asset in assets.assets().items():
        if name.endswith((".js", ".css")):
            sent["swagger-ui" in name] += len(asset.compressed)
        assert gzip.decompress(asset.compressed) == asset.content
    assert sent[False] < 200_000
    assert sent[True] < 600_000


def test_the_library_of_the_apis_page_is_loaded_there_alone() -> None:
    """No other template names it."""
    templates = assets.ROOT.parent / "templates"
    named = {path.name for path in templates.glob("*.html") if "swagger" in path.read_text()}
    assert named == {"docs.html"}


def test_no_script_or_style_names_another_host() -> None:
    """Nothing of our own asks another host; there is no address of one to ask."""
    for path in [*assets.ROOT.glob("js/*"), *assets.ROOT.glob("css/*")]:
        assert not re.search(r"https?://|//[a-z]+\.[a-z]", path.read_text()), path


def test_addresses_change_with_the_content(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another content makes another address, so that a browser never keeps what is outdated."""
    before = assets.address("css/base.css")
    changed = dict(assets.assets())
    changed["css/base.css"] = assets.Asset(b"other", gzip.compress(b"other"), "text/css")
    monkeypatch.setattr(assets, "assets", lambda: changed)
    assets.version.cache_clear()
    try:
        assert assets.address("css/base.css") != before
    finally:
        monkeypatch.undo()
        assets.version.cache_clear()
    assert assets.address("css/base.css") == before


def test_a_name_that_is_no_file_has_no_address() -> None:
    """A template that names a missing file fails when it is rendered."""
    with pytest.raises(KeyError):
        assets.address("css/missing.css")
