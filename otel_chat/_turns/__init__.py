"""A turn and the conversation around it, from the handler's first report to the noted end.

Private; what users call of it stands in `otel_chat`. Imports `_telemetry` and the leaves.
"""
