"""A module for each thing that is asked of the store.

Knows nothing of who asks: API, pages, reports.
"""
