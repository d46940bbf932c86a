"""Sending a report: by e-mail, to a signed webhook, to Slack and Teams, into a folder or bucket."""

from __future__ import annotations

import json
import logging
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from otel_chat._common.extras import missing, pip_command
from otel_chat.errors import ConfigurationError, OtelChatError
from otel_chat.server.access import LOOPBACK_NAMES
from otel_chat.server.report import words
from otel_chat.server.report.definition import Bucket, Email, Folder, Goals, Slack, Teams, Webhook
from otel_chat.server.report.making import SUFFIXES, Form, Made
from otel_chat.server.targets import TO_SET, BucketTarget, FolderTarget, Target, TargetError

if TYPE_CHECKING:
    import smtplib
    from email.message import EmailMessage

    from otel_chat.server.report.definition import Recipient
    from otel_chat.server.settings import ServerSettings

SECONDS: Final = 30.0
_SUBJECT: Final = 200
_SECRET: Final = "OTEL_CHAT_REPORT_SECRET_"  # noqa: S105 - the name of a variable
_PORTS: Final = {"http": 80, "https": 443}
_LATER: Final = (408, 425, 429)
Outcome = Literal["failed", "refused", "unknown"]


class DeliveryError(OtelChatError):
    """A report was not sent, or nobody knows.

    Args:
        message: What happened, without anything secret.
        outcome: failed: nothing left, and it may be tried again; refused: it will never be taken as
            it is; unknown: it may have arrived.
    """

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome: Outcome = outcome


@dataclass(frozen=True, slots=True)
class Post:
    """What reports are sent with.

    Args:
        settings: What the server was told.
        bucket: The bucket that it names; None without one.
    """

    settings: ServerSettings
    bucket: BucketTarget | None = None

    def missing(self, recipient: Recipient) -> str:
        """What has to be set before this recipient can get anything; empty for nothing."""
        settings = self.settings
        match recipient:
            case Email() if settings.smtp_host is None or settings.smtp_from is None:
                return "Set OTEL_CHAT_SERVER_SMTP_HOST and OTEL_CHAT_SERVER_SMTP_FROM."
            case Email() if "pdf" in recipient.attach and (lacking := missing("pdf")):
                return f"Run {pip_command(*lacking)}, or have it attach: [csv]."
            case Webhook() if _origin(recipient.url) not in map(_origin, settings.report_origins):
                return (
                    "Have OTEL_CHAT_SERVER_REPORT_ORIGINS, a JSON list, name the origin of"
                    f" {recipient.url}."
                )
            case Folder() | Bucket():
                return self._no_place(recipient)
            case Webhook() | Slack() | Teams() if self._secret(recipient.secret) is None:
                return (
                    f"Set {_SECRET}{recipient.secret.upper()}, or put a file {recipient.secret}"
                    " into the folder of OTEL_CHAT_SERVER_REPORT_SECRETS."
                )
            case _:
                return ""

    def deliver(self, recipient: Recipient, made: Made, run: str) -> str:
        """Sends a report.

        Args:
            recipient: Who gets it.
            made: The report.
            run: The id of the run, the same each time that it is tried.

        Returns:
            What was done, in words.

        Raises:
            DeliveryError: If it was not sent, or nobody knows.
        """
        if to_set := self.missing(recipient):
            raise DeliveryError(to_set, "failed")
        match recipient:
            case Email():
                return self._email(recipient, made, run)
            case Webhook():
                return self._webhook(recipient, made, run)
            case Slack():
                return self._post(self._address(recipient.secret), slack(made))
            case Teams():
                return self._post(self._address(recipient.secret), teams(made))
            case Folder():
                return self._folder(recipient, made)
            case Bucket():
                return self._bucket(recipient, made)

    def _no_place(self, recipient: Folder | Bucket) -> str:
        if isinstance(recipient, Bucket):
            return "" if self.bucket is not None else TO_SET
        known = self.settings.report_folder is not None
        return "" if known else "Set OTEL_CHAT_SERVER_REPORT_FOLDER."

    def _secret(self, name: str) -> str | None:
        if value := os.environ.get(f"{_SECRET}{name.upper()}", "").strip():
            return value
        folder = self.settings.report_secrets
        try:
            return (folder / name).read_text(encoding="utf-8").strip() or None if folder else None
        except OSError:
            return None

    def _address(self, name: str) -> str:
        address = self._secret(name) or ""
        if not address.startswith(("https://", "http://")):
            raise DeliveryError(f"The secret {name} is no address of a webhook.", "failed")
        return address

    def _email(self, recipient: Email, made: Made, run: str) -> str:
        import smtplib

        message = self._message(recipient, made, run)
        with self._connected() as client:
            try:
                refused = client.send_message(message)
            except smtplib.SMTPRecipientsRefused as error:
                codes = {code for code, _ in error.recipients.values()}
                raise _answered(max(codes), "No recipient was taken") from error
            except smtplib.SMTPResponseException as error:
                raise _answered(error.smtp_code, _reason(error.smtp_error)) from error
            except (smtplib.SMTPException, OSError) as error:
                outcome: Outcome = "unknown" if client.handed_over else "failed"
                raise DeliveryError(f"The SMTP server broke off: {error}", outcome) from error
        if refused:
            return f"sent; not taken for {', '.join(sorted(refused))}"
        return f"sent as {message['Message-ID']}"

    def _message(self, recipient: Email, made: Made, run: str) -> EmailMessage:
        from email.message import EmailMessage
        from email.policy import SMTP
        from email.utils import format_datetime

        sender = str(self.settings.smtp_from)
        message = EmailMessage(policy=SMTP)
        message["Subject"] = f"{made.heading}: {made.sentence}"[:_SUBJECT]
        message["From"] = sender
        message["To"] = ", ".join(recipient.to)
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = f"<{run}@{sender.partition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(made.written("text").decode())
        message.add_alternative(made.written("html").decode(), subtype="html")
        for form in recipient.attach:
            kind, _, subtype = {"pdf": "application/pdf", "csv": "text/csv"}[form].partition("/")
            message.add_attachment(
                made.written(form), maintype=kind, subtype=subtype, filename=_file(made, form)
            )
        return message

    def _connected(self) -> Any:
        import smtplib

        settings, secure = self.settings, ssl.create_default_context()

        class Client(smtplib.SMTP):
            """Notes when the server has begun to take the message."""

            handed_over = False

            def data(self, msg: Any) -> tuple[int, bytes]:
                self.handed_over = True
                return super().data(msg)

        class SecureClient(Client, smtplib.SMTP_SSL):
            pass

        host, port = str(settings.smtp_host), settings.smtp_port
        password = self._password()
        if settings.smtp_tls == "none" and settings.smtp_user and host not in LOOPBACK_NAMES:
            message = "A password goes over TLS only: OTEL_CHAT_SERVER_SMTP_TLS is starttls or tls."
            raise DeliveryError(message, "failed")
        client: smtplib.SMTP | None = None
        try:
            if settings.smtp_tls == "tls":
                client = SecureClient(host, port, timeout=SECONDS, context=secure)
            else:
                client = Client(host, port, timeout=SECONDS)
            if settings.smtp_tls == "starttls":
                client.starttls(context=secure)
            if settings.smtp_user:
                client.login(settings.smtp_user, password)
        except (smtplib.SMTPException, OSError) as error:
            if client is not None:
                client.close()
            reason = _reason(getattr(error, "smtp_error", error))
            raise DeliveryError(f"The SMTP server {host}:{port}: {reason}", "failed") from error
        return client

    def _password(self) -> str:
        try:
            return self.settings.secret("smtp_password")
        except ConfigurationError as error:
            raise DeliveryError(str(error), "failed") from error

    def _webhook(self, recipient: Webhook, made: Made, run: str) -> str:
        import standardwebhooks

        body = json.dumps({"type": "report", "data": made.document()}, ensure_ascii=False)
        now = datetime.now(UTC)
        try:
            signer = standardwebhooks.Webhook(self._secret(recipient.secret) or "")
        except (
            ValueError,
            RuntimeError,
            standardwebhooks.webhooks.EmptyWebhookSecretError,
        ) as error:
            message = f"The secret {recipient.secret} is no signing secret: whsec_ and base64."
            raise DeliveryError(message, "failed") from error
        headers = {
            "webhook-id": run,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signer.sign(run, now, body),
        }
        return self._post(recipient.url, body, headers)

    def _post(
        self, address: str, body: str | dict[str, Any], headers: dict[str, str] | None = None
    ) -> str:
        import httpx

        # It would write the address, which may be the secret itself, into the log.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        content = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        try:
            answer = httpx.post(
                address,
                content=content.encode(),
                headers={"content-type": "application/json", **(headers or {})},
                timeout=SECONDS,
                follow_redirects=False,
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            raise DeliveryError(f"It cannot be reached: {error}", "failed") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            message = f"It broke off before it answered: {type(error).__name__}"
            raise DeliveryError(message, "unknown") from error
        if answer.is_success:
            return f"answered {answer.status_code}"
        again = answer.status_code in _LATER or answer.is_server_error
        moved = "; redirects are not followed" if answer.is_redirect else ""
        raise DeliveryError(
            f"It answered {answer.status_code}{moved}.", "failed" if again else "refused"
        )

    def _folder(self, recipient: Folder, made: Made) -> str:
        base = Path(str(self.settings.report_folder)).resolve()
        if not (base / recipient.path).resolve().is_relative_to(base):
            raise DeliveryError("The folder lies outside of the server's.", "refused")
        try:
            return _put(FolderTarget(base), recipient, made)
        except TargetError as error:
            told = str(error).replace(f"{base}/", "")  # where that is concerns nobody
            raise DeliveryError(told, "failed") from error

    def _bucket(self, recipient: Bucket, made: Made) -> str:
        if self.bucket is None:
            raise DeliveryError(TO_SET, "refused")
        try:
            return _put(self.bucket, recipient, made)
        except TargetError as error:
            raise DeliveryError(str(error), "failed") from error


def _put(target: Target, recipient: Folder | Bucket, made: Made) -> str:
    """Puts a report in each of its forms; says which files that made."""
    names = []
    for form in recipient.formats:
        names.append(_file(made, form))
        target.put(f"{recipient.path}/{names[-1]}", made.written(form))
    return f"wrote {', '.join(names)}"


def _origin(address: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address."""
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"{address}: {error}") from error
    return parts.scheme, (parts.hostname or "").lower(), port or _PORTS.get(parts.scheme, 0)


def _answered(code: int, reason: str) -> DeliveryError:
    """What an SMTP server's answer means: from 500 on it will not take it the next time either."""
    outcome: Outcome = "refused" if code >= 500 else "failed"  # noqa: PLR2004
    return DeliveryError(f"The SMTP server answered {code}: {reason}", outcome)


def _reason(error: object) -> str:
    text = error.decode(errors="replace") if isinstance(error, bytes) else str(error)
    return " ".join(text.split())[:300]


def _file(made: Made, form: Form) -> str:
    return f"{made.filename}.{SUFFIXES.get(form, form)}"


def _figures(made: Made) -> list[words.Shown]:
    """The figures that a short message tells: those of the first section with any."""
    sections = (one for one in made.report.definition.sections if isinstance(one, Goals))
    return made.goals(next(sections, Goals()))


def slack(made: Made) -> dict[str, Any]:
    """A report as a message of Slack's incoming webhooks.

    Args:
        made: The report.
    """

    def plain(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    def section(text: str) -> dict[str, Any]:
        return {"type": "section", "text": {"type": "mrkdwn", "text": text[:3000]}}

    figures = "\n".join(
        f"{plain(one.label)}: *{plain(one.value)}* ({plain(one.moved)})" for one in _figures(made)
    )
    worse = "\n".join(f"\u2022 {plain(made.phrase(one))}." for one in made.brief.worse[:3])
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": made.heading[:150]}},
        section(f"*{plain(made.sentence)}*"),
        section(figures or plain(made.period)),
        *([section(worse)] if worse else []),
        {"type": "context", "elements": [{"type": "plain_text", "text": made.period[:300]}]},
    ]
    return {"text": plain(f"{made.heading}: {made.sentence}"), "blocks": blocks}


def teams(made: Made) -> dict[str, Any]:
    """A report as a card for a workflow of Microsoft Teams.

    Args:
        made: The report.
    """
    worse = [
        {"type": "TextBlock", "text": f"\u2022 {made.phrase(one)}.", "wrap": True}
        for one in made.brief.worse[:3]
    ]
    facts = [{"title": one.label, "value": f"{one.value} ({one.moved})"} for one in _figures(made)]
    body = [
        {"type": "TextBlock", "text": made.heading, "size": "Large", "weight": "Bolder"},
        {"type": "TextBlock", "text": made.sentence, "wrap": True, "weight": "Bolder"},
        {"type": "FactSet", "facts": facts},
        *worse,
        {"type": "TextBlock", "text": made.period, "wrap": True, "isSubtle": True},
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    content = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [content]}
