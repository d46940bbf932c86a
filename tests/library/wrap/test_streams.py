"""What a handler or a model call gives is to its caller what it was, and is followed to its end."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import gc
import json
import pickle
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from typing import Any, Self
from unittest.mock import MagicMock

import pytest

from otel_chat import Config, chat_handler, current_turn, model_call
from otel_chat import semconv as sc
from otel_chat.testing import Telemetry

PIECES = ["Your ", "parcel."]


class Dual:
    """Iterated over in both ways, as LiteLLM's CustomStreamWrapper is."""

    def __init__(self) -> None:
        self.left = iter(PIECES)
        self.response = "header"

    def __iter__(self) -> Dual:
        return self

    def __next__(self) -> str:
        return next(self.left)

    def __aiter__(self) -> Dual:
        return self

    async def __anext__(self) -> str:
        try:
            return next(self.left)
        except StopIteration:
            raise StopAsyncIteration from None


class Lazy:
    """Makes its chunks once it is asked for an iterator."""

    def __iter__(self) -> Iterator[str]:
        yield from PIECES

    def __aiter__(self) -> AsyncIterator[str]:
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[str]:
        for piece in PIECES:
            yield piece


class Listed(Lazy):
    """The same, with a length and places as a list has."""

    def __len__(self) -> int:
        return len(PIECES)

    def __getitem__(self, place: int) -> str:
        return PIECES[place]


class Kept:
    """Gives the same iterator each time: a loop that is left may be gone on with."""

    def __init__(self) -> None:
        self.pieces = (piece for piece in PIECES)

    def __iter__(self) -> Iterator[str]:
        return self.pieces


class Manager:
    """Gives its stream on entering, as `client.messages.stream()` does."""

    def __init__(self, stream: Any = None, *, swallows: bool = False) -> None:
        self.stream = Lazy() if stream is None else stream
        self.swallows = swallows
        self.seen: list[object] = []

    def __enter__(self) -> Any:
        return self.stream

    def __exit__(self, *error: object) -> bool:
        self.seen.append(error[1])
        return self.swallows

    async def __aenter__(self) -> Any:
        return self.stream

    async def __aexit__(self, *error: object) -> bool:
        return self.__exit__(*error)


class Message:
    """An entered stream with its texts beside, as Anthropic's MessageStream."""

    def __init__(self) -> None:
        self.text_stream = (piece for piece in PIECES)

    def __iter__(self) -> Iterator[str]:
        yield from self.text_stream

    def until_done(self) -> Message:
        """Reads all of it."""
        for _ in self:
            pass
        return self

    def texts(self) -> Iterator[str]:
        """Its texts, by a method."""
        yield from self.text_stream


@pytest.fixture(name="telemetry")
def with_content() -> Iterator[Telemetry]:
    with Telemetry(Config(capture_content=True)) as telemetry:
        yield telemetry


def reply(telemetry: Telemetry) -> str | None:
    told = telemetry.only_turn()[sc.OUTPUT_MESSAGES]
    return json.loads(told)[0]["parts"][0]["content"] if told else None


def read(stream: Any) -> list[str]:
    return list(stream)


def aread(stream: Any) -> list[str]:
    async def collected() -> list[str]:
        return [piece async for piece in stream]

    return asyncio.run(collected())


def read_block(manager: Any) -> list[str]:
    with manager as stream:
        return list(stream)


def aread_block(manager: Any) -> list[str]:
    async def collected() -> list[str]:
        async with manager as stream:
            return [piece async for piece in stream]

    return asyncio.run(collected())


SHAPES: list[tuple[Callable[[], Any], Callable[[Any], list[str]]]] = [
    (Dual, read),
    (Dual, aread),
    (Lazy, read),
    (Lazy, aread),
    (Listed, read),
    (Kept, read),
    (Manager, read_block),
    (Manager, aread_block),
    (lambda: Manager(Dual()), read_block),
    (lambda: Manager(Dual()), aread_block),
    (lambda: contextlib.nullcontext(Lazy()), read_block),
    (lambda: map(str, PIECES), read),
]


@pytest.mark.parametrize(("make", "consume"), SHAPES)
@pytest.mark.parametrize("decorate", [chat_handler(agent="a"), model_call("m")])
def test_a_stream_of_any_protocol_is_read_as_before(
    telemetry: Telemetry,
    decorate: Callable[..., Any],
    make: Callable[[], Any],
    consume: Callable[[Any], list[str]],
) -> None:
    """The caller gets every chunk in its own way, and there is one span, which lasts as long."""
    given = decorate(make)()
    telemetry.clock.advance(seconds=1)
    assert consume(given) == PIECES
    del given
    [span] = telemetry.spans
    assert (span.end_time or 0) - (span.start_time or 0) >= 10**9


@pytest.mark.parametrize(("make", "consume"), SHAPES)
def test_the_reply_is_what_was_read(
    telemetry: Telemetry, make: Callable[[], Any], consume: Callable[[Any], list[str]]
) -> None:
    """The chunks are the reply, the turn was well, and it is told once."""
    consume(chat_handler(agent="a")(make)())
    gc.collect()
    assert (reply(telemetry), telemetry.only_turn()["status"]) == ("Your parcel.", "ok")


def test_every_protocol_of_the_object_is_kept() -> None:
    """Type, attributes, length, places, equality, hash, copies: as of what the handler gave."""

    @dataclass(unsafe_hash=True)
    class Answer:
        text: str = "hi"
        more: list[int] = field(default_factory=list, hash=False)

        def __iter__(self) -> Iterator[str]:
            yield self.text

        def __len__(self) -> int:
            return 1

        def __getitem__(self, place: int) -> str:
            return self.text[place]

        def __contains__(self, item: object) -> bool:
            return item == self.text

        def __iadd__(self, other: str) -> Self:
            self.text += other
            return self

        def __call__(self) -> Answer:
            return self

    with Telemetry():
        inner = Answer()
        given = chat_handler(lambda: inner)()
        assert isinstance(given, Answer)
        assert given.__class__ is Answer
        assert (given == inner, inner == given, given != inner) == (True, True, False)
        assert hash(given) == hash(inner)
        assert (len(given), given[1], "hi" in given, bool(given)) == (1, "i", True, True)
        assert (repr(given), str(given), f"{given}") == (repr(inner), str(inner), f"{inner}")
        assert dir(given) == dir(inner)
        assert vars(given) is vars(inner)
        assert (asdict(given), copy.copy(given), copy.deepcopy(given)) == (
            asdict(inner),
            inner,
            inner,
        )
        assert given() is given
        given.text = "ho"
        given.extra = 1  # type: ignore[attr-defined]
        assert (inner.text, inner.extra) == ("ho", 1)  # type: ignore[attr-defined] # set above
        del given.extra  # type: ignore[attr-defined]
        assert not hasattr(inner, "extra")
        same = given
        given += "!"
        assert same is given
        assert inner.text == "ho!"
        with pytest.raises(AttributeError, match="'Answer' object has no attribute 'nothing'"):
            _ = given.nothing  # type: ignore[attr-defined]
        assert not hasattr(given, "__next__")
        with pytest.raises(TypeError):
            next(given)  # type: ignore[call-overload]


def test_a_stream_can_be_pickled_as_what_it_is() -> None:
    """What leaves the process is the object alone."""
    with Telemetry():
        given = chat_handler(Kept)()
        given.pieces = PIECES
        again = pickle.loads(pickle.dumps(given))
    assert type(again) is Kept
    assert again.pieces == PIECES


def test_a_generator_kept_by_the_object_can_be_gone_on_with(telemetry: Telemetry) -> None:
    """Leaving a loop closes nothing that the object still holds."""
    given = chat_handler(Kept)()
    first = [piece for _, piece in zip(range(1), given, strict=False)]
    assert first + list(given) == PIECES
    assert telemetry.only_turn()["status"] == "ok"


class Machine:
    """Has what a generator has, and is none."""

    def __init__(self) -> None:
        self.got: list[object] = []

    def __iter__(self) -> Machine:
        return self

    def __next__(self) -> object:
        return self.send(None)

    def send(self, value: object) -> object:
        """Notes the value; three are given back as their number."""
        self.got.append(value)
        if len(self.got) > 3:
            raise StopIteration("done")
        return len(self.got)

    def throw(self, error: BaseException) -> object:
        """Notes the error."""
        self.got.append(error)
        return "caught"

    def close(self) -> str:
        """Notes that it was closed."""
        self.got.append("closed")
        return "closed"


def test_send_throw_and_close_reach_what_is_no_generator(telemetry: Telemetry) -> None:
    """Values and exceptions go in, what close returns comes out; closed early is cancelled."""
    given, error = chat_handler(Machine)(), KeyError()
    assert (next(given), given.send("x"), given.throw(error), given.close()) == (
        1,
        2,
        "caught",
        "closed",
    )
    assert given.got == [None, "x", error, "closed"]
    assert telemetry.only_turn()["status"] == "cancelled"


def test_yield_from_hands_the_return_value_on(telemetry: Telemetry) -> None:
    """`yield from` drives a stream of any make as it drives a generator."""

    def outer() -> Iterator[object]:
        value = yield from chat_handler(Machine)()
        yield value

    assert list(outer()) == [1, 2, 3, "done"]
    assert telemetry.only_turn()["status"] == "ok"


@pytest.mark.parametrize("call", [lambda s: s.close(), lambda s: asyncio.run(s.aclose())])
def test_a_close_that_is_awaited_ends_the_turn_when_it_is_done(
    telemetry: Telemetry, call: Callable[[Any], object]
) -> None:
    """OpenAI's AsyncStream has an async `close`: it is awaited as before."""
    closed: list[str] = []

    class Stream(Dual):
        async def close(self) -> str:
            await asyncio.sleep(0)
            closed.append("closed")
            return "closed"

        aclose = close

    async def main() -> None:
        given = chat_handler(Stream)()
        assert await anext(given) == "Your "
        assert telemetry.turns == []
        assert await given.close() == "closed"

    asyncio.run(main())
    assert closed == ["closed"]
    assert telemetry.only_turn()["status"] == "cancelled"


ENDINGS = ("exhausted", "broken off", "raised", "let go of", "raised inside")


@pytest.mark.parametrize("how", ENDINGS)
@pytest.mark.parametrize("swallows", [False, True])
@pytest.mark.parametrize("awaited", [False, True])
def test_a_block_ends_its_turn_once_however_it_is_left(
    telemetry: Telemetry, how: str, swallows: bool, awaited: bool
) -> None:
    """Read to the end it was well; left before it was cancelled, or an error; and only once."""

    class Broken(Lazy):
        def __iter__(self) -> Iterator[str]:
            yield PIECES[0]
            raise OSError

        async def _pieces(self) -> AsyncIterator[str]:
            yield PIECES[0]
            raise OSError

    inner = Manager(Broken() if how == "raised inside" else None, swallows=swallows)
    given = chat_handler(agent="a")(lambda: inner)()

    async def inside(stream: Any) -> None:
        chunks = aiter(stream) if awaited else iter(stream)
        if how == "let go of":
            return
        for _ in range(2 if how in ("exhausted", "raised inside") else 1):
            _ = await anext(chunks) if awaited else next(chunks)
        if how == "exhausted":
            assert (await anext(chunks, None) if awaited else next(chunks, None)) is None
        if how == "raised":
            raise KeyError

    async def main() -> None:
        if awaited:
            async with given as stream:
                await inside(stream)
        else:
            with given as stream:
                await inside(stream)

    fails = {"raised": KeyError, "raised inside": OSError}.get(how)
    with contextlib.nullcontext() if fails is None or swallows else pytest.raises(fails):
        asyncio.run(main())
    assert len(inner.seen) == 1
    expected = {"exhausted": "ok", "raised": "error", "raised inside": "error"}
    assert telemetry.only_turn()["status"] == expected.get(how, "cancelled")


@pytest.mark.parametrize(
    "make", [lambda: Manager(Message()), model_call("m")(lambda: Manager(Message()))]
)
@pytest.mark.parametrize(
    "use",
    [
        lambda stream: list(stream.text_stream),
        lambda stream: list(stream.texts()),
        lambda stream: stream.until_done() is stream,
    ],
)
def test_what_gives_the_chunks_beside_the_stream_is_followed(
    telemetry: Telemetry, use: Callable[[Any], Any], make: Callable[[], Any]
) -> None:
    """Texts, a method that iterates, one that reads all: well, and over with the block."""
    with chat_handler(agent="a")(make)() as stream:
        used = use(stream)
        assert telemetry.turns == []
    assert telemetry.only_turn()["status"] == "ok"
    if used == PIECES:
        assert reply(telemetry) == "Your parcel."


def test_each_step_of_any_stream_runs_in_its_turn(telemetry: Telemetry) -> None:
    """Iterators, entering, leaving and methods are the turn's, what lies between is not."""
    seen: list[str | None] = []

    def here() -> str | None:
        seen.append(current_turn().trace_id)
        return seen[-1]

    class Stream:
        def __enter__(self) -> Self:
            here()
            return self

        def __exit__(self, *_: object) -> None:
            here()

        def __iter__(self) -> Iterator[int]:
            here()
            yield 1
            here()

        def method(self) -> None:
            here()

        async def amethod(self) -> None:
            await asyncio.sleep(0)
            here()

    with chat_handler(Stream)() as stream:
        stream.method()
        asyncio.run(stream.amethod())
        for _ in stream:
            assert current_turn().trace_id is None
    assert len(seen) == 6
    # What lies after the last chunk is after the turn, and still attached to it
    assert set(seen) == {telemetry.only_turn().span.context.trace_id.to_bytes(16).hex()}


@dataclass
class Row:
    """Can be unpacked, and is no stream."""

    text: str = "hi"

    def __iter__(self) -> Iterator[str]:
        yield self.text


def test_what_nobody_takes_for_a_stream_ended_when_it_was_returned(telemetry: Telemetry) -> None:
    """An object that could be iterated over, and is only looked at, makes its turn no longer."""
    given = chat_handler(agent="a")(Row)()
    telemetry.clock.advance(seconds=5)
    assert given.text == "hi"
    del given
    gc.collect()
    turn = telemetry.only_turn()
    assert turn["status"] == "ok"
    assert turn.duration < 1


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1}.keys(),
        range(3),
        memoryview(b"abc"),
        MagicMock(),
        type("Dict", (dict,), {})(),
        type("Response", (), {"status_code": 200, "__iter__": lambda s: iter([s])})(),
        type("Model", (), {"model_fields": {}, "__iter__": lambda s: iter([s])})(),
        type("Array", (), {"__array__": None, "__array_interface__": 1, "__iter__": iter})(),
        type("Plain", (), {})(),
        Row,
        len,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_holds_its_data_is_handed_on_as_it_is(telemetry: Telemetry, value: object) -> None:
    """Containers, models, responses, mocks and classes are themselves, and end the turn at once."""
    assert chat_handler(agent="a")(lambda: value)() is value
    assert telemetry.only_turn()["status"] == "ok"


def test_a_file_is_handed_on_as_it_is(telemetry: Telemetry) -> None:
    """A file has an iterator's methods, and is none of the reply's."""
    with open(__file__) as file:  # noqa: PTH123 - a file object
        assert chat_handler(agent="a")(lambda: file)() is file
    assert len(telemetry.turns) == 1


def test_an_awaitable_keeps_its_other_protocols(telemetry: Telemetry) -> None:
    """What can be awaited or entered, as aiohttp's requests, can still be both."""

    class Request:
        url = "/"

        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            return "answer"

        async def __aenter__(self) -> str:
            return "entered"

        async def __aexit__(self, *_: object) -> None:
            return None

    async def main() -> list[str]:
        async with chat_handler(agent="a")(Request)() as entered:
            pass
        request = chat_handler(agent="a")(Request)()
        return [entered, request.url, await request]

    assert asyncio.run(main()) == ["entered", "/", "answer"]
    assert [turn["status"] for turn in telemetry.turns] == ["ok", "ok"]
    assert "entered" in str(telemetry.turns[0])


def test_a_future_of_an_executor_is_the_reply_once_it_is_there(telemetry: Telemetry) -> None:
    """The turn lasts until then, and is cancelled with it; its caller gets the future itself."""
    made: list[Future[str]] = []

    @chat_handler(agent="a")
    def answer() -> Future[str]:
        made.append(Future())
        return made[-1]

    for _ in range(3):
        assert answer() is made[-1]
    told, failed, cancelled = made
    assert not telemetry.turns
    told.set_result("Your parcel.")
    failed.set_exception(KeyError("x"))
    cancelled.cancel()
    assert [turn["status"] for turn in telemetry.turns] == ["ok", "error", "cancelled"]
    assert "Your parcel." in telemetry.turns[0][sc.OUTPUT_MESSAGES]


async def test_a_call_that_is_awaited_and_watched_is_awaited(telemetry: Telemetry) -> None:
    """A call of gRPC's tells when it is done, and has its result only for who awaits it."""

    class Call:
        def add_done_callback(self, callback: Callable[[object], None]) -> None:
            callback(self)

        def __await__(self) -> Generator[Any, None, str]:
            yield from asyncio.sleep(0).__await__()
            return "Your parcel."

    @chat_handler(agent="a")
    def answer() -> Call:
        return Call()

    assert await answer() == "Your parcel."
    turn = telemetry.only_turn()
    assert (turn["status"], reply(telemetry)) == ("ok", "Your parcel.")


def test_what_is_decorated_keeps_its_methods(telemetry: Telemetry) -> None:
    """Those of a cache, or of a bot that is called itself."""

    class Bot:
        def __init__(self) -> None:
            self.heard: list[str] = []

        def __call__(self, text: str) -> str:
            self.heard.append(text)
            return text

        def forget(self) -> None:
            self.heard.clear()

    bot = Bot()
    heard, cached = chat_handler(agent="a")(bot), chat_handler(agent="b")(functools.cache(bot))
    assert [heard("Hi"), cached("Hi"), cached("Hi")] == ["Hi"] * 3
    assert cached.cache_info().hits == 1
    heard.forget()
    assert (bot.heard, len(telemetry.turns)) == ([], 3)


def test_a_generator_based_coroutine_is_awaited(telemetry: Telemetry) -> None:
    """`types.coroutine` makes generators that can be awaited: decorated they still can."""
    from types import coroutine

    @coroutine
    def old() -> Any:
        yield from asyncio.sleep(0).__await__()
        return "done"

    decorated = chat_handler(agent="a")(old)

    async def main() -> list[str]:
        return [await decorated(), await chat_handler(agent="b")(functools.partial(old))()]

    assert asyncio.run(main()) == ["done", "done"]
    assert [turn["status"] for turn in telemetry.turns] == ["ok", "ok"]


@pytest.mark.parametrize("wrong", [{"nothing": 1}, {}])
def test_wrong_arguments_end_the_turn_as_an_error(
    telemetry: Telemetry, wrong: dict[str, Any]
) -> None:
    """A generator function called with wrong arguments leaves no turn open."""

    @chat_handler(agent="a")
    def pieces(text: str) -> Iterator[str]:
        yield text

    @chat_handler(agent="a")
    async def answer(text: str) -> str:
        return text

    with pytest.raises(TypeError):
        list(pieces(**wrong))
    with pytest.raises(TypeError):
        asyncio.run(answer(**wrong))
    assert [turn["error_type"] for turn in telemetry.turns] == ["TypeError", "TypeError"]


def test_a_class_that_cannot_be_hashed_breaks_nothing(telemetry: Telemetry) -> None:
    """A metaclass may forbid that its classes are compared or hashed."""

    class Meta(type):
        def __eq__(cls, other: object) -> bool:
            raise OSError

        __hash__ = None  # type: ignore[assignment] # that is the point

    class Odd(metaclass=Meta):
        def __iter__(self) -> Iterator[str]:
            yield from PIECES

    given = chat_handler(agent="a")(Odd)()
    assert list(given) == PIECES
    assert telemetry.only_turn()["status"] == "ok"


def test_a_handler_that_returns_a_model_calls_stream_has_both(telemetry: Telemetry) -> None:
    """Two stand-ins, one inside the other: one turn, one call, every chunk once."""

    @model_call("m")
    def ask() -> Any:
        return Dual()

    given = chat_handler(agent="a")(ask)()
    assert (isinstance(given, Dual), given.response, list(given)) == (True, "header", PIECES)
    assert [span.name for span in telemetry.spans] == ["chat m", "invoke_agent a"]
    assert reply(telemetry) == "Your parcel."
