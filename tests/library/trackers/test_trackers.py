"""AnalyticsTracker and EventTracker: their counts, their telemetry, and nothing lost."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_chat import Config, chat_handler
from otel_chat import semconv as sc
from otel_chat.errors import ConfigurationError, TelemetryError
from otel_chat.testing import Telemetry, assert_turn
from otel_chat.trackers import (
    AnalyticsEvent,
    AnalyticsTracker,
    EventTracker,
    EventType,
    engagement_score,
)
from tests.requirements import demand

DOCUMENTS = Path(__file__).parents[4] / "shared" / "source-documents"
KEYS = {
    "total_messages",
    "user_messages",
    "assistant_messages",
    "average_response_time_ms",
    "topics_discussed",
    "actions_taken",
}


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    with Telemetry(Config(capture_content=True)) as telemetry:
        yield telemetry


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in production: an error of ours is counted, not raised."""
    monkeypatch.delenv("OTEL_CHAT_RAISE")


def source_code(number: str, heading: str) -> str:
    """The Python under a heading of a source document."""
    found = [*DOCUMENTS.glob(f"{number}_*.txt")]
    demand("source-documents", there=bool(found), fix="They lie in shared/ beside the checkout.")
    after = found[0].read_text().partition(heading)[2]
    return after.partition("```python\n")[2].partition("```")[0]


class Records(dict[str, dict[str, Any]]):
    """A store of records; says whether one is new."""

    saves = 0

    def save(self, session_id: str, record: dict[str, Any]) -> bool:
        """Creates or updates."""
        self.saves += 1
        created = session_id not in self
        self[session_id] = json.loads(json.dumps(record))
        return created


class TestAnalyticsTracker:
    """Messages, response times, topics, actions, and the record."""

    def test_messages_of_both_sides_are_counted(self, telemetry: Telemetry) -> None:
        """The total is their sum."""
        tracker = AnalyticsTracker("s-1")
        tracker.track_user_message()
        tracker.track_assistant_message(100)
        tracker.track_user_message()
        assert (tracker.user_messages, tracker.assistant_messages) == (2, 1)
        assert tracker.get_total_messages() == 3

    @given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
    def test_the_average_is_the_mean_of_the_response_times(self, times: list[float]) -> None:
        """In milliseconds, whatever their order."""
        with Telemetry():
            tracker = AnalyticsTracker("s-1")
            for response_time in times:
                tracker.track_user_message()
                tracker.track_assistant_message(response_time)
        assert tracker.get_average_response_time() == pytest.approx(sum(times) / len(times))

    def test_without_an_answer_the_average_is_zero(self, telemetry: Telemetry) -> None:
        """A column that is NOT NULL takes it."""
        assert AnalyticsTracker("s-1").get_average_response_time() == 0.0

    def test_topics_count_once_and_actions_each_time(self, telemetry: Telemetry) -> None:
        """Topics in the order of their first mention; an action keeps its data and time."""
        tracker = AnalyticsTracker("s-1")
        for topic in ("delivery", "refund", "delivery"):
            tracker.track_topic(topic)
        tracker.track_action("link_clicked", {"url": "/services/"})
        tracker.track_action("link_clicked")
        assert tracker.topics_discussed == ["delivery", "refund"]
        assert [a["type"] for a in tracker.actions_taken] == ["link_clicked"] * 2
        assert tracker.actions_taken[0]["data"] == {"url": "/services/"}
        assert datetime.fromisoformat(tracker.actions_taken[0]["timestamp"]).tzinfo is not None
        assert telemetry.metric("otel_chat.actions").total == 2

    def test_the_record_has_its_keys_and_is_a_copy(self, telemetry: Telemetry) -> None:
        """JSON can hold it, and changing it changes nothing."""
        tracker = AnalyticsTracker("s-1")
        tracker.track_topic("delivery")
        record = tracker.to_dict()
        assert set(record) == KEYS
        json.dumps(record)
        record["topics_discussed"].append("x")
        assert tracker.to_dict()["topics_discussed"] == ["delivery"]

    def test_question_and_answer_are_one_turn_with_its_own_times(
        self, telemetry: Telemetry
    ) -> None:
        """The turn ends now and lasted the response time; topic and action are its events."""
        tracker = AnalyticsTracker("s-1", agent="sophie", channel="web")
        tracker.track_user_message("Where is my order?")
        telemetry.clock.advance(seconds=5)
        tracker.track_assistant_message(1500, "Tomorrow.")
        tracker.track_topic("delivery")
        turn = telemetry.only_turn()
        assert_turn(turn, status="ok", agent="sophie", channel="web", conversation_id="s-1")
        assert turn.duration == pytest.approx(1.5, abs=0.01)
        assert "Where is my order?" in turn[sc.INPUT_MESSAGES]
        assert "Tomorrow." in turn[sc.OUTPUT_MESSAGES]
        assert [e.attributes[sc.TOPIC_NAME] for e in turn.events] == ["delivery"]

    def test_what_is_no_turn_is_a_message(self, telemetry: Telemetry) -> None:
        """A greeting, and a question that stayed without an answer."""
        tracker = AnalyticsTracker("s-1")
        tracker.track_assistant_message()
        tracker.track_user_message()
        tracker.save_analytics()
        assert telemetry.turns == []
        senders = [e.attributes[sc.MESSAGE_SENDER] for e in telemetry.events(sc.EVENT_MESSAGE)]
        assert senders == ["assistant", "user"]

    def test_inside_a_decorated_handler_no_second_turn_is_counted(
        self, telemetry: Telemetry
    ) -> None:
        """The handler's turn is the turn."""
        tracker = AnalyticsTracker("s-1")

        @chat_handler(agent="support", conversation_id="session_id")
        def answer(session_id: str) -> None:
            tracker.track_user_message()
            tracker.track_assistant_message(10)

        answer("s-1")
        assert_turn(telemetry.only_turn(), agent="support")

    @pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "12", True])
    def test_an_impossible_response_time_counts_a_message_and_no_time(
        self, telemetry: Telemetry, wrong: Any
    ) -> None:
        """The average stays true."""
        tracker = AnalyticsTracker("s-1")
        tracker.track_user_message()
        tracker.track_assistant_message(wrong)
        assert tracker.assistant_messages == 1
        assert tracker.response_times == []
        assert len(telemetry.turns) == 1


class TestSaving:
    """Saved once, created or updated, with the log line."""

    def test_close_and_disconnect_save_once(self, telemetry: Telemetry) -> None:
        """What has not changed is not saved again; what has is an update."""
        records = Records()
        tracker = AnalyticsTracker("abc-123", save=records.save)
        tracker.track_user_message()
        assert tracker.save_analytics().created is True
        assert tracker.save_analytics().created is None
        assert records.saves == 1
        tracker.track_assistant_message(10)
        assert tracker.save_analytics().created is False
        assert records["abc-123"]["total_messages"] == 2

    async def test_an_async_store_is_awaited(self, telemetry: Telemetry) -> None:
        """The answer is the same; awaiting twice saves once."""
        records = Records()

        async def save(session_id: str, record: dict[str, Any]) -> bool:
            await asyncio.sleep(0)
            return records.save(session_id, record)

        tracker = AnalyticsTracker("s-1", save=save)
        saving = tracker.save_analytics()
        assert await saving is True
        assert await saving is True
        assert await tracker.save_analytics() is None
        assert records.saves == 1

    def test_the_log_line_names_the_session_and_the_figures(
        self, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Level INFO, with session_id, total_messages, average_response_time_ms, created."""
        tracker = AnalyticsTracker("abc-123", save=Records().save)
        for response_time in (150, 162.6):
            tracker.track_user_message()
            tracker.track_assistant_message(response_time)
        with caplog.at_level(logging.INFO, "otel_chat.analytics"):
            tracker.save_analytics()
        (record,) = caplog.records
        assert record.levelname == "INFO"
        assert record.getMessage().splitlines() == [
            "Analytics saved for session abc-123",
            "  session_id: abc-123",
            "  total_messages: 4",
            "  average_response_time_ms: 156.3",
            "  created: True",
        ]
        assert record.record_created is True  # type: ignore[attr-defined]
        assert record.average_response_time_ms == 156.3  # type: ignore[attr-defined]

    @pytest.mark.usefixtures("quiet")
    async def test_a_failing_store_is_counted_and_may_be_tried_again(
        self, telemetry: Telemetry
    ) -> None:
        """Sync and async: the chat sees nothing, and the record is not taken for saved."""
        records = Records()
        working = False

        def save(session_id: str, record: dict[str, Any]) -> bool:
            if not working:
                raise OSError("database away")
            return records.save(session_id, record)

        async def later(session_id: str, record: dict[str, Any]) -> bool:
            return save(session_id, record)

        for store in (save, later):
            working = False
            tracker = AnalyticsTracker(store.__name__, save=store)
            tracker.track_user_message()
            assert await tracker.save_analytics() is None
            working = True
            assert await tracker.save_analytics() is True
        assert telemetry.metric("otel_chat.telemetry.errors").total == 2

    def test_the_documents_consumer_runs_as_it_stands(self, telemetry: Telemetry) -> None:
        """The usage example of source document 000, unchanged, inside a consumer."""
        code = source_code("000", "## Usage Example")
        names: dict[str, Any] = {"time": time}
        exec(code, names)

        class Consumer:
            analytics_tracker = AnalyticsTracker("s-1", save=Records().save)
            handle_chat_message = names["handle_chat_message"]

        consumer = Consumer()
        asyncio.run(consumer.handle_chat_message({}))
        record = consumer.analytics_tracker.to_dict()
        assert record["total_messages"] == 2
        assert record["topics_discussed"] == ["service_inquiry"]
        assert record["actions_taken"][0]["data"] == {"url": "/services/"}
        assert_turn(telemetry.only_turn(), conversation_id="s-1", status="ok")


class TestRecordsInADatabase:
    """The record in the Django example's table, in a process of its own."""

    @pytest.fixture
    def shell(self, tmp_path: Path) -> Any:
        """Runs code in a process with the example's models and a tracker."""
        examples = Path(__file__).parents[3] / "examples"
        head = (
            "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'django_app.settings'\n"
            "django.setup()\n"
            "from django.core.management import call_command\n"
            "call_command('migrate', run_syncdb=True, verbosity=0)\n"
            "import json\n"
            "from asgiref.sync import async_to_sync\n"
            "from django.db import IntegrityError\n"
            "from django_app.models import ChatAnalytics, ChatSession\n"
            "from django_app.consumers import save\n"
            "from otel_chat.trackers import AnalyticsTracker\n"
            "put = async_to_sync(save)\n"
            "tracker = AnalyticsTracker('s-1')\n"
        )

        def run(code: str) -> Any:
            done = subprocess.run(
                [sys.executable, "-c", head + code],
                cwd=examples,
                env={"DJANGO_DB": str(tmp_path / "db"), "PYTHONPATH": str(examples)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        return run

    def test_a_record_is_created_then_updated(self, shell: Any) -> None:
        """The second save changes the row of the first."""
        code = (
            "tracker.track_user_message()\n"
            "first = put('s-1', tracker.to_dict())\n"
            "tracker.track_assistant_message(120)\n"
            "second = put('s-1', tracker.to_dict())\n"
            "row = ChatAnalytics.objects.get()\n"
            "print(json.dumps([first, second, row.total_messages, row.average_response_time_ms]))"
        )
        assert shell(code) == [True, False, 2, 120.0]

    def test_json_fields_come_back_as_they_were(self, shell: Any) -> None:
        """Topics and actions, in their order."""
        code = (
            "tracker.track_topic('Größe'); tracker.track_action('link', {'url': '/s/'})\n"
            "put('s-1', tracker.to_dict())\n"
            "row = ChatAnalytics.objects.get()\n"
            "print(json.dumps([row.topics_discussed, row.actions_taken[0]['data']]))"
        )
        assert shell(code) == [["Größe"], {"url": "/s/"}]

    def test_the_engagement_score_follows_messages_actions_and_outcome(self, shell: Any) -> None:
        """Five answered questions and three actions, open and resolved."""
        code = (
            "for _ in range(5):\n"
            "    tracker.track_user_message(); tracker.track_assistant_message(1)\n"
            "for _ in range(3): tracker.track_action('link')\n"
            "put('s-1', tracker.to_dict())\n"
            "row = ChatAnalytics.objects.get(); before = row.engagement_score\n"
            "row.resolved = True\n"
            "print(json.dumps([before, row.engagement_score]))"
        )
        assert shell(code) == [60.0, 80.0]

    def test_a_session_has_one_record(self, shell: Any) -> None:
        """The database refuses a second one."""
        code = (
            "put('s-1', tracker.to_dict())\n"
            "try:\n"
            "    ChatAnalytics.objects.create(session=ChatSession.objects.get())\n"
            "    print('false')\n"
            "except IntegrityError:\n"
            "    print('true')"
        )
        assert shell(code) is True


@given(
    turns=st.integers(0, 1000),
    actions=st.integers(0, 1000),
    outcome=st.sampled_from(sc.OUTCOMES),
)
def test_the_engagement_score_lies_between_0_and_100_and_grows(
    turns: int, actions: int, outcome: str
) -> None:
    """More turns, more actions or a better outcome never lower it."""
    score = engagement_score(turns, actions, outcome)
    assert 0 <= score <= engagement_score(turns + 1, actions + 1, "resolved") <= 100
    with pytest.raises(ValueError, match="outcome"):
        engagement_score(turns, actions, "won")


class Store:
    """An event store that may fail.

    Args:
        failures: How many batches fail first.
    """

    def __init__(self, failures: int = 0) -> None:
        self.batches: list[list[AnalyticsEvent]] = []
        self.failures = failures
        self.written = asyncio.Event()

    async def batch_insert(self, events: list[AnalyticsEvent]) -> None:
        """Keeps a batch, or fails."""
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise OSError("store away")
        self.batches.append(events)
        self.written.set()

    @property
    def ids(self) -> list[str]:
        """The ids of all events kept, in their order."""
        return [event.event_id for batch in self.batches for event in batch]

    async def query(self, **wanted: Any) -> list[AnalyticsEvent]:
        """The events of an agent, a session or a kind, within a time."""
        start, end = wanted.pop("start_date", None), wanted.pop("end_date", None)
        return [
            event
            for batch in self.batches
            for event in batch
            if all(getattr(event, key) == value for key, value in wanted.items())
            and (start is None or start <= event.timestamp <= end)
        ]


def event(kind: str, session_id: str = "s-1", **more: Any) -> AnalyticsEvent:
    return AnalyticsEvent(event_type=EventType(kind), session_id=session_id, **more)


class TestFlushing:
    """By size, by time, at shutdown; nothing lost."""

    async def test_a_full_buffer_is_flushed_before_track_returns(
        self, telemetry: Telemetry
    ) -> None:
        """Batches of the buffer's size, in order."""
        store = Store()
        tracker = EventTracker(store, None, buffer_size=3)
        events = [event("custom") for _ in range(7)]
        for one in events:
            await tracker.track(one)
        assert [len(batch) for batch in store.batches] == [3, 3]
        assert await tracker.flush()
        assert store.ids == [one.event_id for one in events]
        assert tracker.buffer == []

    async def test_time_flushes_and_stopping_flushes_the_rest(self, telemetry: Telemetry) -> None:
        """What waited is written every interval, and once more at the stop."""
        store = Store()
        tracker = EventTracker(store)
        await tracker.start_auto_flush(interval=0.001)
        await tracker.track(event("custom"))
        await store.written.wait()
        await tracker.track(event("custom"))
        last = tracker.stop_auto_flush()
        assert last is not None
        await last
        assert len(store.ids) == 2

    @pytest.mark.usefixtures("quiet")
    async def test_a_failing_store_keeps_the_events_in_order(self, telemetry: Telemetry) -> None:
        """They are tried again when as many more have come; the failures are counted."""
        store = Store(failures=2)
        tracker = EventTracker(store, buffer_size=2)
        events = [event("custom") for _ in range(6)]
        for one in events[:4]:
            await tracker.track(one)
        assert store.batches == []
        assert tracker.buffer == events[:4]
        for one in events[4:]:
            await tracker.track(one)
        assert store.ids == [one.event_id for one in events]
        assert telemetry.metric("otel_chat.telemetry.errors").total == 2
        assert tracker.dropped == 0

    @pytest.mark.usefixtures("quiet")
    async def test_above_the_limit_the_oldest_are_dropped_and_counted(
        self, telemetry: Telemetry
    ) -> None:
        """A store that stays away costs a bounded amount of memory, and the loss is said."""
        tracker = EventTracker(Store(failures=1000), buffer_size=2, limit=5)
        events = [event("custom") for _ in range(9)]
        for one in events:
            await tracker.track(one)
        assert tracker.buffer == events[4:]
        assert tracker.dropped == 4
        assert telemetry.metric("otel_chat.telemetry.dropped").total == 4
        tracker.event_store = Store()
        assert await tracker.flush()

    async def test_a_cancelled_flush_loses_nothing(self, telemetry: Telemetry) -> None:
        """The batch on its way goes back to the front."""
        hangs = asyncio.Event()

        class Hanging(Store):
            async def batch_insert(self, events: list[AnalyticsEvent]) -> None:
                hangs.set()
                await asyncio.Event().wait()

        tracker = EventTracker(Hanging())
        first = event("custom")
        await tracker.track(first)
        flushing = asyncio.create_task(tracker.flush())
        await hangs.wait()
        flushing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flushing
        assert tracker.buffer == [first]
        tracker.event_store = Store()
        assert await tracker.flush()

    @given(
        st.lists(st.sampled_from(["track", "flush", "fail"]), max_size=40),
        st.integers(1, 5),
    )
    def test_every_event_is_stored_once_whatever_fails(self, script: list[str], size: int) -> None:
        """In the order in which they were tracked, once the store works again."""
        store = Store()
        events = []

        async def run() -> None:
            tracker = EventTracker(store, buffer_size=size)
            for step in script:
                if step == "track":
                    events.append(event("custom"))
                    await tracker.track(events[-1])
                elif step == "flush":
                    await tracker.flush()
                else:
                    store.failures += 1
            store.failures = 0
            await tracker.flush()

        with pytest.MonkeyPatch.context() as patch, Telemetry():
            patch.delenv("OTEL_CHAT_RAISE")
            asyncio.run(run())
        assert store.ids == [one.event_id for one in events]

    def test_the_end_of_the_process_flushes_what_is_left(self, tmp_path: Path) -> None:
        """Sync and async stores alike, without anybody calling flush."""
        for keyword in ("", "async "):
            code = (
                "import asyncio\n"
                "from otel_chat.trackers import AnalyticsEvent, EventTracker\n"
                "class Store:\n"
                f"    {keyword}def batch_insert(self, events): print(len(events), flush=True)\n"
                "tracker = EventTracker(Store())\n"
                "event = AnalyticsEvent(event_type='custom', session_id='s-1')\n"
                "asyncio.run(tracker.track(event))\n"
            )
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            )
            assert done.stdout.split() == ["1"], done.stderr

    async def test_each_event_goes_to_the_stream_processor_at_once(
        self, telemetry: Telemetry
    ) -> None:
        """Sync or async, before any flush."""
        seen: list[AnalyticsEvent] = []

        class Sync:
            def process(self, event: AnalyticsEvent) -> None:
                seen.append(event)

        class Async:
            async def process(self, event: AnalyticsEvent) -> None:
                seen.append(event)

        for processor in (Sync(), Async()):
            await EventTracker(Store(), processor).track(event("custom"))
        assert len(seen) == 2

    @pytest.mark.usefixtures("quiet")
    async def test_a_failing_processor_keeps_no_event_from_the_store(
        self, telemetry: Telemetry
    ) -> None:
        """Counted, and the event is stored."""

        class Broken:
            def process(self, event: AnalyticsEvent) -> None:
                raise ValueError("bad")

        store = Store()
        async with EventTracker(store, Broken()) as tracker:
            await tracker.track(event("custom"))
        assert len(store.ids) == 1

    async def test_without_a_store_nothing_is_kept(self, telemetry: Telemetry) -> None:
        """The telemetry alone has the events."""
        tracker = EventTracker()
        await tracker.track(event("custom", data={"name": "poll"}))
        assert tracker.buffer == []
        (custom,) = telemetry.events(sc.EVENT_CUSTOM)
        assert custom.attributes[sc.EVENT_CUSTOM_NAME] == "poll"

    def test_sizes_out_of_range_are_refused(self) -> None:
        """When configured, with the values."""
        with pytest.raises(ConfigurationError, match="buffer_size"):
            EventTracker(buffer_size=0)
        with pytest.raises(ConfigurationError, match="interval"):
            asyncio.run(EventTracker().start_auto_flush(0))


class TestEventsAsTelemetry:
    """Each kind of event becomes what the contract has for it."""

    async def test_a_question_and_its_answer_are_a_turn_with_what_lies_between(
        self, telemetry: Telemetry
    ) -> None:
        """Its times are the events'; intent, entity and service call are its events."""
        start = datetime(2026, 11, 1, 12, tzinfo=UTC)
        tracker = EventTracker()
        known = {"agent_id": "support", "channel": "mobile", "platform": "ios"}
        text = {"text": "Where is my order?"}
        await tracker.track(event("user_message", timestamp=start, data=text, **known))
        await tracker.track(
            event("intent_classified", data={"intent": "order_status"}, confidence=0.9, **known)
        )
        entity = {"entity": "order", "value": "4711"}
        await tracker.track(event("entity_extracted", data=entity, **known))
        api = {"api": "orders", "status": 200}
        await tracker.track(event("api_call", data=api, duration_ms=80, **known))
        end = start + timedelta(seconds=2)
        await tracker.track(
            event(
                "bot_response",
                timestamp=end,
                response_time_ms=1500,
                sentiment="neutral",
                data={"text": "Tomorrow.", "model": "gpt-4o", "input_tokens": 5},
                **known,
            )
        )
        turn = telemetry.only_turn()
        assert_turn(
            turn,
            agent="support",
            channel="mobile",
            conversation_id="s-1",
            intent="order_status",
            confidence=0.9,
            model="gpt-4o",
            input_tokens=5,
            sentiment="neutral",
            status="ok",
            events=[sc.EVENT_INTENT, sc.EVENT_ENTITY, sc.EVENT_API_CALL],
        )
        assert turn.duration == pytest.approx(1.5)
        assert turn.span.end_time == int(end.timestamp()) * 10**9
        assert "Tomorrow." in turn[sc.OUTPUT_MESSAGES]

    @pytest.mark.parametrize(
        ("made", "name", "said"),
        [
            (event("conversation_start"), sc.EVENT_CONVERSATION_START, {}),
            (
                event("conversation_end", data={"resolved": True, "reason": "done"}),
                sc.EVENT_CONVERSATION_END,
                {sc.OUTCOME: "resolved", sc.REASON: "done"},
            ),
            (
                event("conversation_end", data={"escalated_to_human": True}),
                sc.EVENT_CONVERSATION_END,
                {sc.OUTCOME: "handed_off"},
            ),
            (event("bot_response"), sc.EVENT_MESSAGE, {sc.MESSAGE_SENDER: "assistant"}),
            (
                event("intent_classified", data={"intent": "fallback"}, confidence=0.2),
                sc.EVENT_INTENT,
                {sc.FALLBACK: True, sc.CONFIDENCE: 0.2},
            ),
            (
                event("entity_extracted", data={"type": "date"}),
                sc.EVENT_ENTITY,
                {sc.ENTITY_TYPE: "date"},
            ),
            (
                event("workflow_started", data={"workflow": "refund", "step": "1"}),
                sc.EVENT_WORKFLOW_STARTED,
                {sc.WORKFLOW_NAME: "refund", sc.WORKFLOW_STEP: "1"},
            ),
            (
                event("workflow_completed", data={"workflow": "refund"}),
                sc.EVENT_WORKFLOW_COMPLETED,
                {sc.WORKFLOW_NAME: "refund"},
            ),
            (
                event("workflow_failed", data={"workflow": "refund"}),
                sc.EVENT_WORKFLOW_FAILED,
                {sc.WORKFLOW_NAME: "refund"},
            ),
            (
                event("api_call", duration_ms=250, data={"api": "crm", "status": 503}),
                sc.EVENT_API_CALL,
                {sc.API_NAME: "crm", sc.API_DURATION: 0.25, sc.API_STATUS: "503"},
            ),
            (
                event("error", data={"error_type": "Timeout", "message": "too slow"}),
                sc.EVENT_EXCEPTION,
                {sc.ERROR_TYPE: "Timeout", sc.EXCEPTION_MESSAGE: "too slow"},
            ),
            (
                event("user_feedback", data={"rating": 4, "comment": "good"}),
                sc.EVENT_EVALUATION,
                {sc.EVALUATION_SCORE: 0.75, sc.FEEDBACK_VALUE: 4.0, sc.FEEDBACK_SCALE_MAX: 5.0},
            ),
            (
                event("custom", data={"name": "poll", "choice": "b"}),
                sc.EVENT_CUSTOM,
                {sc.EVENT_CUSTOM_NAME: "poll"},
            ),
        ],
    )
    async def test_an_event_outside_a_turn_is_an_event(
        self, telemetry: Telemetry, made: AnalyticsEvent, name: str, said: dict[str, Any]
    ) -> None:
        """With its own time, its conversation and its data as JSON."""
        await EventTracker().track(made)
        (found,) = telemetry.events()
        assert found.name == name
        assert said.items() <= found.attributes.items()
        assert found.attributes[sc.CONVERSATION_ID] == "s-1"
        assert abs(found.time_ns - made.timestamp.timestamp() * 1e9) < 1e6
        if made.data:
            assert json.loads(found.attributes[sc.DATA]) == made.data

    async def test_an_error_between_question_and_answer_makes_the_turn_an_error(
        self, telemetry: Telemetry
    ) -> None:
        """With the error's kind."""
        tracker = EventTracker()
        await tracker.track(event("user_message"))
        await tracker.track(event("error", data={"error_type": "Timeout"}))
        await tracker.track(event("bot_response", response_time_ms=10))
        assert_turn(telemetry.only_turn(), status="error", error_type="Timeout")

    async def test_questions_without_an_answer_become_messages(self, telemetry: Telemetry) -> None:
        """At the next question, at the end of the conversation, and at shutdown."""
        async with EventTracker() as tracker:
            await tracker.track(event("user_message"))
            await tracker.track(event("user_message"))
            await tracker.track(event("conversation_end"))
            await tracker.track(event("user_message", "s-2"))
        assert telemetry.turns == []
        assert len(telemetry.events(sc.EVENT_MESSAGE)) == 3

    async def test_content_stays_out_where_it_is_not_captured(self) -> None:
        """Texts, values and comments are left out; free data is redacted."""
        with Telemetry(Config()) as telemetry:
            tracker = EventTracker()
            await tracker.track(event("error", data={"error_type": "E", "message": "SECRET"}))
            for one in telemetry.events():
                assert sc.EXCEPTION_MESSAGE not in one.attributes

    async def test_a_malformed_event_is_reported_and_still_stored(
        self, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Feedback off its scale is no score; the store gets the event as it is."""
        bad = event("user_feedback", data={"rating": 9})
        with pytest.raises(TelemetryError):
            await EventTracker(Store()).track(bad)
        monkeypatch.delenv("OTEL_CHAT_RAISE")
        store = Store()
        async with EventTracker(store) as tracker:
            await tracker.track(bad)
        assert store.ids == [bad.event_id]

    def test_an_unknown_kind_is_refused(self) -> None:
        """A misspelt kind fails where it is written."""
        with pytest.raises(ValueError, match="user_mesage"):
            AnalyticsEvent(event_type="user_mesage", session_id="s-1")  # type: ignore[arg-type]

    def test_the_documents_analytics_run_on_what_is_tracked(self, telemetry: Telemetry) -> None:
        """The classes of source document 003, unchanged, over our store of our events."""
        code = source_code("003", "### 1. Event Tracking System")
        assert {kind.value for kind in EventType} == set(re.findall(r'[A-Z_]+ = "(\w+)"', code))
        names: dict[str, Any] = {
            "AnalyticsEvent": AnalyticsEvent,
            "EventType": EventType,
            "datetime": datetime,
        }
        exec("from typing import Any, Dict, List, Optional\n", names)
        exec("# Conversation" + code.partition("# Conversation Analytics")[2], names)
        store = Store()

        async def run() -> tuple[Any, Any, Any]:
            async with EventTracker(store, None) as tracker:
                for session in ("s-1", "s-2"):
                    for kind, more in (
                        ("conversation_start", {}),
                        ("user_message", {}),
                        ("intent_classified", {"data": {"intent": "order"}, "confidence": 0.5}),
                        ("bot_response", {"response_time_ms": 200}),
                        ("workflow_started", {"data": {"workflow": "w"}}),
                    ):
                        await tracker.track(event(kind, session, agent_id="a", **more))
            now = datetime.now(UTC)
            window = ("a", now - timedelta(hours=1), now + timedelta(hours=1))
            conversations = names["ConversationAnalytics"](store)
            nlu = names["NLUAnalytics"](store)
            behaviour = names["UserBehaviorAnalytics"](store)
            return (
                await conversations.get_conversation_metrics(*window),
                await nlu.get_intent_metrics(*window),
                await behaviour.get_drop_off_analysis(*window),
            )

        metrics, intents, drop_off = asyncio.run(run())
        assert metrics["total_conversations"] == 2
        assert metrics["avg_response_time_ms"] == 200
        assert intents["intent_distribution"] == {"order": 2}
        assert intents["low_confidence_rate"] == 100
        assert drop_off["total_incomplete_sessions"] == 2
        assert len(telemetry.turns) == 2
