"""What is recognised as personal or secret, and how it is replaced.

Every expression is linear in the text: quantifiers are bounded, or what follows them cannot fail,
or the classes on both sides of them have no character in common.
`tests/library/privacy/test_privacy.py` holds them to it with hostile input.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

# Lengths by country, from the IBAN registry. A length is needed because words may follow an IBAN.
_IBAN_REGISTRY: Final = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 "
    "DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 "
    "IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 "
    "MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 "
    "SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
_IBAN_LENGTHS: Final = {entry[:2]: int(entry[2:]) for entry in _IBAN_REGISTRY.split()}
_CARD_DIGITS: Final = range(13, 20)
_CARD_FIRST_DIGITS: Final = frozenset("23456")

_SENSITIVE_NAMES: Final = (
    r"passw(?:or)?d|passphrase|pwd|secret|api[ _-]?key|(?:access|account|private)[_-]?key"
    r"|auth[_-]?token|access[_-]?token|refresh[_-]?token|id[_-]?token|session[_-]?token|token"
    r"|authorization|credentials?"
)
SECRET_NAME: Final = re.compile(rf"(?i)(?:{_SENSITIVE_NAMES})$")


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing to recognise.

    Args:
        kind: Its name, which is also the mark left in the text: `[kind]`.
        pattern: Finds candidates.
        replace: What a candidate becomes; the candidate itself where it is none.
        needle: A string without which the rule cannot match; empty for none.
    """

    kind: str
    pattern: re.Pattern[str]
    replace: Callable[[re.Match[str]], str]
    needle: str = ""

    def apply(self, text: str) -> str:
        """`text` with every match replaced."""
        if self.needle and self.needle not in text:
            return text
        return self.pattern.sub(self.replace, text)


def mark(kind: str) -> Callable[[re.Match[str]], str]:
    """Replaces a match by `[kind]`, keeping what the group `keep` has matched."""
    replacement = f"[{kind}]"

    def replace(match: re.Match[str]) -> str:
        return (match.groupdict().get("keep") or "") + replacement

    return replace


def luhn(digits: str) -> bool:
    """Whether the digits end in the check digit of ISO/IEC 7812.

    Example:
        >>> luhn("4111111111111111"), luhn("4111111111111112")
        (True, False)
    """
    total = 0
    for position, char in enumerate(reversed(digits)):
        value = int(char)
        if position % 2:
            value = value * 2 - 9 if value > 4 else value * 2  # noqa: PLR2004 - two digits are summed
        total += value
    return total % 10 == 0


def _cards(match: re.Match[str]) -> str:
    """Replaces the cards in a run of groups of digits.

    A card begins and ends with a group: a window into a longer number would pass the check by
    chance, while an order number may well stand right before a card.
    """
    run = match[0]
    groups = [(group.start(), group.end()) for group in _GROUP.finditer(run)]
    kept: list[str] = []
    position = index = 0
    while index < len(groups):
        last = _card_end(run, groups, index)
        if last is None:
            index += 1
            continue
        kept += (run[position : groups[index][0]], "[card]")
        position = groups[last][1]
        index = last + 1
    return "".join((*kept, run[position:]))


def _card_end(run: str, groups: list[tuple[int, int]], first: int) -> int | None:
    """The last group of the longest card that begins with the group `first`."""
    if run[groups[first][0]] not in _CARD_FIRST_DIGITS:
        return None
    digits = ""
    found = None
    for index in range(first, len(groups)):
        start, end = groups[index]
        if len(digits) + end - start >= _CARD_DIGITS.stop:
            break
        digits += run[start:end]
        if len(digits) in _CARD_DIGITS and luhn(digits):
            found = index
    return found


def _iban(match: re.Match[str]) -> str:
    """Replaces an IBAN whose check digits are right; words after it stay."""
    candidate = match[0]
    length = _IBAN_LENGTHS.get(candidate[:2].upper())
    if length is None:
        return candidate
    places = [place for place, char in enumerate(candidate) if char.isalnum()][:length]
    end = places[-1] + 1
    if len(places) < length or candidate[end : end + 1].isalnum():
        return candidate
    compact = "".join(candidate[place] for place in places)
    rearranged = (compact[4:] + compact[:4]).upper()
    if int("".join(str(int(char, 36)) for char in rearranged)) % 97 != 1:
        return candidate
    return "[iban]" + candidate[end:]


def _ipv6(match: re.Match[str]) -> str:
    candidate = match[0]
    for end in range(len(candidate), max(len(candidate) - 3, 2), -1):
        try:
            ipaddress.IPv6Address(candidate[:end])
        except ValueError:
            continue
        return "[ip]" + candidate[end:] if candidate.strip(":.") else candidate
    return candidate


def _phone(match: re.Match[str]) -> str:
    number = match["number"]
    if _NO_PHONE.match(number):
        return match[0]
    return (match["keep"] or "") + "[phone]"


def _bearer(match: re.Match[str]) -> str:
    """Replaces what can only be a token: prose goes on with words after 'bearer' too."""
    value = match["value"]
    if len(value) < 20 and not any(char.isdigit() for char in value):  # noqa: PLR2004 - see above
        return match[0]
    return f"{match['keep']}[secret]"


def _long_token(match: re.Match[str]) -> str:
    value = match[0]
    return value if value.isalpha() or value.isdigit() else "[secret]"


_GROUP: Final = re.compile(r"[0-9]+")
# Dates (01.02.2024, 2024-02-01) and decimal fractions (0.1234567) are no telephone numbers
_NO_PHONE: Final = re.compile(
    r"\d{1,2}([./-])\d{1,2}\1\d{4}(?!\d)|\d{4}([./-])\d{1,2}\2\d{1,2}(?!\d)|0\.\d+\Z"
)
_SEPARATORS: Final = r"[ \t\u00a0./()\u2010-\u2015-]"
_KEY_PREFIXES: Final = (
    r"(?:sk|pk|rk)[-_](?:[a-z]{2,8}[-_])?[A-Za-z0-9][\w-]{15,}"  # OpenAI, Anthropic, Stripe ...
    r"|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|xox[a-z]-[\w-]{10,}|xapp-[\w-]{10,}|https://hooks\.slack\.com/services/[\w/]{20,}"
    r"|AIza[\w-]{30,}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{16,}"
    r"|(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"
    r"|(?:hf|npm|gsk|r8|whsec|lin_api|shpat|dop_v1|glsa|ntn)_\w{16,}"
    r"|(?:pypi|xai|pplx|dckr_pat)-[\w-]{16,}|SG\.[\w-]{16,64}\.[\w-]{16,}|\d{8,10}:AA[\w-]{30,}"
)
_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"


def _ascii(expression: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    return re.compile(expression, re.ASCII | flags)


# Secrets come first: a password may look like anything that follows.
RULES: Final = (
    Rule(
        "secret",
        # An end is not required: a block that was cut off is still a key
        _ascii(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?"
            r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
            re.DOTALL,
        ),
        mark("secret"),
        needle="-----BEGIN",
    ),
    Rule(
        "secret",
        _ascii(r"(?P<keep>://)[^\s/@:\[\]]{0,256}:[^\s/@]{1,256}(?=@)"),
        mark("secret"),
        needle="://",
    ),
    Rule(
        "secret",
        _ascii(r"(?<![\w-])eyJ[\w-]{5,}+\.[\w-]{5,}+(?:\.{1,2}[\w-]++){0,4}"),
        mark("secret"),
        needle="eyJ",
    ),
    Rule("secret", _ascii(rf"(?<![A-Za-z0-9])(?:{_KEY_PREFIXES})"), mark("secret")),
    Rule(
        "secret",
        _ascii(
            r"(?P<keep>\b(?:bearer|basic)[ \t]{1,3})(?P<value>[\w.~+/=-]{8,})(?!\])", re.IGNORECASE
        ),
        _bearer,
    ),
    Rule(
        "secret",
        _ascii(
            rf"(?P<keep>(?:{_SENSITIVE_NAMES})[\\\"']{{0,3}}\s{{0,3}}(?:[:=]|=>)\s{{0,3}}[\\\"']{{0,3}}"
            r"(?:(?:bearer|basic)[ ]{1,3})?"
            r"|\b(?:password|passphrase|passcode)[ ]is[ ]{1,3}(?:[:\"'])?)"
            r"[^\s\\\"',;&]+",
            re.IGNORECASE,
        ),
        mark("secret"),
    ),
    Rule("secret", _ascii(r"(?<![A-Za-z0-9])[A-Za-z0-9]{32,}"), _long_token),
    Rule(
        "email",
        re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"),
        mark("email"),
        needle="@",
    ),
    Rule(
        "iban",
        _ascii(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ \u00a0-]?[A-Za-z0-9]){11,40}"),
        _iban,
    ),
    Rule("card", _ascii(rf"\d+(?:{_SEPARATORS[:-1]}_\s]{{1,2}}\d+)*"), _cards),
    Rule("ip", _ascii(r"(?<![\w:.])[0-9A-Fa-f:][0-9A-Fa-f:.]{1,44}(?![\w:])"), _ipv6, needle=":"),
    Rule("ip", _ascii(rf"(?<![\d.]){_OCTET}(?:\.{_OCTET}){{3}}(?!\.?\d)"), mark("ip"), needle="."),
    Rule(
        "phone",
        _ascii(
            rf"(?P<keep>)(?P<number>(?:\+|(?<![\d.,])00){_SEPARATORS}{{0,2}}[1-9]"
            rf"(?:{_SEPARATORS}{{0,3}}\d){{6,14}})(?!\d)"
        ),
        _phone,
    ),
    Rule(
        "phone",
        _ascii(
            rf"(?P<keep>)(?<![\d.,])(?P<number>(?:1{_SEPARATORS}?)?"
            rf"(?:\(\d{{3}}\){_SEPARATORS}{{0,2}}|\d{{3}}{_SEPARATORS}?)\d{{3}}{_SEPARATORS}?\d{{4}})(?!\d)"
        ),
        _phone,
    ),
    Rule(
        "phone",
        _ascii(
            rf"(?P<keep>)(?<![\d.,:])(?P<number>(?:\(0(?=\d{{0,6}}\))|0)(?:{_SEPARATORS}{{0,3}}\d){{8,11}})(?!\d)"
        ),
        _phone,
    ),
    Rule(
        "phone",
        _ascii(
            r"(?P<keep>(?<!\[)\b(?:tele)?(?:phone|fax|tel|mobile|cell|whatsapp|call|text)\b[^\d\n]{0,20})"
            rf"(?P<number>\d(?:{_SEPARATORS}{{0,3}}\d){{6,14}})(?!\d)",
            re.IGNORECASE,
        ),
        _phone,
    ),
)
KINDS: Final = tuple(dict.fromkeys(rule.kind for rule in RULES))
