"""docs/reports.md does what it says: its definition is provisioned, made and sent as it stands."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from otel_chat.server.access import OPEN
from otel_chat.server.report.keeping import Shelf
from otel_chat.server.report.making import make
from otel_chat.server.report.runs import Sender
from tests.server.given import NOON, Given
from tests.server.report.receivers import mail_server
from tests.server.report.test_sending import settings

PAGE: Final = (Path(__file__).parents[3] / "docs" / "reports.md").read_text()
EXAMPLES: Final = re.findall(r"^```yaml\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_definition_of_the_page_is_provisioned_made_and_sent(
    given: Given, tmp_path: Path
) -> None:
    """As it stands but for the tenant, whose figures alone it is to tell here, and the PDF."""
    definition, template = EXAMPLES
    assert definition.startswith("# reports/weekly.yaml")
    monday = (datetime.now(UTC) - timedelta(days=datetime.now(UTC).weekday())).replace(hour=10)
    last_week = (monday - timedelta(days=3) - NOON).total_seconds()
    given.turn("asked", last_week, agent="support", intent="refund")
    given.turn("other", last_week, agent="sales", intent="refund")
    given.save()
    own = definition.replace('tenant: "*"', f"tenant: {given.tenant}", 1)
    own = own.replace("to: [boss@example.com]", "to: [boss@example.com], attach: [csv]", 1)
    assert own.count(given.tenant) == own.count("attach") == 1
    (tmp_path / "weekly.yaml").write_text(own)
    shelf = Shelf(given.store, tmp_path)
    assert shelf.provisioned()[1] == []
    one = shelf.report(OPEN, "Support weekly", given.tenant)
    made = make(given.store, one.scope, one, monday, idle=1800)
    assert made.brief.conversations == 1
    assert "Support weekly" in made.written("html").decode()
    with mail_server() as box:
        [run] = Sender(given.store, shelf, settings(box), now=lambda: monday).send(one)
        assert run.state == "sent", run.detail
        [message] = box.messages
        assert message["To"] == "boss@example.com"
    (tmp_path / "weekly.yaml").write_text(f"{own}\n{template}")
    with_template = Shelf(given.store, tmp_path).report(OPEN, "Support weekly", given.tenant)
    told = make(given.store, with_template.scope, with_template, monday, idle=1800)
    assert "1 conversations, " in told.written("text").decode()
