"""Objectives of whole conversations, for those who set one: containment, resolution, CSAT."""

from __future__ import annotations

from functools import partial

from prometheus.book import TICKET, Alert, Book
from prometheus.conversations import OF_ANALYTICS, PLACE, of_window, settled
from prometheus.measures import SHARE


def add_objectives(book: Book) -> None:
    """Adds an alert for each objective that is set.

    It is missed where a week lies below it by more than chance makes likely (two standard errors
    of a share), and the last day still does.
    """
    settings = book.settings
    ratings = partial(of_window, "otel_chat_ratings")
    # With the assumed ones: where even those do not make it, it is missed for certain
    resolved = ("otel_chat_resolution_ratio", {"bound": "assumed"})
    for slo, (name, labels), target, many, least, what in (
        (
            "containment", ("otel_chat_containment_ratio", {}), settings.containment_target,
            settled, settings.conversations, "conversations stay with the bot",
        ),
        (
            "resolution", resolved, settings.resolution_target,
            settled, settings.conversations, "conversations are resolved, assumed ones among them",
        ),
        (
            "csat", ("otel_chat_csat_ratio", {}), settings.csat_target,
            ratings, settings.ratings, "ratings are in the top boxes",
        ),
    ):  # fmt: skip
        if not target:
            continue
        week, day = (of_window(name, window, **labels) for window in ("7d", "24h"))
        chance = f"2 * sqrt({target * (1 - target):.6g} / {many('7d')})"
        book.alert(
            "objectives",
            Alert(
                "ChatConversationObjectiveMissed",
                TICKET,
                f"{week} < {target:g} - {chance}\nand {day} < {target:g}\n"
                f"and {many('24h')} >= {least}",
                "1h",
                f"{PLACE}: {SHARE} of {what}, less than the {target:.4g} that were promised",
                "Over a week, by more than chance makes likely, and over the last day still.",
                "outcomes",
                {"slo": slo, **OF_ANALYTICS},
            ),
        )
