"""The tokens, model and prompt of a turn: its own word, else that of its model calls."""

from __future__ import annotations

from otel_chat import semconv as sc
from otel_chat._telemetry.runtime import Runtime
from otel_chat._turns.model_results import usages_of
from otel_chat._turns.state import TurnState
from otel_chat._usage import GEN_AI_KEYS, TURN_KEYS, Usage, total, with_result


def sum_usage(state: TurnState, _: Runtime) -> None:
    """Sums the usage up, and tells it to the turn around where there is one."""
    inside = state.children.calls()
    own = state.reported_usage
    extracted = [] if state.extracted is None else usages_of(state.extracted)
    calls = [own] if own else with_result(inside, [usage for usage in extracted if usage])
    _name_model(state, calls)
    if calls:
        for call in calls:
            call.model = call.model or model_of(state)
            call.provider = call.provider or state.text(sc.PROVIDER_NAME)
        state.calls = calls
        state.usage = tokens = calls[0] if len(calls) == 1 else total(calls)
        if not inside:
            state.attributes.update(tokens.attributes(GEN_AI_KEYS))
        if state.outer is None:
            state.attributes.update(tokens.attributes(TURN_KEYS))
        elif own or calls != inside:
            tokens.parts = tuple(calls) if len(calls) > 1 else ()
            state.outer.children.used(state.span_context.span_id, tokens)
    if state.outer is not None:
        state.outer.children.take_over(state.children)


def _name_model(state: TurnState, calls: list[Usage]) -> None:
    """What its model calls were said to be, where the handler did not say it of the turn."""
    if state.outer is not None:
        return
    children, attributes = state.children, state.attributes
    if children.prompt is not None and sc.PROMPT_NAME not in attributes:
        _, name, version = children.prompt
        attributes |= {sc.PROMPT_NAME: name} | ({sc.PROMPT_VERSION: version} if version else {})
    if sc.REQUEST_MODEL not in attributes:
        model = next((call.model for call in calls if call.model is not None), children.model)
        if model is not None:
            attributes[sc.REQUEST_MODEL] = model
    if state.provider_extracted or sc.PROVIDER_NAME not in attributes:
        known = next((call.provider for call in calls if call.provider is not None), None)
        provider = children.provider or state.text(sc.PROVIDER_NAME) or known
        if provider is not None:
            attributes[sc.PROVIDER_NAME] = provider


def model_of(state: TurnState) -> str | None:
    """The model that answered, else the one asked."""
    return state.text(sc.RESPONSE_MODEL) or state.text(sc.REQUEST_MODEL)
