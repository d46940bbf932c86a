"""Without a collector: finds the analytics server that an application can send to by itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import httpx

from otel_chat.client import AnalyticsClient
from otel_chat.doctor.addresses import BASE, Addresses
from otel_chat.doctor.collector import ask

_SECONDS: Final = 3.0
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - read, not bound to


def straight(
    addresses: Addresses, named: Iterable[str], environ: Mapping[str, str] = os.environ
) -> Addresses:
    """The addresses of a way without a collector, where none was named and none runs.

    The turn then goes where the environment sends, if that is an analytics server; where it says
    nothing, to the server at the usual address, or the one that OTEL_CHAT_SERVER_HOST and _PORT
    describe. Where no such server answers, the addresses stay as they are.

    Args:
        addresses: Those given, or the usual ones.
        named: Which of them were given, by option or variable.
        environ: The environment.

    Example:
        >>> given = Addresses("http://c:4318", collector="http://c:13133")
        >>> straight(given, ["collector"]) is given
        True
    """
    given = set(named)
    if given & {"collector", "collector_metrics"} or _answers(addresses.collector):
        return addresses
    told = addresses.endpoint or environ.get(BASE)
    usual = [addresses.analytics, *([] if "analytics" in given else [_server_of(environ)])]
    for url in [told] if told else usual:
        if url is not None and _is_analytics(url):
            break
    else:
        return addresses
    return replace(
        addresses,
        endpoint=addresses.endpoint if told else url,
        collector=None,
        collector_metrics=None,
        prometheus=addresses.prometheus if "prometheus" in given else None,
        analytics=addresses.analytics if "analytics" in given else url,
        without_collector=f"none runs at {addresses.collector}, and none was named: the turn goes"
        f" straight to the analytics server at {url}",
    )


def _answers(url: str | None) -> bool:
    if url is None:
        return True  # left out by name: nothing is to be found out
    try:
        ask(url)
    except httpx.HTTPError:
        return False
    return True


def _server_of(environ: Mapping[str, str]) -> str | None:
    """The server that a `serve` with the same environment would be."""
    host = environ.get("OTEL_CHAT_SERVER_HOST", "127.0.0.1")
    port = environ.get("OTEL_CHAT_SERVER_PORT", "")
    if not port.isdecimal():
        return None
    host = "127.0.0.1" if host in _EVERYWHERE else host
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _is_analytics(url: str) -> bool:
    with AnalyticsClient(url, timeout=_SECONDS) as client:
        return client.ready()
