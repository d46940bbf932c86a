"""A site over the tests' store, and a Chromium that notices everything that is wrong with it."""

from __future__ import annotations

import contextlib
import faulthandler
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PageTimeoutError

from otel_chat.errors import AccessError, StoreUnavailableError
from otel_chat.server.access import PERMISSIONS, Scope
from otel_chat.server.api.security import COOKIE
from otel_chat.server.app import create_app
from otel_chat.server.settings import ServerSettings
from otel_chat.server.tokens import TokenStore
from tests.requirements import chromium
from tests.server.given import Given
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from otel_chat.server.store import Store

# A machine may have more to do than it has processors.
PATIENCE_MS = 120_000
expect.set_options(timeout=PATIENCE_MS)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Keys:
    """Lets in whoever names a tenant as the token; what each may do can be narrowed."""

    def __init__(self, tokens: TokenStore) -> None:
        self.tokens = tokens
        self.permissions: dict[str, frozenset[str]] = {}

    def authenticate(self, token: str | None, *, host: str | None) -> Scope:
        """The scope of the tenant that the token names."""
        if not token or not token.startswith("tenant-"):
            raise AccessError("A token is needed.", status=401)
        may = self.permissions.get(token, frozenset(PERMISSIONS))
        return Scope(frozenset({token}), may, "reader")


class Shaky:
    """A store that can be made to go away."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.away = False

    def __getattr__(self, name: str) -> object:
        if self.away:
            raise StoreUnavailableError("The store does not answer.", retry_after=7)
        return getattr(self._store, name)


@dataclass
class Site:
    """The application as it is served.

    Args:
        app: The application.
        address: Where it listens.
        keys: Who may do what.
        store: What it asks.
    """

    app: FastAPI
    address: str
    keys: Keys
    store: Shaky


@pytest.fixture(scope="session")
def site(store: Store) -> Iterator[Site]:
    shaky = Shaky(store)
    app = create_app(shaky, ServerSettings(port=0))
    keys = Keys(TokenStore(store))
    app.state.access = keys
    # It lasts as long as the session: tests of the settler would have a second one beside theirs.
    app.state.settler.stop()
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as bound:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        until(lambda: server.started)
        yield Site(app, f"http://127.0.0.1:{bound.getsockname()[1]}", keys, shaky)
        server.should_exit = True
        thread.join()


# For a module, not for all: while it runs, no other test may run a loop of its own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=executable, args=[*ARGUMENTS], timeout=PATIENCE_MS
        )
        yield started
        started.close()


@dataclass
class Reader:
    """A reader with a browser, signed in to a tenant, and what went wrong on the way.

    Args:
        page: The reader's page.
        site: The site that is read.
        faults: Console errors, exceptions, violated policies, requests to other hosts.
    """

    page: Page
    site: Site
    faults: list[str] = field(default_factory=list)

    def read(self, path: str) -> Page:
        """Go to a page of the site, and wait until its scripts have run."""
        try:
            self.page.goto(f"{self.site.address}{path}", wait_until="load")
        except PageTimeoutError:
            faulthandler.dump_traceback()  # what the site's threads wait for
            raise
        return self.page

    def watch(self) -> None:
        """Take note of everything that should not be."""
        host = urlsplit(self.site.address).netloc
        self.page.on(
            "console",
            lambda said: self.faults.append(said.text) if said.type == "error" else None,
        )
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        self.page.on(
            "request",
            lambda request: (
                self.faults.append(f"foreign: {request.url}")
                if urlsplit(request.url).netloc != host
                else None
            ),
        )
        self.page.add_init_script(
            "document.addEventListener('securitypolicyviolation',"
            " (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`))"
        )


class Readers:
    """Opens browsers for readers of one tenant, and checks at the end what they met."""

    def __init__(self, browser: Browser, site: Site, tenant: str) -> None:
        self._browser = browser
        self._site = site
        self._tenant = tenant
        self._contexts: list[BrowserContext] = []
        self._readers: list[Reader] = []

    def __call__(self, width: int = 1440, height: int = 1000, **options: object) -> Reader:
        """One more reader."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            **options,
        )
        context.set_default_timeout(PATIENCE_MS)
        context.add_cookies([{"name": COOKIE, "value": self._tenant, "url": self._site.address}])
        reader = Reader(context.new_page(), self._site)
        reader.watch()
        self._contexts.append(context)
        self._readers.append(reader)
        return reader

    def finish(self) -> list[str]:
        """Close all, and tell what was wrong."""
        for context in self._contexts:
            context.close()
        return [fault for reader in self._readers for fault in reader.faults]


@pytest.fixture
def readers(browser: Browser, site: Site, given: Given) -> Iterator[Readers]:
    opened = Readers(browser, site, given.tenant)
    yield opened
    assert opened.finish() == []


@pytest.fixture
def reader(readers: Readers) -> Reader:
    """A reader at a desk."""
    return readers()
