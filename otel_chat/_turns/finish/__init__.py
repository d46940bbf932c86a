"""How a turn that is over is worked out, in the delivery thread: steps in order.

Imports a turn's data (`state`, `usage`, `model_results`), `_telemetry` and the leaves; nothing
here calls a turn.
"""
