"""What library, programs and server share: checks of values, times, files, addresses, extras.

Private. Imports `errors` and `semconv` alone; knows nothing of turns.
"""
