"""What turns cost that bring tokens and no cost, and what a new price changes of the past."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from otel_chat import semconv as sc
from otel_chat.cli import app as command_line
from otel_chat.errors import ConfigurationError
from otel_chat.pricing import PriceTable
from otel_chat.server.app import create_app
from otel_chat.server.prices import PriceList, ServerPrices, read_prices
from otel_chat.server.settings import ServerSettings
from otel_chat.server.summaries.settler import Settler
from otel_chat.server.summaries.turn_prices import Repriced, reprice
from tests.server.given import NOON, Given
from tests.server.ingest.test_derived_turns import AGENT, CALL, in_, send, spans
from tests.server.served import over_http

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.settled import SettledStore

BASE = "http://127.0.0.1:8400"
DAY = (datetime(2026, 11, 10, tzinfo=UTC), datetime(2026, 11, 11, tzinfo=UTC))


@pytest.fixture(autouse=True)
def settled_by_hand(store: SettledStore) -> Iterator[None]:
    """With which prices is settled is what these tests are about."""
    with store.by_hand():
        yield
    store.command("TRUNCATE TABLE tokens")


def prices(usd: str, **more: Any) -> ServerPrices:
    """A list in which a million input tokens of the model m cost so much, output twice that."""
    table = PriceTable({"m": {"input": usd, "output": str(2 * Decimal(usd))}})
    return ServerPrices([PriceList("house", table, **more)], published=False)


def costs(given: Given) -> dict[str, tuple[str | None, str]]:
    """What the turns of each conversation cost, and by whose word."""
    rows = given.store.query(
        "SELECT conversation_id AS id, toString(cost) AS cost, cost_source FROM turns FINAL"
        " WHERE tenant = {tenant:String} ORDER BY start",
        {"tenant": given.tenant},
    )
    return {row["id"]: (row["cost"], row["cost_source"]) for row in rows}


def settle(given: Given, with_prices: ServerPrices) -> None:
    Settler(given.store, prices=with_prices).settle()


def test_turns_with_tokens_and_no_cost_get_one(given: Given) -> None:
    """1,000 in and 100 out at 1 and 2 USD a million; a cost that was sent stays, as 0 does."""
    used = {"response_model": "m", "input_tokens": 1000, "output_tokens": 100}
    given.turn("priced", **used)
    given.turn("sent", cost="0.5", cost_source="local", **used)
    given.turn("free", cost="0", cost_source="local", **used)
    given.turn("unheard of", response_model="x", input_tokens=5)
    given.turn("without tokens", response_model="m")
    given.save()
    settle(given, prices("1"))
    assert costs(given) == {
        "priced": ("0.0012", "server"),
        "sent": ("0.5", "local"),
        "free": ("0", "local"),
        "unheard of": (None, ""),
        "without tokens": (None, ""),
    }
    (row,) = given.store.query(
        "SELECT toString(cost) AS cost FROM conversations FINAL"
        " WHERE tenant = {tenant:String} AND conversation_id = 'priced'",
        {"tenant": given.tenant},
    )
    assert row["cost"] == "0.0012"


def test_a_price_stays_until_it_is_asked_for_anew(given: Given) -> None:
    """A turn that is settled again keeps its price; `reprice` takes today's; a sent cost stays."""
    used = {"response_model": "m", "input_tokens": 1_000_000}
    given.turn("old", **used)
    given.turn("sent", cost="7", cost_source="provider", **used)
    given.save()
    settle(given, prices("1"))
    given.rows.clear()
    given.turn("old", 60, **used)  # touches the conversation
    given.save()
    settle(given, prices("3"))
    told = given.store.query(
        "SELECT toString(cost) AS cost FROM turns FINAL WHERE tenant = {tenant:String}"
        " AND conversation_id = 'old' ORDER BY start",
        {"tenant": given.tenant},
    )
    assert [row["cost"] for row in told] == ["1", "3"]
    tenants = frozenset({given.tenant})
    assert reprice(given.store, prices("3"), DAY, tenants) == Repriced(turns=2, changed=1)
    assert reprice(given.store, prices("3"), DAY, tenants) == Repriced(turns=2, changed=0)
    assert costs(given) == {"old": ("3", "server"), "sent": ("7", "provider")}
    assert reprice(given.store, prices("9"), DAY, frozenset()) == Repriced(turns=0, changed=0)


def test_lists_hold_from_a_moment_on_and_for_a_tenant(given: Given) -> None:
    """The tenant's goes before that for all, the later one before the earlier, once it holds."""
    noon = int(NOON.timestamp()) * 10**9
    lists = [
        PriceList("all", PriceTable({"m": {"input": 1}, "n": {"input": 5}})),
        PriceList("all, later", PriceTable({"m": {"input": 2}}), noon + 10 * 10**9),
        PriceList("theirs", PriceTable({"m": {"input": 3}}), noon + 20 * 10**9, given.tenant),
        PriceList("others'", PriceTable({"m": {"input": 4}}), 0, "somebody else"),
    ]
    for name, second, model in (("a", 0, "m"), ("b", 10, "m"), ("c", 20, "m"), ("d", 30, "n")):
        given.turn(name, second, response_model=model, input_tokens=1_000_000)
    given.save()
    settle(given, ServerPrices(lists, published=False))
    assert {name: cost for name, (cost, _) in costs(given).items()} == {
        "a": "1", "b": "2", "c": "3", "d": "5",
    }  # fmt: skip


def test_published_prices_are_taken_where_no_list_knows_a_model(given: Given) -> None:
    """What the library would have said."""
    from otel_chat.pricing import Prices

    known = Prices().unit_prices("gpt-4o-mini", "openai")
    assert known is not None
    given.turn("c", response_model="gpt-4o-mini", provider="openai", input_tokens=10**6)
    given.save()
    settle(given, ServerPrices())
    assert float(costs(given)["c"][0] or 0) == known.cost(10**6, None)


def test_other_libraries_turns_are_priced_call_by_call(client: TestClient, given: Given) -> None:
    """Two models under one agent; a late call adds its own, the others keep their price."""
    shapes = [
        ("agent", "", "internal", AGENT | in_("c")),
        ("one", "agent", "client", CALL),
        ("two", "agent", "client", CALL | {sc.REQUEST_MODEL: "n"}),
        ("late", "agent", "client", CALL),
    ]
    made = spans(given.tenant, shapes)
    tables = [PriceTable({"m": {"input": i, "output": 0}, "n": {"input": 10 * i}}) for i in (1, 7)]
    before, after = (ServerPrices([PriceList("p", table)], published=False) for table in tables)
    send(client, given.tenant, made[:3])
    settle(given, before)
    assert costs(given) == {"c": (None, "unpriced")}  # n has no price for its output
    tables[0] = PriceTable({"m": {"input": 1, "output": 0}, "n": {"input": 10, "output": 0}})
    settled = ServerPrices([PriceList("p", tables[0])], published=False)
    assert reprice(given.store, settled, DAY, {given.tenant}) == Repriced(turns=1, changed=1)
    assert costs(given) == {"c": ("0.0011", "server")}
    send(client, given.tenant, made[3:])
    settle(given, settled)
    assert costs(given) == {"c": ("0.0012", "server")}
    settle(given, after)
    assert costs(given) == {"c": ("0.0012", "server")}


def test_the_api_and_the_command_price_anew(given: Given, tmp_path: Path) -> None:
    """By the file of the server; who may not is refused; a wrong window is named."""
    given.turn("c", response_model="m", input_tokens=1_000_000)
    given.save()
    path = tmp_path / "prices.toml"
    path.write_text('[[list]]\nname = "house"\n[list.prices]\nm = { input = 2 }\n')
    app = create_app(given.store, ServerSettings(prices=path))
    client = TestClient(app, base_url=BASE)  # not begun: it settles nothing by itself
    make = app.state.access.tokens.create
    mine = make("t", scopes={"admin"}, tenants=[given.tenant]).token
    viewer = make("v", scopes={"analytics:view"}, tenants=["*"]).token
    wanted = {"from": "2026-11-10", "to": "2026-11-10"}

    def ask(token: str, body: dict[str, str]) -> Any:
        allowed = {"authorization": f"Bearer {token}"}
        return client.post("/api/v1/repricings", json=body, headers=allowed)

    assert ask(viewer, wanted).status_code == 403
    assert ask(mine, {**wanted, "tenant": "another"}).json() == {"turns": 0, "changed": 0}
    wrong = ask(mine, {"from": "2026-11-10", "to": "2026-11-09"})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (422, "from")
    assert ask(mine, wanted).json() == {"turns": 1, "changed": 1}
    with over_http(app) as url:
        options = ["--from", "2026-11-10", "--to", "2026-11-11", "--server", url]
        done = CliRunner().invoke(command_line, ["reprice", *options, "--token", mine, "--json"])
    assert json.loads(done.stdout) == {"turns": 1, "changed": 0}
    assert costs(given)["c"] == ("2", "server")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lists named 'list' are needed"),
        ("[[list]]\n", "list 1: 'prices' by model are needed"),
        ("[[list]]\nprices = {}\n", "list 1: 'name' is needed"),
        ('[[list]]\nname = "a"\nprices = {}\nfrom = 1\n', "unknown key 'from'"),
        ('[[list]]\nname = "a"\nprices = {}\nvalid_from = "x"\n', "list 1: 'valid_from'"),
        ('[[list]]\nname = "a"\nprices = { m = { input = -1 } }\n', "list 1, 'm', input"),
        ('[[list]]\nname = "a"\ntenant = 3\nprices = {}\n', "'tenant' is a text"),
        ("[[list", "prices"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused_by_its_place(
    tmp_path: Path, text: str, said: str
) -> None:
    """The list and the key are named."""
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="prices") as refused:
        read_prices(path)
    assert said in str(refused.value)


def test_a_list_begins_with_its_day(tmp_path: Path) -> None:
    """TOML has days and moments, JSON has texts; a day begins in UTC."""
    path = tmp_path / "prices.json"
    path.write_text(
        json.dumps(
            {"list": [{"name": "a", "valid_from": "2026-11-10", "prices": {"m": {"input": 1}}}]}
        )
    )
    toml = tmp_path / "prices.toml"
    toml.write_text(
        '[[list]]\nname = "a"\nvalid_from = 2026-11-10\nprices = { m = { input = 1 } }\n'
    )
    from otel_chat._usage import Usage

    begins = int(DAY[0].timestamp()) * 10**9
    for file in (path, toml):
        found = read_prices(file, published=False)
        call = [Usage(10, model="m")]
        assert found.priced("t", call, begins - 1).cost is None
        assert found.priced("t", call, begins).cost is not None
