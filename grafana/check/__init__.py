"""Checks of the dashboards: `python -m grafana.check`, and `--live` against a Prometheus."""
