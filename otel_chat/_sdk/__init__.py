"""`setup()` and what it sets up: providers, exporters, a scraped port, turns on the console.

Private. The one room of the library, besides `testing`, that imports OpenTelemetry's SDK.
"""
