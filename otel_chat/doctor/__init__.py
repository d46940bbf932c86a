"""`otel-chat doctor`: sends one marked turn through the pipeline and says where it got lost."""

from __future__ import annotations

from otel_chat.doctor.addresses import Addresses
from otel_chat.doctor.examine import examine
from otel_chat.doctor.findings import Diagnosis, Hop, Marked, State
from otel_chat.doctor.straight import straight

__all__ = ["Addresses", "Diagnosis", "Hop", "Marked", "State", "examine", "straight"]
