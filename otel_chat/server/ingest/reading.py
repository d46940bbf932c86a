"""A body taken apart: each span, record or metric is read by itself, and costs only itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_chat.errors import IngestError
from otel_chat.server.ingest.bodies import JSON
from otel_chat.server.ingest.otlp_json import items, read_document, read_item
from otel_chat.server.ingest.wire import check_values, fields, mended

if TYPE_CHECKING:
    from collections.abc import Iterator

M = TypeVar("M", bound=Message)

# Of a body. More of them take so long to check and to store that senders would not wait.
ITEMS: Final = 100_000
# Of a body whose values would not fit into memory otherwise: attributes and what lists hold.
VALUES: Final = 1_000_000
ITEM_VALUES: Final = 100_000
# Smaller ones are not counted: they cannot hold so many.
_UNCOUNTED_ITEM: Final = 64 * 1024
_UNCOUNTED_BODY: Final = 1024**2
# Of what cannot be read as it is: to take it apart is slow.
_MENDED_BYTES: Final = 8 * 1024**2


@dataclass(frozen=True, slots=True)
class Shape:
    """How a signal's body is built: groups of a resource hold groups of a scope, these the items.

    Args:
        request: The message of the whole.
        groups: The field of the groups of a resource.
        scopes: That of the groups of a scope.
        items: That of the items.
        item: The message of an item.
    """

    request: type[Message]
    groups: str
    scopes: str
    items: str
    item: type[Message]


TRACES: Final = Shape(ExportTraceServiceRequest, "resource_spans", "scope_spans", "spans", Span)
LOGS: Final = Shape(
    ExportLogsServiceRequest, "resource_logs", "scope_logs", "log_records", LogRecord
)
METRICS: Final = Shape(
    ExportMetricsServiceRequest, "resource_metrics", "scope_metrics", "metrics", Metric
)
# The same in all three: a group's resource or scope, and what it holds.
_ABOUT, _HELD = 1, 2


@dataclass(slots=True, eq=False)
class Origin:
    """What items of one resource and scope have in common.

    Args:
        resource: The resource.
        scope: The scope's name.
        fault: Why its items cannot be taken; '' if they can.
        written: The resource in protobuf, once it was checked.
    """

    resource: Resource
    scope: str
    fault: str = ""
    written: bytes = b""


@dataclass(slots=True)
class Item:
    """A span, record or metric of a body.

    Args:
        list: The list that it stands in, for messages.
        number: Its place there; `None` where this stands for a whole list.
        origin: What it has in common with its neighbours.
        message: What was read; `None` if it cannot be read.
        fault: Why it cannot.
    """

    list: str
    number: int | None
    origin: Origin
    message: Any
    fault: str = ""

    @property
    def path(self) -> str:
        """Where it stands."""
        return self.list if self.number is None else f"{self.list}[{self.number}]"


def _unreadable(path: str, error: Exception) -> Item:
    """A whole group that cannot be read; how many it holds nobody knows."""
    fault = f"{path}: it cannot be read ({error})"
    return Item(path, None, Origin(Resource(), ""), None, fault)


@dataclass(slots=True)
class Reader:
    """Takes a body apart.

    Args:
        body: The bytes, unpacked.
        kind: The content type.
        shape: What it holds.

    Attributes:
        lost: Attributes that could not be read and were left out.
        first_lost: Where the first of them stood.
    """

    body: bytes
    kind: str
    shape: Shape
    lost: int = 0
    first_lost: str = ""
    _values: int = 0
    _steps: int = 0
    _mended: int = 0

    def read(self) -> Iterator[Item]:
        """The items, one after the other.

        Raises:
            IngestError: With status 400 if the whole cannot be read, 413 if it holds too much.
        """
        found = self._of_json() if self.kind == JSON else self._of_protobuf()
        if len(self.body) <= _UNCOUNTED_BODY:
            yield from found
            return
        for item in found:
            if item.message is not None:
                self._count_values(item.message)
            yield item

    # Protobuf

    def whole(self) -> Any:
        """The body as one message: three times as fast as item by item.

        None where it is too large to be read uncounted, or cannot be read as it is.
        """
        if self.kind == JSON or len(self.body) > _UNCOUNTED_BODY:
            return None
        try:
            return self.shape.request.FromString(self.body)
        except (DecodeError, RecursionError):
            return None

    def _of_protobuf(self) -> Iterator[Item]:
        shape = self.shape
        try:
            groups = self._split(0, len(self.body))[1]
        except DecodeError as error:
            name = shape.request.DESCRIPTOR.name
            raise IngestError(f"The body is no {name}: {error}.") from error
        for i, (begin, end) in enumerate([at for number, *at in groups if number == _ABOUT]):
            place = f"{shape.groups}[{i}]"
            try:
                about, held = self._split(begin, end)
            except DecodeError as error:
                yield _unreadable(place, error)
                continue
            resource = Resource()
            fault = self._fill(resource, about, f"{place}.resource")
            yield from self._of_group(place, resource, fault, held)

    def _of_group(
        self, place: str, resource: Resource, fault: str, held: list[tuple[int, int, int]]
    ) -> Iterator[Item]:
        shape = self.shape
        for j, (begin, end) in enumerate([at for number, *at in held if number == _HELD]):
            path = f"{place}.{shape.scopes}[{j}]"
            try:
                about, items_held = self._split(begin, end)
            except DecodeError as error:
                yield _unreadable(path, error)
                continue
            scope = InstrumentationScope()
            self._fill(scope, about, f"{path}.scope")
            origin = Origin(resource, scope.name, fault)
            found = [self.body[a:b] for number, a, b in items_held if number == _HELD]
            place = f"{path}.{shape.items}"
            for k, data in enumerate(found):
                item = Item(place, k, origin, shape.item())
                if fault := origin.fault or self._fill(item.message, data, item):
                    item.message, item.fault = None, fault
                yield item

    def _split(self, begin: int, end: int) -> tuple[bytes, list[tuple[int, int, int]]]:
        """What a group is about, in one piece if it came in several, and where its fields stand.

        A field of another kind than OTLP has under its number is passed over.
        """
        held = []
        for number, delimited, _, start, after in fields(self.body, begin, end):
            self._step()
            if delimited:
                held.append((number, start, after))
        return b"".join(self.body[a:b] for number, a, b in held if number == _ABOUT), held

    def _fill(self, message: Message, data: bytes, place: Item | str) -> str:
        """Reads a message, or what can be read of it; returns why nothing can."""
        if len(data) > _UNCOUNTED_ITEM:
            try:
                check_values(data, message.DESCRIPTOR, ITEM_VALUES)
            except IngestError as error:
                return f"{_path(place)}: {error}"
        try:
            message.ParseFromString(data)
        except (DecodeError, RecursionError):
            self._mended += len(data)
            if self._mended > _MENDED_BYTES:
                return f"{_path(place)}: it cannot be read"
            try:
                whole, lost = mended(data, message.DESCRIPTOR)
                message.ParseFromString(whole)
            except (DecodeError, RecursionError) as error:
                return f"{_path(place)}: it cannot be read ({error})"
            self._lose(lost, _path(place))
        return ""

    # JSON

    def _of_json(self) -> Iterator[Item]:
        shape = self.shape
        groups, scopes, held = map(_names, (shape.groups, shape.scopes, shape.items))
        for i, group in enumerate(items(read_document(self.body), *groups, path="")):
            place = f"{groups[0]}[{i}]"
            self._step()
            try:
                inside = list(enumerate(items(group, *scopes, path=place)))
            except IngestError as error:
                yield _unreadable(place, error)
                continue
            resource, fault = self._json_fill(
                Resource(), group.get("resource"), f"{place}.resource"
            )
            for j, scoped in inside:
                path = f"{place}.{scopes[0]}[{j}]"
                self._step()
                try:
                    values = items(scoped, *held, path=path)
                except IngestError as error:
                    yield _unreadable(path, error)
                    continue
                scope, _ = self._json_fill(
                    InstrumentationScope(), scoped.get("scope"), f"{path}.scope"
                )
                origin = Origin(resource, scope.name, fault)
                for k, value in enumerate(values):
                    self._step()
                    yield self._json_item(f"{path}.{held[0]}", k, origin, value)

    def _json_item(self, place: str, number: int, origin: Origin, value: Any) -> Item:
        item = Item(place, number, origin, self.shape.item())
        given = {} if value is None else value
        if fault := origin.fault or self._json_fill(item.message, given, item.path)[1]:
            item.message, item.fault = None, fault
        return item

    def _json_fill(self, message: M, value: Any, path: str) -> tuple[M, str]:
        if value is None:
            return message, ""
        try:
            _, lost = read_item(value, message)
        except IngestError as error:
            joint = ": " if str(error).startswith("it ") else "."
            message.Clear()
            return message, f"{path}{joint}{error}"
        self._lose(lost, path)
        return message, ""

    # Bounds

    def _step(self) -> None:
        self._steps += 1
        if self._steps > ITEMS:
            message = f"The body has more than {ITEMS} {self.shape.items}: send fewer at once."
            raise IngestError(message, status=413)

    def _lose(self, lost: int, path: str) -> None:
        if lost:
            self.first_lost = self.first_lost or path
            self.lost += lost

    def count(self, values: int) -> None:
        """Counts values that have been read.

        Raises:
            IngestError: With status 413, if there are more than fit into memory.
        """
        self._values += values
        if self._values > VALUES:
            message = f"The body has more than {VALUES} attributes and values in them:"
            raise IngestError(f"{message} send fewer at once.", status=413)

    def _count_values(self, message: Any) -> None:
        given = getattr(message, "attributes", ())
        held = 0
        for one in given:
            value = one.value
            if value.HasField("array_value"):
                held += len(value.array_value.values)
        self.count(len(given) + held)


def _path(place: Item | str) -> str:
    return place if isinstance(place, str) else place.path


def _names(field_name: str) -> tuple[str, str]:
    """A field's names in JSON: as OTLP writes it, and as protobuf's parser takes it too."""
    first, *rest = field_name.split("_")
    return first + "".join(map(str.capitalize, rest)), field_name
