"""The application: ingest, API and pages over one store, and how it is served."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio.to_thread
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Info
from starlette.middleware.gzip import GZipMiddleware

from otel_chat._version import __version__
from otel_chat.errors import ConfigurationError
from otel_chat.server.access import LOOPBACK_NAMES, OPEN, Access
from otel_chat.server.api import (
    comparison,
    conversations,
    engagement,
    erasures,
    events,
    exports,
    feedback,
    forecasts,
    health,
    interactions,
    journeys,
    marks,
    overview,
    performance,
    realtime,
    recommendations,
    report,
    reports,
    repricings,
    reviews,
    segments,
    span_rules,
    themes,
    tokens,
    unanswered,
    unclaimed,
)
from otel_chat.server.api.documents import (
    bot_interactions,
    chat_analytics,
    chatbot_analytics,
    insights,
)
from otel_chat.server.api.errors import add_error_handlers
from otel_chat.server.api.filters import describe_filters
from otel_chat.server.api.flow import Lanes
from otel_chat.server.api.known import PREFIX as API
from otel_chat.server.api.live import Live
from otel_chat.server.entitytags import EntityTags
from otel_chat.server.erase import forget_old
from otel_chat.server.gauges import Gauges
from otel_chat.server.ingest import router as ingest
from otel_chat.server.ingest.bodies import Intake
from otel_chat.server.ingest.commit import Committer
from otel_chat.server.ingest.counters import IngestCounters
from otel_chat.server.middleware import BodyLimit, FeedbackOrigins, OneLength, SecurityHeaders
from otel_chat.server.pages import router as pages
from otel_chat.server.periodic import Periodic
from otel_chat.server.prices import read_prices
from otel_chat.server.report.keeping import Shelf
from otel_chat.server.report.runs import Sender
from otel_chat.server.rules import Rules
from otel_chat.server.sample import sample_of
from otel_chat.server.scheduled import Exporter
from otel_chat.server.span_rules import read_rules
from otel_chat.server.store import Store, open_store
from otel_chat.server.store.limits import Limit
from otel_chat.server.summaries.lease import Lease
from otel_chat.server.summaries.settler import Settler, SettlerCollector
from otel_chat.server.tokens import TokenStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

from otel_chat.server.settings import ServerSettings

READERS: Final = 16
COMPRESS_FROM: Final = 1000
GRACE_SECONDS: Final = 15
FORGET_SECONDS: Final = 3600
REPORT_SECONDS: Final = 30
SETTLE_SECONDS: Final = 5
SETTLER_RESTS: Final = 2
"""It works a third of its time at most; where figures are behind, two thirds; where telemetry takes
the machine, a tenth."""
SETTLER_CATCHES_UP: Final = 0.5
SETTLER_YIELDS: Final = 9
BEHIND_SECONDS: Final = 5
_log = logging.getLogger("otel_chat.server")


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine only.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0"), is_loopback("localhost")
        (True, False, True)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host in LOOPBACK_NAMES


def _settler_rests(behind: float, *, busy: bool) -> float:
    if busy:
        return SETTLER_YIELDS
    return SETTLER_RESTS if behind < BEHIND_SECONDS else SETTLER_CATCHES_UP


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    # A query holds a thread and an engine's client; more of them at once would only queue below.
    anyio.to_thread.current_default_thread_limiter().total_tokens = READERS
    committer: Committer = app.state.committer
    committer.start()
    chores: list[Periodic] = app.state.chores
    for chore in chores:
        chore.start()
    try:
        yield
    finally:
        settler: Settler = app.state.settler
        settler.stop()
        for chore in chores:
            await anyio.to_thread.run_sync(chore.stop)
        await anyio.to_thread.run_sync(settler.leave)
        await anyio.to_thread.run_sync(app.state.sender.leave)
        await anyio.to_thread.run_sync(app.state.exporter.leave)
        await anyio.to_thread.run_sync(committer.stop)


def create_app(store: Store, settings: ServerSettings) -> FastAPI:
    """The application over a store that is open and migrated.

    Args:
        store: The store; closing it is the caller's.
        settings: Where it listens, and what its figures depend on.

    Returns:
        The ASGI application.
    """
    app = FastAPI(
        title="otel-chat",
        summary="Analytics of conversations, from OpenTelemetry.",
        version=__version__,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        # A redirect would tell of addresses before anybody has shown a token.
        redirect_slashes=False,
    )
    store.rules = Rules(settings.low_confidence, settings.conversation_gap)
    app.state.store = store
    app.state.settings = settings
    app.state.access = Access(TokenStore(store), loopback=is_loopback(settings.host))
    app.state.exports = Lanes()
    app.state.live = Live()
    app.state.shelf = Shelf(store, settings.reports)
    app.state.sender = Sender(store, app.state.shelf, settings)
    app.state.exporter = Exporter(store, settings, lambda: app.state.settler.state().as_of)
    app.state.registry = _registry()
    app.state.prices = read_prices(settings.prices, published=settings.published_prices)
    app.state.settler = Settler(
        store,
        lease=Lease(store, "settler"),
        prices=app.state.prices,
        span_rules=read_rules(settings.span_rules),
        rests=lambda behind: _settler_rests(behind, busy=app.state.committer.busy()),
    )
    settling = Periodic("otel-chat-settler", SETTLE_SECONDS, app.state.settler.run)
    app.state.committer = Committer(store, settling.wake)
    app.state.intake = Intake()
    app.state.gauges = Gauges(store, settings, as_of=lambda: app.state.settler.state().as_of)
    app.state.chores = [settling, *_chores(store, settings, app)]
    app.state.registry.register(SettlerCollector(app.state.settler))
    app.state.ingest_counters = IngestCounters(app.state.registry, app.state.committer)
    add_error_handlers(app)
    if settings.cors_origins:
        app.add_middleware(FeedbackOrigins, origins=settings.cors_origins)
    app.add_middleware(EntityTags)  # inside of compression, which is not the same every time
    # A higher level makes an export three times as slow, and hardly smaller.
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESS_FROM, compresslevel=4)
    app.add_middleware(BodyLimit)
    app.add_middleware(OneLength)
    app.add_middleware(SecurityHeaders)
    for part in _PARTS:  # not included, which would build every route anew
        app.router.routes.extend(part.router.routes)
    describe_filters(app)
    return app


_PARTS: Final = (
    health,
    ingest,
    overview,
    conversations,
    interactions,
    journeys,
    comparison,
    unanswered,
    themes,
    engagement,
    feedback,
    forecasts,
    recommendations,
    performance,
    realtime,
    exports,
    report,
    reports,
    segments,
    events,
    erasures,
    repricings,
    span_rules,
    marks,
    reviews,
    tokens,
    unclaimed,
    insights,
    chat_analytics,
    chatbot_analytics,
    bot_interactions,
    pages,  # last: it answers for every path that nobody took
)


def _chores(store: Store, settings: ServerSettings, app: FastAPI) -> list[Periodic]:
    chores = [
        Periodic("otel-chat-gauges", settings.gauge_seconds, app.state.gauges.refresh),
        Periodic("otel-chat-reports", REPORT_SECONDS, app.state.sender.tick),
    ]
    if settings.exports_to is not None:
        chores.append(Periodic("otel-chat-exports", REPORT_SECONDS, app.state.exporter.tick))
    if settings.retention_days is not None:
        forget = partial(forget_old, store, OPEN, settings.retention_days)
        chores.append(Periodic("otel-chat-retention", FORGET_SECONDS, forget))
    return chores


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Info("otel_chat_server_build", "The build of the server.", registry=registry).info(
        {"version": __version__}
    )
    return registry


def _check_exposure(store: Store, settings: ServerSettings) -> None:
    """Refuses to open a store to other machines; says it where nobody can make tokens."""
    tokens = TokenStore(store)
    option = store.url.as_option()
    make = (
        "  otel-chat token create admin --scope admin --scope analytics:view --tenant '*' " + option
    )
    if tokens.exist():
        if not tokens.managed():
            _log.warning(
                "No token in force holds admin, so nobody can make or revoke one here. %s:\n%s",
                "Run" if store.url.path is None else "Stop this server and run",
                make,
            )
    elif not is_loopback(settings.host):
        where = f"--host {settings.host} --port {settings.port}"
        raise ConfigurationError(
            f"{settings.host} is reached from other machines, and no token exists. First make one"
            f" that can make others, then serve:\n{make}\n  otel-chat serve {option} {where}\n"
            "Or listen on 127.0.0.1, where no token is needed as long as none was made."
        )


def _listen(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        bound = socket.create_server((settings.host, settings.port), family=family, backlog=1024)
    except OSError as error:
        message = (
            f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}): choose another"
            " port, or stop what listens there."
        )
        raise ConfigurationError(message) from error
    # asyncio does so for sockets of its own only; without it an answer's body waits for 40 ms.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound


class _Server(uvicorn.Server):
    """A server that says when it serves, and ends its endless answers first when it stops."""

    def __init__(
        self, config: uvicorn.Config, live: Live, serving: Callable[[], None] | None
    ) -> None:
        super().__init__(config)
        self._live = live
        self._serving = serving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts; from here on requests are answered."""
        await super().startup(sockets)
        if self.started and self._serving is not None:
            self._serving()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops; requests that have begun are answered first."""
        self._live.close()
        await super().shutdown(sockets)


def _limit(store: Store, settings: ServerSettings) -> None:
    # A ClickHouse server has a limit of its own for all that it does.
    together = settings.question_memory + settings.export_memory if store.url.path else 0
    store.question = Limit(settings.question_memory, settings.question_seconds, together)
    store.export = Limit(settings.export_memory, settings.export_seconds, together)


@contextlib.contextmanager
def _server(
    settings: ServerSettings, serving: Callable[[str], None] | None = None
) -> Iterator[tuple[uvicorn.Server, str, socket.socket]]:
    """A server that is ready to run: store open and migrated, socket bound."""
    with contextlib.closing(open_store(settings.store)) as store:
        _limit(store, settings)
        store.migrate()
        _check_exposure(store, settings)
        settings = settings.model_copy(update={"sample": sample_of(store, settings.sample)})
        with contextlib.closing(_listen(settings)) as bound:
            app = create_app(store, settings)
            live: Live = app.state.live
            config = uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            address = f"http://{host}:{bound.getsockname()[1]}"
            told = None if serving is None else partial(serving, address)
            yield _Server(config, live, told), address, bound


def serve(settings: ServerSettings, *, serving: Callable[[str], None] | None = None) -> None:
    """Serve until interrupted: requests that have begun are answered first.

    Args:
        settings: The store, and where to listen.
        serving: Called with the server's address as soon as it answers.

    Raises:
        ConfigurationError: If the port is taken, or other machines would get in without a token.
        StoreLockedError: If another process holds the store.
    """
    with _server(settings, serving) as (server, _, bound):
        server.run(sockets=[bound])


@contextlib.contextmanager
def background(settings: ServerSettings) -> Iterator[str]:
    """Serve from a thread of this process for as long as the block runs.

    Args:
        settings: The store, and where to listen; port 0 for any that is free.

    Yields:
        The server's address, as `http://127.0.0.1:8400`.

    Raises:
        ConfigurationError: As `serve` does.
        StoreLockedError: As `serve` does.
    """
    with _server(settings) as (server, address, bound):
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [bound]}, name="otel-chat-server", daemon=True
        )
        thread.start()
        try:
            # The socket already listens: a request waits until the application has started.
            yield address
        finally:
            server.should_exit = True
            thread.join()
