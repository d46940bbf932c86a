"""Takes the pictures of the documentation from a running server.

python -m tools.screenshots http://127.0.0.1:8400 CONVERSATION_ID    the pages
python -m tools.screenshots http://127.0.0.1:8400 --figures          the pages of figures
python -m tools.screenshots http://127.0.0.1:8400 --clicks           README's moving picture
python -m tools.screenshots                the walk to a problem, on conversations made for it
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from otel_chat.server.app import background
from otel_chat.server.settings import ServerSettings
from otel_chat.server.store import open_store
from tests.server.given import Given
from tests.server.pages import scenes

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZES = {"": (1440, 1000), "-phone": (390, 844)}
FIGURES = {
    "performance": ("/performance", 1150),
    "journeys": ("/journeys", 1180),
    "compare": ("/compare?by=model", 1080),
}
CLICKS_SIZE = (1120, 700)
RING = (49, 84, 207)
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


@contextlib.contextmanager
def fallen() -> Iterator[str]:
    """A server of the conversations that docs/finding-a-problem.md speaks of."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"chdb:{folder}/store"
        with contextlib.closing(open_store(url)) as store:
            store.migrate()
            scenes.fallen_containment(Given(store), datetime.now(UTC))
        with background(ServerSettings(store=url, port=0)) as address:
            yield address


def walk(browser: Browser, server: str) -> None:
    """What docs/finding-a-problem.md shows: what moved containment, and the turn that did it."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    while not page.locator("#causes a").count():  # until all is settled
        page.goto(f"{server}/", wait_until="networkidle")
    page.locator(".panels.of-change").screenshot(path=IMAGES / "walk-overview.png")
    page.locator("#causes a").first.click()
    page.locator("#rows [data-row-link]").first.click()
    page.locator(".jumps").get_by_role("link", name="Slow").click()
    turn = page.locator(".turn.is-chosen")
    turn.locator(".turn-facts > summary").click()
    turn.locator(".span.is-longest summary").click()
    page.wait_for_load_state("networkidle")
    page.locator(".jump-bar").evaluate("bar => bar.remove()")
    turn.screenshot(path=IMAGES / "walk-turn.png")
    page.close()


class Reel:
    """The frames of a moving picture of a page, and how long each is shown.

    Args:
        page: What is looked at.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[Image.Image] = []
        self._shown: list[int] = []

    def see(self, milliseconds: int, at: Locator | None = None) -> None:
        """Adds what the page shows, with a ring around what is clicked next."""
        self._page.wait_for_load_state("networkidle")
        frame = Image.open(BytesIO(self._page.screenshot(animations="disabled"))).convert("RGB")
        if at is not None and (box := at.bounding_box()) is not None:
            around = (box["x"] - 5, box["y"] - 5)
            until = (box["x"] + box["width"] + 5, box["y"] + box["height"] + 5)
            ImageDraw.Draw(frame).rounded_rectangle((*around, *until), 9, outline=RING, width=4)
        self._frames.append(frame)
        self._shown.append(milliseconds)

    def click(self, target: Locator) -> None:
        """Shows what is clicked, clicks it, and shows what comes."""
        target.scroll_into_view_if_needed()
        self.see(1400, target)
        target.click()
        self.see(1800)

    def save(self, path: Path) -> None:
        """Writes the picture; it begins again at its end."""
        first, *rest = (
            frame.resize(CLICKS_SIZE, Image.Resampling.LANCZOS) for frame in self._frames
        )
        first.save(
            path, save_all=True, append_images=rest, duration=self._shown, loop=0, quality=78,
            method=6,
        )  # fmt: skip


def clicks(browser: Browser, server: str) -> None:
    """From the sentence of the overview to the tool call that failed, on the demo's data."""
    page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
    page.context.add_cookies([{"name": "otel_chat_tour", "value": "hidden", "url": server}])
    page.goto(f"{server}/", wait_until="networkidle")
    reel = Reel(page)
    reel.see(2600, page.locator(".sentence"))
    reel.click(page.locator(".nav a", has_text="Conversations"))
    reel.click(page.locator("a", has_text="Failed").first)
    for _ in range(2):
        page.keyboard.press("j")
        page.locator("[data-pane]:not([hidden]) h2").first.wait_for()
        reel.see(2000)
    page.keyboard.press("Enter")
    page.wait_for_url("**/conversations/**")
    reel.see(1400)
    reel.click(page.locator(".conversation-views a", has_text="Trace"))
    reel.click(page.locator(".jumps a").first)
    page.locator(".turn.is-chosen summary").first.click()
    page.locator(".turn.is-chosen .span").first.wait_for()
    reel.see(3200)
    reel.save(IMAGES / "clicks.webp")
    page.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", nargs="?")
    parser.add_argument("conversation", nargs="?")
    parser.add_argument("--figures", action="store_true")
    parser.add_argument("--clicks", action="store_true")
    asked = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        if asked.server is None:
            with fallen() as server:
                walk(browser, server)
        elif asked.clicks:
            clicks(browser, asked.server.rstrip("/"))
        elif asked.figures:
            figures(browser, asked.server.rstrip("/"))
        elif asked.conversation:
            take(browser, asked.server.rstrip("/"), asked.conversation)
        else:
            parser.error("name a conversation, --figures or --clicks")
        browser.close()
    shrink()


if __name__ == "__main__":
    main()
