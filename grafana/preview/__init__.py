"""Pictures of the dashboards: `python -m grafana.preview --prometheus URL`."""
