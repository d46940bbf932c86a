"""Tools, APIs, retrievals, models and processes, worked out by hand."""

from __future__ import annotations

from typing import Any

from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.dependencies import MOST, dependencies
from otel_chat.server.questions.process import processes
from tests.server.given import DAY, Given, at

NONE = Filters()


def test_calls_are_counted_by_kind_and_name(given: Given) -> None:
    """Two calls of a tool, one failed; a model; a retrieval by its data source; an API."""
    turn = given.turn()
    inside = (turn["trace_id"], turn["span_id"])
    given.span(*inside, 0, operation="execute_tool", tool="lookup")
    given.span(
        *inside, 5, operation="execute_tool", tool="lookup", status_code="error",
        error_type="Timeout",
    )  # fmt: skip
    given.span(*inside, 2, operation="chat", model="gpt")
    given.span(*inside, 3, operation="retrieval", attributes={"gen_ai.data_source.id": "faq"})
    given.span(*inside, 3, operation="invoke_workflow", workflow="w")
    given.event("api_call", seconds=4, api_name="crm", duration=0.5, status="503")
    given.event("api_call", seconds=5, api_name="crm", duration=1.5, status="200")
    given.event("api_call", seconds=6, api_name="crm", status="ok")
    given.save()
    items = dependencies(given.store, given.scope, DAY, NONE).items
    told = {(i.kind, i.name): (i.calls, i.failures, i.success_rate, i.mean) for i in items}
    assert told == {
        ("api", "crm"): (3, 1, 2 / 3, 1.0),
        ("tool", "lookup"): (2, 1, 0.5, 1.0),
        ("model", "gpt"): (1, 0, 1.0, 1.0),
        ("retrieval", "faq"): (1, 0, 1.0, 1.0),
    }
    assert [(i.kind, i.calls) for i in items][:2] == [("api", 3), ("tool", 2)]
    api, tool = items[0], items[1]
    assert (api.timed, api.error_types, api.last_failure) == (2, ["503"], at(4))
    assert (tool.error_types, tool.last_failure, tool.p50) == (["Timeout"], at(5), 1.0)


def test_a_call_of_a_model_that_nested_spans_tell_of_counts_once(given: Given) -> None:
    """A framework's and its client's span of one call, sent twice; a call beside it, and in tools.

    The inner one tells of no call in the hour in which it starts, either.
    """
    turn = given.turn()
    trace, top = turn["trace_id"], turn["span_id"]
    outer = given.span(trace, top, -0.5, operation="chat", model="gpt")
    inner = given.span(trace, outer["span_id"], operation="chat", model="gpt-4o")
    given.span(trace, inner["span_id"], operation="text_completion", model="gpt-4o-mini")
    given.rows += [("spans", outer), ("spans", inner)]
    given.span(trace, top, 2, operation="chat", model="gpt", status_code="error")
    tool = given.span(trace, outer["span_id"], 3, operation="execute_tool", tool="ask")
    given.span(trace, tool["span_id"], 3, operation="execute_tool", tool="ask")
    given.span(given.turn()["trace_id"], outer["span_id"], 4, operation="chat", model="elsewhere")
    given.save()
    items = dependencies(given.store, given.scope, DAY, NONE).items
    told = {(i.name, i.calls, i.failures) for i in items}
    assert told == {("gpt", 2, 1), ("ask", 2, 0), ("elsewhere", 1, 0)}
    late = Window(at(0), at(10), now=DAY.now)
    found = dependencies(given.store, given.scope, late, NONE).items
    assert {(i.name, i.calls) for i in found} == {("gpt", 1), ("ask", 2), ("elsewhere", 1)}


def test_calls_side_by_side_with_one_answer_count_once(given: Given) -> None:
    """Whoever knows most tells; one that hangs in another is none; ours are calls each.

    In each hour of two in which the spans of a call start, it counts once in both together.
    """
    turn = given.turn()
    trace, top = turn["trace_id"], turn["span_id"]

    def call(seconds: float, answer: str, model: str, parent: str = top, **more: Any) -> str:
        given.span(
            trace, parent, seconds, operation="chat", model=model,
            attributes={"gen_ai.response.id": answer}, **more,
        )  # fmt: skip
        given.rows.append(given.rows[-1])
        return str(given.rows[-1][1]["span_id"])

    call(-0.1, "r1", "sdk")
    outer = call(0.1, "r1", "instrumentation", input_tokens=7, output_tokens=2)
    call(0.2, "r1", "inner", outer, input_tokens=7, output_tokens=2)
    call(0, "r2", "mock", scope_name="otel_chat")
    call(1, "r2", "mock", scope_name="otel_chat")
    call(2, "r2", "client", input_tokens=7, output_tokens=2)
    given.span(given.turn()["trace_id"], top, operation="chat", model="elsewhere",
               attributes={"llm.response.id": "r1"})  # fmt: skip
    for _ in range(2):
        given.span(trace, top, 3, operation="chat", model="nameless")
    given.save()

    def told(window: Window) -> dict[str, int]:
        return {i.name: i.calls for i in dependencies(given.store, given.scope, window, NONE).items}

    others = {"mock": 2, "elsewhere": 1, "nameless": 2}
    assert told(DAY) == {"instrumentation": 1, **others}
    assert told(Window(at(-10), at(0), now=DAY.now)) == {}
    assert told(Window(at(0), at(10), now=DAY.now)) == {"instrumentation": 1, **others}


def test_calls_follow_the_filters_of_their_turns(given: Given) -> None:
    """A span knows no channel: its turn does."""
    for channel in ("web", "voice"):
        turn = given.turn(channel, channel=channel)
        given.span(turn["trace_id"], turn["span_id"], operation="execute_tool", tool=channel)
        given.event("api_call", channel, 1, api_name=f"{channel} api", status="ok")
    given.save()
    found = dependencies(given.store, given.scope, DAY, Filters(channel="web"))
    assert {i.name for i in found.items} == {"web", "web api"}


def test_more_dependencies_than_are_listed_are_counted(given: Given) -> None:
    """Three more tools than fit, one of them called twice: it is the first."""
    turn = given.turn()
    for number in (*range(MOST + 3), MOST + 2):
        given.span(
            turn["trace_id"], turn["span_id"], number, operation="execute_tool", tool=f"t{number}"
        )
    given.save()
    found = dependencies(given.store, given.scope, DAY, NONE)
    assert (len(found.items), found.others) == (MOST, 3)
    assert (found.items[0].name, found.items[0].calls) == (f"t{MOST + 2}", 2)


def test_a_process_tells_memory_and_cpu(given: Given) -> None:
    """10 s of processor time, user and system together, in 40 s: a quarter of one."""
    for seconds, memory, user, system in ((0, 100, 5, 1), (20, 300, 8, 2), (40, 200, 13, 3)):
        given.metric("process.memory.usage", memory, seconds)
        for mode, value in (("user", user), ("system", system)):
            given.metric("process.cpu.time", value, seconds, attributes={"cpu.mode": mode})
    given.metric("process.thread.count", 9, 40)
    given.save()
    (found,) = processes(given.store, given.scope, DAY).items
    assert (found.service_name, found.instance_id, found.last_seen) == ("bot", "one", at(40))
    assert (found.memory, found.memory_mean, found.memory_max) == (200, 200, 300)
    assert (found.cpu, found.threads) == (0.25, 9)
    told = [p for p in found.points if p.memory is not None]
    assert [(p.start, p.memory, p.cpu) for p in told] == [(at(0), 300, 0.25)]


def test_a_process_that_starts_anew_begins_anew(given: Given) -> None:
    """The counter falls from 50 to 2: it used 10 in 20 s before and 2 in 20 s after."""
    given.metric("process.cpu.time", 40, 0)
    given.metric("process.cpu.time", 50, 20)
    given.metric("process.cpu.time", 0, 30, start=30)
    given.metric("process.cpu.time", 2, 50, start=30)
    given.save()
    (found,) = processes(given.store, given.scope, DAY).items
    assert found.cpu == 12 / 40
    assert (found.memory, found.memory_max, found.threads) == (None, None, None)


def test_lost_telemetry_counts_what_was_lost_in_the_window(given: Given) -> None:
    """A process from before the window had lost 3 and has 5 now; a new one lost 4: 6 in all."""
    given.metric("otel_chat.telemetry.dropped", 3, 0, start=-90_000)
    given.metric("otel_chat.telemetry.dropped", 5, 15, start=-90_000)
    given.metric("otel_chat.telemetry.dropped", 4, 15, instance_id="two")
    given.metric("otel_chat.telemetry.errors", 1, 15, instance_id="two")
    given.save()
    found = processes(given.store, given.scope, DAY)
    assert (found.telemetry.dropped, found.telemetry.errors) == (6, 1)


def test_without_reports_there_are_no_processes(given: Given) -> None:
    """And nothing was lost, as far as anybody knows."""
    found = processes(given.store, given.scope, DAY)
    assert (found.items, found.telemetry.dropped) == ([], 0)
