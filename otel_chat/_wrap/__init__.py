"""Decorators and blocks: functions of every shape, steps inside a turn, streams.

Private; what users call of it stands in `otel_chat`. Imports `_turns`, `_telemetry`, the leaves.
"""
