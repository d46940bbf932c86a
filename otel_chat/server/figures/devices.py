"""What user agents say of devices, systems and browsers."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal, get_args

from ua_parser import Result, parse

Seen = Literal["device", "os", "browser"]
SEEN: Final[tuple[Seen, ...]] = get_args(Seen)
UNKNOWN: Final = ""
BOT: Final = "Bot"
_KEPT: Final = 10_000
_LONGEST: Final = 512
_SPIDER: Final = "Spider"
_PHONES: Final = ("iPhone", "iPod", "Generic Smartphone", "Generic Feature Phone")
_DESKTOPS: Final = ("Windows", "Mac OS X", "Linux", "Ubuntu", "Chrome OS", "Fedora", "FreeBSD")


@lru_cache(maxsize=_KEPT)
def _parsed(agent: str) -> Result:
    # The first that is parsed has all patterns loaded, which takes a third of a second.
    return parse(agent) if agent else Result(None, None, None, agent)


def _device(found: Result) -> str:
    device, system = found.device, found.os
    if device is not None and device.family == _SPIDER:
        return BOT
    family = "" if device is None else device.family
    if "iPad" in family or "Tablet" in family or family.startswith("Kindle"):
        return "Tablet"
    if family in _PHONES or (system is not None and system.family in ("Android", "iOS")):
        return "Phone"
    if system is not None and system.family in _DESKTOPS:
        return "Desktop"
    return "Other" if family or system is not None else UNKNOWN


def _os(found: Result) -> str:
    return UNKNOWN if found.os is None else found.os.family


def _browser(found: Result) -> str:
    return UNKNOWN if found.user_agent is None else found.user_agent.family


_READ: Final[dict[Seen, Callable[[Result], str]]] = {
    "device": _device,
    "os": _os,
    "browser": _browser,
}


def seen(what: Seen, agent: str) -> str:
    """What a user agent says; empty where it says nothing.

    Args:
        what: device (Phone, Tablet, Desktop, Bot, Other), os or browser, by their families.
        agent: The `User-Agent` header; no more than its first 512 characters are read.

    Example:
        >>> firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        >>> [seen(what, firefox) for what in ("device", "os", "browser")]
        ['Desktop', 'Linux', 'Firefox']
        >>> seen("device", "Googlebot/2.1 (+http://www.google.com/bot.html)")
        'Bot'
    """
    return _READ[what](_parsed(agent[:_LONGEST]))
