"""The collector: whether it runs, and what its own metrics tell of what waits in it."""

from __future__ import annotations

import re
from typing import Final

import httpx

from otel_chat.doctor.findings import TroubleError

ASK_SECONDS: Final = 5.0
_SAMPLE: Final = re.compile(
    r'^otelcol_exporter_(send_failed|enqueue_failed|queue_size)\w*\{[^}]*exporter="([^"]+)"'
    r"[^}]*\} ([\d.e+]+)$",
    re.MULTILINE,
)


def ask(url: str, **how: object) -> httpx.Response:
    """The answer of a server, whatever its status.

    Raises:
        httpx.HTTPError: it does not answer.
    """
    return httpx.get(url, timeout=ASK_SECONDS, trust_env=False, **how)  # type: ignore[arg-type]


def healthy(url: str) -> str:
    """Sees that the collector says it runs.

    Returns:
        What was seen.

    Raises:
        TroubleError: it does not.
    """
    fix = (
        "Start the collector (`make stack`, `docker compose up collector`); its log says why it"
        " ended. Where none is meant to run: --collector none."
    )
    try:
        answer = ask(url)
    except httpx.HTTPError as error:
        raise TroubleError(
            f"does not answer at {url} ({error or type(error).__name__})", fix
        ) from error
    if not answer.is_success:
        raise TroubleError(f"answers {answer.status_code} at {url}: it is not ready", fix)
    return f"runs, and takes traces, logs and metrics; health at {url}"


class Waiting:
    """What waits in the collector or was lost there, since this was made.

    Args:
        url: The page of its metrics; None tells nothing.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._before = self._read()

    def told(self, target: str) -> str:
        """What its metrics say of the exporters whose names contain `target`; may be empty."""
        said = []
        for (kind, exporter), now in sorted(self._read().items()):
            if target not in exporter:
                continue
            if kind == "queue_size" and now:
                said.append(f"{now:.0f} bytes wait for {exporter}")
            elif kind != "queue_size" and (lost := now - self._before.get((kind, exporter), 0)) > 0:
                said.append(f"{lost:.0f} items for {exporter} were refused and dropped")
        return f"; in the collector {', '.join(said)}" if said else ""

    def _read(self) -> dict[tuple[str, str], float]:
        if self._url is None:
            return {}
        try:
            text = ask(self._url).text
        except httpx.HTTPError:
            return {}
        found: dict[tuple[str, str], float] = {}
        for kind, exporter, value in _SAMPLE.findall(text):
            found[kind, exporter] = found.get((kind, exporter), 0) + float(value)
        return found
