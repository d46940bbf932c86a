"""Unit prices from genai-prices: published price lists, bundled, no network.

It takes half a second to import and a third of a millisecond a lookup, so it is imported at the
first lookup, and asked once for a model. How it counts is not written again here: each rate is
the difference that a million tokens make to its own `calc_price`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from otel_chat.pricing._units import Rates, TimedPrices, UnitPrices, atto

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

_MILLION: Final = 1_000_000
# gen_ai.provider.name, where genai-prices has another name for it. Vertex and Gemini share prices.
_PROVIDERS: Final = {
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "az.ai.openai": "azure",
    "az.ai.inference": "azure",
    "aws.bedrock": "aws",
    "bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "google-gla": "google",
    "google-vertex": "google",
    "vertex_ai": "google",
    "gemini": "google",
    "mistral_ai": "mistral",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "moonshot_ai": "moonshotai",
}
# Nobody bills these by the token: their price is the owner's own, or unknown
_SELF_HOSTED: Final = frozenset(
    {"ollama", "vllm", "llama.cpp", "llamacpp", "lmstudio", "tgi", "local", "ibm.watsonx.ai"}
)


def find(model: str, provider: str | None) -> UnitPrices | TimedPrices | None:
    """The published prices of a model.

    Args:
        model: Its name as the provider or a router writes it.
        provider: `gen_ai.provider.name`; None leaves it to the model's name.

    Returns:
        None where the model is unknown, has no price by the token, or genai-prices is missing.
    """
    info = _model(model, provider)
    if info is None:
        return None
    conditional = info.prices
    if not isinstance(conditional, list):
        return _unit_prices(conditional, info.id)
    variants = tuple(
        (
            None if entry.constraint is None else entry.constraint.active,
            _unit_prices(entry.prices, info.id),
        )
        for entry in conditional
    )
    return TimedPrices(variants)


def _model(model: str, provider: str | None) -> ModelInfo | None:
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ImportError:
        return None
    snapshot = get_snapshot()
    name = provider.strip().lower() if provider else None
    if name in _SELF_HOSTED:
        return None
    name = _PROVIDERS.get(name, name) if name else None
    for candidate, provider_id in _references(model.strip(), name):
        try:
            return snapshot.find_provider_model(candidate, None, provider_id, None)[1]
        except LookupError:
            continue
    return None


def _references(model: str, provider: str | None) -> list[tuple[str, str | None]]:
    """The model as given, then by the parts of a router's `provider/model` or `provider:model`."""
    references = [(model, provider)]
    for separator in ("/", ":"):
        prefix, found, rest = model.partition(separator)
        if found and provider is None:
            references.append((rest, _PROVIDERS.get(prefix.lower(), prefix)))
    return references


def _unit_prices(price: ModelPrice, model: str) -> UnitPrices | None:
    from genai_prices.types import TieredPrices

    # No price at all is how free variants are listed, but also models that are listed no more
    if model.endswith(":free") and not any(value is not None for value in vars(price).values()):
        return UnitPrices(source="provider", base=Rates(0, 0, 0, 0, 0))
    if price.input_mtok is None:  # priced by the hour, the picture or the request, or not at all
        return None
    starts = sorted(
        {
            tier.start
            for value in vars(price).values()
            if isinstance(value, TieredPrices)
            for tier in value.tiers
        }
    )
    return UnitPrices(
        source="provider",
        base=_rates(price, 0),
        tiers=tuple((start, _rates(price, start + 1)) for start in starts),
    )


def _rates(price: ModelPrice, input_tokens: int) -> Rates:
    """The rates of requests with as many input tokens as given, found by asking for the price."""
    from genai_prices.types import ModelPrice, TieredPrices, Usage

    flat = ModelPrice(
        **{
            key: _tier(value, input_tokens) if isinstance(value, TieredPrices) else value
            for key, value in vars(price).items()
        }
    )

    def total(**tokens: int) -> Decimal:
        return flat.calc_price(Usage(**tokens))["total_price"]

    request = total(input_tokens=0)

    def a_token(**tokens: int) -> int:
        return atto((total(**tokens) - request) / _MILLION)

    return Rates(
        input=a_token(input_tokens=_MILLION),
        output=None if price.output_mtok is None else a_token(output_tokens=_MILLION),
        cache_read=a_token(input_tokens=_MILLION, cache_read_tokens=_MILLION),
        cache_write=a_token(input_tokens=_MILLION, cache_write_tokens=_MILLION),
        reasoning=a_token(output_tokens=_MILLION, output_reasoning_tokens=_MILLION),
        request=atto(request),
    )


def _tier(price: TieredPrices, input_tokens: int) -> Decimal:
    reached = [tier.price for tier in price.tiers if input_tokens > tier.start]
    return reached[-1] if reached else price.base


def now() -> datetime:
    """The time, for prices that change with it."""
    return datetime.now(tz=UTC)
