"""Protobuf's wire format, as far as a body is taken apart into items before any is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

from otel_chat.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Iterator

# A descriptor, of which protobuf has one class in Python and another in C.
Described = Any
_SMALL: Final = tuple(bytes([number]) for number in range(0x80))
_VARINT: Final = 0
_DELIMITED: Final = 2
_GROUP: Final = 3
_FIXED: Final = {1: 8, 5: 4}
_LONGEST_VARINT: Final = 70  # bits, ten bytes of seven
_DEPTH: Final = 60
_ENDS_EARLY: Final = "the data ends in the middle of a field"


# Where a field stands: its number, whether it is of the kind that texts, bytes and messages are,
# where its tag begins, where what it holds begins, and where it ends. There are many of them.
Field = tuple[int, bool, int, int, int]


def varint(number: int) -> bytes:
    """A number as protobuf writes it.

    Example:
        >>> varint(300).hex()
        'ac02'
    """
    if number < 0x80:  # noqa: PLR2004 - the bit that says that more follow
        return _SMALL[number]
    encoded = bytearray()
    while number >> 7:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def framed(number: int, content: bytes) -> bytes:
    """A field that holds bytes, a text or a message.

    Example:
        >>> framed(1, b"ab").hex()
        '0a026162'
    """
    return varint(number << 3 | _DELIMITED) + varint(len(content)) + content


def _read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while at < end and shift < _LONGEST_VARINT:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follow
            return number, at
        shift += 7
    raise DecodeError(_ENDS_EARLY)


def _after(data: bytes, at: int, end: int, wire: int) -> int:
    """Where the value of a kind that holds no bytes ends."""
    if wire == _VARINT:
        return _read_varint(data, at, end)[1]
    if wire in _FIXED:
        return at + _FIXED[wire]
    if wire != _GROUP:
        raise DecodeError(f"there is no wire type {wire}")
    open_groups = 1
    while open_groups:
        tag, at = _read_varint(data, at, end)
        match tag & 7:
            case 3:
                open_groups += 1
            case 4:
                open_groups -= 1
            case 2:
                length, at = _read_varint(data, at, end)
                at += length
            case inner:
                at = _after(data, at, end, inner)
    return at


def fields(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Field]:
    """The fields of a message, in the order in which they stand; nothing inside is looked at.

    Args:
        data: What holds the message.
        start: Where it begins.
        end: Where it ends; with the data, without.

    Raises:
        DecodeError: If this is no message.

    Example:
        >>> [number for number, *_ in fields(framed(1, b"ab") + framed(2, b""))]
        [1, 2]
    """
    at, end = start, len(data) if end is None else end
    while at < end:
        begin, tag = at, data[at]
        if tag < 0x80:  # noqa: PLR2004 - as most are
            at += 1
        else:
            tag, at = _read_varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise DecodeError("a field has the number 0")
        if wire == _DELIMITED:
            length, at = _read_varint(data, at, end)
            after = at + length
        else:
            after = _after(data, at, end, wire)
        if after > end:
            raise DecodeError(_ENDS_EARLY)
        yield number, wire == _DELIMITED, begin, at, after
        at = after


def check_values(data: bytes, kind: Described, most: int) -> None:
    """Refuses a message that holds too much to be read: every value inside costs memory.

    Args:
        data: The message.
        kind: What it is.
        most: How many fields it may have, those of messages inside included.

    Raises:
        IngestError: With status 413, if it has more.
    """
    waiting = [(kind, 0, len(data))]
    count = 0
    while waiting:
        described, start, end = waiting.pop()
        known = described.fields_by_number
        try:
            for number, delimited, _, begin, after in fields(data, start, end):
                count += 1
                if count > most:
                    raise IngestError(f"it holds more than {most} values", status=413)
                inside = known.get(number)
                if delimited and inside is not None and inside.message_type is not None:
                    waiting.append((inside.message_type, begin, after))
        except DecodeError:
            continue  # whoever reads it will say so


def mended(data: bytes, kind: Described, depth: int = 0) -> tuple[bytes, int]:
    """A message without what cannot be read of it: bytes of texts that are no UTF-8 are replaced.

    Args:
        data: The message, of which something cannot be read.
        kind: What it is.
        depth: How deep inside another it stands.

    Returns:
        The message, and how many repeated messages inside it were left out.

    Raises:
        DecodeError: If it is no message, or nested too deeply.
    """
    if depth > _DEPTH:
        raise DecodeError(f"nested more than {_DEPTH} levels deep")
    out, lost = bytearray(), 0
    for number, delimited, begin, start, end in fields(data):
        known = kind.fields_by_number.get(number)
        if known is None or not delimited:
            out += data[begin:end]
            continue
        content = data[start:end]
        if known.message_type is not None:
            try:
                content, inside = mended(content, known.message_type, depth + 1)
            except DecodeError:
                if not known.is_repeated:
                    raise
                lost += 1
                continue
            lost += inside
        elif known.type == FieldDescriptor.TYPE_STRING:
            content = content.decode(errors="replace").encode()
        out += framed(number, content)
    return bytes(out), lost
