"""Redaction of free text before it leaves the process, and hashed user ids.

The rules are regular expressions with check digits, on the standard library alone, because the
core depends on nothing else and a chat reply cannot wait. Named entity recognition (presidio:
spaCy models of hundreds of megabytes; scrubadub: scikit-learn and more) finds names and addresses
too, at milliseconds a text: pass it as `function`. phonenumbers needs a region for each number,
which a chat message does not tell.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from itertools import islice
from typing import Final, TypeAlias

from otel_chat._common.sizes import notice
from otel_chat.errors import ArgumentTypeError, ConfigurationError
from otel_chat.privacy._rules import KINDS, RULES, SECRET_NAME, Rule, mark

__all__ = [
    "FAILED",
    "KINDS",
    "WITHHELD",
    "Redactor",
    "hash_user",
    "redact_mappings",
    "redact_value",
]

FAILED: Final = "[redaction failed]"
WITHHELD: Final = "[redacted]"

_MIN_LENGTH: Final = 64
_MAX_PASSES: Final = 6
# No rule but those for whole blocks matches more: what a cut has torn apart lies in this margin
_MARGIN: Final = 1024
_LONG_WORD: Final = 16
_SUSPECT: Final = re.compile(r"[0-9@:=]")
_SUSPECT_WORDS: Final = ("-----begin", "bearer", "basic", "passw", "passphrase", "passcode")
_MAX_DEPTH: Final = 32
_MAX_NODES: Final = 10_000
_CARD_LIKE: Final = 10**9
_Container: TypeAlias = (
    Mapping[object, object] | list[object] | tuple[object, ...] | set[object] | frozenset[object]
)


class Redactor:
    r"""Replaces what is personal or secret in free text.

    E-mail addresses, telephone numbers, payment cards (Luhn), IBANs (check digits), IP addresses,
    keys and tokens become `[email]`, `[phone]`, `[card]`, `[iban]`, `[ip]`, `[secret]`. Redacting
    a text twice changes nothing more, the time is linear in its length, and it never raises.

    Args:
        kinds: Which built-in kinds to replace; all of `KINDS` unless given.
        patterns: Own patterns by name: each match becomes `[name]`. They come before the built-in
            ones; their running time is their author's.
        function: Called last with the redacted text, returns the text to use, for example a named
            entity recogniser. To be idempotent itself.
        max_length: The most characters of a result, the notice of the cut included; at least 64.
        on_error: Told of an exception in a pattern or function; the text becomes
            `[redaction failed]`.

    Raises:
        ConfigurationError: A kind is unknown, a pattern is malformed or matches its own mark, or
            the length is too small.

    Example:
        >>> redact = Redactor(patterns={"customer": r"C-\d{6}"})
        >>> redact("I am C-123456, write to ada@example.org or call +44 20 7946 0958")
        'I am [customer], write to [email] or call [phone]'
        >>> redact("My card is 4111 1111 1111 1111, order 4111111111111112")
        'My card is [card], order 4111111111111112'
    """

    __slots__ = ("_builtin", "_max_length", "_on_error", "_own", "function")

    def __init__(
        self,
        *,
        kinds: Sequence[str] = KINDS,
        patterns: Mapping[str, str | re.Pattern[str]] | None = None,
        function: Callable[[str], str] | None = None,
        max_length: int = 10_000,
        on_error: Callable[[Exception], object] | None = None,
    ) -> None:
        if unknown := sorted(set(kinds) - set(KINDS)):
            raise ConfigurationError(
                f"redact: unknown kind {unknown[0]!r}; choose from {', '.join(KINDS)}"
            )
        if max_length < _MIN_LENGTH:
            raise ConfigurationError(f"max_length: {max_length} is less than {_MIN_LENGTH}")
        self._builtin = tuple(rule for rule in RULES if rule.kind in kinds)
        self._own = tuple(_own_rule(name, pattern) for name, pattern in (patterns or {}).items())
        self.function = function
        self._max_length = max_length
        self._on_error = on_error

    def __call__(self, text: str) -> str:
        """`text` with every match replaced, at most `max_length` characters long."""
        try:
            if len(text) <= self._max_length and not (self._own or self.function):
                if _is_plain(text):
                    return text
                redacted = self._settle(text)
                return redacted if len(redacted) <= self._max_length else self._cut(redacted, 0)
            return self._redact(text)
        except Exception as error:  # noqa: BLE001 - the raw text must not leave, whatever happens
            if self._on_error is not None:
                self._on_error(error)
            return FAILED

    def with_function(self, function: Callable[[str], str] | None) -> Redactor:
        """The same with another function, or with none."""
        other = copy(self)
        other.function = function
        return other

    @property
    def hides_secrets(self) -> bool:
        """Whether values under names such as `password` are replaced."""
        return any(rule.kind == "secret" for rule in self._builtin)

    def _redact(self, text: str) -> str:
        window = 4 * self._max_length + _MARGIN
        left_out = max(len(text) - window, 0)
        redacted = self._settle(text[:window])
        if self.function is not None:
            redacted = self._settle(_text(self.function(redacted)))
        if left_out:
            left_out += min(_MARGIN, len(redacted))
            redacted = redacted[:-_MARGIN]
        if left_out or len(redacted) > self._max_length:
            return self._cut(redacted, left_out)
        return redacted

    def _settle(self, text: str) -> str:
        """Applies the rules until nothing changes, since a replaced match may bare another."""
        for _ in range(_MAX_PASSES):
            before = text
            for rule in self._own:
                text = rule.apply(text)
            if not _is_plain(text):
                for rule in self._builtin:
                    text = rule.apply(text)
            if text == before:
                return text
        return WITHHELD

    def _cut(self, text: str, left_out: int) -> str:
        """Cuts and says so; what the cut bares (a number's end is now elsewhere) is redacted."""
        for _ in range(_MAX_PASSES):
            room = self._max_length - len(notice(len(text) + left_out))
            kept = text[:room]
            result = kept + notice(left_out + len(text) - len(kept))
            settled = self._settle(result)
            if settled == result:
                return result
            left_out += len(text) - len(kept)
            text = self._settle(kept)
            if not text:
                break
        return WITHHELD


def redact_value(value: object, redactor: Redactor) -> object:
    """JSON-like data with every text in it redacted, keys included.

    Numbers that read as a card or telephone number are replaced too, and so is everything under
    a name such as `password`. What is no JSON is redacted as its `str()`. Cycles, more than 32
    levels and what lies beyond 10,000 values become `[redacted]`.

    Args:
        value: Mappings, lists, tuples, strings, numbers, None, nested.
        redactor: What to redact with.

    Returns:
        Fresh data of dict, list, str, int, float, bool and None.

    Example:
        >>> redact_value({"to": ["ada@example.org", 3], "password": "pw"}, Redactor())
        {'to': ['[email]', 3], 'password': '[secret]'}
    """
    return _Walk(redactor).visit(value, 0)


def redact_mappings(mappings: Sequence[Mapping[str, object]], redactor: Redactor) -> object:
    """Several mappings as one, the later before the earlier; see `redact_value`.

    Example:
        >>> redact_mappings([{"plan": "free"}, {"plan": "paid"}], Redactor())
        {'plan': 'paid'}
    """
    whole: dict[str, object] = {}
    for mapping in mappings:
        whole.update(islice(mapping.items(), _MAX_NODES))
    return redact_value(whole, redactor)


def hash_user(user_id: str, key: str | bytes) -> str:
    """A keyed hash of a user id: the same user is recognised, nobody can tell who it is.

    Args:
        user_id: The id as the application knows it.
        key: The secret key, not empty. Whoever has it can test ids that they guess.

    Returns:
        The first 32 hexadecimal digits of HMAC-SHA256.

    Raises:
        ConfigurationError: The key is empty.

    Example:
        >>> hash_user("ada", "a key from the secret store")
        '5288ea92b9132164f3b93e44c5f9d953'
    """
    secret = key.encode() if isinstance(key, str) else key
    if not secret:
        raise ConfigurationError("user hash key: empty; set a secret key to hash user ids with")
    data = user_id.encode("utf-8", "surrogatepass")
    return hmac.new(secret, data, hashlib.sha256).hexdigest()[:32]


class _Walk:
    """One walk over nested data, bounded in depth and size."""

    __slots__ = ("_left", "_open", "_redactor")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._left = _MAX_NODES
        self._open: set[int] = set()

    def visit(self, value: object, depth: int) -> object:
        self._left -= 1
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return self._number(value)
        if not isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._text(value)
        if depth >= _MAX_DEPTH or self._left <= 0 or id(value) in self._open:
            return WITHHELD
        return self._container(value, depth)

    def _container(self, value: _Container, depth: int) -> object:
        self._open.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self._mapping(value, depth)
            return [self.visit(item, depth + 1) for item in value if self._left > 0]
        except Exception:  # noqa: BLE001 - a container of somebody else's may raise anything
            return FAILED
        finally:
            self._open.discard(id(value))

    def _mapping(self, value: Mapping[object, object], depth: int) -> dict[str, object]:
        result: dict[str, object] = {}
        alike: dict[str, int] = {}
        for key, item in value.items():
            if self._left <= 0:
                break
            name = self._redactor(key) if isinstance(key, str) else str(self.visit(key, depth))
            unique, count = name, alike.get(name, 2)
            while unique in result:
                unique, count = f"{name} ({count})", count + 1
            alike[name] = count
            if self._redactor.hides_secrets and SECRET_NAME.search(name) and item is not None:
                result[unique] = "[secret]"
            else:
                result[unique] = self.visit(item, depth + 1)
        return result

    def _number(self, value: float) -> object:
        if -_CARD_LIKE < value < _CARD_LIKE:
            return value
        written = str(value)
        return value if self._redactor(written) == written else self._redactor(written)

    def _text(self, value: object) -> str:
        if isinstance(value, str):
            return self._redactor(value)
        try:
            if isinstance(value, bytes | bytearray):
                return self._redactor(value.decode("utf-8", "replace"))
            return self._redactor(str(value))
        except Exception:  # noqa: BLE001 - __str__ of somebody else's object
            return FAILED


def _is_plain(text: str) -> bool:
    """Whether no built-in rule can match: true of most sentences, and cheap."""
    if _SUSPECT.search(text):
        return False
    lowered = text.lower()
    for word in _SUSPECT_WORDS:
        if word in lowered:
            return False
    return len(text) < _LONG_WORD or max(map(len, text.split()), default=0) < _LONG_WORD


def _own_rule(name: str, pattern: str | re.Pattern[str]) -> Rule:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(f"redact pattern {name!r}: {error}") from error
    if compiled.search(f"[{name}]") or compiled.search(""):
        raise ConfigurationError(
            f"redact pattern {name!r} matches its own mark [{name}] or the empty text; narrow it"
        )
    return Rule(name, compiled, mark(name))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ArgumentTypeError("the redaction function's result", "a text", value)
    return value
