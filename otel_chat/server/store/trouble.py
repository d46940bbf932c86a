"""What the engine's errors say of the store itself, in words that hold nothing of its inside."""

from __future__ import annotations

import logging
import re
import threading
import time
from typing import Final

_log = logging.getLogger("otel_chat.server")

_MEMORY: Final = "The store has run out of memory."
_CORRUPT: Final = "Part of the stored data cannot be read: it is damaged."
_DISK: Final = "The store's disk is full, or cannot be written."
_TABLES: Final = "The store's tables are missing, or of another version."
_USER: Final = "The store refuses the user that the server signs in with."
_BUSY: Final = "The store is busy."

# By the engine's own names. What is not here is a fault of what was asked or sent.
_CONDITIONS: Final = {
    _MEMORY: "MEMORY_LIMIT_EXCEEDED CANNOT_ALLOCATE_MEMORY",
    _CORRUPT: """
        CHECKSUM_DOESNT_MATCH CORRUPTED_DATA CANNOT_DECOMPRESS FILE_DOESNT_EXIST CANNOT_OPEN_FILE
        TOO_LARGE_SIZE_COMPRESSED SIZES_OF_MARKS_FILES_ARE_INCONSISTENT NO_FILE_IN_DATA_PART
        UNEXPECTED_FILE_IN_DATA_PART BAD_SIZE_OF_FILE_IN_DATA_PART NOT_FOUND_EXPECTED_DATA_PART
        TOO_MANY_UNEXPECTED_DATA_PARTS NO_SUCH_DATA_PART BAD_DATA_PART_NAME UNKNOWN_CODEC
        POTENTIALLY_BROKEN_DATA_PART UNKNOWN_PART_TYPE CANNOT_READ_FROM_FILE_DESCRIPTOR
        CANNOT_SEEK_THROUGH_FILE DIRECTORY_DOESNT_EXIST LZ4_DECODER_FAILED ZSTD_DECODER_FAILED
        """,
    _DISK: """
        NOT_ENOUGH_SPACE CANNOT_WRITE_TO_FILE_DESCRIPTOR CANNOT_WRITE_TO_FILE CANNOT_FSYNC
        CANNOT_CREATE_DIRECTORY CANNOT_CREATE_FILE CANNOT_CLOSE_FILE CANNOT_TRUNCATE_FILE
        CANNOT_STATVFS CANNOT_STAT CANNOT_FSTAT CANNOT_UNLINK CANNOT_LINK ATOMIC_RENAME_FAIL
        CANNOT_WRITE_TO_OSTREAM PATH_ACCESS_DENIED SYSTEM_ERROR STD_EXCEPTION
        """,
    _TABLES: """
        UNKNOWN_TABLE UNKNOWN_DATABASE TABLE_IS_DROPPED
        """,
    _USER: """
        AUTHENTICATION_FAILED ACCESS_DENIED DATABASE_ACCESS_DENIED REQUIRED_PASSWORD
        WRONG_PASSWORD UNKNOWN_USER IP_ADDRESS_NOT_ALLOWED READONLY
        """,
    _BUSY: """
        TOO_MANY_PARTS TOO_MANY_SIMULTANEOUS_QUERIES TIMEOUT_EXCEEDED TOO_SLOW QUOTA_EXCEEDED
        NO_FREE_CONNECTION SOCKET_TIMEOUT NETWORK_ERROR DNS_ERROR CANNOT_READ_FROM_SOCKET
        CANNOT_WRITE_TO_SOCKET ALL_CONNECTION_TRIES_FAILED NO_ZOOKEEPER KEEPER_EXCEPTION
        TABLE_IS_READ_ONLY UNKNOWN_STATUS_OF_INSERT TOO_FEW_LIVE_REPLICAS NO_ACTIVE_REPLICAS
        UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE REPLICA_IS_NOT_IN_QUORUM SHARD_HAS_NO_CONNECTIONS
        NO_REMOTE_SHARD_AVAILABLE ALL_REPLICAS_ARE_STALE ALL_REPLICAS_LOST ABORTED DEADLOCK_AVOIDED
        QUERY_WAS_CANCELLED SESSION_IS_LOCKED CANNOT_SCHEDULE_TASK
        DISTRIBUTED_TOO_MANY_PENDING_BYTES
        RECEIVED_ERROR_TOO_MANY_REQUESTS TOO_MANY_ROWS_OR_BYTES UNFINISHED PTHREAD_ERROR
        """,
}
_WORDS: Final = {name: words for words, names in _CONDITIONS.items() for name in names.split()}
# Where data was sent, it is that which ends early.
_READING: Final = dict.fromkeys(
    ("CANNOT_READ_ALL_DATA", "ATTEMPT_TO_READ_AFTER_EOF", "UNEXPECTED_END_OF_FILE"), _CORRUPT
)
# An insert is the same every time but for its data: these are never the sender's fault.
_WRITING: Final = dict.fromkeys(
    (
        "NO_SUCH_COLUMN_IN_TABLE",
        "THERE_IS_NO_COLUMN",
        "UNKNOWN_IDENTIFIER",
        "CANNOT_PARSE_PROTOBUF_SCHEMA",
        "NO_COLUMNS_SERIALIZED_TO_PROTOBUF_FIELDS",
    ),
    _TABLES,
)
_BEYOND: Final = {
    "Query memory limit exceeded": "more memory",
    "Timeout exceeded: elapsed": "longer",
}
"""Where one question took more than it may: what the engine says then, and what it took."""
_CODE: Final = re.compile(r"(?:Code: (?:241|159)\. DB::Exception: )+")
_NAME: Final = re.compile(r"\(([A-Z][A-Z0-9_]+)\)")
LASTS_SECONDS: Final = 60.0


def condition(text: str, *, inserting: bool = False) -> str | None:
    """What an error of the engine says of the store, if it is about the store.

    Args:
        text: What the engine said, which ends in the error's name.
        inserting: Whether data was sent, which may be at fault itself.

    Returns:
        A sentence for whoever asked; `None` if the question or the data is at fault.

    Example:
        >>> condition("Code: 241. DB::Exception: would use 5 GiB. (MEMORY_LIMIT_EXCEEDED)")
        'The store has run out of memory.'
    """
    names = _NAME.findall(text)
    if not names:
        return None
    last = names[-1]  # others may stand in what was asked or sent
    return _WORDS.get(last) or (_WRITING if inserting else _READING).get(last)


def beyond(text: str) -> str | None:
    """What to tell of a question that took more than one may.

    Args:
        text: What the engine said.

    Returns:
        A sentence for whoever asked; `None` if something else is wrong.

    Example:
        >>> beyond("Code: 159. DB::Exception: Timeout exceeded: elapsed 9 s").split(". ")[0]
        'This takes longer than one question may'
    """
    # The number comes first; the name may be cut off, behind all that the engine was doing.
    begun = _CODE.search(text)
    said = text[begun.end() :] if begun else ""
    what = next((what for start, what in _BEYOND.items() if said.startswith(start)), None)
    if what is None:
        return None
    return f"This takes {what} than one question may. Ask about less time or fewer conversations."


class Trouble:
    """The last trouble of a store, for as long as it counts."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._words = ""
        self._until = 0.0

    def note(self, words: str, detail: str) -> None:
        """Notes that the store is in trouble; the log is told when it begins.

        Args:
            words: What is wrong.
            detail: What the engine said.
        """
        now = time.monotonic()
        with self._guard:
            new = words != self._words or now > self._until
            self._words, self._until = words, now + LASTS_SECONDS
        if new:
            _log.error("%s The engine said: %s", words, detail)

    @property
    def words(self) -> str:
        """What was wrong within the last minute; '' if nothing was."""
        with self._guard:
            return self._words if time.monotonic() <= self._until else ""
