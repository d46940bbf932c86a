"""Takes the pictures of the documentation from a running server.

python tools/screenshots.py http://127.0.0.1:8400 CONVERSATION_ID
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, sync_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZES = {"": (1440, 1000), "-phone": (390, 844)}


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
                page.goto(f"{server}{path}", wait_until="networkidle")
                page.screenshot(
                    path=IMAGES / f"{name}-{scheme}{suffix}.png",
                    full_page=not suffix and name != "conversations",
                )
            context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server")
    parser.add_argument("conversation")
    asked = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        take(browser, asked.server.rstrip("/"), asked.conversation)
        browser.close()


if __name__ == "__main__":
    main()
