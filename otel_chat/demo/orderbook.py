"""The shop's order book: SQLite in memory, filled from the shipped rows, with real look-ups."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

from otel_chat.demo import content

_SCHEMA = """
CREATE TABLE carriers (name TEXT PRIMARY KEY, days INTEGER NOT NULL);
CREATE TABLE orders (
  number TEXT PRIMARY KEY, item TEXT NOT NULL, total REAL NOT NULL, address TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN
    ('processing', 'shipped', 'delivered', 'returning', 'returned', 'cancelled')),
  carrier TEXT NOT NULL, shipped_on TEXT, delivered_on TEXT, label TEXT
);
CREATE TABLE tickets (
  id INTEGER PRIMARY KEY, number TEXT NOT NULL REFERENCES orders, complaint TEXT NOT NULL
);
"""
_COLUMNS = "number, item, total, address, status, carrier, shipped_on, delivered_on, label"


class CarrierUnknownError(LookupError):
    """An order names a carrier with which the shop has no connection."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order, as the book has it."""

    number: str
    item: str
    total: float
    address: str
    status: str
    carrier: str
    shipped_on: str | None
    delivered_on: str | None
    label: str | None

    @property
    def has_left(self) -> bool:
        """Whether the parcel has left the warehouse."""
        return self.status in {"shipped", "delivered"}


class OrderBook:
    """An order book of its own, filled from the shipped rows. Safe to use from several threads.

    Args:
        carriers: Carriers that it has a connection with beside those of the rows, with their
            working days.

    Example:
        >>> OrderBook().find("10417").item
        'glass vase'
        >>> OrderBook().find("99999") is None
        True
    """

    def __init__(self, carriers: Mapping[str, int] | None = None) -> None:
        rows = content.orders()
        self._lock = Lock()
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.executescript(_SCHEMA)
        self._db.executemany("INSERT INTO carriers VALUES (:name, :days)", rows["carriers"])
        self._db.executemany("INSERT INTO carriers VALUES (?, ?)", (carriers or {}).items())
        self._db.executemany(
            f"INSERT INTO orders ({_COLUMNS}) VALUES (:number, :item, :total, :address, :status,"  # noqa: S608 - a constant
            " :carrier, :shipped_on, :delivered_on, NULL)",
            rows["orders"],
        )

    def close(self) -> None:
        """Closes the database. The book cannot be used afterwards."""
        self._db.close()

    def find(self, number: str) -> Order | None:
        """The order of that number, or None."""
        with self._lock:
            row = self._db.execute(
                f"SELECT {_COLUMNS} FROM orders WHERE number = ?",  # noqa: S608 - a constant
                (number,),
            ).fetchone()
        return Order(*row) if row else None

    def carrier_days(self, order: Order) -> int:
        """How many working days the order's carrier takes.

        Raises:
            CarrierUnknownError: when the order names a carrier that is not in the book.

        Example:
            >>> book = OrderBook()
            >>> book.carrier_days(book.find("10446"))
            2
        """
        with self._lock:
            row = self._db.execute(
                "SELECT days FROM carriers WHERE name = ?", (order.carrier,)
            ).fetchone()
        if row is None:
            raise CarrierUnknownError(f"no connection to the carrier {order.carrier}")
        return int(row[0])

    def register_return(self, order: Order) -> str:
        """Registers a return.

        Returns:
            The number of the return label.

        Raises:
            CarrierUnknownError: when the order's carrier cannot make a label.

        Example:
            >>> book = OrderBook()
            >>> book.register_return(book.find("10417"))
            'AR-10417-80FD'
        """
        self.carrier_days(order)
        check = hashlib.blake2s(order.number.encode(), digest_size=2).hexdigest().upper()
        label = f"AR-{order.number}-{check}"
        self._update(order.number, "status = 'returning', label = ?", label)
        return label

    def change_address(self, order: Order, address: str) -> None:
        """Writes a new delivery address."""
        self._update(order.number, "address = ?", address)

    def cancel(self, order: Order) -> None:
        """Marks the order as cancelled."""
        self._update(order.number, "status = 'cancelled'")

    def open_ticket(self, order: Order, complaint: str) -> str:
        """Writes a complaint down.

        Returns:
            The number of the ticket.

        Example:
            >>> book = OrderBook()
            >>> book.open_ticket(book.find("10417"), "cracked")
            'T-1'
        """
        with self._lock, self._db:
            added = self._db.execute(
                "INSERT INTO tickets (number, complaint) VALUES (?, ?)", (order.number, complaint)
            )
        return f"T-{added.lastrowid}"

    def _update(self, number: str, assignment: str, *values: str) -> None:
        with self._lock, self._db:
            self._db.execute(
                f"UPDATE orders SET {assignment} WHERE number = ?",  # noqa: S608 - only constants come in
                (*values, number),
            )
