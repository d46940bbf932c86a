"""Redaction: what must not leave the process does not, and what is harmless stays."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otel_chat import errors
from otel_chat.errors import ConfigurationError
from otel_chat.privacy import FAILED, KINDS, WITHHELD, Redactor, hash_user, redact_value
from otel_chat.privacy._rules import luhn

PACKAGE = Path(errors.__file__).parent
redact = Redactor()

PERSONAL = {
    "email": ["ada@example.org", "a.b+c@mail.example.co.uk", "jürgen@münchen.de", "x_y@a-b.io"],
    "phone": [
        "+44 20 7946 0958",
        "+49 (0)30 901820",
        "0049 30 901820",
        "(415) 555-0100",
        "415-555-0100",
        "415.555.0100",
        "4155550100",
        "1-800-555-0199",
        "06 12 34 56 78",
        "030/901820123",
    ],
    "card": [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "5555 5555 5555 4444",
        "378282246310005",
        "3782 822463 10005",
        "6011.1111.1111.1117",
        "4222222222222",
    ],
    "iban": [
        "DE89 3704 0044 0532 0130 00",
        "GB82WEST12345698765432",
        "gb82 west 1234 5698 7654 32",
    ],
    "ip": ["192.168.0.1", "8.8.8.8", "2001:db8::8a2e:370:7334", "fe80::1", "::ffff:10.0.0.1"],
    "secret": [
        "sk-proj-abcdefghijklmnop1234",
        "sk-ant-api03-AbCdEf_123456789012345",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "github_pat_11ABCDEFG0123456789_abcdef",
        "glpat-abcdefghij0123456789",
        "xoxb-123456789012-abcdefghij",
        "AIzaSyA0123456789abcdefghijklmnopqrstuv",
        "AKIAIOSFODNN7EXAMPLE",
        "hf_abcdefghijklmnopqrstuvwx",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
        "0123456789abcdef0123456789abcdef",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYBF and the end is missing",
    ],
}


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in PERSONAL.items() for text in texts]
)
def test_each_kind_is_replaced_by_its_mark(kind: str, text: str) -> None:
    """Alone, in a sentence, in brackets and before a full stop."""
    assert redact(text) == f"[{kind}]"
    assert redact(f"it is {text}") == f"it is [{kind}]"
    if "missing" not in text:
        assert redact(f"see ({text}), thanks.") == f"see ([{kind}]), thanks."
        assert redact(f"{text}.") == f"[{kind}]."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abc.def.ghi", "Authorization: Bearer [secret]"),
        ("send bearer a1b2c3d4e5f6", "send bearer [secret]"),
        ("my password is hunter2, ok", "my password is [secret], ok"),
        ("PASSWORD: hunter", "PASSWORD: [secret]"),
        ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key=[secret]"),
        ('{"api_key": "abc", "n": 1}', '{"api_key": "[secret]", "n": 1}'),
        ("postgres://bob:pw@db.example.org/x", "postgres://[secret]@db.example.org/x"),
        ("order 12 4111 1111 1111 1111 now", "order 12 [card] now"),
        ("card4111111111111111x", "card[card]x"),
        ("4111 1111\n1111 1111", "[card]"),
        ("tel. 612 345 678 or 7", "tel. [phone] or 7"),
        ("pay to DE89370400440532013000 tomorrow", "pay to [iban] tomorrow"),
        ("http://10.0.0.7:8080/x", "http://[ip]:8080/x"),
        ("http://[fe80::1]:80/", "http://[[ip]]:80/"),
    ],
)
def test_what_stands_around_is_kept(text: str, expected: str) -> None:
    """A mark takes the place of the thing itself and of nothing else."""
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Two tickets for the 8:30 show on 2024-02-01, please.",
        "01.02.2024 10:30:00, it is 0.123456789 of 1,234,567.89 dollars",
        "order 4111111111111112 has the wrong check digit",
        "NO94 8601 1117 947 has wrong check digits",
        "version 1.2.3, chapter 4.5.6.7.8, build 300.1.2.3",
        "std::vector and Foo::Bar at 10:20:30",
        "a basic understanding of bearer instruments",
        "mail @ noon, user@host, @someone",
        "the token economy; risk-averse desk-organisation-supplies",
        "Donaudampfschifffahrtsgesellschaftskapitän",
        "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "…[cut 123456 characters]",
    ],
)
def test_harmless_text_stays_as_it_is(text: str) -> None:
    """Dates, amounts, versions, ids, words."""
    assert redact(text) == text


def with_check_digit(digits: str) -> str:
    return next(digits + last for last in "0123456789" if luhn(digits + last))


cards = st.builds(with_check_digit, st.from_regex(r"\A[2-6][0-9]{11,17}\Z").map(lambda text: text))
prose = st.text(alphabet="abc XYZ.,;!?\n\u00e4\u4e2d(\"'", max_size=40)


@given(before=prose, card=cards, after=prose, separator=st.sampled_from(["", " ", "-", "."]))
def test_no_card_number_gets_through(before: str, card: str, after: str, separator: str) -> None:
    """Whatever stands around it, grouped by four or not at all."""
    grouped = separator.join(re.findall(".{1,4}", card))
    redacted = redact(f"{before}{grouped}{after}")
    assert grouped not in redacted
    assert card not in re.sub(r"\D", "", redacted)


pieces = st.one_of(
    st.text(max_size=12),
    st.sampled_from([text for texts in PERSONAL.values() for text in texts]),
    st.sampled_from(
        ["[card]", "[email]", "password: ", "bearer ", "://a:", "@", "0", "00", "+1", "eyJ", "sk-"]
    ),
    st.from_regex(r"\A[0-9 .:@/()-]{1,30}\Z"),
)


@settings(max_examples=400)
@given(st.lists(pieces, max_size=12).map("".join))
@example("password: 4111 1111 1111 1111@[card]4111111111111111 1111")
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    """With and without a cut."""
    for redactor in (redact, Redactor(max_length=64)):
        once = redactor(text)
        assert redactor(once) == once


@settings(max_examples=60, deadline=None)
@given(pieces.filter(bool), st.integers(0, 50))
@example("-----BEGIN PRIVATE KEY-----", 0)
@example("eyJ", 3)
@example("a@", 0)
@pytest.mark.timeout(120)
def test_time_is_linear_in_hostile_text(piece: str, offset: int) -> None:
    """100,000 characters of any piece again and again: a quadratic rule would need minutes."""
    text = (piece * (100_000 // len(piece) + 1))[offset:100_000]
    once = Redactor(max_length=1_000_000)(text)
    assert len(once) <= 1_000_000


@given(st.text(max_size=400), st.integers(64, 200))
def test_a_text_is_cut_at_the_limit_and_says_so(text: str, limit: int) -> None:
    """The notice is part of the limit; text that fits is not touched by it."""
    result = Redactor(kinds=(), max_length=limit)(text)
    assert len(result) <= limit
    if len(text) <= limit:
        assert result == text
    else:
        notice = re.search(r"…\[cut (\d+) characters\]\Z", result)
        assert notice is not None
        assert len(result) - len(notice[0]) + int(notice[1]) == len(text)
        assert text.startswith(result[: notice.start()])


@pytest.mark.parametrize("offset", range(-24, 24))
def test_a_cut_never_lays_a_part_of_a_number_bare(offset: int) -> None:
    """A card that straddles the limit, or the window that is looked at, is not cut in two."""
    redactor = Redactor(max_length=100)
    for edge in (100, 4 * 100 + 1024):
        text = ("so " * 1000)[: edge + offset] + "4111 1111 1111 1111" + " and so on" * 100
        assert "4111" not in redactor(text)


def test_own_patterns_and_function_are_applied() -> None:
    """Own patterns before the built-in ones, the function on what is already redacted."""
    seen: list[str] = []

    def names(text: str) -> str:
        seen.append(text)
        return text.replace("Ada", "[name]")

    redactor = Redactor(patterns={"customer": r"C-\d+", "id": re.compile("x{3}")}, function=names)
    assert (
        redactor("Ada C-4111111111111111 xxx ada@example.org") == "[name] [customer] [id] [email]"
    )
    assert seen == ["Ada [customer] [id] [email]"]


def test_what_a_function_adds_is_redacted_too() -> None:
    """A function that puts personal data in does not get it out."""
    assert Redactor(function=lambda text: text + " ada@example.org")("hi") == "hi [email]"


def broken(text: str) -> str:
    raise ValueError(text)


@pytest.mark.parametrize("function", [broken, lambda text: None, lambda text: text.encode()])
def test_a_redactor_that_fails_keeps_the_text_in(function: Callable[[str], str]) -> None:
    """The text is replaced whole, and whoever asked is told why."""
    errors: list[Exception] = []
    redactor = Redactor(function=function, on_error=errors.append)
    assert redactor("ada@example.org and a secret plan") == FAILED
    assert len(errors) == 1
    assert Redactor(function=function)("plan") == FAILED


@pytest.mark.parametrize("value", [None, 3, b"x", ["x"]])
def test_what_is_no_text_fails_closed(value: object) -> None:
    """A caller's mistake is reported, not raised."""
    assert redact(value) == FAILED  # type: ignore[arg-type]


def test_only_the_kinds_asked_for_are_replaced() -> None:
    """What is of another kind stays as it is."""
    assert Redactor(kinds=["email"])("a@b.cd 4111111111111111") == "[email] 4111111111111111"
    assert set(KINDS) == set(PERSONAL)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Redactor(kinds=["e-mail"]), "unknown kind 'e-mail'; choose from secret"),
        (lambda: Redactor(patterns={"x": "("}), "redact pattern 'x': "),
        (lambda: Redactor(patterns={"word": r"\w+"}), r"matches its own mark \[word\]"),
        (lambda: Redactor(patterns={"x": "a*"}), "or the empty text"),
        (lambda: Redactor(max_length=63), "max_length: 63 is less than 64"),
        (lambda: hash_user("ada", ""), "user hash key: empty"),
    ],
)
def test_a_wrong_setting_is_named(build: Callable[[], object], message: str) -> None:
    """When it is made, not when a message comes."""
    with pytest.raises(ConfigurationError, match=message):
        build()


def test_nested_data_is_redacted_in_values_keys_and_numbers() -> None:
    """And under names of secrets whatever stands there."""
    value = {
        "ada@example.org": ["4111 1111 1111 1111", 4111111111111111, 12, 0.5, True, None],
        "bob@example.org": ({"ip": "8.8.8.8"}, {"8.8.8.8"}),
        "nested": {"password": {"x": 1}, "api_key": 5, "token": None},
        7: b"ada@example.org",
    }
    assert redact_value(value, redact) == {
        "[email]": ["[card]", "[card]", 12, 0.5, True, None],
        "[email] (2)": [{"ip": "[ip]"}, ["[ip]"]],
        "nested": {"password": "[secret]", "api_key": "[secret]", "token": None},
        "7": "[email]",
    }


class Hostile:  # noqa: D101
    def __str__(self) -> str:
        raise RuntimeError("ada@example.org")


class HostileDict(dict[object, object]):  # noqa: D101
    def items(self) -> object:  # type: ignore[override]  # noqa: D102
        raise RuntimeError("ada@example.org")


def test_hostile_data_is_withheld() -> None:
    """Cycles, depth, width, objects that raise."""
    cycle: list[object] = []
    cycle += [cycle, cycle]
    assert redact_value(cycle, redact) == [WITHHELD, WITHHELD]
    deep: object = "ada@example.org"
    for _ in range(5_000):
        deep = [deep]
    assert "ada" not in json.dumps(redact_value(deep, redact))
    wide = redact_value(["x"] * 50_000, redact)
    assert isinstance(wide, list)
    assert len(wide) < 10_001
    assert redact_value([Hostile(), HostileDict(a=1)], redact) == [FAILED, FAILED]


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | pieces,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(pieces, inner, max_size=4),
    max_leaves=12,
)


@given(trees)
def test_nested_data_stays_json_and_holds_nothing_redactable(value: object) -> None:
    """Every text in the result is as redacting it again would leave it."""
    result = redact_value(value, redact)
    json.dumps(result)
    assert json.dumps(redact_value(result, redact)) == json.dumps(result)


def test_a_user_hash_is_keyed_and_steady() -> None:
    """The same user and key give the same hash; another key another one."""
    assert hash_user("ada", "k") == hash_user("ada", b"k")
    assert hash_user("ada", "k") != hash_user("ada", "l")
    assert hash_user("ada", "k") != hash_user("bob", "k")
    assert re.fullmatch("[0-9a-f]{32}", hash_user("\ud800", "k"))


def test_redaction_needs_the_standard_library_only() -> None:
    """Nothing else is imported for it."""
    code = (
        "import sys, types; package = types.ModuleType('otel_chat');"
        f"package.__path__ = [{str(PACKAGE)!r}]; sys.modules['otel_chat'] = package;"
        "import otel_chat.privacy; loaded = {name.partition('.')[0] for name in sys.modules};"
        "foreign = loaded - sys.stdlib_module_names - {'otel_chat', '__main__'};"
        "assert not foreign, foreign"
    )
    subprocess.run([sys.executable, "-S", "-E", "-c", code], check=True)
