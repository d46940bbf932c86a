"""Costs: equal to genai-prices' own, overridable, and never a made-up 0."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_chat.errors import ConfigurationError
from otel_chat.pricing import Prices, PriceTable, _published

SHARED = Prices()


def listed_models() -> list[tuple[str, str]]:
    """Every listed model with prices of input and output tokens only."""
    found = []
    snapshot = get_snapshot()
    for provider in snapshot.providers:
        for listed in provider.models:
            try:
                model = snapshot.find_provider_model(listed.id, None, provider.id, None)[1]
            except LookupError:  # listed, but its own name does not find it
                continue
            prices = model.prices if isinstance(model.prices, list) else [model.prices]
            sets = [entry if isinstance(entry, ModelPrice) else entry.prices for entry in prices]
            if all(
                price.input_mtok is not None and price.output_mtok is not None for price in sets
            ):
                found.append((provider.id, model.id))
    return found


tokens = st.integers(0, 3_000_000)
moments = st.datetimes(
    datetime(2024, 1, 1),  # noqa: DTZ001 - hypothesis wants naive bounds
    datetime(2027, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@settings(max_examples=400, deadline=None)
@given(
    model=st.sampled_from(listed_models()),
    uncached=tokens,
    read=tokens,
    written=tokens,
    answer=tokens,
    reasoning=tokens,
    at=moments,
)
def test_a_cost_is_the_one_that_genai_prices_computes(
    model: tuple[str, str],
    uncached: int,
    read: int,
    written: int,
    answer: int,
    reasoning: int,
    at: datetime,
) -> None:
    """Any listed model, any usage, any time: tiers and changes of price included."""
    provider, name = model
    expected = calc_price(
        Usage(
            input_tokens=uncached + read + written,
            output_tokens=answer + reasoning,
            cache_read_tokens=read,
            cache_write_tokens=written,
            output_reasoning_tokens=reasoning,
        ),
        name,
        provider_id=provider,
        genai_request_timestamp=at,
    )
    unit = SHARED.unit_prices(name, provider, at=at)
    assert unit is not None
    cost = unit.cost(uncached + read + written, answer + reasoning, read, reasoning, written)
    # Costs are kept in billionths of a dollar: a thousandth of that is no difference.
    assert cost == pytest.approx(float(expected.total_price), rel=1e-12, abs=1e-12)
    assert unit.source == "provider"


@pytest.mark.parametrize(
    ("model", "provider", "listed_as"),
    [
        ("gpt-4o", "azure.ai.openai", "azure"),
        ("gpt-4o", "openai", "openai"),
        ("gpt-4o", None, "openai"),
        ("openai/gpt-4o", None, "openai"),
        ("openai:gpt-4o", None, "openai"),
        ("claude-sonnet-4-5", "anthropic", "anthropic"),
        ("anthropic.claude-3-5-sonnet-20240620-v1:0", "aws.bedrock", "aws"),
        ("gemini-2.5-flash", "gcp.gemini", "google"),
        ("gemini-2.5-flash", "gcp.vertex_ai", "google"),
        ("mistral-large-latest", "mistral_ai", "mistral"),
        ("grok-4", "x_ai", "x-ai"),
    ],
)
def test_the_conventions_names_of_providers_find_their_prices(
    model: str, provider: str | None, listed_as: str
) -> None:
    """`gen_ai.provider.name` is not what genai-prices calls a provider."""
    unit = SHARED.unit_prices(model, provider)
    bare = model.rpartition("/")[2].removeprefix("openai:")
    expected = calc_price(
        Usage(input_tokens=1000, output_tokens=100), bare, provider_id=listed_as
    ).total_price
    assert unit is not None
    assert unit.cost(1000, 100) == float(expected)


def test_an_unknown_model_has_no_price() -> None:
    """Unpriced, which is not free; the same for a model served by oneself."""
    assert SHARED.unit_prices("made-up-model-9000") is None
    assert SHARED.unit_prices("made-up-model-9000", "openai") is None
    assert SHARED.unit_prices("gpt-4o", "no such provider") is None
    assert SHARED.unit_prices("llama3.3", "ollama") is None
    assert SHARED.unit_prices(None) is None
    assert SHARED.unit_prices("m" * 100_000) is None


def test_a_model_priced_by_the_hour_has_no_price_by_the_token() -> None:
    """A cost of 0 for a transcription would be a lie."""
    assert SHARED.unit_prices("whisper-large-v3", "groq") is None


def test_a_model_listed_as_free_costs_nothing() -> None:
    """Free is a price: 0."""
    unit = SHARED.unit_prices("deepseek/deepseek-r1:free", "openrouter")
    assert unit is not None
    assert unit.cost(1000, 1000) == 0


def test_output_without_a_price_leaves_the_turn_unpriced() -> None:
    """Half a cost is no cost; an embedding model without output has one."""
    unit = Prices({"embedder": {"input": 1}}).unit_prices("embedder")
    assert unit is not None
    assert unit.cost(1_000_000, 0) == 1
    assert unit.cost(1_000_000, 1) is None


def test_parts_that_exceed_their_whole_are_taken_for_the_whole() -> None:
    """A provider that reports cached tokens beside the input, not in it, is still priced."""
    entry = {"input": 4, "output": 8, "cache_read": 1, "cache_write": 5, "reasoning": 16}
    unit = Prices({"m": entry}).unit_prices("m")
    assert unit is not None
    million = 1_000_000
    assert unit.cost(0, 0, million) == 1
    assert unit.cost(million, 0, million, 0, million) == 6
    assert unit.cost(0, million, None, 2 * million) == 32
    assert unit.cost(None, None) == 0
    assert unit.cost(-5, -5, -5, -5, -5) == 0


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_an_own_table_goes_before_published_prices(tmp_path: Path, suffix: str) -> None:
    """From either kind of file, with tiers, patterns and providers."""
    path = tmp_path / f"prices.{suffix}"
    entries: dict[str, object] = {
        "gpt-4o": {"input": 1.1, "output": 2, "request": 0.5, "tiers": {"1000": {"input": 3}}},
        "house/*": {"input": 7, "output": 7},
        "azure.ai.openai/gpt-4o": {"input": 9, "output": 9},
    }
    if suffix == "json":
        path.write_text(json.dumps(entries))
    else:
        path.write_text(
            '["gpt-4o"]\ninput = 1.1\noutput = 2\nrequest = 0.5\n'
            '["gpt-4o".tiers."1000"]\ninput = 3\n'
            '["house/*"]\ninput = 7\noutput = 7\n'
            '["azure.ai.openai/gpt-4o"]\ninput = 9\noutput = 9\n'
        )
    prices = Prices(path)
    unit = prices.unit_prices("GPT-4o", "openai")
    assert unit is not None
    assert unit.source == "local"
    assert unit.cost(1000, 0) == 0.5011
    assert unit.cost(1001, 1) == 0.503005
    house = prices.unit_prices("any", "house")
    azure = prices.unit_prices("gpt-4o", "azure.ai.openai")
    assert house is not None
    assert azure is not None
    assert (house.cost(1000, 0), azure.cost(1000, 0)) == (0.007, 0.009)
    published = prices.unit_prices("gpt-4o-mini")
    assert published is not None
    assert published.source == "provider"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (3, "'m': an object"),
        ({}, "'m': 'input' is missing"),
        ({"input": "cheap"}, "'m', input: 'cheap' is no number"),
        ({"input": True}, "'m', input: True is no number"),
        ({"input": -1}, "'m', input: -1 is not between"),
        ({"input": float("nan")}, "'m', input: nan is not between"),
        ({"input": 1, "ouput": 1}, "unknown key 'ouput'"),
        ({"input": 1, "tiers": [1]}, "'m', tiers: an object"),
        ({"input": 1, "tiers": {"many": {}}}, "tier 'many' is no number"),
        ({"input": 1, "tiers": {"5": 3}}, "'m': a tier is an object"),
        ({"input": 1, "tiers": {"5": {"input": "x"}}}, "'m', tier 5, input: 'x'"),
    ],
)
def test_a_malformed_entry_is_named(entry: object, message: str) -> None:
    """The message says which entry of the table is wrong, and how."""
    with pytest.raises(ConfigurationError, match="price table") as caught:
        PriceTable({"m": entry})
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_an_unreadable_table_is_named(tmp_path: Path, text: str) -> None:
    """A missing or malformed file is a configuration error that names the path."""
    path = tmp_path / "prices.json"
    if text:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"prices\.json"):
        Prices(path)


def test_each_model_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By many threads too, whether it has a price or not; and the cache is bounded."""
    asked: list[str] = []

    def find(model: str, provider: str | None) -> None:
        asked.append(model)

    monkeypatch.setattr("otel_chat.pricing.find", find)
    prices = Prices()
    threads = [
        threading.Thread(target=lambda: [prices.unit_prices(f"m{i}") for i in range(100)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(asked) == sorted(f"m{i}" for i in range(100))
    for i in range(10_000):
        prices.unit_prices(f"hostile-{i}")
    assert len(prices._cache) <= 512


def test_a_loaded_model_is_priced_at_a_time_without_a_look_up() -> None:
    """What is not loaded has no price yet; a look-up without a result is known too."""
    prices = Prices({"m": {"input": 1}})
    assert not prices.knows("m")
    assert prices.at("m", None, 0) is None
    for model in ("m", "made-up-model-9000", "deepseek-chat"):
        prices.load(model)
        assert prices.knows(model)
    now = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp() * 1e9)
    unit = prices.at("m", None, now)
    assert unit is not None
    assert unit.cost(1_000_000, 0) == 1
    assert prices.at("made-up-model-9000", None, now) is None
    assert prices.at("deepseek-chat", None, now) == prices.unit_prices(
        "deepseek-chat", at=datetime(2026, 6, 1, tzinfo=UTC)
    )


def test_pricing_is_imported_only_when_a_price_is_asked() -> None:
    """Half a second of import is nobody's business who does not use it."""
    code = (
        "import sys, otel_chat.pricing as p; p.Prices();"
        "assert 'genai_prices' not in sys.modules;"
        "p.Prices({'m': {'input': 1}}).unit_prices('m');"
        "assert 'genai_prices' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_extra_everything_else_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """No genai-prices: published models are unpriced, the own table holds."""
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)
    assert _published.find("gpt-4o", "openai") is None
    assert Prices({"m": {"input": 1}}).unit_prices("m") is not None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "text"),
    [("t.JSON", '{"hausmodell": {"input": 2}}'), ("t.toml", "[hausmodell]\ninput = 2\n")],
)
def test_a_file_is_read_as_editors_write_it(
    tmp_path: Path, name: str, text: str, encoding: str, packed: bool
) -> None:
    """With byte order marks, in UTF-16, packed."""
    raw = text.encode(encoding)
    path = tmp_path / (f"{name}.GZ" if packed else name)
    path.write_bytes(gzip.compress(raw) if packed else raw)
    found = PriceTable.read(path).find("hausmodell")
    assert found is not None
    assert found.cost(1_000_000, 0) == 2


@pytest.mark.parametrize("raw", [b"\xff\xfe\x00", b"\x1f\x8b\x08", b"[" * 100_000, b"\xff"])
def test_a_file_that_is_none_is_named(tmp_path: Path, raw: bytes) -> None:
    """Cut in the middle of a character or of gzip, nested without end, or no text."""
    path = tmp_path / "t.json"
    path.write_bytes(raw)
    with pytest.raises(ConfigurationError, match=r"price table .*t\.json"):
        PriceTable.read(path)
