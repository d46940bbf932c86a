"""Asks a running analytics server, over HTTP: what `demo`, `replay` and `trace` read with."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from otel_chat._common.whole_file import writing
from otel_chat.errors import AccessError, OtelChatError, QueryError, StoreUnavailableError

_PAGE = 200
_SETTLE_SECONDS = 300.0
_LOOK_SECONDS = 0.2


class AnalyticsClient:
    """A client of one analytics server. Use as a context manager, or call `close()`.

    Args:
        server: Address of the server, such as `http://127.0.0.1:8400`.
        token: A read token, where the server asks for one.
        timeout: Seconds to wait for an answer, more than 0.

    Example:
        >>> with AnalyticsClient("http://127.0.0.1:1", timeout=0.2) as client:
        ...     client.ready()
        False
    """

    def __init__(self, server: str, *, token: str | None = None, timeout: float = 60.0) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.server = server.rstrip("/")
        self._http = httpx.Client(
            base_url=self.server, headers=headers, timeout=timeout, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def ready(self) -> bool:
        """Whether the server answers and its store is open."""
        try:
            return self._http.get("/readyz").is_success
        except httpx.HTTPError:
            return False

    def settled(self, seconds: float = _SETTLE_SECONDS) -> bool:
        """Waits until figures of conversations hold all that was stored before.

        Args:
            seconds: How long at most.

        Returns:
            Whether they do.
        """
        asked: datetime | None = None
        until = time.monotonic() + seconds
        while True:
            window = self._get("/api/v1/conversations", {"window": "24h", "limit": "1"})["window"]
            asked = asked or datetime.fromisoformat(window["to"])
            as_of = window.get("as_of")
            if as_of is not None and datetime.fromisoformat(as_of) >= asked:
                return True
            if time.monotonic() > until:
                return False
            time.sleep(_LOOK_SECONDS)

    def overview(self, **parameters: str) -> dict[str, Any]:
        """The answer of `/api/v1/overview`.

        Args:
            parameters: Window and filters, as the API names them; `start` and `end` stand for
                `from` and `to`.
        """
        return self._get("/api/v1/overview", parameters)

    def conversation(self, conversation_id: str) -> dict[str, Any]:
        """The answer of `/api/v1/conversations/{id}`.

        Raises:
            AccessError: with status 404 when there is no such conversation.
        """
        return self._get(f"/api/v1/conversations/{quote(conversation_id, safe='')}", {})

    def unclaimed_spans(self, **parameters: str) -> dict[str, Any]:
        """The answer of `/api/v1/unclaimed-spans`, of the last 24 hours without a window.

        Args:
            parameters: The window, as for `overview`.
        """
        return self._get("/api/v1/unclaimed-spans", parameters or {"window": "24h"})

    def trace(self, trace_id: str) -> dict[str, Any]:
        """The answer of `/api/v1/traces/{trace_id}`.

        Raises:
            AccessError: with status 404 when there is no such trace.
        """
        return self._get(f"/api/v1/traces/{quote(trace_id, safe='')}", {})

    def conversations(self, **parameters: str) -> Iterator[dict[str, Any]]:
        """Every conversation of a window, page by page.

        Args:
            parameters: Window and filters, as for `overview`.
        """
        cursor: str | None = None
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = self._get("/api/v1/conversations", {**parameters, "limit": str(_PAGE), **more})
            yield from page["items"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def download(self, path: str, target: Path, **parameters: str) -> int:
        """Writes an answer to a file, which stands under its name only when it is whole.

        Args:
            path: What to ask, as `/api/v1/exports/sessions`.
            target: The file to write; see `whole_file.writing`.
            parameters: Window and filters, as for `overview`.

        Returns:
            The bytes written.

        Raises:
            ConfigurationError: if the file cannot be written; of it nothing is left either.
            StoreUnavailableError: if the connection breaks before the end; what has come until
                then is removed.
        """
        with writing(target) as file:
            for piece in self._pieces(path, _named(parameters)):
                file.write(piece)
        return file.size

    def text(self, path: str, **parameters: str) -> str:
        """An answer as text.

        Args:
            path: What to ask, as `/api/v1/report`.
            parameters: Window and filters, as for `overview`.
        """
        return b"".join(self._pieces(path, _named(parameters))).decode()

    def create_token(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Makes a token; the answer holds its text, this once.

        Args:
            wanted: `name`, `scopes`, `tenants` and, if it shall expire, `expires_in_days`.
        """
        return self._ask("POST", "/api/v1/tokens", json=wanted)

    def tokens(self) -> list[dict[str, Any]]:
        """All tokens, without their texts."""
        items: list[dict[str, Any]] = self._get("/api/v1/tokens", {})["items"]
        return items

    def revoke_token(self, token_id: str) -> dict[str, Any]:
        """Revokes a token for good.

        Raises:
            AccessError: with status 404 when there is no such token.
        """
        return self._ask("DELETE", f"/api/v1/tokens/{quote(token_id, safe='')}")

    def erase(self, wanted: Mapping[str, str]) -> dict[str, Any]:
        """Erases for good; the answer says how many turns, spans and events.

        Args:
            wanted: One of `conversation_id`, `user_hash` and `before`; `tenant` beside it.

        Raises:
            AccessError: with status 404 when there is nothing of it.
        """
        return self._ask("POST", "/api/v1/erasures", json=wanted)

    def reprice(self, wanted: Mapping[str, str]) -> dict[str, Any]:
        """Works out anew what turns cost; the answer says how many, and how many changed.

        Args:
            wanted: `from` and `to`, days or moments; `tenant` beside them.
        """
        return self._ask("POST", "/api/v1/repricings", json=wanted)

    def try_span_rules(self, text: str) -> dict[str, Any]:
        """What rules for spans would have said of the last day's turns.

        Args:
            text: The rules, TOML.
        """
        return self._ask("POST", "/api/v1/span-rules/trial", json={"rules": text})

    def reports(self) -> dict[str, Any]:
        """Reports of one's own, and what is wrong with files that should provide some."""
        return self._get("/api/v1/reports", {})

    def send_report(self, name: str) -> dict[str, Any]:
        """Sends a report of one's own now.

        Args:
            name: What it is called.
        """
        return self._ask("POST", f"/api/v1/reports/{quote(name, safe='')}/send")

    def scheduled_exports(self, *, write: bool = False) -> dict[str, Any]:
        """Scheduled exports: where they go, when, and what was written.

        Args:
            write: Writes what changed first, and tells that alone.
        """
        return self._ask("POST" if write else "GET", "/api/v1/exports/scheduled")

    def _get(self, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        return self._ask("GET", path, params=_named(parameters))

    def _pieces(self, path: str, parameters: Mapping[str, str]) -> Iterator[bytes]:
        # Compressing costs the server more than a connection of today saves.
        headers = {"accept-encoding": "identity"}
        try:
            with self._http.stream("GET", path, params=parameters, headers=headers) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _refusal(answer)
                yield from answer.iter_bytes()
        except httpx.RemoteProtocolError as error:
            raise StoreUnavailableError(
                f"The server at {self.server} broke off before the end; its log says why."
            ) from error
        except httpx.HTTPError as error:
            raise self._away(error) from error

    def _ask(self, method: str, path: str, **how: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, **how)
        except httpx.HTTPError as error:
            raise self._away(error) from error
        if not answer.is_success:
            raise _refusal(answer)
        found: dict[str, Any] = answer.json()
        return found

    def _away(self, error: httpx.HTTPError) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"The server at {self.server} does not answer ({error or type(error).__name__})."
            " Is `otel-chat serve` running there?"
        )


def _named(parameters: Mapping[str, str]) -> dict[str, str]:
    names = {"start": "from", "end": "to"}
    return {names.get(name, name): value for name, value in parameters.items()}


def _refusal(answer: httpx.Response) -> OtelChatError:
    try:
        said = answer.json()["error"]
        message, field = str(said["message"]), said.get("field")
    except (ValueError, KeyError, TypeError):
        message, field = f"The server answered {answer.status_code}.", None
    if answer.status_code in {401, 403, 404}:
        return AccessError(message, status=answer.status_code)
    if answer.status_code >= 500:  # noqa: PLR2004 - every 5xx
        return StoreUnavailableError(message)
    return QueryError(message, field=field)
