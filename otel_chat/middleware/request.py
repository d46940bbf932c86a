"""What ASGI and WSGI middleware read from a request, and the rules that say where to look."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, urlsplit, urlunsplit
from uuid import UUID

from otel_chat._telemetry import runtime
from otel_chat.errors import ConfigurationError

Source: TypeAlias = "str | Callable[[Request], object]"
"""`header:NAME`, `cookie:NAME`, `query:NAME`, `path:NAME`, `path:/pattern/{NAME}`, `json:A.B`, or a
function of the `Request`."""

Sources: TypeAlias = "Source | Sequence[Source] | None"

ID_LENGTH: Final = 256
TEXT_LENGTH: Final = 512
BODY_LIMIT: Final = 65_536
_COMPONENT: Final = "middleware"
_KINDS: Final = ("header", "cookie", "query", "path", "json")
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


class Request:
    """One HTTP request or WebSocket handshake, as far as it is asked for.

    Args:
        method: The HTTP method; `WEBSOCKET` for a handshake.
        path: The path, decoded.
        query_string: The query as sent, without the question mark.
        headers: Names in lower case, and values; the first of a repeated name counts.
        native: What the server handed over: the ASGI scope or the WSGI environ.

    Example:
        >>> request = Request("GET", "/chat", "session=s-1", {"cookie": "sid=c-1"}, {})
        >>> request.query["session"], request.cookies["sid"]
        ('s-1', 'c-1')
    """

    def __init__(
        self,
        method: str,
        path: str,
        query_string: str,
        headers: Mapping[str, str],
        native: Mapping[str, Any],
    ) -> None:
        self.method = method
        self.path = path
        self.query_string = query_string
        self.headers = headers
        self.native = native
        self.path_params: Mapping[str, object] = {}
        self.route: str | None = None
        self.body: bytes | None = None

    @cached_property
    def query(self) -> Mapping[str, str]:
        """The query's fields; the first of a repeated name counts."""
        pairs = parse_qsl(self.query_string, keep_blank_values=True)
        return dict(reversed(pairs))  # of a repeated name the first one stays

    @cached_property
    def cookies(self) -> Mapping[str, str]:
        """The cookies; none where the header cannot be read."""
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(self.headers.get("cookie", ""))
        except CookieError:
            return {}
        return {name: morsel.value for name, morsel in jar.items()}

    @property
    def is_json(self) -> bool:
        """Whether the body says that it is JSON."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return kind == "application/json" or kind.endswith("+json")

    def json(self) -> object:
        """The body as JSON; None where it was not kept or is none."""
        if not self.body:
            return None
        try:
            parsed: object = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return parsed


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Where the facts about a request come from. Shared by every middleware and integration.

    Args:
        conversation_id: One source, or several in the order in which they are tried.
        user_type: Like it; a text that is no source stands for itself.
        channel: Like `user_type`.
        page: Page on which the chat stands. Without one, the path of the `Referer`.
        referrer: Where the user came from; `header:referer` unless given.
        body_limit: Bytes of a JSON body or frame that are read for `json:` sources, at most.

    Raises:
        ConfigurationError: a source is malformed; says which.

    Example:
        >>> rules = Rules(conversation_id=["header:x-session", "query:session"], channel="web")
        >>> facts = rules.facts(Request("GET", "/", "session=s-1", {}, {}))
        >>> facts["conversation_id"], facts["channel"]
        ('s-1', 'web')
    """

    conversation_id: Sources = None
    user_type: Sources = None
    channel: Sources = None
    page: Sources = None
    referrer: Sources = "header:referer"
    body_limit: int = BODY_LIMIT
    needs_body: bool = field(init=False, default=False)
    conversation_in_body: bool = field(init=False, default=False)
    _readers: Mapping[str, Reader] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.body_limit < 0:
            raise ConfigurationError(f"body_limit must be 0 or more bytes, not {self.body_limit}.")
        readers = {
            "conversation_id": _reader("conversation_id", self.conversation_id, identifier),
            "user_type": _reader("user_type", self.user_type, label, literal=True),
            "channel": _reader("channel", self.channel, label, literal=True),
            "page": _reader("page", self.page, address, literal=True),
            "referrer": _reader("referrer", self.referrer, address),
        }
        in_body = {
            name: any(isinstance(s, str) and s.startswith("json:") for s in _several(given))
            for name, given in vars(self).items()
            if name in {"conversation_id", "user_type", "channel", "page", "referrer"}
        }
        object.__setattr__(self, "_readers", readers)
        object.__setattr__(self, "needs_body", any(in_body.values()))
        object.__setattr__(self, "conversation_in_body", in_body["conversation_id"])

    def facts(self, request: Request) -> dict[str, str]:
        """What is known of `request`, by name of a turn's field. A failing source is counted."""
        found: dict[str, str] = {}
        for name, read in self._readers.items():
            value = read(request)
            if value is not None:
                found[name] = value
        if "page" not in found and (page := page_of(request.headers.get("referer"))):
            found["page"] = page
        if agent := text(request.headers.get("user-agent")):
            found["user_agent"] = agent
        if request.route:
            found["route"] = request.route
        return found

    def wants_body(self, request: Request) -> bool:
        """Whether a rule looks into the body, and this body is small enough JSON."""
        if not self.needs_body or not request.is_json:
            return False
        length = request.headers.get("content-length", "")
        return not length.isdecimal() or int(length) <= self.body_limit


Reader: TypeAlias = Callable[[Request], str | None]


def _several(given: Sources) -> Iterable[Source]:
    if given is None:
        return ()
    return tuple(given) if isinstance(given, list | tuple) else (given,)  # type: ignore[return-value]


def _reader(
    name: str, given: Sources, clean: Callable[[object], str | None], *, literal: bool = False
) -> Reader:
    finders = tuple(_finder(name, source, literal=literal) for source in _several(given))

    def read(request: Request) -> str | None:
        for find in finders:
            try:
                value = clean(find(request))
            except Exception as error:  # noqa: BLE001 - a source of the user's may raise anything
                runtime.report_error(_COMPONENT, error)
                continue
            if value is not None:
                return value
        return None

    return read


def _finder(name: str, source: Source, *, literal: bool) -> Callable[[Request], object]:
    if not isinstance(source, str):
        if callable(source):
            return source
        raise ConfigurationError(f"{name}: a source is a text or a function, not {source!r}.")
    kind, colon, key = source.partition(":")
    if not colon or kind not in _KINDS:
        if literal and source:
            return lambda _request: source
        raise ConfigurationError(
            f"{name}: {source!r} is no source; write KIND:NAME, KIND one of {', '.join(_KINDS)}."
        )
    if not key:
        raise ConfigurationError(f"{name}: {source!r} names nothing after the colon.")
    if kind == "json":
        return _in_json(key.split("."))
    if kind == "path":
        return _in_path(key)
    return _in_mapping(kind, key)


def _in_mapping(kind: str, key: str) -> Callable[[Request], object]:
    if kind == "header":
        lowered = key.lower()
        return lambda request: request.headers.get(lowered)
    if kind == "cookie":
        return lambda request: request.cookies.get(key)
    return lambda request: request.query.get(key)


def _in_path(key: str) -> Callable[[Request], object]:
    if not key.startswith("/"):
        return lambda request: request.path_params.get(key)
    if len(_PLACEHOLDER.findall(key)) != 1:
        raise ConfigurationError(f"path:{key} must have exactly one {{name}}.")
    before, after = (re.escape(part) for part in _PLACEHOLDER.split(key)[::2])
    pattern = re.compile(f"{before}([^/]+){after}")

    def find(request: Request) -> object:
        match = pattern.fullmatch(request.path)
        return match and match[1]

    return find


def _in_json(keys: Sequence[str]) -> Callable[[Request], object]:
    def find(request: Request) -> object:
        value = request.json()
        for key in keys:
            if not isinstance(value, Mapping):
                return None
            value = value.get(key)
        return value

    return find


def identifier(value: object) -> str | None:
    """An id as text: None where it is empty, too long to be one, or not printable.

    Example:
        >>> identifier(" s-1 "), identifier(7), identifier("x" * 300), identifier(None)
        ('s-1', '7', None, None)
    """
    if isinstance(value, bool) or not isinstance(value, str | int | UUID):
        return None
    found = str(value).strip()
    return found if found and len(found) <= ID_LENGTH and found.isprintable() else None


def label(value: object) -> str | None:
    """A short printable word, or None."""
    found = identifier(value)
    return found if found is None or len(found) <= 64 else None  # noqa: PLR2004 - no word is longer


def text(value: object) -> str | None:
    """Printable text of at most 512 characters, or None. The turn redacts it.

    Example:
        >>> text("Mozilla/5.0"), text("")
        ('Mozilla/5.0', None)
    """
    if not isinstance(value, str) or not value:
        return None
    printable = "".join(c for c in value[:TEXT_LENGTH] if c.isprintable()).strip()
    return printable or None


def address(value: object) -> str | None:
    """A URL without user, query and fragment, where secrets stand; or None.

    Example:
        >>> address("https://u:p@shop.example/help?token=1#top")
        'https://shop.example/help'
    """
    if not isinstance(value, str):
        return None
    try:
        parts = urlsplit(value.strip())
        host = parts.hostname or ""
        place = f"{host}:{parts.port}" if parts.port else host
    except ValueError:
        return None
    return text(urlunsplit((parts.scheme, place, parts.path, "", "")))


def page_of(referrer: str | None) -> str | None:
    """The path of a referrer: for a request made by a page, that page.

    Example:
        >>> page_of("https://shop.example/help?q=1")
        '/help'
    """
    if not referrer:
        return None
    try:
        return text(urlsplit(referrer).path)
    except ValueError:
        return None
