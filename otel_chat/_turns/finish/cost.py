"""What a turn cost: the provider's word, else its tokens at the price of their model."""

from __future__ import annotations

from otel_chat import semconv as sc
from otel_chat._telemetry.runtime import Runtime
from otel_chat._turns.finish.usage import model_of
from otel_chat._turns.state import TurnState
from otel_chat._usage import priced

_PROVIDER, _, _UNPRICED = sc.COST_SOURCES


def load_prices(state: TurnState, runtime: Runtime) -> None:
    """Looks the prices of its models up, which may take time."""
    if state.outer is None and state.cost is None:
        for call in state.calls:
            if call.model is not None:
                runtime.prices.load(call.model, call.provider)


def price(state: TurnState, runtime: Runtime) -> None:
    """Prices the turn by the prices that are loaded."""
    attributes = state.attributes
    if state.outer is not None:
        return
    if state.cost is not None:
        attributes[sc.COST_SOURCE] = _PROVIDER
    elif state.calls:
        state.cost, attributes[sc.COST_SOURCE] = priced(state.calls, runtime.prices, state.start_ns)
    elif model_of(state) is not None and not attributes.get(sc.CACHED):
        attributes[sc.COST_SOURCE] = _UNPRICED
    if state.cost is not None:
        attributes[sc.COST_AMOUNT] = state.cost


def say_unpriced(state: TurnState, runtime: Runtime) -> None:
    """Says once where no list of prices is installed."""
    if state.outer is None and state.calls and state.cost is None and model_of(state) is not None:
        runtime.ended_unpriced()
