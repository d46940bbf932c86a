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


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast of two colours by WCAG 2, 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_faintest_cell_of_a_heat_map_is_seen(theme: str) -> None:
    """3 : 1 against an empty cell and the panel, the deepest three times as much; each deeper."""
    styles = {path.stem: path.read_text() for path in (assets.ROOT / "css").glob("*.css")}
    known = re.findall(r"--([a-z]+): light-dark\((#\w{6}), (#\w{6})\)", styles["base"])
    colours = {name: light if theme == "light" else dark for name, light, dark in known}
    depths = dict(re.findall(r"\.depth-(\d) \{ background: (.+); \}", styles["sheets"]))
    assert depths["0"] == "var(--sunken)"
    assert depths["1"] == "var(--faintest)"
    for beside in ("sunken", "surface"):
        assert contrast(colours["faintest"], colours[beside]) >= 3, beside
        assert contrast(colours["deepest"], colours[beside]) >= 9, beside
    mixed = [
        int(one) for one in re.findall(r"var\(--deepest\) (\d+)%, var", " ".join(depths.values()))
    ]
    assert mixed == sorted(set(mixed))
    assert len(mixed) == 6
    assert depths["8"] == "var(--deepest)"
