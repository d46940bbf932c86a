"""The way out of the process: runtime, delivery thread, instruments, events, clock, workers.

Private. Imports the leaves and OpenTelemetry's API; knows conversations and turns by name only.
"""
