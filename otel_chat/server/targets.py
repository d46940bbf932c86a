"""Where files are put: a folder of the server's machine, or a bucket of S3 or what speaks as it.

A bucket is written to by the store's engine, which signs and sends: no client of S3 is needed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote

from otel_chat._common.whole_file import writing
from otel_chat.errors import ConfigurationError, OtelChatError, StoreError

if TYPE_CHECKING:
    from otel_chat.server.settings import ServerSettings
    from otel_chat.server.store import Store

TO_SET: Final = (
    "Set OTEL_CHAT_SERVER_S3_URL, OTEL_CHAT_SERVER_S3_KEY_ID and OTEL_CHAT_SERVER_S3_SECRET"
    " (or _S3_SECRET_FILE)."
)


class TargetError(OtelChatError):
    """A file could not be put where it belongs; says why, without anything secret."""


class Target(Protocol):
    """Where files are put."""

    @property
    def name(self) -> str:
        """What it is called where it is told of; nothing secret."""

    def put(self, path: str, content: bytes) -> None:
        """Puts a file, whole, in place of another of its path.

        Args:
            path: Where, with slashes.
            content: What is in it.

        Raises:
            TargetError: If it cannot be put there.
        """


@dataclass(frozen=True, slots=True)
class FolderTarget:
    """A folder.

    Args:
        folder: Which.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.folder)

    def put(self, path: str, content: bytes) -> None:
        """Puts a file; see `Target`."""
        file = self.folder / path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with writing(file) as output:
                output.write(content)
        except OSError as error:
            raise TargetError(f"{file}: {error.strerror}") from error
        except ConfigurationError as error:
            raise TargetError(str(error)) from error


@dataclass(frozen=True, slots=True)
class BucketTarget:
    """A bucket, or what lies beneath a prefix in it.

    Args:
        store: Whose engine writes there; it has to reach the bucket.
        address: Bucket and prefix, as `https://s3.eu-central-1.amazonaws.com/bucket/chat`.
        key: The id of the access key.
        secret: The key.
    """

    store: Store
    address: str
    key: str
    secret: str

    @property
    def name(self) -> str:
        """Its address."""
        return self.address

    def put(self, path: str, content: bytes) -> None:
        """Puts a file; see `Target`."""
        address = f"{self.address}/{quote(path, safe='/=')}"
        try:
            self.store.put_object(address, self.key, self.secret, content)
        except StoreError as error:
            told = str(error).replace(self.secret, "…")
            raise TargetError(f"{address}: {' '.join(told.split())[:500]}") from None


def bucket_of(store: Store, settings: ServerSettings) -> BucketTarget | None:
    """The bucket that the settings name; None where one of them is missing.

    Args:
        store: Whose engine writes there.
        settings: What the server was told.

    Raises:
        ConfigurationError: If the file of the secret cannot be read.
    """
    secret = settings.secret("s3_secret")
    if settings.s3_url is None or not settings.s3_key_id or not secret:
        return None
    return BucketTarget(store, settings.s3_url.rstrip("/"), settings.s3_key_id, secret)


def target_of(store: Store, settings: ServerSettings) -> Target | None:
    """Where scheduled exports are put; None where none are.

    Args:
        store: Whose engine writes to a bucket.
        settings: What the server was told.

    Raises:
        ConfigurationError: If it is to be a bucket, and what that needs is not set.
    """
    if settings.exports_to is None:
        return None
    if settings.exports_to != "s3":
        return FolderTarget(Path(settings.exports_to))
    if (bucket := bucket_of(store, settings)) is None:
        raise ConfigurationError(f"exports_to (OTEL_CHAT_SERVER_EXPORTS_TO) is s3. {TO_SET}")
    return bucket
