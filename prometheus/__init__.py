"""Recording rules, alerts and their tests, from the one table of names.

`python -m prometheus.generate` writes `rules/`, `alerts/` and `tests/`.
"""
