"""What the server can be told: by arguments, or by the environment."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ByteSize, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from otel_chat._common.wrong_input import in_words
from otel_chat.errors import ConfigurationError
from otel_chat.semconv import LOW_CONFIDENCE_THRESHOLD
from otel_chat.server import patterns
from otel_chat.server.budgets import MOST, Budget
from otel_chat.server.sample import Sample
from otel_chat.server.store.limits import EXPORT, QUESTION

ExportKind = Literal["sessions", "messages", "analytics", "interactions", "events"]


class ServerSettings(BaseSettings):
    """The server's settings; each can be given as `OTEL_CHAT_SERVER_<NAME>`.

    Args:
        store: Where the data lies: `chdb:PATH`, or `clickhouse://user:password@host:port/database`.
        host: The address to listen on.
        port: The port to listen on, 0-65535; 0 takes any that is free.
        cors_origins: The origins of web pages that may send feedback from the browser, as
            `https://shop.example`, given as JSON in the environment; none without.
        gauge_seconds: How often the gauges for Prometheus are worked out, in seconds, 1 to 3600.
        cost_per_interaction: What a conversation with a human costs, USD, 0 to a million; nothing
            is told of savings without.
        budgets: What the models may cost, as a JSON list in the environment: `[{"name": "all",
            "usd": 100, "period": "day"}, {"name": "support", "usd": 900, "period": "month",
            "agent": "support"}]`; `agent` and `tenant` are optional, a period is a calendar day or
            month in UTC. 20 at most.
        false_alarms: So many days a month are told to be unlike others by chance alone, of all
            agents and figures together, 0.001 to 1000; see docs/changes.md.
        prices: A file of prices of one's own, TOML or JSON, for turns that bring tokens and no
            cost; see docs/server.md.
        published_prices: Whether such a turn gets the price that genai-prices publishes where no
            list of one's own knows its model.
        span_rules: A file of rules, TOML, that say what other libraries' spans mean: handoffs,
            intents, workflows, outcomes; see docs/server.md.
        reports: A folder of reports of one's own, a YAML file each; see docs/reports.md.
        report_secrets: A folder of files whose names are those of secrets that reports name, with
            a secret each; `OTEL_CHAT_REPORT_SECRET_<NAME>` in the environment is another way.
        report_origins: Where webhooks of reports may be sent, as `["https://hooks.example"]`,
            given as JSON in the environment; nowhere without.
        report_folder: A folder that reports may be written into; none without.
        exports_to: Where scheduled exports are written: a folder, or `s3` for the bucket; nowhere
            without. See docs/exports.md.
        exports_schedule: When it is looked which days changed: a cron expression, UTC.
        exports_kinds: What is written, as `["sessions", "events"]`.
        exports_days: So many days back are looked at, today among them, 1 to 3650.
        exports_texts: Whether what was said is in them.
        exports_filters: What they are limited to, by the names of the API's filters, as
            `{"segment": "Refunds"}`.
        s3_url: A bucket, and a prefix in it, that scheduled exports and reports are put into, as
            `https://s3.eu-central-1.amazonaws.com/bucket/chat`; the store's engine sends it.
        s3_key_id: The id of an access key that may put objects there.
        s3_secret: The key.
        s3_secret_file: A file that holds it, in place of the environment.
        smtp_host: The SMTP server that reports are sent by; no e-mail is sent without.
        smtp_port: Its port.
        smtp_tls: `starttls`, `tls` from the first byte, or `none`, for a server on this machine.
        smtp_user: Who signs in there; nobody without.
        smtp_password: The password.
        smtp_password_file: A file that holds it, in place of the environment.
        smtp_from: The sender's address, as `reports@example.com`.
        address: This server's address as readers of reports reach it, as
            `https://chat.example`, for links in reports; without one they have none.
        retention_days: Turns, spans, events and metrics that are older than this many days are
            erased, looked for every hour; none are without.
        grafana_url: Grafana's address, as `https://grafana.example`, for links from conversations.
        tempo_url: Tempo's address, as `http://tempo:3200`, for links from traces.
        low_confidence: A confidence below this is low, 0 to 1: in figures of confidence, and in
            what becomes of a conversation whose last turn was unsure. Where it changes, all
            conversations are worked out anew in the background. Servers of one store should have
            the same: `rules` in answers says which one conversations are worked out by.
        idle_seconds: After so many seconds without anything new a conversation is settled.
        conversation_gap: After a longer silence than so many seconds, at least `idle_seconds`, the
            next turn of an id begins a conversation of its own, an episode; see docs/server.md. An
            id is one conversation without. Where it changes, all conversations are worked out anew
            in the background, as by `low_confidence`.
        question_memory: What the store may take to answer a question, as `750MB`, at least 1 MB;
            what takes more is answered 503. A question and an export fit at once.
        question_seconds: How long it may take, 0.01 to 3600.
        export_memory: What it may take for an export, which flows, whatever its length.
        export_seconds: How long an export may take, 1 to 86,400.
        sample: That the data is a sample, as JSON in the environment: `{"about": "Made up.",
            "removal": "Stop the server, then:", "command": "rm -r ./demo", "steps": []}`. Every
            page says so; the steps (`label`, `text`, `address`) lead through it.

    Example:
        >>> ServerSettings(port=9000).port
        9000
    """

    model_config = SettingsConfigDict(env_prefix="OTEL_CHAT_SERVER_", frozen=True)

    store: Annotated[str, Field(repr=False)] = "chdb:./chat-store"  # a password may stand in it
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8400
    cors_origins: tuple[Annotated[str, Field(pattern=patterns.ORIGIN)], ...] = ()
    gauge_seconds: Annotated[float, Field(ge=1, le=3600)] = 30
    cost_per_interaction: Annotated[Decimal, Field(ge=0, le=1_000_000)] | None = None
    budgets: Annotated[tuple[Budget, ...], Field(max_length=MOST)] = ()
    false_alarms: Annotated[float, Field(ge=0.001, le=1000)] = 1.0
    prices: Path | None = None
    published_prices: bool = True
    span_rules: Path | None = None
    reports: Path | None = None
    report_secrets: Path | None = None
    report_origins: tuple[Annotated[str, Field(pattern=patterns.ORIGIN)], ...] = ()
    report_folder: Path | None = None
    exports_to: Annotated[str, Field(min_length=1)] | None = None
    exports_schedule: str = "17 * * * *"
    exports_kinds: Annotated[tuple[ExportKind, ...], Field(min_length=1)] = (
        "sessions",
        "messages",
        "analytics",
        "interactions",
        "events",
    )
    exports_days: Annotated[int, Field(ge=1, le=3650)] = 90
    exports_texts: bool = False
    exports_filters: dict[str, str | bool | float | tuple[str, ...]] = Field(default_factory=dict)
    s3_url: Annotated[str, Field(pattern=patterns.ADDRESS)] | None = None
    s3_key_id: str | None = None
    s3_secret: SecretStr | None = None
    s3_secret_file: Path | None = None
    smtp_host: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_password_file: Path | None = None
    smtp_from: Annotated[str, Field(pattern=patterns.SENDER)] | None = None
    address: Annotated[str, Field(pattern=patterns.ADDRESS)] | None = None
    retention_days: Annotated[float, Field(gt=0, le=36_500)] | None = None
    grafana_url: Annotated[str, Field(pattern=patterns.ADDRESS)] | None = None
    tempo_url: Annotated[str, Field(pattern=patterns.ADDRESS)] | None = None
    low_confidence: Annotated[float, Field(ge=0, le=1)] = LOW_CONFIDENCE_THRESHOLD
    idle_seconds: Annotated[float, Field(gt=0)] = 1800
    conversation_gap: Annotated[float, Field(gt=0)] | None = None
    question_memory: Annotated[ByteSize, Field(ge=1_000_000)] = ByteSize(QUESTION.memory)
    question_seconds: Annotated[float, Field(ge=0.01, le=3600)] = QUESTION.seconds
    export_memory: Annotated[ByteSize, Field(ge=1_000_000)] = ByteSize(EXPORT.memory)
    export_seconds: Annotated[float, Field(ge=1, le=86_400)] = EXPORT.seconds
    sample: Sample | None = None

    def secret(self, name: Literal["smtp_password", "s3_secret"]) -> str:
        """A secret, out of its file or the environment; empty where it was not given.

        Args:
            name: Which.

        Raises:
            ConfigurationError: If its file cannot be read.
        """
        file: Path | None = getattr(self, f"{name}_file")
        if file is None:
            given: SecretStr | None = getattr(self, name)
            return given.get_secret_value() if given else ""
        try:
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
            message = f"OTEL_CHAT_SERVER_{name.upper()}_FILE: {reason}"
            raise ConfigurationError(message) from error

    @field_validator("budgets")
    @classmethod
    def _names_differ(cls, budgets: tuple[Budget, ...]) -> tuple[Budget, ...]:
        names = [one.name for one in budgets]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two budgets are named {twice[0]!r}; give each a name of its own")
        return budgets

    @field_validator("conversation_gap")
    @classmethod
    def _idle_before(cls, gap: float | None, given: ValidationInfo) -> float | None:
        idle = given.data.get("idle_seconds")
        if gap is not None and idle is not None and gap < idle:
            raise ValueError(
                f"a conversation is settled after {idle:g} seconds of silence (idle_seconds): give"
                " as many at least"
            )
        return gap


def read_settings(**given: object) -> ServerSettings:
    """The settings from what was given and the environment.

    Raises:
        ConfigurationError: If a value cannot be taken; names it and its environment variable.

    Example:
        >>> read_settings(port=70000)
        Traceback (most recent call last):
        otel_chat.errors.ConfigurationError: port (OTEL_CHAT_SERVER_PORT): must be at most 65535.
    """
    try:
        return ServerSettings(**given)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        where = ".".join(map(str, first["loc"]))
        words = in_words(first, patterns.WORDS, value=False)  # a password may stand in it
        message = f"{where} (OTEL_CHAT_SERVER_{name.upper()}): {words}."
        raise ConfigurationError(message) from error
    except SettingsError as error:
        message = f"The environment cannot be read: {error}. Lists are written as JSON."
        raise ConfigurationError(message) from error
