"""Takes the pictures of the documentation from a running server.

python tools/screenshots.py http://127.0.0.1:8400 CONVERSATION_ID    the pages
python tools/screenshots.py http://127.0.0.1:8400                    the walk to a problem
python tools/screenshots.py http://127.0.0.1:8400 --figures          the pages of figures
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZES = {"": (1440, 1000), "-phone": (390, 844)}
FIGURES = {
    "performance": ("/performance", 1150),
    "journeys": ("/journeys", 1180),
    "compare": ("/compare?by=model", 1080),
}
HEIGHTS = {"overview": 1330, "conversation": 1200, "conversations": 900}


def shrink() -> None:
    """Few colours are enough for flat areas and text, and a quarter of the bytes."""
    for path in IMAGES.glob("*.png"):
        with Image.open(path) as picture:
            if picture.mode == "RGB":
                few = picture.quantize(colors=255, dither=Image.Dither.NONE)
                few.save(path, optimize=True)


def take(browser: Browser, server: str, conversation: str) -> None:
    """One picture of each page, at a desk and on a phone, light and dark."""
    pages = {
        "overview": "/",
        "conversations": "/conversations",
        "conversation": f"/conversations/{quote(conversation, safe='')}",
    }
    for scheme in ("light", "dark"):
        for suffix, (width, height) in SIZES.items():
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            page = context.new_page()
            for name, path in pages.items():
                tall = height if suffix else HEIGHTS[name]
                page.set_viewport_size({"width": width, "height": tall})
                page.goto(f"{server}{path}", wait_until="networkidle")
                page.screenshot(path=IMAGES / f"{name}-{scheme}{suffix}.png")
            context.close()


def figures(browser: Browser, server: str) -> None:
    """The pages of charts and tables, as far down as their charts reach."""
    context = browser.new_context(color_scheme="light")
    page = context.new_page()
    for name, (path, tall) in FIGURES.items():
        page.set_viewport_size({"width": 1440, "height": tall})
        page.goto(f"{server}{path}", wait_until="networkidle")
        page.screenshot(path=IMAGES / f"{name}-light.png")
    context.close()


def walk(browser: Browser, server: str) -> None:
    """What docs/finding-a-problem.md shows: what moved containment, and the turn that did it."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.goto(f"{server}/", wait_until="networkidle")
    page.locator(".panels.of-change").screenshot(path=IMAGES / "walk-overview.png")
    page.locator("#causes a").first.click()
    page.locator("#rows [data-row-link]").first.click()
    page.locator(".jumps a").first.click()
    turn = page.locator(".turn.is-chosen")
    turn.locator(".span.is-longest summary").click()
    page.locator(".jump-bar").evaluate("bar => bar.remove()")
    turn.screenshot(path=IMAGES / "walk-turn.png")
    page.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server")
    parser.add_argument("conversation", nargs="?")
    parser.add_argument("--figures", action="store_true")
    asked = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        if asked.figures:
            figures(browser, asked.server.rstrip("/"))
        elif asked.conversation:
            take(browser, asked.server.rstrip("/"), asked.conversation)
        else:
            walk(browser, asked.server.rstrip("/"))
        browser.close()
    shrink()


if __name__ == "__main__":
    main()
