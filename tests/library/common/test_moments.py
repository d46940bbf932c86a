"""Days and moments as people write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otel_chat._common.moments import end_of, first_of, zone_of
from otel_chat.errors import QueryError
from tests.examples import examples

MICROSECOND = timedelta(microseconds=1)
ZONES = sorted(available_timezones() - {"localtime", "Factory"})
DAYS = st.dates(date(1972, 1, 1), date(2100, 1, 1))


@examples(150, 5000)
@given(day=DAYS, zone=st.sampled_from(ZONES))
@example(day=date(2026, 3, 29), zone="Europe/Berlin")
@example(day=date(2026, 10, 25), zone="Europe/Berlin")
@example(day=date(2018, 11, 4), zone="America/Sao_Paulo")
@example(day=date(2026, 4, 5), zone="Australia/Lord_Howe")
@example(day=date(2011, 12, 30), zone="Pacific/Apia")
@example(day=date(2006, 10, 29), zone="America/St_Johns")
def test_days_follow_each_other_without_gap(day: date, zone: str) -> None:
    """A day ends where the next begins, and what a clock of the zone shows lies on it."""
    text, following = day.isoformat(), (day + timedelta(days=1)).isoformat()
    start, end = first_of(text, "from", zone), end_of(text, "to", zone)
    assert end == first_of(following, "from", zone)
    assert start <= end
    assert start.tzinfo is end.tzinfo is UTC
    if start == end:  # the one day that a zone left out when it crossed the date line
        return
    assert start.astimezone(ZoneInfo(zone)).date() == day
    assert (start - MICROSECOND).astimezone(ZoneInfo(zone)).date() < day
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    assert start < noon < end


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2026-11-01", "UTC", 24),
        ("2026-03-29", "Europe/Berlin", 23),
        ("2026-10-25", "Europe/Berlin", 25),
        ("2018-11-04", "America/Sao_Paulo", 23),
        ("2018-02-17", "America/Sao_Paulo", 25),
        ("2026-04-05", "Australia/Lord_Howe", 24.5),
    ],
)
def test_a_day_is_as_long_as_its_clocks_say(day: str, zone: str, hours: float) -> None:
    """23 and 25 hours where the clocks change, at midnight too."""
    length = end_of(day, "to", zone) - first_of(day, "from", zone)
    assert length == timedelta(hours=hours)


@examples(100, 2000)
@given(
    moment=st.datetimes(datetime(1972, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001
    minutes=st.integers(-14 * 60, 14 * 60),
    zone=st.sampled_from(ZONES),
)
def test_a_moment_with_an_offset_means_the_same_in_each_zone(
    moment: datetime, minutes: int, zone: str
) -> None:
    """As the first moment and as the end; the zone plays no part."""
    offset = timedelta(minutes=minutes)
    sign, rest = ("-", -minutes) if minutes < 0 else ("+", minutes)
    text = f"{moment.isoformat()}{sign}{rest // 60:02d}:{rest % 60:02d}"
    assert first_of(text, "from", zone) == end_of(text, "to", zone)
    assert first_of(text, "from", zone) == moment.replace(tzinfo=UTC) - offset


@pytest.mark.parametrize(
    ("text", "zone", "meant"),
    [
        ("2026-11-01T10:00", "UTC", "2026-11-01T10:00:00+00:00"),
        ("2026-11-01T10:00:30", "Asia/Tokyo", "2026-11-01T01:00:30+00:00"),
        ("2026-11-01t10:00:00.5z", "Asia/Tokyo", "2026-11-01T10:00:00.500000+00:00"),
        ("2026-11-01 10:00Z", "UTC", "2026-11-01T10:00:00+00:00"),
    ],
)
def test_a_time_without_an_offset_is_one_of_the_zone(text: str, zone: str, meant: str) -> None:
    """Like a day without one."""
    assert first_of(text, "from", zone).isoformat() == meant


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "yesterday", "2026-13-01", "2026-02-30", "20261101", "2026-W45-1", "1764000000",
        "2026-11-1", "01.11.2026", "2026-11-01T25:00Z", "2026-11-01T10:00:00 01:00", "2026-11-01T",
        "\u0662\u0660\u0662\u0666-11-01", "2026-11-01\n", "9999-12-31T23:59:59-23:00", "0001-01-01",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_field_and_fix(text: str) -> None:
    """In words that name the parameter, and how a day and a moment are written."""
    with pytest.raises(QueryError) as raised:
        first_of(text, "start_date", "Asia/Tokyo")
    assert raised.value.field == "start_date"
    assert str(raised.value).startswith("'start_date' ")
    assert "2026-11-01T12:00:00Z" in str(raised.value) or "calendar" in str(raised.value)


@examples(100, 2000)
@given(text=st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else comes out of it."""
    fields = set()
    for read in (first_of, end_of):
        try:
            assert read(text, "to").tzinfo is UTC
        except QueryError as error:
            fields.add(error.field)
    assert fields <= {"to"}


@pytest.mark.parametrize("name", ["", "Nowhere/Land", "../UTC", "/etc/passwd", "a\0b", "Europe"])
def test_a_zone_that_there_is_not_is_refused(name: str) -> None:
    """With the parameter that it came in."""
    with pytest.raises(QueryError, match="Europe/Berlin") as raised:
        zone_of(name)
    assert raised.value.field == "timezone"
