"""Whatever the API's own description allows, and some that it does not, is asked of the API."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
)

from otel_chat.server.access import PERMISSIONS
from otel_chat.server.app import create_app
from otel_chat.server.settings import ServerSettings
from otel_chat.server.tokens import TokenStore
from tests.server.given import Given
from tests.server.served import FROM_TO, served
from tests.server.test_access import fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis import APIOperation, BaseSchema, Case

    from otel_chat.server.store import Store

    Operation = APIOperation[Any, Any, Any, Any]

# It has no end: a request for it would be answered for as long as somebody listens.
ENDLESS = "/realtime/stream$"
EXAMPLES = 8
UNSAID = [
    # A cursor or id is what the API gave out before, `from` lies before `to`: no schema says so.
    positive_data_acceptance,
    # Parameters that there are not are passed over, as everywhere on the web.
    negative_data_rejection,
    # Sends the token again where it means to send none; test_access shows what is asked for.
    ignored_auth,
    # The router names the methods of the first route that has the path, and ids may hold slashes.
    allow_header_conformance,
]


@dataclass(frozen=True)
class Server:
    """Where it is, what lets one in, and the ids that it knows."""

    address: str
    headers: dict[str, str]
    ids: dict[str, str]

    def answers_as_described(self, case: Case[Any]) -> int:
        """The status of the answer, which has no fault."""
        answer = case.call_and_validate(
            base_url=self.address, headers=self.headers, excluded_checks=UNSAID
        )
        return int(answer.status_code)


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[Server]:
    """A server whose tenant has a bit of everything, and a token for all of it."""
    store.command("TRUNCATE TABLE tokens")
    given = Given(store)
    ids = fill(given, "mine")
    made = TokenStore(store).create("all", scopes=PERMISSIONS, tenants=[given.tenant])
    with served(store) as address:
        yield Server(address, {"authorization": f"Bearer {made.token}"}, ids)
    store.command("TRUNCATE TABLE tokens")


def description() -> BaseSchema:
    """The API's description; nothing of the store is needed for it."""
    app = create_app(cast("Store", SimpleNamespace()), ServerSettings())
    schema = schemathesis.openapi.from_dict(app.openapi()).exclude(path_regex=ENDLESS)
    # Each boundary of each parameter of each operation: the filters alone would take minutes.
    schema.config.phases.coverage.enabled = False
    return schema


API = description()


@API.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_keeps_to_its_description(case: Case[Any], server: Server) -> None:
    """No 5xx, and nothing in an answer that the description does not say."""
    server.answers_as_described(case)


def readings() -> list[Operation]:
    """The operations that only read."""
    operations = [cast("Any", result).ok() for result in API.get_all_operations()]
    return [operation for operation in operations if operation.method == "get"]


@pytest.mark.parametrize("operation", readings(), ids=lambda operation: operation.path)
def test_answers_with_data_keep_to_their_description(operation: Operation, server: Server) -> None:
    """Of a day on which everything happened, each field has the type that was said."""
    wanted = {one.name for one in operation.iter_parameters()}
    query = {name: value for name, value in FROM_TO.items() if name in wanted}
    ids = {name: value for name, value in server.ids.items() if f"{{{name}}}" in operation.path}
    more = {"step": ["turn", "intent:intent-mine"]} if "step" in wanted else {}
    case = operation.Case(path_parameters=ids, query=query | more)
    allowed = operation.path != "/api/v1/exports/scheduled"  # of all tenants
    assert server.answers_as_described(case) == (200 if allowed else 403)
