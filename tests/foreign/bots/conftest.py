"""The bots are run by the recorder, in environments of their own."""

collect_ignore_glob = ["*.py"]
