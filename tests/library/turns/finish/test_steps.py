"""Each step of a turn's end, called alone on a state that a test has filled."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from otel_chat import Config
from otel_chat import semconv as sc
from otel_chat._telemetry.recent_conversations import Predecessor
from otel_chat._telemetry.runtime import Runtime
from otel_chat._turns.finish.cost import load_prices, price
from otel_chat._turns.finish.intents import choose_confidence, choose_intent
from otel_chat._turns.finish.keep import decide_keep
from otel_chat._turns.finish.pipeline import AFTERWARDS, QUICK_STEPS, STEPS
from otel_chat._turns.finish.redaction import redact_messages, redact_metadata
from otel_chat._turns.finish.result import read_result
from otel_chat._turns.finish.usage import sum_usage
from otel_chat._turns.state import ANNOTATION, CLASSIFIER, Intent, TurnState
from otel_chat._usage import Usage

COMPLETION = {
    "object": "chat.completion",
    "model": "m-2026",
    "choices": [{"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 100, "completion_tokens": 10},
}


@pytest.fixture
def state() -> TurnState:
    return TurnState("support", {sc.CONVERSATION_ID: "c-1"})


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    config = Config(
        keep_rate=0,
        capture_content=True,
        price_table={"m-2026": {"input": 1.0, "output": 10.0}},
    )
    runtime = Runtime(config, background=False)
    yield runtime
    runtime.delivery.close()


def test_a_result_names_the_model_where_the_handler_did_not(
    state: TurnState, runtime: Runtime
) -> None:
    """What was reported stays; the result is let go of once it has been read."""
    state.attributes[sc.REQUEST_MODEL] = "asked"
    state.result = COMPLETION
    read_result(state, runtime)
    assert state.result is None
    assert state.attributes[sc.REQUEST_MODEL] == "asked"
    assert state.attributes[sc.RESPONSE_MODEL] == "m-2026"
    assert state.attributes[sc.FINISH_REASONS] == ["stop"]


def test_the_surest_intent_of_the_classifier_is_the_turns(
    state: TurnState, runtime: Runtime
) -> None:
    """An annotation counts only where no classifier spoke."""
    state.intents = [
        Intent("greeting", 0.2, fallback=False, source=CLASSIFIER),
        Intent("refund", 0.8, fallback=False, source=CLASSIFIER),
        Intent("truth", 1.0, fallback=False, source=ANNOTATION),
    ]
    choose_intent(state, runtime)
    choose_confidence(state, runtime)
    assert state.attributes[sc.INTENT_NAME] == "refund"
    assert (state.confidence, state.attributes[sc.CONFIDENCE]) == (0.8, 0.8)


def test_a_reported_confidence_wins_over_the_intents(state: TurnState, runtime: Runtime) -> None:
    """The handler knows better than its classifier."""
    state.confidence = 0.5
    state.intents = [Intent("refund", 0.8, fallback=False, source=CLASSIFIER)]
    choose_intent(state, runtime)
    choose_confidence(state, runtime)
    assert state.attributes[sc.CONFIDENCE] == 0.5


def test_the_usage_of_calls_inside_is_summed_and_names_the_model(
    state: TurnState, runtime: Runtime
) -> None:
    """Usage stands under the turn's own names alone, for the spans inside carry the others."""
    for span, tokens in ((1, 100), (2, 20)):
        state.children.started(span, None)
        state.children.used(span, Usage(tokens, 1, model="m-2026", provider="p"))
    sum_usage(state, runtime)
    assert state.attributes[sc.USAGE_INPUT_TOKENS] == 120
    assert sc.GEN_AI_INPUT_TOKENS not in state.attributes
    assert state.attributes[sc.REQUEST_MODEL] == "m-2026"
    assert state.attributes[sc.PROVIDER_NAME] == "p"


def test_a_nested_turn_tells_its_usage_to_the_one_around(
    state: TurnState, runtime: Runtime
) -> None:
    """It is no turn of its own: the figures are the outer one's."""
    inner = TurnState("helper", {})
    inner.outer, inner.reported_usage = state, Usage(5, 1)
    sum_usage(inner, runtime)
    price(inner, runtime)
    assert sc.USAGE_INPUT_TOKENS not in inner.attributes
    assert sc.COST_SOURCE not in inner.attributes
    sum_usage(state, runtime)
    assert state.attributes[sc.USAGE_INPUT_TOKENS] == 5


def test_the_price_of_each_call_is_that_of_its_model(state: TurnState, runtime: Runtime) -> None:
    """Prices are by the million tokens; they are loaded before they are asked for."""
    state.calls = [Usage(100, 10, model="m-2026"), Usage(100, 0, model="m-2026")]
    load_prices(state, runtime)
    price(state, runtime)
    assert state.cost == pytest.approx(0.0003)
    assert state.attributes[sc.COST_SOURCE] == "local"


def test_a_model_without_a_price_leaves_the_turn_unpriced(
    state: TurnState, runtime: Runtime
) -> None:
    """There is no amount then, and never 0."""
    state.calls = [Usage(100, 10, model="m-2026"), Usage(1, 1, model="unheard-of")]
    load_prices(state, runtime)
    price(state, runtime)
    assert state.attributes[sc.COST_SOURCE] == "unpriced"
    assert sc.COST_AMOUNT not in state.attributes


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("status", sc.STATUS_OK, False),
        ("status", sc.STATUS_ERROR, True),
        ("end_ns", 3_000_000_000, True),
        ("confidence", 0.69, True),
        ("confidence", 0.7, False),
    ],
)
def test_a_turn_is_kept_for_what_went_wrong(
    state: TurnState, runtime: Runtime, field: str, value: object, kept: object
) -> None:
    """With no share to keep: failed, slow and unsure turns alone; the next turn links to those."""
    state.as_previous = Predecessor(state.span_context)
    setattr(state, field, value)
    decide_keep(state, runtime)
    assert (state.keep, state.attributes[sc.KEEP], state.as_previous.kept) == (kept, kept, kept)


def test_messages_and_metadata_leave_redacted(state: TurnState, runtime: Runtime) -> None:
    """An address in any of them does not leave."""
    state.user_message, state.reply = "I am ada@example.org", "Hello"
    state.metadata = [{"mail": "ada@example.org"}]
    redact_metadata(state, runtime)
    redact_messages(state, runtime)
    (message,) = json.loads(str(state.attributes[sc.INPUT_MESSAGES]))
    assert message == {"role": "user", "parts": [{"type": "text", "content": "I am [email]"}]}
    assert sc.OUTPUT_MESSAGES in state.attributes
    assert "ada" not in str(state.attributes[sc.METADATA])


def test_every_step_does_nothing_to_a_turn_that_reported_nothing(
    state: TurnState, runtime: Runtime
) -> None:
    """Each runs alone, in any list, on a state as it is made."""
    for step in (*STEPS, *QUICK_STEPS, *AFTERWARDS):
        step(state, runtime)
    assert state.attributes.keys() == {sc.CONVERSATION_ID, sc.KEEP}
